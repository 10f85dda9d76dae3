"""ChatGPT's export: its trees become conversations with the same branches, once."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from engine.imports import take_in
from engine.imports.base import IMPORTED_FROM
from engine.imports.chatgpt import ChatGptReader
from storage.records import Finish, Role, TitleOrigin

if TYPE_CHECKING:
    from pathlib import Path

    from engine.library import Library
    from storage.store import Store

START = 1_700_000_000.0


def node(
    name: str, parent: str | None, role: str = "", text: str | None = None, **more: Any
) -> tuple[str, dict[str, Any]]:
    """A node of the tree as the export has it; without a role it says nothing."""
    message = None
    if role:
        message = {
            "id": name,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": START + int(name[1:]),
            "update_time": None,
            "content": {"content_type": "text", "parts": [text]},
            "status": "finished_successfully",
            "end_turn": None,
            "weight": 1.0,
            "metadata": {},
            "recipient": "all",
            **more,
        }
    return name, {"id": name, "message": message, "parent": parent, "children": []}


def chat(*nodes: tuple[str, dict[str, Any]], current: str, **more: Any) -> dict[str, Any]:
    mapping = dict(nodes)
    for name, one in mapping.items():
        if one["parent"] in mapping:
            mapping[one["parent"]]["children"].append(name)
    return {
        "title": "Jays",
        "create_time": START,
        "update_time": START + 100,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": current,
        "conversation_id": "c-1",
        "is_archived": False,
        "id": "c-1",
        **more,
    }


SYSTEM = node("n1", "n0", "system", "", metadata={"is_visually_hidden_from_conversation": True})
BRANCHED = (
    node("n0", None),
    SYSTEM,
    node("n2", "n1", "user", "Who sings?"),
    node("n3", "n2", "assistant", "A jay.", metadata={"model_slug": "gpt-4o"}),
    node("n4", "n2", "assistant", "A crow.", metadata={"model_slug": "o3"}),
    node("n5", "n3", "user", "Where?"),
)


def written(path: Path, *chats: Any) -> Path:
    path.write_text(json.dumps(list(chats)), encoding="utf-8")
    return path


async def only(library: Library) -> str:
    [session] = await library.sessions()
    return session.id


async def test_branches_times_and_models_are_kept(library: Library, tmp_path: Path) -> None:
    file = written(tmp_path / "conversations.json", chat(*BRANCHED, current="n4"))
    report = await take_in(library, file)
    assert (report.format, report.new, report.messages) == ("chatgpt", 1, 4)
    session = await library.session(await only(library))
    assert (session.title, session.title_origin) == ("Jays", TitleOrigin.MODEL)
    assert session.state == {IMPORTED_FROM: {"format": "chatgpt", "id": "c-1"}}
    assert (session.created_at, session.updated_at) == (START, START + 100)
    shown = await library.page(session.id, 0, 9)
    assert [(one.role, one.content) for one in shown] == [
        (Role.USER, "Who sings?"),
        (Role.ASSISTANT, "A crow."),
    ]
    assert shown[1].model == "chatgpt:o3"
    assert shown[1].created_at == START + 4
    every = await library.every(session.id)
    assert [(one.message.content, one.shown) for one in every] == [
        ("Who sings?", True),
        ("A jay.", False),
        ("A crow.", True),
        ("Where?", False),
    ]


async def test_the_same_export_again_changes_nothing_and_a_later_one_adds(
    library: Library, tmp_path: Path
) -> None:
    file = written(tmp_path / "conversations.json", chat(*BRANCHED, current="n5"))
    await take_in(library, file)
    before = await library.session(await only(library))
    again = await take_in(library, file)
    assert (again.new, again.grown, again.unchanged, again.messages) == (0, 0, 1, 0)
    assert await library.session(before.id) == before
    longer = chat(*BRANCHED, node("n6", "n5", "assistant", "In trees."), current="n6")
    grown = await take_in(library, written(tmp_path / "later.json", longer))
    assert (grown.new, grown.grown, grown.messages) == (0, 1, 1)
    shown = await library.page(before.id, 0, 9)
    assert [one.content for one in shown] == ["Who sings?", "A jay.", "Where?", "In trees."]


async def test_an_archive_with_several_parts_is_read(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("chat.html", "<html>")
        for number in (1, 0):
            one = chat(*BRANCHED, current="n5", id=None, conversation_id=f"c-{number}")
            archive.writestr(f"x/conversations-00{number}.json", json.dumps([one]))
    shares: list[float] = []
    report = await take_in(library, file, progress=lambda _report, share: shares.append(share))
    assert (report.new, report.messages) == (2, 8)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_tools_thoughts_code_and_media_are_told_as_well_as_they_can_be(
    library: Library, tmp_path: Path
) -> None:
    def said(kind: str, **content: Any) -> dict[str, Any]:
        return {"content_type": kind, **content}

    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    spoken = {"content_type": "audio_transcription", "text": "Said aloud."}
    tree = (
        node("n0", None),
        node(
            "n1",
            "n0",
            "user",
            content=said("multimodal_text", parts=["See:", picture, spoken]),
            metadata={"attachments": [{"name": "jay.pdf"}]},
        ),
        node(
            "n2",
            "n1",
            "assistant",
            content=said("thoughts", thoughts=[{"summary": "Hm", "content": "A bird"}]),
        ),
        node("n3", "n2", "assistant", content=said("reasoning_recap", content="Thought 3 s")),
        node(
            "n4",
            "n3",
            "assistant",
            content=said("code", language="python", text="print(1)"),
            recipient="python",
        ),
        node("n5", "n4", "tool", content=said("execution_output", text="1")),
        node(
            "n6",
            "n5",
            "tool",
            content=said("tether_quote", text="So it is.", title="Jays", url="https://j.example"),
        ),
        node("n7", "n6", "assistant", "Half", metadata={"finish_details": {"type": "interrupted"}}),
        node("n8", "n7", "user", content=said("hologram", beams=3)),
        node("n9", "n8", "tool", "Nobody called."),
    )
    report = await take_in(library, written(tmp_path / "c.json", chat(*tree, current="n9")))
    asked, call, first, second, answer = await library.page(await only(library), 0, 9)
    assert asked.content == "See:\n\n[A picture]\n\nSaid aloud.\n\n[Attached: jay.pdf]"
    assert (call.content, call.thinking) == ("", "Hm\nA bird")
    [made] = call.tool_calls
    assert (made.name, made.arguments) == ("python", {"text": "```python\nprint(1)\n```"})
    assert (first.role, first.content, first.tool_call_id) == (Role.TOOL, "1", made.id)
    assert second.content == "> So it is.\n\nJays https://j.example"
    assert (answer.content, answer.finish) == ("Half", Finish.STOPPED)
    assert {(one.what, one.why): one.count for one in report.skipped} == {
        ("attachment", "files are not in the export's JSON"): 1,
        ("message", "hidden in ChatGPT (reasoning_recap)"): 1,
        ("message", "of an unknown kind (hologram)"): 1,
        ("message", "the result of a tool that nobody called"): 1,
        ("picture", "media are not in the export's JSON"): 1,
    }


async def test_what_is_hidden_or_not_as_it_should_be_is_left_out_and_told(
    library: Library, tmp_path: Path
) -> None:
    hidden = node("n2", "n1", "user", "Be brief.", metadata=SYSTEM[1]["message"]["metadata"])
    whole = chat(node("n0", None), SYSTEM, hidden, *BRANCHED[2:3], current="n2")
    whole["mapping"]["n2"] = {**BRANCHED[2][1], "parent": "n1"}
    whole["mapping"]["h"] = {**hidden[1], "parent": "n1"}
    lost = chat(
        node("n1", "n2", "user", "round"), node("n2", "n1", "user", "and round"), current="n1"
    )
    empty = chat(node("n0", None), current="n0")
    file = written(tmp_path / "c.json", 7, 8, empty, lost, whole)
    report = await take_in(library, file)
    assert (report.new, report.messages, report.problem) == (1, 1, "")
    told = {(one.what, one.why.partition(":")[0]): one.count for one in report.skipped}
    assert told == {
        ("conversation", "it is not as ChatGPT exports them"): 2,
        ("conversation", "nothing is said in it"): 2,
        ("message", "hidden in ChatGPT (user)"): 1,
        ("message", "nothing leads to it"): 2,
    }


async def test_times_that_are_missing_or_mad_come_from_what_was_said_before(
    library: Library, tmp_path: Path
) -> None:
    tree = (
        node("n1", None, "user", "Who?", create_time=None),
        node("n2", "n1", "assistant", "A jay.", create_time=1e300),
        node("n3", "n2", "user", "Where?"),
    )
    file = written(tmp_path / "c.json", chat(*tree, current="gone", title=None))
    await take_in(library, file)
    session = await library.session(await only(library))
    assert session.title == "Who?"
    shown = await library.page(session.id, 0, 9)
    assert [one.created_at for one in shown] == [START, START, START + 3]


async def test_halves_of_characters_stop_nothing(library: Library, tmp_path: Path) -> None:
    tree = (
        node("n1", None, "user", "Half a jay \ud83d"),
        node("n2", "n1", "assistant", "print('\ud83d')", recipient="python"),
        node("n3", "n2", "tool", "\udc26"),
    )
    file = written(tmp_path / "c.json", chat(*tree, current="n3", title="\ud83d jays"))
    report = await take_in(library, file)
    assert (report.new, report.messages, report.skipped) == (1, 3, ())
    shown = await library.page(await only(library), 0, 9)
    assert shown[0].content == "Half a jay ?"
    assert (await take_in(library, file)).unchanged == 1


async def test_an_export_that_ends_early_keeps_what_came_before(
    library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "conversations.json"
    text = json.dumps([chat(*BRANCHED, current="n4"), chat(*BRANCHED, current="n4", id="c-2")])
    file.write_text(text[:-40], encoding="utf-8")
    report = await take_in(library, file)
    assert report.new == 1
    assert "can't be read to its end" in report.problem


async def test_what_was_said_here_stays_shown(
    library: Library, store: Store, tmp_path: Path
) -> None:
    await take_in(library, written(tmp_path / "c.json", chat(*BRANCHED, current="n4")))
    session_id = await only(library)
    await store.messages.append(session_id, role=Role.USER, content="Mine")
    longer = chat(*BRANCHED, node("n6", "n4", "user", "Theirs"), current="n6")
    await take_in(library, written(tmp_path / "later.json", longer))
    shown = await library.page(session_id, 0, 9)
    assert [one.content for one in shown] == ["Who sings?", "A crow.", "Mine"]


def test_the_memory_for_a_large_export_is_that_of_its_largest_conversation(
    tmp_path: Path,
) -> None:
    file = tmp_path / "conversations.json"
    one = chat(*BRANCHED, node("n6", "n5", "assistant", "word " * 20_000), current="n6")
    count = 300
    with file.open("w", encoding="utf-8") as target:
        target.write("[" + ",\n".join([json.dumps(one)] * count) + "]")
    assert file.stat().st_size > 30_000_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in ChatGptReader(file).conversations()) == count
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 12_000_000


@pytest.mark.parametrize("text", ["[]", " [\n]"])
async def test_an_export_without_conversations_is_no_error(
    library: Library, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(text, encoding="utf-8")
    report = await take_in(library, file)
    assert (report.new, report.problem) == (0, "")
