"""Conversations as Markdown and as HTML pages, and what their files are called."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import export
from engine.events import Events
from engine.export.html import LONGEST_CODE
from engine.library import Library
from storage.records import Finish, Role, Session, ToolCall
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VOID = {"meta", "br", "hr", "img", "link", "input"}
LOADING = {"src", "srcset", "poster", "data", "background", "action", "ping", "style"}
"""Attributes that load something, or may."""


class Page(HTMLParser):
    """An HTML page, taken apart; it fails where tags do not fit each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data

    def count(self, tag: str) -> int:
        return sum(1 for one, _ in self.tags if one == tag)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "scrubjay.db") as store:
        yield store


async def page_of(store: Store, *said: str, title: str = "Birds") -> Page:
    session = await store.sessions.create(title=title)
    for number, text in enumerate(said):
        role = Role.ASSISTANT if number % 2 else Role.USER
        await store.messages.append(session.id, role=role, content=text)
    return Page(await written(store, session.id, "html"))


async def written(store: Store, session_id: str, format: str) -> str:
    library = Library(store, Events())
    session = await library.session(session_id)
    return "".join([piece async for piece in export.BUILT_IN[format].pieces(library, session)])


async def test_markdown_becomes_elements(store: Store) -> None:
    page = await page_of(
        store,
        "Who *sings*?",
        "# Jays\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n~~no~~\n\n```python\nprint('x')  # it\n```",
    )
    for tag in ("em", "table", "s", "pre", "code"):
        assert page.count(tag) == 1, tag
    assert page.count("article") == 2
    classes = {attributes.get("class") for tag, attributes in page.tags if tag == "span"}
    assert {"nb", "s1", "c1"} <= classes
    assert "print('x')  # it" in page.words


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=https://spy.example/x.png onerror=alert(1)>",
    "![pixel](https://spy.example/x.png)",
    '![a](https://spy.example/"onerror="x)',
    "[click](javascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[beside](b) [above](../b) [root](/etc/passwd) [net](//spy.example/x) ![photo](photo.png)",
    "<https://spy.example/?a=1&b=2>",
    '[x](https://spy.example "onmouseover=alert(1)")',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>\nx\n```',
    "</article></main><iframe src=//spy.example>",
    "\x1b]0;owned\x07\x00 \u202eesrever",
    "<!-- --><style>@import url(//spy.example)</style>",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_that_was_said_can_act_or_load(store: Store, text: str) -> None:
    page = await page_of(store, text, text, title=text)
    tags = {tag for tag, _ in page.tags}
    assert tags.isdisjoint({"script", "img", "iframe", "link", "object", "embed", "form", "svg"})
    assert page.count("style") == 1
    for tag, attributes in page.tags:
        assert LOADING.isdisjoint(attributes), tag
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "a":
            assert re.match(r"https?://|mailto:|#", attributes.get("href", "#") or "")
            assert attributes["rel"] == "noopener noreferrer"
    policy = dict(page.tags[[tag for tag, _ in page.tags].index("meta") + 1][1])
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert "\x1b" not in page.words
    assert "\x00" not in page.words


async def test_a_page_is_for_light_and_dark_and_paper(store: Store) -> None:
    session = await store.sessions.create(title="Birds")
    text = await written(store, session.id, "html")
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "url(" not in text
    assert "@import" not in text


async def test_thinking_tools_and_how_it_ended_are_told(store: Store) -> None:
    session = await store.sessions.create(title="Birds")
    await store.messages.append(session.id, role=Role.USER, content="?")
    call = ToolCall(id="c", name="add<b>", arguments={"n": "<1>"})
    await store.messages.append(
        session.id, role=Role.ASSISTANT, content="", thinking="hm *so*", tool_calls=[call]
    )
    await store.messages.append(session.id, role=Role.TOOL, content="<2>", tool_call_id="c")
    await store.messages.append(
        session.id, role=Role.ASSISTANT, content="Two", finish=Finish.STOPPED, model="ollama:jay"
    )
    page = Page(await written(store, session.id, "html"))
    assert page.count("details") == 3
    assert 'Calls add<b>{\n  "n": "<1>"\n}' in page.words
    assert "ollama:jay" in page.words
    assert "Stopped." in page.words
    markdown = await written(store, session.id, "markdown")
    assert '\n    add<b> {"n":"<1>"}\n' in markdown
    assert markdown.endswith("\nTwo\n\n*Stopped.*\n")


async def test_code_that_is_too_long_for_colours_is_shown_without(store: Store) -> None:
    page = await page_of(store, f"```python\n{'x = 1 # ' * (LONGEST_CODE // 4)}\n```")
    assert page.count("span") == 0
    assert page.words.count("x = 1 # ") == LONGEST_CODE // 4


SESSION = Session(id="0" * 24 + "abcdef12", title="", created_at=1_700_000_000, updated_at=0)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Old birds", "Old-birds"),
        ("../../etc/passwd", "etc-passwd"),
        ("Grüße, 東京 🎉!", "Grüße-東京"),
        ("", "untitled"),
        ("…", "untitled"),
        ("w" * 200, "w" * 60),
    ],
)
def test_a_file_is_called_by_day_title_and_id(title: str, name: str) -> None:
    session = msgspec.structs.replace(SESSION, title=title)
    found = export.file_name(session, export.BUILT_IN["html"])
    assert re.fullmatch(rf"2023-11-1[45]-{name}-abcdef12\.html", found)


def test_what_is_wanted_may_be_said_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for argument, format, ending in (
        ("", "markdown", r"untitled-abcdef12\.md"),
        ("json", "json", r"untitled-abcdef12\.json"),
        ("notes.html", "html", r"notes\.html"),
        ("json notes.txt", "json", r"notes\.txt"),
        ('"my notes.md"', "markdown", r"my notes\.md"),
        ("my notes.md", "markdown", r"my notes\.md"),
        ("it's.md", "markdown", r"it's\.md"),
        (f"html {tmp_path}", "html", r"untitled-abcdef12\.html"),
    ):
        found, file = export.wanted(argument, SESSION)
        assert found.name == format
        assert re.search(ending + "$", str(file)), argument
