"""ChatGPT's data export: `conversations.json`, by itself or in the archive that is sent by mail.

The file is an array of conversations, each a tree of nodes (`mapping`) with the end of the branch
that was shown (`current_node`). Later exports split it into `conversations-000.json` and so on.
OpenAI documents none of this; fields are read as exports of 2023 to 2026 have them.

- A call of a tool (what the assistant says, but not to all) becomes a tool call, and what the tool
  says becomes its result.
- Thoughts become the thinking of the answer that follows them.
- Pictures, sounds and files are not in the JSON; a line stands for each, and they are counted.
- What ChatGPT hides (instructions, memories, empty steps) is left out, and counted.
"""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from engine.imports.base import (
    Conversation,
    Reader,
    UnreadableError,
    in_session,
    sane,
    session_of,
    whole,
)
from engine.imports.json_stream import JsonStream
from storage.ids import stable_id
from storage.records import Finish, Message, Placed, Role, ToolCall

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import IO

NAME = re.compile(r"(^|/)conversations(-\d+)?\.json$")

HEAD_CHARACTERS = 4096
ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
ALL = "all"
"""To whom a message speaks that calls no tool."""


class Author(msgspec.Struct):
    """Who says something."""

    role: str = ""
    name: str | None = None


class Said(msgspec.Struct):
    """What is said in a node."""

    author: Author = msgspec.field(default_factory=Author)
    create_time: float | None = None
    content: dict[str, Any] | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
    recipient: str | None = None


class Node(msgspec.Struct):
    """A place in the tree; a root often says nothing."""

    message: Said | None = None
    parent: str | None = None


class Chat(msgspec.Struct):
    """A conversation."""

    mapping: dict[str, Node]
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None
    conversation_id: str | None = None
    id: str | None = None
    is_archived: bool | None = None


class Place(msgspec.Struct, frozen=True):
    """What a node inherits from those before it."""

    parent_id: str | None = None
    at: float = 0.0
    thinking: str = ""
    call_id: str | None = None


