"""Images in questions: kept once, shown to models that see, gone with the last that names them."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import export
from engine.attachments import AttachmentError
from engine.config import OllamaSettings
from engine.events import Events
from engine.images import (
    LARGEST_BYTES,
    UnreadableImageError,
    images_in,
    in_words,
    measure,
    named,
)
from engine.imports import take_in
from engine.library import Library
from engine.llm.base import ChatImage, ChatMessage, ChatRequest, ModelInfo
from engine.llm.ollama import Ollama
from engine.llm.openai_compatible import OpenAICompatible
from engine.memory.striking import stems, without
from storage.records import Finish, Role
from storage.store import Store
from tests.engine.llm.scripted_server import DONE, answer, event, scripted
from tests.engine.support import running_engine
from tests.images import EXTENDED_WEBP, JPEG, LOSSLESS_WEBP, PROGRESSIVE_JPEG, WEBP, png
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

MARK = b"a jay on a wall"
PHOTO = png(640, 480) + MARK
FILES = {
    "png": (png(37, 21), "image/png"),
    "jpeg": (JPEG, "image/jpeg"),
    "progressive": (PROGRESSIVE_JPEG, "image/jpeg"),
    "webp": (WEBP, "image/webp"),
    "lossless": (LOSSLESS_WEBP, "image/webp"),
    "extended": (EXTENDED_WEBP, "image/webp"),
}
SHA = "a" * 64


def seeing() -> ScriptedBackend:
    backend = ScriptedBackend()
    backend.info = msgspec.structs.replace(INFO, capabilities=frozenset({"chat", "vision"}))
    return backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    return tmp_path


async def ask(engine: Engine, folder: Path, text: str, session_id: str | None = None) -> str:
    """Ask with what the text names, wait for the end, and give the session."""
    turn = await engine.send(session_id, await engine.attach(text, folder))
    await turn.wait()
    return turn.session_id


# The files


@pytest.mark.parametrize("name", FILES)
def test_kind_and_size_are_read_from_the_header(name: str) -> None:
    data, kind = FILES[name]
    measured = measure(data)
    assert (measured.kind, measured.width, measured.height) == (kind, 37, 21)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_is_measured_rightly_or_refused(name: str) -> None:
    data, _ = FILES[name]
    for end in range(len(data)):
        try:
            measured = measure(data[:end])
        except UnreadableImageError:
            continue
        assert (measured.width, measured.height) == (37, 21)


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]), st.binary())
def test_whatever_follows_the_first_bytes_is_measured_or_refused(begun: bytes, rest: bytes) -> None:
    try:
        measured = measure(begun + rest)
    except UnreadableImageError:
        return
    assert measured.width > 0
    assert measured.height > 0


@pytest.mark.parametrize("name", ["photo.png", "my [old] photo, 3×4.png", "ünï.jpg"])
def test_a_question_names_an_image_by_a_line(name: str) -> None:
    line = named(name, SHA, PHOTO)
    [image] = images_in(f"Look:\n\n{line}")
    assert (image.sha256, image.width, image.height) == (SHA, 640, 480)
    assert f"[image: {image.name}]" in in_words(f"Look:\n\n{line}")
    assert SHA not in in_words(line)


def test_an_address_of_an_image_elsewhere_is_left_alone() -> None:
    text = f"![x](image:{SHA}) ![y, 1×2, 3 kB](image:short) ![z](https://z.org/z.png)"
    assert images_in(text) == []
    assert in_words(text) == text


# Attaching


async def test_an_image_is_kept_and_named_in_the_question(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        text = await engine.attach("What is in @photo.png?", folder)
        [image] = images_in(text)
        assert text.startswith("What is in @photo.png?\n\n![photo.png, 640×480, ")
        assert await engine.library.image(image.sha256) == PHOTO


async def test_a_question_that_is_asked_anew_names_it_once(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        text = await engine.attach("What is in @photo.png?", folder)
        assert await engine.attach(text, folder) == text


async def test_what_can_t_be_attached_is_told_with_its_name(folder: Path) -> None:
    with (folder / "large.png").open("wb") as file:
        file.write(PHOTO)
        file.truncate(LARGEST_BYTES + 1)
    (folder / "old.gif").write_bytes(b"GIF89a\1\0\1\0")
    (folder / "cut.png").write_bytes(PHOTO[:17])
    async with running_engine(folder / "home") as engine:
        for name, why in (
            ("large.png", "at most 10 MB"),
            ("old.gif", "save it as PNG or JPEG"),
            ("cut.png", "damaged"),
        ):
            with pytest.raises(AttachmentError, match=why) as refused:
                await engine.attach(f"@{name}", folder)
            assert name in str(refused.value)


# Asking


async def test_a_model_that_sees_is_shown_the_image(folder: Path) -> None:
    backend = seeing()
    async with running_engine(folder / "home", backend) as engine:
        await ask(engine, folder, "What is in @photo.png?")
        shown = backend.requests[0].messages[-1]
        assert [(image.kind, image.data) for image in shown.images] == [("image/png", PHOTO)]
        assert shown.content == "What is in @photo.png?\n\n[image: photo.png]"


async def test_one_that_does_not_see_says_so_and_another_can_answer(folder: Path) -> None:
    backend = ScriptedBackend()
    async with running_engine(folder / "home", backend) as engine:
        session_id = await ask(engine, folder, "What is in @photo.png?")
        session = await engine.library.session(session_id)
        answered = (await engine.library.page(session_id, 0, session.message_count))[-1]
        assert answered.finish is Finish.FAILED
        assert answered.failure is not None
        assert answered.failure.message == "scripted:parrot can't see images."
        assert "Choose a model" in answered.failure.next_step
        assert not backend.requests

        backend.info = seeing().info
        await engine.models.choose("scripted:parrot")
        turn = await engine.retry(session_id)
        assert turn is not None
        assert (await turn.wait()).finish is Finish.COMPLETE
        assert backend.requests[0].messages[-1].images


async def test_of_an_earlier_image_one_that_does_not_see_gets_its_name(folder: Path) -> None:
    backend = seeing()
    async with running_engine(folder / "home", backend) as engine:
        session_id = await ask(engine, folder, "What is in @photo.png?")
        backend.info = INFO
        await engine.models.choose("scripted:parrot")
        await ask(engine, folder, "Thank you.", session_id)
        earlier = next(one for one in backend.requests[-1].messages if one.role is Role.USER)
        assert earlier.content.endswith("[image: photo.png]")
        assert not earlier.images


async def test_an_image_takes_room_in_the_window_and_the_count_is_an_estimate(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        turn = await engine.send(None, "What is it?")
        await turn.wait()
        bare = turn.packed
        turn = await engine.send(None, await engine.attach("What is @photo.png?", folder))
        await turn.wait()
        assert bare is not None
        assert turn.packed is not None
        [image] = images_in(turn.question.content)
        assert image.tokens == -(-640 // 28) * -(-480 // 28)
        assert turn.packed.tokens > bare.tokens + image.tokens
        assert not turn.packed.exact
        question = next(one for one in turn.packed.segments if one.name == "question")
        assert question.tokens > image.tokens


REQUEST = ChatRequest(
    model="m",
    messages=(
        ChatMessage(
            role=Role.USER,
            content="What is it?",
            images=(ChatImage(sha256=SHA, tokens=9, kind="image/png", data=PHOTO),),
        ),
    ),
)


async def test_ollama_is_sent_the_bytes() -> None:
    # A stand-in: no model that sees is small enough for a test.
    async with scripted() as server:
        said = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": True}
        line = json.dumps({**said, "message": {"role": "assistant", "content": "A wall."}})
        server.scripts["/api/chat"] = [answer(line, kind="application/x-ndjson")]
        backend = Ollama(OllamaSettings(host=f"127.0.0.1:{server.port}"))
        try:
            chunks = [chunk async for chunk in backend.chat(REQUEST)]
        finally:
            await backend.close()
        assert chunks[0].text == "A wall."
        [sent] = server.requests[-1].json["messages"]
        assert [b64decode(one) for one in sent["images"]] == [PHOTO]


async def test_an_openai_compatible_server_is_sent_a_data_url() -> None:
    # A stand-in, for the same reason.
    async with scripted() as server:
        server.streams(event({"content": "A wall."}), event(finish="stop"), DONE)
        backend = OpenAICompatible(server.url)
        try:
            chunks = [chunk async for chunk in backend.chat(REQUEST)]
        finally:
            await backend.close()
        assert chunks[0].text == "A wall."
        [text, image] = server.requests[-1].json["messages"][0]["content"]
        assert text == {"type": "text", "text": "What is it?"}
        head, _, data = image["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        assert b64decode(data) == PHOTO


@pytest.mark.parametrize(
    ("told", "vision", "sees"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"architecture": {"input_modalities": ["text", "image"]}}, False, True),
        ({"architecture": {"input_modalities": ["text"]}}, False, False),
    ],
)
async def test_whether_its_models_see_is_said_by_the_server_or_the_settings(
    told: dict[str, object], vision: bool, sees: bool
) -> None:
    async with scripted() as server:
        server.scripts["/v1/models"] = [answer(json.dumps({"data": [{"id": "m", **told}]}))]
        backend = OpenAICompatible(server.url, vision=vision)
        try:
            info: ModelInfo = await backend.describe("m")
        finally:
            await backend.close()
        assert ("vision" in info.capabilities) is sees


# Keeping


async def told(engine: Engine, folder: Path) -> str:
    return await ask(engine, folder, "What is in @photo.png?")


async def test_an_export_takes_the_image_along(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        session_id = await told(engine, folder)
        session = await engine.library.session(session_id)
        written = {
            format: "".join([piece async for piece in exporter.pieces(engine.library, session)])
            for format, exporter in export.BUILT_IN.items()
        }
    assert 'src="data:image/png;base64,' in written["html"]
    assert "[image: photo.png]" in written["markdown"]
    file = folder / "talk.json"
    await asyncio.to_thread(file.write_text, written["json"], "utf-8")
    async with await Store.open(folder / "other.db") as store:
        library = Library(store, Events())
        for _ in range(2):
            report = await take_in(library, file)
            assert not report.problem
        [question] = await store.messages.page(session_id, 0, 1)
        [image] = images_in(question.content)
        assert await library.image(image.sha256) == PHOTO


async def test_an_import_takes_no_image_that_is_none(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        session_id = await told(engine, folder)
        session = await engine.library.session(session_id)
        text = "".join(
            [piece async for piece in export.BUILT_IN["json"].pieces(engine.library, session)]
        )
    document = json.loads(text)
    document["messages"][0]["images"][0]["data"] = "bm90IGFuIGltYWdl"
    file = folder / "talk.json"
    await asyncio.to_thread(file.write_text, json.dumps(document), "utf-8")
    async with await Store.open(folder / "other.db") as store:
        report = await take_in(Library(store, Events()), file)
        assert report.new == 1
        assert [(one.what, one.count) for one in report.skipped] == [("image", 1)]


async def test_it_stays_as_long_as_a_message_shows_it(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        session_id = await told(engine, folder)
        [question] = await engine.library.page(session_id, 0, 1)
        [image] = images_in(question.content)
        fork = await engine.library.fork(session_id, question.id)
        edited = await engine.edit(session_id, question.id, f"Again: {question.content}")
        assert edited is not None
        await edited.wait()

        assert holding(folder / "home")
        await engine.library.purge([session_id])
        assert await engine.library.image(image.sha256) == PHOTO
        await engine.library.purge([fork.id])
        assert await engine.library.image(image.sha256) is None
        await engine.library.scrub()
        await engine.library.vacuum()
        assert not holding(folder / "home")


def holding(folder: Path) -> list[Path]:
    """The files that hold bytes of the image."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if MARK in file.read_bytes()]


async def test_what_is_forgotten_takes_the_whole_line_of_an_image_or_none(folder: Path) -> None:
    (folder / "a nest. my acorns.png").write_bytes(PHOTO)
    async with running_engine(folder / "home", seeing()) as engine:
        text = await engine.attach('What is in @"a nest. my acorns.png"? Tell me.', folder)
        [image] = images_in(text)
        for words in ("nest", "tell", "image"):
            left = without(text, stems(words))
            assert (image.sha256 in left) is bool(images_in(left))


async def test_it_goes_when_the_line_that_names_it_is_forgotten(folder: Path) -> None:
    async with running_engine(folder / "home", seeing()) as engine:
        session_id = await told(engine, folder)
        [question] = await engine.library.page(session_id, 0, 1)
        [image] = images_in(question.content)
        await engine._store.messages.strike(question.id, content="What is in it?")
        assert await engine.library.image(image.sha256) is None
