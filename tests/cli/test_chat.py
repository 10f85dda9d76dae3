"""`scrubjay chat`: a conversation in lines, with a scripted model and real input."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import McpSettings, ModelSettings, Settings
from engine.engine import Engine
from engine.llm.base import Chunk
from storage.records import Finish, ToolCall
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.engine.mcp.support import MISBEHAVING
from tests.scripted import INFO, ScriptedBackend
from tui.command_line import chat
from tui.command_line.arguments import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from engine.config import Paths
    from storage.records import Message

SETTINGS = Settings(model=ModelSettings(default="scripted:parrot"))


class Output(io.StringIO):
    encoding = "utf-8"


class Talk:
    """A run of the command; `typed` are what its input gets, the outputs are as they went out."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = paths_under(folder)
        self.backend = ScriptedBackend()
        self.settings = SETTINGS
        self._patch = monkeypatch
        self.out, self.err = Output(), Output()

        @asynccontextmanager
        async def opened(settings: Settings, paths: Paths) -> AsyncIterator[Engine]:
            engine = await Engine.open(settings, paths, backends=[self.backend])
            try:
                yield engine
            finally:
                await engine.close()

        monkeypatch.setattr(chat, "opened", opened)

    def may_call_tools(self) -> None:
        """Let the model be of a size that is trusted with tools, and with titles."""
        self.backend.info = msgspec.structs.replace(
            INFO, parameters="7B", window=8192, capabilities=frozenset({"chat", "tools"})
        )

    def run(self, typed: str, *options: str) -> int:
        """Talk through a pipe."""
        reading, writing = os.pipe()
        os.write(writing, typed.encode())
        os.close(writing)
        return self._run(reading, *options)

    def on_terminal(self, act: Callable[[Typist], None]) -> int:
        """Talk on a terminal; `act` runs in a thread and types."""
        typist = Typist(self)
        thread = threading.Thread(target=act, args=(typist,), daemon=True)
        thread.start()
        try:
            return self._run(typist.terminal)
        finally:
            thread.join(30)
            typist.close()

    def _run(self, stdin: int, *options: str) -> int:
        with open(stdin, closefd=True) as file:
            self._patch.setattr("sys.stdin", file)
            self._patch.setattr("sys.stdout", self.out)
            self._patch.setattr("sys.stderr", self.err)
            return asyncio.run(chat.chat(parse(["chat", *options]), self.settings, self.paths))

    def kept(self) -> list[Message]:
        async def read() -> list[Message]:
            async with await Store.open(self.paths.database_file) as store:
                [session] = await store.sessions.list()
                return await store.messages.tail(session.id, 99)

        return asyncio.run(read())


