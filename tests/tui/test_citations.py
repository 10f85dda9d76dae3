"""Articles are found again: by the numbers in an answer, by its links, and by the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.research.synthesis import closing
from storage.articles import Draft
from storage.records import Finish, Role
from tests.tui.chatting import Chat, chatting
from tests.tui.transcript.conversations import message
from tui.screens.article import ArticleScreen
from tui.screens.links import LinksScreen
from tui.transcript.look import CITE
from tui.transcript.message import MessageView

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DRAFTS = [
    Draft(url="https://a.example/1", source="wikipedia", title="Jays", text="They hide acorns."),
    Draft(url="https://a.example/2", source="arxiv", title="[bold]Memory[/]", text="They recall."),
]
SAID = "They hide [1], they recall [1, 2], and they fly [7]; `list[1]` is code."


async def keep_answer(chat: Chat, text: str = SAID) -> None:
    """Put a cited answer into the store, and show it."""
    store = chat.engine._store
    session = await chat.engine.library.create(title="Jays")
    await store.messages.append(session.id, role=Role.USER, content="What do jays do?")
    articles = await store.articles.upsert(session.id, DRAFTS)
    answer = await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content=f"{text}{closing('What do jays do?', text, articles)}",
        finish=Finish.COMPLETE,
    )
    await store.articles.cite(answer.id, [article.id for article in articles])
    chat.screen.open(session.id)
    await chat.until_shown("Sources")


async def click_on(chat: Chat, text: str) -> None:
    """Click in the middle of some text that stands in the transcript."""
    rows = chat.text.split("\n")
    y = next(y for y, row in enumerate(rows) if text in row)
    await chat.pilot.click(offset=(rows[y].index(text) + len(text) // 2, y))


def shown_article(chat: Chat) -> str:
    screen = chat.app.screen
    return screen._article.title if isinstance(screen, ArticleScreen) else ""


async def test_a_click_on_a_number_opens_its_article(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await keep_answer(chat)
        await click_on(chat, "[1]")
        await chat.until(lambda: shown_article(chat) == "Jays")
        await chat.until_shown("They hide acorns.")
        await chat.pilot.press("escape")
        await click_on(chat, "2]")
        await chat.until(lambda: shown_article(chat) == "[bold]Memory[/]")
        await chat.until_shown("[bold]Memory[/]")
        await chat.pilot.press("escape")
        await click_on(chat, "[7]")
        await chat.until_shown("No article has the number 7.")
        assert not shown_article(chat)


async def test_the_links_of_an_answer_begin_with_its_articles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    async with chatting(tmp_path) as chat:
        await chat.ready()
        monkeypatch.setattr(chat.app, "open_url", opened.append)
        await keep_answer(chat, f"{SAID} See https://b.example.")
        chat.transcript.focus()
        await chat.pilot.press("o")
        await chat.until(lambda: isinstance(chat.app.screen, LinksScreen))
        await chat.until_shown("[2] [bold]Memory[/]")
        assert chat.text.count("https://a.example/1") == 1  # as the article, not as a link too
        await chat.pilot.press("down", "enter")
        await chat.until(lambda: shown_article(chat) == "[bold]Memory[/]")
        await chat.pilot.press("o")
        assert opened == ["https://a.example/2"]
        await chat.pilot.press("escape", "o")
        await chat.until(lambda: isinstance(chat.app.screen, LinksScreen))
        await chat.pilot.press("j", "j", "enter")
        await chat.until(lambda: opened[1:])
        assert opened[1:] == ["https://b.example"]


async def test_the_search_of_the_sidebar_finds_articles_too(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(140, 40)) as chat:
        await chat.ready()
        await keep_answer(chat)
        kept = chat.session_id
        await chat.pilot.press("ctrl+n", "ctrl+b", "/", *"recall")
        await chat.until_shown("In articles")
        rows = [row[:32].rstrip() for row in chat.text.split("\n")]
        at = rows.index(next(row for row in rows if "▤ [bold]Memory[/]" in row))
        assert "They recall." in rows[at + 1]
        assert "in “Jays”" in rows[at + 2]
        await chat.pilot.press("down", "enter")
        await chat.until(lambda: shown_article(chat) == "[bold]Memory[/]")
        await chat.until(lambda: chat.session_id == kept)
        await chat.pilot.press("escape")
        await chat.until_shown("Sources")


def citations(text: str) -> list[tuple[str, str]]:
    view = MessageView(message(0, Role.ASSISTANT, text), 60)
    spans = [span for line in view.lines for span in line.spans]
    return [
        (span.text, span.link.removeprefix(CITE)) for span in spans if span.link.startswith(CITE)
    ]


def test_only_an_answer_with_sources_has_citations() -> None:
    assert citations(SAID) == []
    found = citations(f"{SAID}{closing('', SAID, DRAFTS)}")
    assert found == [("[1]", "1"), ("[1", "1"), ("2]", "2"), ("[7]", "7"), ("[7]", "7")]


def test_a_citation_that_is_wrapped_is_one_all_the_same() -> None:
    said = f"{'x' * 34} [12, 13]"
    view = MessageView(message(0, Role.ASSISTANT, f"{said}{closing('', '[1]', DRAFTS)}"), 40)
    assert [line.text for line in view.lines[1:3]] == ["x" * 34 + " [12,", "13]"]
    spans = [span for line in view.lines for span in line.spans if span.link.startswith(CITE)]
    assert [(span.text, span.link) for span in spans] == [
        ("[12", f"{CITE}12"),
        ("13]", f"{CITE}13"),
    ]


def test_what_is_shown_is_what_was_said() -> None:
    whole = f"{SAID}{closing('', SAID, DRAFTS)}"
    view = MessageView(message(0, Role.ASSISTANT, whole), 200)
    assert any(line.text == SAID.replace("`", "") for line in view.lines)
