"""The list of sessions: what it shows, what its keys do, and that it follows the engine."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from rich.cells import cell_len
from textual.widgets import Input, Static

from engine.events import SessionChanged
from storage.records import Role, Session
from tests.engine.support import running_engine
from tests.scripted import ScriptedBackend
from tests.tui.panes import heard, lines, shown, until
from tui.widgets.session_list import SessionList
from tui.widgets.session_listing import PAGE, SessionRows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from textual.pilot import Pilot

    from engine.engine import Engine
    from storage.records import SearchHit

DAY = 86_400


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with running_engine(tmp_path) as engine:
        yield engine


async def keep(engine: Engine, title: str, *said: str, age: float = 0) -> Session:
    """A session of that title, last used `age` seconds ago."""
    session = await engine.library.create(title=title)
    for text in said:
        await engine._store.messages.append(session.id, role=Role.USER, content=text)
    await backdate(engine, {session.id: age})
    return await engine.library.session(session.id)


async def backdate(engine: Engine, ages: dict[str, float]) -> None:
    # Nothing but the passing of time makes an old session; here the clock is turned in the file.
    for session_id, age in ages.items():
        await engine._store._database.write(
            "UPDATE sessions SET updated_at = ? WHERE id = ?", (time.time() - age, session_id)
        )


def rows_of(sessions: SessionList) -> SessionRows:
    return sessions.query_one(SessionRows)


def text_of(sessions: SessionList) -> str:
    return "\n".join(lines(rows_of(sessions)))


def titles(sessions: SessionList) -> list[str]:
    """The titles that are seen, headings and times left out."""
    return [line[1:].split("  ")[0] for line in lines(rows_of(sessions)) if ":" in line[-6:]]


def offered(pilot: Pilot[None], key: str) -> str:
    """What the key bar says of a key."""
    active = pilot.app.screen.active_bindings.get(key)
    return active.binding.description if active else ""


def offers_undo(sessions: SessionList) -> bool:
    return sessions.query_one("#session-undo").display


async def see(pilot: Pilot[None], sessions: SessionList, *pieces: str) -> None:
    await until(pilot, lambda: all(piece in text_of(sessions) for piece in pieces))


async def not_see(pilot: Pilot[None], sessions: SessionList, piece: str) -> None:
    await until(pilot, lambda: piece not in text_of(sessions))


async def test_says_so_when_there_are_no_sessions(engine: Engine) -> None:
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "No conversations yet.")


async def test_groups_sessions_by_day_newest_first(engine: Engine) -> None:
    await keep(engine, "long ago", age=400 * DAY)
    await keep(engine, "now")
    await keep(engine, "a day ago", age=DAY)
    then = time.strftime("%B %Y", time.localtime(time.time() - 400 * DAY))
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "long ago")
        seen = [line.split("  ")[0].strip() for line in lines(rows_of(sessions)) if line.strip()]
        assert seen == ["Today", "now", "Yesterday", "a day ago", then, "long ago"]


async def test_loads_pages_only_as_the_reader_scrolls(engine: Engine) -> None:
    for number in range(200):
        await engine.library.create(title=f"talk {number:03}")
    async with shown(SessionList(engine), height=12) as (sessions, pilot):
        await see(pilot, sessions, "talk 199")
        assert len(sessions._sessions) < 100
        sessions.focus_rows()
        while "talk 000" not in text_of(sessions):
            await pilot.press("end")
        assert len(sessions._sessions) == 200


async def test_opens_with_one_page_of_any_number_of_sessions(engine: Engine) -> None:
    now = time.time()
    async with engine._store._database.transaction() as transaction:
        await transaction.execute_many(
            "INSERT INTO sessions (id, title, title_origin, created_at, updated_at)"
            " VALUES (?, ?, 'words', ?, ?)",
            [(uuid4().hex, f"talk {age}", now, now - age) for age in range(20_000)],
        )
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk 0", "talk 1")
        assert len(sessions._sessions) == PAGE


async def test_a_store_that_fails_is_told_once_and_asked_again_by_scrolling(
    engine: Engine,
) -> None:
    await keep(engine, "talk")
    await engine._store._database.write("ALTER TABLE sessions RENAME TO lost")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await until(pilot, lambda: len(pilot.app._notifications) == 1)
        await pilot.pause(0.1)
        assert len(pilot.app._notifications) == 1
        await engine._store._database.write("ALTER TABLE lost RENAME TO sessions")
        sessions.load_more()
        await see(pilot, sessions, "talk")


async def test_keys_move_the_cursor_and_enter_opens(engine: Engine) -> None:
    for age in range(5):
        await keep(engine, f"talk {age}", age=age)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk 4")
        sessions.focus_rows()
        ids = [session.id for session in sessions._sessions]
        await pilot.press("down", "j", "k", "enter")
        await pilot.press("end", "enter", "home", "enter", "pagedown", "enter", "pageup", "enter")
        opened = [message.session_id for message in heard(pilot, SessionList.Opened)]
        assert opened == [ids[1], ids[4], ids[0], ids[4], ids[0]]


async def test_a_click_opens(engine: Engine) -> None:
    await keep(engine, "first", age=1)
    second = await keep(engine, "second", age=2)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "second")
        await pilot.click(SessionRows, offset=(5, 2))
        [message] = heard(pilot, SessionList.Opened)
        assert message.session_id == second.id


async def test_n_asks_for_a_new_session(engine: Engine) -> None:
    async with shown(SessionList(engine)) as (sessions, pilot):
        sessions.focus_rows()
        await pilot.press("n")
        assert heard(pilot, SessionList.NewRequested)


async def test_titles_are_data(engine: Engine) -> None:
    await keep(engine, "\x1b[31mred\x1b[0m [bold]plain[/bold]\nline\u202e")
    async with shown(SessionList(engine), width=60) as (sessions, pilot):
        await see(pilot, sessions, "␛[31mred␛[0m [bold]plain[/bold] line‹202E›")


@pytest.mark.parametrize("width", [12, 20, 23, 34, 80])
async def test_long_titles_are_cut_by_cells(engine: Engine, width: int) -> None:
    await keep(engine, "日本語のとても長いタイトルの会話" * 4)
    await keep(engine, "👩‍👩‍👧‍👦🇳🇴 é" * 20)
    async with shown(SessionList(engine), width=width) as (sessions, pilot):
        await see(pilot, sessions, "日本", "…")
        assert text_of(sessions).count("…") == 2
        view = rows_of(sessions)
        for y in range(view.size.height):
            strip = view.render_line(y)
            assert cell_len(strip.text) == strip.cell_length == view.row_width


async def test_search_as_you_type_opens_at_the_hit(engine: Engine) -> None:
    trip = await keep(engine, "Trip", "Where to?", "The fjords of Norway are deep.")
    await keep(engine, "Bread", "How much water?")
    async with shown(SessionList(engine), width=40) as (sessions, pilot):
        await see(pilot, sessions, "Bread")
        sessions.focus_rows()
        await pilot.press("slash", *"norw")
        await see(pilot, sessions, "1 found", "fjords of Norway")
        await not_see(pilot, sessions, "Bread")
        [strip] = [
            line for y in range(6) if "fjords" in (line := rows_of(sessions).render_line(y)).text
        ]
        assert [s.text for s in strip if s.style and s.style.bold] == ["Norway"]
        await pilot.press("enter")
        [message] = heard(pilot, SessionList.Opened)
        assert (message.session_id, message.position) == (trip.id, 1)


async def test_a_hit_shows_its_words_however_much_is_before_them(engine: Engine) -> None:
    await keep(
        engine, "A tale", "Once upon a time there was a very talkative narrator. " * 9 + "Fin."
    )
    async with shown(SessionList(engine), width=32) as (sessions, pilot):
        await see(pilot, sessions, "A tale")
        sessions.focus_rows()
        await pilot.press("slash", *"fin")
        await see(pilot, sessions, "1 found", "Fin.")


async def test_escape_clears_the_search_and_returns_to_the_list(engine: Engine) -> None:
    await keep(engine, "Bread")
    await keep(engine, "Trip")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "Bread", "Trip")
        sessions.focus_rows()
        await pilot.press("slash", *"bre")
        await not_see(pilot, sessions, "Trip")
        await pilot.press("escape")
        await see(pilot, sessions, "Bread", "Trip")
        assert rows_of(sessions).has_focus
        assert sessions.query_one("#session-search", Input).value == ""


async def test_after_a_search_the_list_is_where_it_was(engine: Engine) -> None:
    for age in range(40):
        await keep(engine, f"talk {age:02}", age=age)
    async with shown(SessionList(engine), height=12) as (sessions, pilot):
        await see(pilot, sessions, "talk 00")
        view = rows_of(sessions)
        sessions.focus_rows()
        for _ in range(20):
            await pilot.press("down")
        before, cursor = lines(view), view.cursor
        await pilot.press("slash", *"talk")
        await see(pilot, sessions, "Best 30")
        await pilot.press("down", "escape")
        await until(pilot, lambda: view.cursor == cursor)
        await pilot.pause()
        assert before[-1] in lines(view)


async def test_the_row_in_use_stays_in_view(engine: Engine) -> None:
    for age in range(40):
        await keep(engine, f"talk {age:02}", age=age)
    async with shown(SessionList(engine), height=12) as (sessions, pilot):
        await see(pilot, sessions, "talk 00")
        sessions.focus_rows()
        for _ in range(12):
            await pilot.press("down")
        await pilot.press("d")  # the line to undo it takes a line of the list
        await until(pilot, lambda: offers_undo(sessions))
        await see(pilot, sessions, "talk 13")


async def test_says_so_when_nothing_is_found(engine: Engine) -> None:
    await keep(engine, "Bread")
    async with shown(SessionList(engine)) as (sessions, pilot):
        sessions.focus_rows()
        await pilot.press("slash", *"zebra")
        await see(pilot, sessions, "Nothing holds these words.")


async def test_of_searches_only_the_last_one_counts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(engine, "alpha")
    await keep(engine, "beta")
    asked = []
    search = engine.library.search

    async def heard_search(query: str, *, limit: int) -> Sequence[SearchHit]:
        asked.append(query)
        return await search(query, limit=limit)

    monkeypatch.setattr(engine.library, "search", heard_search)
    async with shown(SessionList(engine)) as (sessions, pilot):
        field = sessions.query_one("#session-search", Input)
        for query in ("alpha", "a", "be"):
            field.value = query
        await see(pilot, sessions, "1 found", "beta")
        assert asked == ["be"]
        field.value = "alpha"
        field.value = ""
        await pilot.pause(0.2)
        assert "found" not in text_of(sessions)


async def test_rename_in_place(engine: Engine) -> None:
    session = await keep(engine, "old name")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "old name")
        sessions.focus_rows()
        await pilot.press("e")
        await until(pilot, lambda: bool(sessions.query("#session-title")))
        editor = sessions.query_one("#session-title", Input)
        await until(pilot, lambda: editor.region.y == rows_of(sessions).region.y + 1)
        await pilot.press(*"new", "enter")
        await see(pilot, sessions, " new")
        assert (await engine.library.session(session.id)).title == "new"
        assert rows_of(sessions).has_focus


@pytest.mark.parametrize("key", ["escape", "tab"])
async def test_rename_can_be_left_without_renaming(engine: Engine, key: str) -> None:
    session = await keep(engine, "old name")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "old name")
        sessions.focus_rows()
        await pilot.press("f2")
        await until(pilot, lambda: bool(sessions.query("#session-title")))
        await pilot.press(*"nu", key)
        await until(pilot, lambda: not sessions.query("#session-title"))
        assert (await engine.library.session(session.id)).title == "old name"


async def test_a_title_being_edited_survives_a_look_at_another_window(engine: Engine) -> None:
    session = await keep(engine, "old name")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "old name")
        sessions.focus_rows()
        await pilot.press("e", *"ne")
        pilot.app.app_focus = False
        await pilot.pause()
        pilot.app.app_focus = True
        await until(pilot, lambda: sessions.query_one("#session-title").has_focus)
        await pilot.press("end", "w", "enter")
        await see(pilot, sessions, " new")
        assert (await engine.library.session(session.id)).title == "new"


async def test_an_editor_goes_with_its_session(engine: Engine) -> None:
    session = await keep(engine, "one")
    await keep(engine, "two")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "one", "two")
        sessions.focus_rows()
        await pilot.press("end" if sessions._rows.cursor != session.id else "home", "e")
        await until(pilot, lambda: bool(sessions.query("#session-title")))
        await engine.library.delete(session.id)
        await until(pilot, lambda: not sessions.query("#session-title"))
        await until(pilot, lambda: rows_of(sessions).has_focus)


async def test_delete_is_at_once_and_undone_in_reverse(engine: Engine) -> None:
    for age, title in enumerate(("one", "two", "three")):
        await keep(engine, title, age=age)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "three")
        sessions.focus_rows()
        await pilot.press("down", "d")
        await not_see(pilot, sessions, "two")
        assert len(await engine.library.sessions()) == 2
        await pilot.press("delete")
        await not_see(pilot, sessions, "three")
        assert offers_undo(sessions)
        await pilot.press("u")
        await see(pilot, sessions, "three")
        assert "two" not in text_of(sessions)
        await pilot.press("u")
        await see(pilot, sessions, "one", "two", "three")
        assert not offers_undo(sessions)
        assert len(await engine.library.sessions()) == 3


async def test_the_undo_line_goes_when_the_reader_goes_on(engine: Engine) -> None:
    await keep(engine, "one")
    await keep(engine, "two")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "one", "two")
        sessions.focus_rows()
        for key in ("escape", "enter"):
            await pilot.press("d")
            await until(pilot, lambda: offers_undo(sessions))
            await pilot.press(key)
            await until(pilot, lambda: not offers_undo(sessions))
            await pilot.press("u")
            await see(pilot, sessions, "one", "two")


async def test_the_undo_line_can_be_clicked(engine: Engine) -> None:
    await keep(engine, "one")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "one")
        sessions.focus_rows()
        await pilot.press("d")
        await until(pilot, lambda: offers_undo(sessions))
        await pilot.pause()
        await pilot.click("#session-undo")
        await see(pilot, sessions, "one")


async def test_follows_what_the_engine_does(engine: Engine) -> None:
    old = await keep(engine, "old", age=3 * DAY)
    await keep(engine, "newer", age=DAY)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "old", "newer")
        await engine.library.rename(old.id, "retitled")
        await see(pilot, sessions, "retitled")
        await (await engine.send(old.id, "hello")).wait()
        await until(pilot, lambda: titles(sessions)[0].startswith("retitled"))
        await engine.library.delete(old.id)
        await not_see(pilot, sessions, "retitled")
        made = await engine.library.create(title="made elsewhere")
        await see(pilot, sessions, "made elsewhere")
        assert titles(sessions)[0] == "made elsewhere"
        await engine.library.delete(made.id)
        await not_see(pilot, sessions, "made elsewhere")


async def test_marks_answers_being_written_and_unread_ones(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with running_engine(tmp_path, ScriptedBackend(["word", go_on])) as engine:
        here = await keep(engine, "here", age=1)
        there = await keep(engine, "there", age=2)
        async with shown(SessionList(engine)) as (sessions, pilot):
            sessions.current = here.id
            turn = await engine.send(there.id, "hello")
            await see(pilot, sessions, "○")
            go_on.set()
            await turn.wait()
            await not_see(pilot, sessions, "○")
            await engine.library.mark_unread(there.id, True)
            await see(pilot, sessions, "●")
            sessions.current = there.id
            await not_see(pilot, sessions, "●")


# Many at a time, on top, in the archive


async def test_a_session_is_kept_on_top_however_old_it_is(engine: Engine) -> None:
    for number in range(PAGE + 5):
        await keep(engine, f"talk {number:03}", age=number)
    old = await keep(engine, "old and dear", age=400 * DAY)
    await engine.library.keep_on_top(old.id, True)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "Pinned", "old and dear", "talk 000")
        assert titles(sessions)[:1] == ["talk 000"]
        assert lines(rows_of(sessions))[0].strip() == "Pinned"
        sessions.focus_rows()
        rows_of(sessions).move_to(old.id)
        await pilot.press("p")
        await not_see(pilot, sessions, "Pinned")
        assert await engine.library.on_top() == []
        rows_of(sessions).action_first()
        await pilot.press("p")
        await see(pilot, sessions, "Pinned")
        assert [one.title for one in await engine.library.on_top()] == ["talk 000"]


async def test_several_are_selected_deleted_and_brought_back_together(engine: Engine) -> None:
    for age in range(4):
        await keep(engine, f"talk {age}", age=age)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk 0", "talk 3")
        sessions.focus_rows()
        rows_of(sessions).action_first()
        await pilot.press("space", "space", "down", "space")
        assert text_of(sessions).count("✓") == 3
        await pilot.press("d")
        await until(pilot, lambda: offers_undo(sessions))
        assert [one.title for one in await engine.library.sessions()] == ["talk 2"]
        await until(pilot, lambda: "✓" not in text_of(sessions))
        assert "3 conversations" in str(sessions.query_one("#session-undo", Static).content)
        await pilot.press("u")
        await see(pilot, sessions, "talk 0", "talk 1", "talk 2", "talk 3")


async def test_escape_ends_the_selection_first(engine: Engine) -> None:
    await keep(engine, "talk")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk")
        sessions.focus_rows()
        await pilot.press("space")
        await see(pilot, sessions, "✓")
        await pilot.press("escape")
        await not_see(pilot, sessions, "✓")


async def test_a_session_is_archived_seen_in_the_archive_and_brought_back(engine: Engine) -> None:
    gone = await keep(engine, "old project", age=10)
    await keep(engine, "at hand")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "old project")
        sessions.focus_rows()
        rows_of(sessions).move_to(gone.id)
        await until(pilot, lambda: offered(pilot, "a") == "Archive")
        await pilot.press("a")
        await not_see(pilot, sessions, "old project")
        await pilot.press("A")
        await see(pilot, sessions, "Archived", "old project")
        assert "at hand" not in text_of(sessions)
        await until(pilot, lambda: offered(pilot, "a") == "Bring back")
        await pilot.press("a")
        await see(pilot, sessions, "Nothing is archived.")
        await pilot.press("A")
        await see(pilot, sessions, "old project", "at hand")


async def test_a_fork_is_opened_and_begins_with_the_same_words(engine: Engine) -> None:
    session = await keep(engine, "talk", "first", "second")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk")
        sessions.focus_rows()
        rows_of(sessions).move_to(session.id)
        await pilot.press("f")
        await until(pilot, lambda: heard(pilot, SessionList.Opened))
        [opened] = heard(pilot, SessionList.Opened)
        assert opened.session_id != session.id
        page = await engine.library.page(opened.session_id, 0, 9)
        assert [message.content for message in page] == ["first", "second"]


async def test_sessions_are_exported_where_the_program_was_started(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(engine, "talk", "words to keep")
    monkeypatch.chdir(tmp_path)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk")
        sessions.focus_rows()
        rows_of(sessions).action_first()
        await pilot.press("x")
        await until(pilot, lambda: list(tmp_path.glob("*.md")))
        [file] = tmp_path.glob("*.md")
        await until(pilot, lambda: "words to keep" in file.read_text())


async def test_the_cursor_waits_on_the_open_session(engine: Engine) -> None:
    for age in range(5):
        await keep(engine, f"talk {age}", age=age)
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "talk 4")
        third = list(sessions._sessions)[2].id
        pilot.app.set_focus(None)
        sessions.current = third
        assert rows_of(sessions).cursor == third
        sessions.focus_rows()
        await pilot.press("down")
        made = await engine.library.create(title="new")
        await see(pilot, sessions, "new")
        sessions.current = made.id
        assert rows_of(sessions).cursor not in (third, made.id)  # it is in use


async def test_what_the_reader_looks_at_stays_when_sessions_come(engine: Engine) -> None:
    for age in range(50):
        await keep(engine, f"talk {age:02}", age=age)
    async with shown(SessionList(engine), height=12) as (sessions, pilot):
        await see(pilot, sessions, "talk 00")
        view = rows_of(sessions)
        sessions.focus_rows()
        for _ in range(25):
            await pilot.press("down")
        before, cursor = lines(view), view.cursor
        for number in range(5):
            await engine.library.create(title=f"new {number}")
        await until(pilot, lambda: len(sessions._sessions) == 55)
        await pilot.pause()
        assert lines(view) == before
        assert view.cursor == cursor


async def test_a_burst_of_news_is_laid_out_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await keep(engine, "busy")
    async with shown(SessionList(engine)) as (sessions, pilot):
        await see(pilot, sessions, "busy")
        laid_out = 0
        lay_out = sessions._lay_out

        def count() -> None:
            nonlocal laid_out
            laid_out += 1
            lay_out()

        monkeypatch.setattr(sessions, "_lay_out", count)
        for number in range(1000):
            changed = Session(
                id=session.id,
                title=f"busy {number}",
                version=session.version + number,
                created_at=session.created_at,
                updated_at=session.updated_at,
            )
            engine.events.emit(SessionChanged(session=changed))
        await see(pilot, sessions, "busy 999")
        assert laid_out <= 3


async def test_stops_listening_when_it_goes(engine: Engine) -> None:
    async with shown(SessionList(engine)) as (sessions, _):
        assert engine.events._listeners
        await sessions.remove()
        assert not engine.events._listeners
