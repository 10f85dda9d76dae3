"""Tools of real servers: listed, called with consent, denied, and read from, by either way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.attachments import AttachmentError
from engine.config import McpServer
from engine.consent import Decision
from engine.mcp.errors import ServerError
from engine.mcp.servers import ServerState
from engine.mcp.texts import (
    prompt_commands,
    prompt_text,
    resource_names,
    wanted_prompt,
    with_resources,
)
from storage.records import Role
from tests.engine.mcp.support import (
    SCRIPTS,
    TIME,
    able,
    call,
    calls,
    connected,
    everything,
    processes,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.engine import Engine

NOW = "time__get_current_time"


def all_things(env: dict[str, str] | None = None) -> McpServer:
    return McpServer(command="node", args=(everything(), "stdio"), env=env or {})


async def results(engine: Engine, session_id: str) -> list[str]:
    session = await engine.library.session(session_id)
    messages = await engine.library.page(session_id, 0, session.message_count)
    return [message.content for message in messages if message.role is Role.TOOL]


async def test_a_servers_tools_are_offered_to_the_model_and_called_with_consent(
    tmp_path: Path,
) -> None:
    backend = able([calls(NOW, timezone="Asia/Tokyo")], ["It is late."])
    async with connected(tmp_path, backend, time=TIME) as engine:
        turn = await engine.send(None, "What time is it in Tokyo?")
        await turn.wait()
        offered = {tool.name: tool for tool in backend.requests[0].tools}
        assert {NOW, "time__convert_time", "calculator"} <= set(offered)
        assert offered[NOW].parameters["required"] == ["timezone"]
        [waiting] = turn.pending
        assert engine.tools.needs_consent(waiting)
        assert str(SCRIPTS) in engine.tools.origin(waiting)
        assert await results(engine, turn.session_id) == []

        going_on = await engine.confirm(turn.session_id, {"call": Decision(approve=True)})
        assert going_on is not None
        assert (await going_on.wait()).content == "It is late."
        [given] = await results(engine, turn.session_id)
        assert given.startswith("What get_current_time of the server time gave.")
        assert '"timezone": "Asia/Tokyo"' in given

        # What a server says of a failure is the model's to read.
        result = await call(engine, NOW, timezone="Middle/Earth")
        assert result.failed
        assert "Middle/Earth" in result.text
    assert processes("mcp-server-time") == []


async def test_a_denied_call_never_reaches_the_server(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for command in (["init", "-q", str(repository)], ["-C", str(repository), "branch"]):
        subprocess.run(["git", *command], check=True)
    backend = able(
        [calls("git__git_commit", repo_path=str(repository), message="mine")], ["All right."]
    )
    server = McpServer(command=str(SCRIPTS / "mcp-server-git"))
    async with connected(tmp_path, backend, git=server) as engine:
        turn = await engine.send(None, "Commit it.")
        await turn.wait()
        denied = Decision(approve=False, reason="not yet")
        going_on = await engine.confirm(turn.session_id, {"call": denied})
        assert going_on is not None
        await going_on.wait()
        assert await results(engine, turn.session_id) == [
            "The user did not allow this call: not yet"
        ]
    log = subprocess.run(["git", "-C", str(repository), "log"], capture_output=True, check=False)
    assert log.returncode != 0, "nothing was committed"


async def test_a_call_that_waits_is_made_after_a_restart_of_the_program(tmp_path: Path) -> None:
    echo = calls("all__echo", message="again")
    async with connected(tmp_path, able([echo]), all=all_things()) as engine:
        turn = await engine.send(None, "Say it again.")
        await turn.wait()
    async with connected(tmp_path, able(["It said again."]), all=all_things()) as engine:
        # The server is not started yet when the person decides.
        await next(iter(engine.servers)).stop()
        engine.tools.put("mcp all", ())
        going_on = await engine.confirm(turn.session_id, {"call": Decision(approve=True)})
        assert going_on is not None
        await going_on.wait()
        [given] = await results(engine, turn.session_id)
        assert "Echo: again" in given


async def test_a_child_sees_a_small_environment_and_what_the_settings_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("MY_TOKEN", "given on purpose")
    env = {"TOKEN": "${MY_TOKEN}", "PLAIN": "1"}
    async with connected(tmp_path, all=all_things(env)) as engine:
        seen = (await call(engine, "all__get-env")).text
        seen = seen[seen.index("{") : seen.rindex("}") + 1]
        environment = json.loads(seen)
        assert environment["TOKEN"] == "given on purpose"
        assert environment["PLAIN"] == "1"
        assert set(environment) <= {*env, "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}

        # What is no text is named, and not put before the model.
        assert "[image/png of" in (await call(engine, "all__get-tiny-image")).text

        # Resources are attached with @.
        names = resource_names(engine.servers, "all:demo", 10)
        [name] = [one for one in names if one.endswith("architecture.md")]
        asked = f"Explain @{name}, please."
        whole = await with_resources(asked, asked, engine.servers)
        assert whole.startswith(f"{asked}\n\n`{name}`:\n\n```")
        assert "Everything Server" in whole
        with pytest.raises(AttachmentError, match="demo://none"):
            await with_resources("@all:demo://none", "", engine.servers)
        assert await with_resources("@nobody:x me@all:y", "same", engine.servers) == "same"

        # Prompts are commands.
        commands = dict(prompt_commands(engine.servers))
        assert "/all:args-prompt city=… [state=…]" in commands
        wanted = wanted_prompt(engine.servers, '/all:args-prompt city="New York" state=NY')
        assert wanted is not None
        assert "New York, NY" in await prompt_text(wanted)
        for written, complaint in (
            ("/all:args-prompt state=NY", "city is missing"),
            ("/all:args-prompt town=Rome", "no 'town'"),
            ("/all:args-prompt 'city", "not closed"),
            ("/all:nothing", "has no prompt nothing"),
        ):
            wanted = wanted_prompt(engine.servers, written)
            assert wanted is not None
            with pytest.raises(ServerError, match=complaint):
                await prompt_text(wanted)
        assert wanted_prompt(engine.servers, "/nobody:args-prompt") is None


@contextmanager
def listening(port: int) -> Iterator[None]:
    """The same server at an address, speaking streamable HTTP."""
    process = subprocess.Popen(
        ["node", everything(), "streamableHttp"],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if b"listening" in line:
                break
        yield
    finally:
        process.kill()
        process.communicate()


async def test_a_server_at_an_address_is_used_like_a_child_and_may_go_away_and_come_back(
    tmp_path: Path,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as running:
        running.enter_context(listening(port))
        far = McpServer(url=f"http://127.0.0.1:{port}/mcp")
        async with connected(tmp_path, far=far) as engine:
            server = engine.servers.get("far")
            assert server is not None
            result = await call(engine, "far__echo", message="hello")
            assert "Echo: hello" in result.text
            assert not result.failed
            running.close()
            assert (await call(engine, "far__echo", message="hello")).failed
            await until(lambda: server.state is ServerState.FAILED)

            running.enter_context(listening(port))
            assert "Echo: again" in (await call(engine, "far__echo", message="again")).text
            # Started anew between two calls, it knows nothing of the connection.
            running.close()
            running.enter_context(listening(port))
            assert (await call(engine, "far__echo", message="hello")).failed
            assert "Echo: there" in (await call(engine, "far__echo", message="there")).text


async def test_servers_that_can_not_be_reached_are_told_and_hold_nothing_up(
    tmp_path: Path,
) -> None:
    broken = {
        "missing": McpServer(command="no-such-program"),
        "ending": McpServer(command="false"),
        "other": McpServer(command="cat"),
        "away": McpServer(url="http://127.0.0.1:1/mcp"),
        "unset": McpServer(command="cat", env={"A": "${NOBODY_SET_THIS}"}),
        "off": McpServer(command="cat", enabled=False),
    }
    async with connected(tmp_path, able(["Hello."]), **broken) as engine:
        troubles = {server.name: server.trouble for server in engine.servers}
        assert troubles == {
            "missing": "can't be started: there is no program no-such-program",
            "ending": "ended with exit code 1",
            "other": "says: Method not found",
            "away": "can't be reached (All connection attempts failed)",
            "unset": "needs the environment variable NOBODY_SET_THIS, which is not set",
            "off": "",
        }
        turn = await engine.send(None, "Hello?")
        assert (await turn.wait()).content == "Hello."


async def test_always_holds_for_one_tool_of_one_server_as_it_is_now(tmp_path: Path) -> None:
    always = Decision(approve=True, always=True)
    backend = able(
        [calls("all__echo", "first", message="a")],
        ["Done."],
        [calls("all__echo", "second", message="b")],
        ["Done again."],
        [calls("twin__echo", "third", message="c")],
    )
    servers = {"all": all_things(), "twin": all_things()}
    async with connected(tmp_path, backend, **servers) as engine:
        session = await engine.library.create(title="Echoes")  # no model makes a title
        turn = await engine.send(session.id, "Echo a.")
        await turn.wait()
        going_on = await engine.confirm(session.id, {"first": always})
        assert going_on is not None
        await going_on.wait()
        turn = await engine.send(session.id, "Echo b.")
        assert (await turn.wait()).content == "Done again."
        turn = await engine.send(session.id, "Echo c, with the other.")
        await turn.wait()
        assert [one.id for one in turn.pending] == ["third"]

    # The same name, but another program: nobody has agreed to that.
    moved = msgspec.structs.replace(all_things(), args=(everything(), "stdio", "--more"))
    backend = able([calls("all__echo", "fourth", message="d")])
    async with connected(tmp_path, backend, all=moved) as engine:
        turn = await engine.send(session.id, "Echo d.")
        await turn.wait()
        assert [one.id for one in turn.pending] == ["fourth"]


def test_nothing_of_the_protocol_is_imported_before_a_server_is_wanted() -> None:
    code = (
        "import sys, tui.app, tui.screens.chat;"
        "print([m for m in sys.modules if m.split('.')[0] in ('mcp', 'mcp_types', 'pydantic',"
        " 'starlette', 'httpx2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