class ChatGptReader(Reader):
    """Reads an export, a conversation at a time."""

    format = "chatgpt"

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether it is an archive with conversations, or JSON that begins like them."""
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return any(NAME.search(name) for name in archive.namelist())
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(HEAD_CHARACTERS).lstrip("\ufeff \t\r\n")
        return head.startswith("[") or (head.startswith("{") and '"mapping"' in head)

    def conversations(self) -> Generator[Conversation]:
        """The conversations, in the order of the export."""
        with _parts(self.path) as parts:
            total = sum(size for _, size in parts) or 1
            before = 0
            for part, size in parts:
                text = io.TextIOWrapper(part, encoding="utf-8-sig")
                try:
                    for value in _values(JsonStream(text)):
                        self.share = min((before + part.tell()) / total, 1.0)
                        conversation = self._conversation(value)
                        if conversation is not None:
                            yield conversation
                except (ValueError, zipfile.BadZipFile) as error:
                    raise UnreadableError(
                        f"{self.path} can't be read to its end: {error}.",
                        "What came before is kept. Export it again, and import that.",
                    ) from error
                before += size

    def _conversation(self, value: Any) -> Conversation | None:
        try:
            chat = msgspec.convert(value, Chat)
        except msgspec.ValidationError as error:
            self.skip("conversation", f"it is not as ChatGPT exports them: {error}")
            return None
        key = whole(chat.conversation_id or chat.id or f"{chat.create_time} {chat.title}")
        placed = self._messages(chat, key)
        if not placed:
            self.skip("conversation", "nothing is said in it")
            return None
        told_at = sane(chat.create_time)
        created_at = told_at or placed[0].message.created_at
        session = session_of(
            self.format,
            key,
            title=whole(chat.title or ""),
            created_at=created_at,
            updated_at=sane(chat.update_time) or created_at,
            placed=placed,
            told_at=told_at,
            archived=bool(chat.is_archived),
        )
        return Conversation(
            session,
            (Placed(message=in_session(one.message, session), shown=one.shown) for one in placed),
        )

    def _messages(self, chat: Chat, key: str) -> list[Placed]:
        """The tree, parents first; what is left out is bridged."""
        followers: dict[str | None, list[str]] = {}
        for node_id, node in chat.mapping.items():
            parent = node.parent if node.parent in chat.mapping else None
            followers.setdefault(parent, []).append(node_id)
        shown = _path(chat)
        placed: list[Placed] = []
        start = Place(at=sane(chat.create_time) or 0.0)
        waiting = [(node_id, start) for node_id in reversed(followers.get(None, []))]
        seen = 0
        while waiting:
            seen += 1
            node_id, place = waiting.pop()
            message, after = self._message(node_id, chat.mapping[node_id].message, place, key)
            if message is not None:
                placed.append(Placed(message=message, shown=node_id in shown))
            waiting.extend((one, after) for one in reversed(followers.get(node_id, [])))
        self.skip("message", "nothing leads to it", len(chat.mapping) - seen)
        return _shown_to_the_end(placed)

    def _message(
        self, node_id: str, said: Said | None, place: Place, key: str
    ) -> tuple[Message | None, Place]:
        if said is None:
            return None, place
        at = sane(said.create_time) or place.at
        place = msgspec.structs.replace(place, at=at)
        content, metadata = said.content or {}, said.metadata or {}
        role = ROLES.get(said.author.role)
        if role is None or metadata.get("is_visually_hidden_from_conversation"):
            if _text_of(content):
                self.skip("message", f"hidden in ChatGPT ({said.author.role or 'nobody'})")
            return None, place
        kind = content.get("content_type")
        if kind == "thoughts":
            thinking = "\n\n".join(filter(None, (place.thinking, whole(_thoughts(content)))))
            return None, msgspec.structs.replace(place, thinking=thinking)
        text = self._told(kind, content, metadata)
        if text is None:
            return None, place
        text = whole(text)
        calls: tuple[ToolCall, ...] = ()
        message_id = stable_id(f"{self.format}:{key}:{node_id}", at)
        if role is Role.ASSISTANT and said.recipient not in (None, ALL):
            calls = (
                ToolCall(id=message_id, name=whole(str(said.recipient)), arguments={"text": text}),
            )
            text = ""
        elif role is Role.TOOL and place.call_id is None:
            self.skip("message", "the result of a tool that nobody called")
            return None, place
        elif not text and not place.thinking:
            return None, place
        answers = role is Role.ASSISTANT
        message = Message(
            id=message_id,
            session_id="",
            parent_id=place.parent_id,
            position=0,
            role=role,
            content=text,
            thinking=place.thinking if answers else "",
            model=_model(metadata) if answers else None,
            finish=_finish(said, metadata) if answers else Finish.COMPLETE,
            tool_calls=calls,
            tool_call_id=place.call_id if role is Role.TOOL else None,
            created_at=at,
            finished_at=at,
        )
        call_id = place.call_id if role is Role.TOOL else None
        after = Place(
            parent_id=message_id,
            at=at,
            thinking="" if answers else place.thinking,
            call_id=calls[0].id if calls else call_id,
        )
        return message, after

    def _told(self, kind: Any, content: dict[str, Any], metadata: dict[str, Any]) -> str | None:
        """What is said, as Markdown; None for a kind that is left out."""
        match kind:
            case "text" | "multimodal_text":
                pieces = [self._part(part) for part in _parts_of(content) if part]
                attached = metadata.get("attachments")
                for one in attached if isinstance(attached, list) else ():
                    name = one.get("name") if isinstance(one, dict) else None
                    self.skip("attachment", "files are not in the export's JSON")
                    pieces.append(f"[Attached: {name or 'a file'}]")
                return "\n\n".join(filter(None, pieces)).strip()
            case "code":
                language = content.get("language")
                known = language if isinstance(language, str) and language != "unknown" else ""
                return _fenced(_text_of(content), known)
            case "execution_output" | "system_error":
                return _text_of(content)
            case "tether_quote":
                source = content.get("title") or content.get("domain") or ""
                quoted = "\n".join(f"> {line}" for line in _text_of(content).splitlines())
                return f"{quoted}\n\n{source} {content.get('url') or ''}".strip()
            case "tether_browsing_display":
                return str(content.get("result") or content.get("summary") or "")
            case "reasoning_recap" | "user_editable_context" | "model_editable_context":
                self.skip("message", f"hidden in ChatGPT ({kind})")
            case _:
                self.skip("message", f"of an unknown kind ({kind})")
        return None

    def _part(self, part: Any) -> str:
        if isinstance(part, str):
            return part
        kind = part.get("content_type") if isinstance(part, dict) else None
        if kind == "audio_transcription":
            return str(part.get("text") or "")
        name = {"image_asset_pointer": "picture"}.get(str(kind), "sound or film")
        self.skip(name, "media are not in the export's JSON")
        return f"[A {name}]"


@contextmanager
def _parts(path: Path) -> Iterator[list[tuple[IO[bytes], int]]]:
    """The files of conversations, and how many bytes each has."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield [(file, path.stat().st_size)]
        return
    with zipfile.ZipFile(path) as archive:
        found = sorted(
            (info for info in archive.infolist() if NAME.search(info.filename)),
            key=lambda info: info.filename,
        )
        if not found:
            raise UnreadableError(f"There is no conversations.json in {path}.")
        yield [(archive.open(info), info.file_size) for info in found]