class Typist:
    """Somebody at a terminal, who waits for what is said before typing."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._keys, self.terminal = pty.openpty()

    def type(self, text: str) -> None:
        os.write(self._keys, text.encode())

    def wait(self, until: Callable[[], bool]) -> None:
        for _ in range(3000):
            if until():
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"{self._talk.out.getvalue()}\n{self._talk.err.getvalue()}")

    def told(self, text: str, times: int = 1) -> None:
        self.wait(
            lambda: (self._talk.out.getvalue() + self._talk.err.getvalue()).count(text) >= times
        )

    def close(self) -> None:
        os.close(self._keys)


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    return Talk(tmp_path, monkeypatch)


def test_answers_go_to_the_output_and_all_else_beside_it(talk: Talk) -> None:
    talk.backend.scripts = [["A jay ", "sings."], ["In trees."]]
    assert talk.run("Who sings?\n\nWhere \\\ndoes it?\n") == 0
    assert talk.out.getvalue() == "A jay sings.\nIn trees.\n"
    assert [message.content for message in talk.kept()] == [
        "Who sings?",
        "A jay sings.",
        "Where \ndoes it?",
        "In trees.",
    ]
    assert "\x1b" not in talk.err.getvalue() + talk.out.getvalue()
    assert "\r" not in talk.err.getvalue()


def test_servers_of_tools_are_told_of_and_their_prompts_are_sent_if_the_user_wants(
    talk: Talk,
) -> None:
    mcp = McpSettings(servers={"odd": MISBEHAVING})
    talk.settings = msgspec.structs.replace(SETTINGS, mcp=mcp)
    talk.backend.scripts = [["A jay."]]
    typed = "/mcp\n/odd:riddle\nn\n/odd:riddle\ny\n/odd:nothing\n"
    assert talk.run(typed) == 0
    assert "odd  ready" in talk.out.getvalue()
    assert "fence  Does fence." in talk.out.getvalue()
    assert talk.out.getvalue().endswith("A jay.\n")
    err = talk.err.getvalue()
    assert err.count("Who hides acorns?\nSend it? y or n: ") == 2
    assert "Nothing was asked." in err
    assert "The server odd has no prompt nothing: it has riddle." in err
    assert [message.content for message in talk.kept()] == ["Who hides acorns?", "A jay."]


def test_commands_do_what_they_do_on_the_screen(talk: Talk, tmp_path: Path) -> None:
    talk.backend.scripts = [["A jay."], ["A crow."]]
    file = tmp_path / "birds.json"
    code = talk.run(
        "Who sings?\n/retry\n/rename Birds\n/find CROW\n/model\n"
        f"/export {file}\n/export {file}\n/dance\n/copy\n/help\n/quit\nnot reached\n"
    )
    assert code == 0
    out, err = talk.out.getvalue(), talk.err.getvalue()
    assert out.startswith("A jay.\nA crow.\n2: A crow.\nscripted:parrot  (answers now)\n")
    assert "/research QUESTION: Research a question\n" in out
    assert "/copy" not in out
    document = msgspec.json.decode(file.read_bytes())
    assert document["session"]["title"] == "Birds"
    assert [message["shown"] for message in document["messages"]] == [True, False, True]
    assert f"{file} is there already" in err
    assert "There is no command /dance" in err
    assert "/copy works on the screen only" in err
    assert len(talk.backend.requests) == 2


def test_questions_are_edited_and_taken_back_and_that_is_undone(talk: Talk) -> None:
    talk.backend.scripts = [["A jay."], ["A crow."]]
    talk.run("/edit X\n/back\n/undo\nWho sings?\n/edit\n/edit Who caws?\n/back\n")
    assert talk.err.getvalue().count("There is no conversation yet.") == 2
    assert "The other words are missing." in talk.err.getvalue()
    assert "Took it back" in talk.err.getvalue()
    assert talk.kept() == []
    talk.run("Who sings?\n/back\n/undo\n/pin\n/pin\n/tag Birds\n/tag\n", "--session", "last")
    assert [message.content for message in talk.kept()] == ["Who sings?", "Who sings?"]
    for told in ("Pinned:", "No longer pinned.", "Its tags: birds."):
        assert told in talk.err.getvalue()


def test_a_conversation_has_what_was_set_before_it_began(talk: Talk) -> None:
    folder = talk.paths.config_dir / "personas"
    folder.mkdir(parents=True)
    (folder / "pirate.md").write_text("Talk like a pirate.")
    talk.run(
        "/persona\n/persona nobody\n/persona pirate\n/set temperature 0.5\n/set warmth 3\n"
        "/recall\n/recall off\n/set\nWho sings?\n/recall on\n/persona none\n/set\n"
    )
    out, err = talk.out.getvalue(), talk.err.getvalue()
    assert out.startswith("pirate\n")
    assert "There is no persona 'nobody'." in err
    assert "There is no parameter 'warmth'" in err
    assert "Here: temperature 0.5, persona pirate, recall False." in err
    assert err.rstrip().endswith("Here: temperature 0.5.")
    [request] = talk.backend.requests[:1]
    assert request.options.temperature == 0.5
    assert "Talk like a pirate." in request.messages[0].content


def test_memories_are_kept_and_forgotten_by_number(talk: Talk) -> None:
    talk.run(
        "/remember\n/remember The user likes tea.\n/skill Tea\n/skill Tea: Boil water first.\n"
        "/forget\n/forget chess\n/remember The user plays go.\n/undo\n"
        "/forget tea\n\n/forget likes tea\n1\n/forget likes\n"
    )
    err = talk.err.getvalue()
    assert "What to remember is missing." in err
    assert "Remembered: The user likes tea." in err
    assert "A name, a colon, and how it is done are wanted." in err
    assert "Nothing that fits “chess” is remembered." in err
    assert "Forgot: The user plays go." in err
    assert "Nothing was forgotten." in err
    assert "Forgot it." in err
    assert "Nothing that fits “likes” is remembered." in err


def test_files_that_a_question_names_are_put_into_it(talk: Talk, tmp_path: Path) -> None:
    talk.backend.scripts = [["It hid an acorn."]]
    (tmp_path / "notes.txt").write_text("The jay hid an acorn.\n")
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    asked = f"Sum up @{tmp_path}/notes.txt"
    assert talk.run(f"What is @{tmp_path}/program?\n{asked}\n") == 0
    assert "program is neither text nor an image.\nNothing was asked.\n" in talk.err.getvalue()
    [question, _] = talk.kept()
    assert question.content == (
        f"{asked}\n\n`{tmp_path}/notes.txt`:\n\n```txt\nThe jay hid an acorn.\n```"
    )


def test_a_call_is_decided_on_later_and_a_file_is_imported(talk: Talk, tmp_path: Path) -> None:
    talk.may_call_tools()
    call = ToolCall(id="c", name="read_file", arguments={"path": "/nowhere/notes.txt"})
    talk.backend.scripts = [[Chunk(tool_calls=(call,))]]
    talk.run("/allow\n/continue\n/again\nRead it.\n")
    assert talk.err.getvalue().count("There is no conversation yet.") == 2
    assert "The model is missing." in talk.err.getvalue()
    file = tmp_path / "conversations.json"
    file.write_text("[]")
    talk.run(f"n\n/allow\n/continue\n/import {file}\n/import /nowhere\n", "--session", "last")
    for told in ("No call waits", "no stopped answer", "Conversations: 0 new", "can't be read"):
        assert told in talk.err.getvalue()
    assert "did not allow" in talk.kept()[2].content


def test_a_conversation_goes_on_where_it_was(talk: Talk) -> None:
    talk.run("Who sings?\n")
    talk.out.truncate(0)
    assert talk.run("And now?\n", "--session", "last") == 0
    assert "You: Who sings?\n" in talk.err.getvalue()
    assert len(talk.kept()) == 4


def test_deleting_can_be_undone_and_new_begins_anew(talk: Talk) -> None:
    talk.run("/delete\nWho sings?\n/delete\n/undo\n/new\n/rename X\n")
    assert "There is no conversation yet" in talk.err.getvalue()
    assert [message.content for message in talk.kept()] == ["Who sings?", "Who sings?"]


@pytest.mark.parametrize(
    ("said", "ran"), [("y", True), ("always", True), ("n too dear", False), ("perhaps", False)]
)
def test_consent_is_asked_for_in_a_line(talk: Talk, said: str, ran: bool) -> None:
    arguments = {"path": "/nowhere/notes.txt"}
    call = ToolCall(id="c", name="read_file", arguments=arguments)
    talk.may_call_tools()
    talk.backend.scripts = [[Chunk(tool_calls=(call,))], ["Done."]]
    assert talk.run(f"Read it.\n{said}\n") == 0
    assert 'read_file with {"path":"/nowhere/notes.txt"}' in talk.err.getvalue()
    assert talk.out.getvalue().endswith("Done.\n")
    result = talk.kept()[2].content
    assert ("did not allow" not in result) is ran
    assert ("too dear" in result) == ("too dear" in said)


def test_without_a_word_on_it_a_call_goes_on_waiting(talk: Talk) -> None:
    call = ToolCall(id="c", name="read_file", arguments={"path": "/nowhere/notes.txt"})
    talk.may_call_tools()
    talk.backend.scripts = [[Chunk(tool_calls=(call,))], ["Done."]]
    assert talk.run("Read it.\n") == 0
    assert talk.run("y\n", "--session", "last") == 0
    assert talk.out.getvalue().endswith("Done.\n")


def test_what_was_typed_before_a_call_was_shown_is_no_consent_to_it(talk: Talk) -> None:
    call = ToolCall(id="c", name="read_file", arguments={"path": "/nowhere/notes.txt"})
    talk.may_call_tools()
    go = asyncio.Event()
    talk.backend.scripts = [[go, Chunk(tool_calls=(call,))], ["Done."]]

    def act(typist: Typist) -> None:
        typist.told("> ")
        typist.type("Read it.\n")
        typist.wait(lambda: bool(talk.backend.requests))
        typist.type("y\n")
        typist.wait(lambda: _drained(typist))
        go._loop.call_soon_threadsafe(go.set)  # type: ignore[attr-defined]
        typist.told("Allow it?")
        typist.type("n\n")
        typist.wait(lambda: talk.out.getvalue().endswith("Done.\ny\n"))
        typist.type("/quit\n")

    assert talk.on_terminal(act) == 0
    assert "did not allow" in talk.kept()[2].content
    assert talk.kept()[-2].content == "y"


def _drained(typist: Typist) -> bool:
    """Whether what was typed has been read."""
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(typist.terminal, termios.FIONREAD, count)
    return count[0] == 0


def test_ctrl_c_stops_an_answer_and_twice_quits(talk: Talk) -> None:
    never = asyncio.Event()
    talk.backend.scripts = [["Half an ", never]]

    def act(typist: Typist) -> None:
        typist.told("> ")
        typist.type("Go on.\n")
        typist.told("Half an ")
        os.kill(os.getpid(), signal.SIGINT)
        typist.told("Stopped.")
        typist.told("> ", times=2)
        os.kill(os.getpid(), signal.SIGINT)

    assert talk.on_terminal(act) == 130
    assert talk.kept()[1].content == "Half an "
    assert talk.kept()[1].finish is Finish.STOPPED


def test_a_model_that_fails_is_told_and_the_talk_goes_on(talk: Talk) -> None:
    talk.backend.scripts = [[ValueError("oops")], ["Here."]]
    assert talk.run("Who?\nWhere?\n") == 0
    assert "Something went wrong" in talk.err.getvalue()
    assert talk.out.getvalue() == "Here.\n"
