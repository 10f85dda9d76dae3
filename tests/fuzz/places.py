"""The places that text from elsewhere goes through, each with what has to hold there.

A place takes any text, and fails when the text does harm. Hypothesis and atheris call the same.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len

from engine.attachments import AttachmentError, with_files
from engine.config import SettingsError, load_settings
from engine.export import BUILT_IN, file_name
from engine.export.html import _article
from engine.imports import reader_of
from engine.imports.base import UnreadableError
from engine.llm.base import ModelError
from engine.llm.ollama_errors import _refused
from engine.llm.openai_answer import Answer
from engine.llm.openai_compatible import OpenAICompatible
from engine.llm.openai_wire import Event
from engine.llm.sse import EventDecoder
from engine.research.fetching import decoded
from engine.research.words import clean, clean_title, plain, urls
from engine.tools import built_in_tools
from storage.records import Message, Role, Session, ToolCall
from tests.fuzz.texts import harmless
from tui.command_line.console import fit_for
from tui.commands import read_slash
from tui.harmless import MOST_MARKS, exact, visible
from tui.transcript.message import MessageView
from tui.widgets.rows import fit, one_line
from tui.widgets.session_row import Mark, title_line

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = (30, 80, 119)


def made_visible(text: str) -> None:
    """Any text on its way to the screen, and as one line of a list."""
    shown = visible(text)
    assert harmless(shown.replace("\n", "").replace("\t", ""))
    assert len(shown) <= 6 * len(text)
    assert visible(shown) == shown
    assert harmless(one_line(text))
    assert cell_len(fit(one_line(text), 20)) <= 20


def in_the_transcript(text: str) -> None:
    """What was asked, answered, thought and given back by tools."""
    width = WIDTHS[len(text) % len(WIDTHS)]
    for role in (Role.USER, Role.ASSISTANT, Role.TOOL):
        view = MessageView(_message(text, role), width)
        for line in view.lines:
            row = "".join(span.text for span in (*line.lead, *line.spans))
            assert harmless(row)
            assert cell_len(row) <= width
            assert len(row) <= (width + 8) * (MOST_MARKS + 1) * 2


def in_the_list(text: str) -> None:
    """A title, a tag and a model's name, in the list of sessions."""
    for width in WIDTHS:
        shown = title_line(_session(text), "12:00", Mark(), width).plain
        assert harmless(shown)
        assert cell_len(shown) <= width


def in_a_page(text: str) -> None:
    """An exported page: nothing in it acts or loads."""
    page = _Page()
    for role in (Role.USER, Role.ASSISTANT):
        page.feed(_article(_message(text, role), {}))
    page.close()


def in_a_file_name(text: str) -> None:
    """The name of an exported file: one name, in the folder that was meant."""
    for exporter in BUILT_IN.values():
        name = file_name(_session(text), exporter)
        assert os.path.basename(name) == name
        assert not name.startswith((".", "-"))
        assert harmless(name)
        assert len(name.encode()) < 255


def on_the_command_line(text: str) -> None:
    """What commands print: shown to a terminal, as it is to a pipe, whatever the encoding."""
    terminal = _Terminal(io.BytesIO(), encoding="utf-8")
    assert harmless(fit_for(terminal, text).replace("\n", "").replace("\t", ""))
    fit_for(io.TextIOWrapper(io.BytesIO(), encoding="ascii"), text).encode("ascii")


def of_an_openai_server(text: str) -> None:
    """A stream of an OpenAI-compatible server: an answer, or a failure that says what to do."""
    server = OpenAICompatible("http://127.0.0.1:1/v1")
    answer = Answer("The server")
    lines = text.encode("utf-8", "surrogatepass")
    try:
        for event in EventDecoder().feed(b"data: " + lines.replace(b"\n", b"\n\ndata: ") + b"\n\n"):
            answer.take(server._decode(event, Event))
        answer.end()
    except ModelError as error:
        _is_a_failure(error)
    _is_a_failure(server._refusal(500, lines))


def of_an_ollama_server(text: str) -> None:
    """What an Ollama server says of its troubles."""
    for status in (-1, 400, 404, 500):
        _is_a_failure(_refused(text, status, "http://127.0.0.1:1", "m"))


def of_a_page(text: str) -> None:
    """A fetched page, in whatever encoding it says it has."""
    body = text.encode("utf-8", "surrogatepass")
    found = decoded(body, f"text/html; charset={text[:20]}")
    for said in (clean(found), clean_title(found), plain(found)):
        assert not {"\x00", "\x1b"} & set(said)
    assert all(url.startswith(("http://", "https://")) for url in urls(found))


def of_a_file(text: str) -> None:
    """A file to import: read, or refused with a reason; never half understood."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("json", "txt"):
            file = Path(folder) / f"conversations.{ending}"
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            for format in (None, "chatgpt", "scrubjay"):
                with suppress(UnreadableError):
                    for conversation in reader_of(file, format).conversations():
                        assert conversation


def of_a_call(text: str) -> None:
    """The arguments of a tool call: what consent is asked for is one thing, and harmless."""
    tools = built_in_tools()
    for name, argument in (("read_file", "path"), ("fetch_page", "url")):
        call = ToolCall(id="1", name=name, arguments={argument: text})
        assert tools.needs_consent(call)
        scope = tools.scope(call)
        assert scope.startswith(name)
        assert harmless(exact(scope).replace("\n", "").replace("\t", ""))
        assert "\u200b" not in exact(text)
        tools.reference(call)


def in_the_composer(text: str) -> None:
    """What is written or pasted: a command, or text with names of files."""
    read_slash(text)
    with suppress(AttachmentError):
        assert with_files(text, Path("/nonexistent")).text.startswith(text)


def of_the_settings(text: str) -> None:
    """A settings file: settings, or mistakes with the lines that they are in."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        with suppress(SettingsError):
            load_settings(file, {})


PLACES: tuple[Callable[[str], None], ...] = (
    made_visible,
    in_the_transcript,
    in_the_list,
    in_a_page,
    in_a_file_name,
    on_the_command_line,
    of_an_openai_server,
    of_an_ollama_server,
    of_a_page,
    of_a_file,
    of_a_call,
    in_the_composer,
    of_the_settings,
)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class _Page(HTMLParser):
    """Fails where a page would act or load."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "iframe", "object", "embed", "link", "meta", "form"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action"}
            if name == "href":
                assert re.match(r"https?://|mailto:|#", value or "")


def _is_a_failure(error: ModelError) -> None:
    assert error.failure.message
    assert error.failure.next_step
    assert len(error.failure.message) < 1_500
    json.dumps(msgspec.to_builtins(error.failure))


def _message(text: str, role: Role) -> Message:
    return Message(
        id="0" * 32, session_id="s", parent_id=None, position=0, role=role, content=text,
        thinking=text if role is Role.ASSISTANT else "", created_at=0,
    )  # fmt: skip


def _session(text: str) -> Session:
    return Session(id="0" * 32, title=text, created_at=0, updated_at=0, version=0, message_count=0)