def _values(stream: JsonStream) -> Iterator[Any]:
    if stream.peek() == "{":
        yield stream.value()
    else:
        yield from stream.array()


def _path(chat: Chat) -> set[str]:
    """The nodes from the one that was shown last up to its root."""
    path: set[str] = set()
    step = chat.current_node
    while step in chat.mapping and step not in path:
        path.add(step)
        step = chat.mapping[step].parent
    return path


def _shown_to_the_end(placed: list[Placed]) -> list[Placed]:
    """The messages with a branch shown, should the export name none: the one that came last."""
    if not placed or any(one.shown for one in placed):
        return placed
    parents = {one.message.id: one.message.parent_id for one in placed}
    step: str | None = placed[-1].message.id
    path = set()
    while step is not None:
        path.add(step)
        step = parents[step]
    return [Placed(message=one.message, shown=one.message.id in path) for one in placed]


def _text_of(content: dict[str, Any]) -> str:
    text = content.get("text")
    if isinstance(text, str):
        return text
    return "\n".join(part for part in _parts_of(content) if isinstance(part, str))


def _parts_of(content: dict[str, Any]) -> list[Any]:
    parts = content.get("parts")
    return parts if isinstance(parts, list) else [parts]


def _thoughts(content: dict[str, Any]) -> str:
    thoughts = content.get("thoughts")
    return "\n\n".join(
        "\n".join(filter(None, (str(one.get("summary") or ""), str(one.get("content") or ""))))
        for one in (thoughts if isinstance(thoughts, list) else ())
        if isinstance(one, dict)
    )


def _fenced(code: str, language: str) -> str:
    if not code.strip():
        return ""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def _model(metadata: dict[str, Any]) -> str | None:
    slug = metadata.get("model_slug")
    return f"chatgpt:{slug}" if isinstance(slug, str) and slug else None


def _finish(said: Said, metadata: dict[str, Any]) -> Finish:
    details = metadata.get("finish_details")
    if isinstance(details, dict) and details.get("type") == "interrupted":
        return Finish.STOPPED
    return Finish.INTERRUPTED if said.status == "in_progress" else Finish.COMPLETE
