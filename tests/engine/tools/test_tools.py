"""The tools themselves: what they answer, what they refuse, and that nothing escapes them."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated

import pytest

from engine.tools import built_in_tools
from engine.tools.calculator import calculator
from engine.tools.current_time import current_time
from engine.tools.read_file import LARGEST_BYTES, read_file
from engine.tools.registry import LONGEST_RESULT, Registry, ToolContext, ToolError, tool
from engine.tools.search_conversations import search_conversations
from storage.records import Role, ToolCall
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

# The package shows the tool by the name of its module.
read_file_module = sys.modules["engine.tools.read_file"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "scrubjay.db") as store:
        yield store


@pytest.fixture
def context(store: Store, tmp_path: Path) -> ToolContext:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    return ToolContext(session_id="s", store=store, folders=(allowed,))


@tool()
async def echo(context: ToolContext, text: Annotated[str, "What to say"], times: int = 1) -> str:
    """Say something again.

    This paragraph is for people.
    """
    return " ".join([text] * times)


def test_a_tool_is_told_by_its_signature() -> None:
    assert echo.spec.name == "echo"
    assert echo.spec.description == "Say something again."
    assert echo.spec.parameters == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What to say"},
            "times": {"type": "integer", "default": 1},
        },
        "required": ["text"],
    }


async def test_arguments_that_do_not_fit_are_answered_with_the_schema(context: ToolContext) -> None:
    for arguments in ({}, {"text": 3}, {"text": "a", "shout": True}, {"text": "a", "times": "b"}):
        result = await echo.call(context, dict(arguments))
        assert result.failed
        assert '"required":["text"]' in result.text


async def test_a_tool_that_hangs_is_ended(context: ToolContext) -> None:
    @tool(seconds=0.01)
    async def hang(context: ToolContext) -> str:
        """Hang."""
        await asyncio.Event().wait()
        return ""

    result = await hang.call(context, {})
    assert result.failed
    assert "longer than 0.01 seconds" in result.text


async def test_what_a_tool_raises_is_told_to_the_model_without_its_insides(
    context: ToolContext,
) -> None:
    @tool()
    async def fall(context: ToolContext, how: str) -> str:
        """Fall."""
        raise ToolError("Mind the step.") if how == "told" else KeyError("a secret")

    assert (await fall.call(context, {"how": "told"})).text == "Mind the step."
    assert (await fall.call(context, {"how": "not"})).text == "fall failed: KeyError."


async def test_a_long_result_is_cut_and_says_so(context: ToolContext) -> None:
    result = await echo.call(context, {"text": "x" * (LONGEST_RESULT + 7)})
    assert result.text.endswith("[… 7 more characters were cut]")


async def test_an_unknown_tool_is_answered_with_the_known_ones(context: ToolContext) -> None:
    call = ToolCall(id="1", name="shell", arguments={})
    result = await Registry((echo,)).call(context, call)
    assert result.failed
    assert "echo" in result.text


def test_an_old_result_is_told_by_its_template() -> None:
    tools = built_in_tools()
    call = ToolCall(id="1", name="read_file", arguments={"path": "a.md"})
    assert tools.reference(call) == "File content from a.md. Re-read if needed."
    bare = ToolCall(id="1", name="read_file", arguments={})
    assert tools.reference(bare) == "File content from ?. Re-read if needed."
    chosen = built_in_tools({"read_file": "({path} was here)"})
    assert chosen.reference(call) == "(a.md was here)"


def test_what_reads_files_or_the_web_or_changes_memories_needs_consent() -> None:
    needing = {tool.name for tool in built_in_tools() if tool.consent}
    assert needing == {"read_file", "fetch_page", "research", "remember", "forget"}


@pytest.mark.parametrize(
    ("arguments", "scope"),
    [
        ({"path": "notes/a.md"}, "read_file notes"),
        ({"path": "notes/../a.md"}, "read_file notes/../a.md"),
        ({"path": "a.md"}, "read_file ."),
        ({"url": "https://example.org"}, "fetch_page https://example.org"),
        ({"url": "https://example.org/"}, "fetch_page https://example.org"),
        ({"url": "https://example.org/a/b?c=/d"}, "fetch_page https://example.org"),
        ({"url": "https://example.org:8443/a"}, "fetch_page https://example.org:8443"),
        ({"url": "https://example.org@evil.test/"}, "fetch_page https://example.org@evil.test"),
        ({"url": "http://[no"}, "fetch_page http://[no"),
        ({"path": "/notes/../x"}, "read_file /notes/../x"),
        ({"path": "http://x/../../x"}, "read_file http://x/../../x"),
        ({"path": "http://x/y"}, "read_file http:/x"),
        ({"url": "https:///a"}, "fetch_page https:///a"),
    ],
)
def test_always_means_a_folder_or_a_site_and_never_all_of_them(
    arguments: dict[str, str], scope: str
) -> None:
    name = "fetch_page" if "url" in arguments else "read_file"
    assert built_in_tools().scope(ToolCall(id="1", name=name, arguments=arguments)) == scope


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(3 + 4) * 2", "14"),
        ("2 ** 10", "1024"),
        ("7 // 2 + 7 % 2", "4"),
        ("-3 ** 2", "-9"),
        ("sqrt(2) * sqrt(2)", "2"),
        ("0.1 + 0.2", "0.3"),
        ("max(1, 2, pi)", "3.14159265358979"),
    ],
)
async def test_the_calculator_calculates(context: ToolContext, expression: str, value: str) -> None:
    result = await calculator.call(context, {"expression": expression})
    assert (result.text, result.failed) == (value, False)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')", "().__class__", "open('/etc/passwd')", "a", "'a' * 9",
        "9 ** 9 ** 9", "10 ** 999 * 10 ** 999", "(-1) ** 0.5", "1 / 0", "1 if 1 else 2", "True + 1",
        "", "1 +", "(" * 400 + "1" + ")" * 50, "-" * 490 + "1", "1e400 ** 2 - 1e400", "sqrt(-1)",
        "max()", "\0",
        "9" * 600,
    ],
)  # fmt: skip
async def test_the_calculator_refuses_what_is_not_arithmetic_and_what_would_take_long(
    context: ToolContext, expression: str
) -> None:
    result = await calculator.call(context, {"expression": expression})
    assert result.failed or re.fullmatch(r"-?\d+|nan|inf", result.text)


async def test_the_time_is_told_for_any_zone(context: ToolContext) -> None:
    here = await current_time.call(context, {})
    there = await current_time.call(context, {"time_zone": "Asia/Tokyo"})
    assert re.fullmatch(r"\w+day, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*\(UTC[+-]\d{4}\)", here.text)
    assert "JST (UTC+0900)" in there.text
    assert (await current_time.call(context, {"time_zone": "../etc/passwd"})).failed


async def test_a_file_below_an_allowed_folder_is_read(context: ToolContext) -> None:
    (folder,) = context.folders
    (folder / "notes.md").write_text("the notes")
    for path in ("notes.md", str(folder / "notes.md"), "sub/../notes.md"):
        assert (await read_file.call(context, {"path": path})).text == "the notes"


async def test_no_other_file_is_read_by_any_way(context: ToolContext, tmp_path: Path) -> None:
    (folder,) = context.folders
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    (folder / "link").symlink_to(secret)
    (folder / "way").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "x").write_text("the secret")
    for path in (
        "../secret", str(secret), "link", "way/secret", "loop", "../allowed-not/x", ".", "", "\0",
        "n" * 5000, "/dev/zero", "/proc/self/environ",
    ):  # fmt: skip
        result = await read_file.call(context, {"path": path})
        assert result.failed, path
        assert "the secret" not in result.text


async def test_a_link_within_the_folders_is_named_and_not_followed(context: ToolContext) -> None:
    (folder,) = context.folders
    (folder / "private").mkdir()
    (folder / "private" / "diary").write_text("the secret")
    (folder / "harmless").symlink_to(folder / "private" / "diary")
    result = await read_file.call(context, {"path": "harmless"})
    assert result.failed
    assert str(folder / "private" / "diary") in result.text
    assert "the secret" not in result.text


@pytest.mark.parametrize("swapped", ["the file", "its folder"])
async def test_what_is_put_in_a_files_place_after_the_check_is_not_read(
    context: ToolContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    (folder,) = context.folders
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "notes").write_text("the secret")
    (folder / "sub").mkdir()
    (folder / "sub" / "notes").write_text("the notes")
    find = read_file_module._find

    def find_and_swap(path: str, folders: Sequence[Path]) -> tuple[Path, Path]:
        found: tuple[Path, Path] = find(path, folders)
        if swapped == "the file":
            (folder / "sub" / "notes").unlink()
            (folder / "sub" / "notes").symlink_to(tmp_path / "secrets" / "notes")
        else:
            (folder / "sub").rename(folder / "before")
            (folder / "sub").symlink_to(tmp_path / "secrets")
        return found

    monkeypatch.setattr(read_file_module, "_find", find_and_swap)
    result = await read_file.call(context, {"path": "sub/notes"})
    assert result.failed
    assert "the secret" not in result.text


async def test_a_pipe_is_not_waited_for(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = context.folders
    os.mkfifo(folder / "pipe")
    monkeypatch.setattr(read_file_module, "_find", lambda *_: (folder, folder / "pipe"))
    async with asyncio.timeout(10):
        assert (await read_file.call(context, {"path": "pipe"})).failed


async def test_no_folder_means_no_file(store: Store) -> None:
    context = ToolContext(session_id="s", store=store)
    result = await read_file.call(context, {"path": "/etc/hostname"})
    assert result.failed
    assert "settings" in result.text


async def test_a_binary_file_is_refused_and_a_long_one_is_cut(context: ToolContext) -> None:
    (folder,) = context.folders
    (folder / "binary").write_bytes(b"\x7fELF\0\0")
    (folder / "long").write_text("y" * (LARGEST_BYTES + 1))
    assert (await read_file.call(context, {"path": "binary"})).failed
    assert "more characters were cut" in (await read_file.call(context, {"path": "long"})).text


async def test_earlier_conversations_are_found(context: ToolContext, store: Store) -> None:
    session = await store.sessions.create()
    await store.messages.append(session.id, role=Role.USER, content="The jay is called Rupert.")
    found = await search_conversations.call(context, {"query": "jay called"})
    assert "user: The jay is called Rupert." in found.text
    nothing = await search_conversations.call(context, {"query": "walrus"})
    assert nothing.text == "Nothing was found."


async def test_what_another_said_or_is_to_be_forgotten_is_not_found(
    context: ToolContext, store: Store
) -> None:
    other = await store.sessions.create(user_id="ben")
    await store.messages.append(other.id, role=Role.USER, content="My jay is called Bertil.")
    own = await store.sessions.create()
    gone = await store.messages.append(own.id, role=Role.USER, content="My jay is called Rupert.")
    assert "Bertil" not in (await search_conversations.call(context, {"query": "jay"})).text
    await store.recall_source.leave_out([gone.id])
    found = await search_conversations.call(context, {"query": "jay"})
    assert found.text == "Nothing was found."
