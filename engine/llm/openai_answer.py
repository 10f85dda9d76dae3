"""One answer of an OpenAI-compatible server, put together from the events of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.llm.base import Chunk, ModelError
from engine.llm.openai_errors import failure_in_stream
from engine.llm.openai_wire import Delta, PromptDetails, Timings, UsageFigures
from storage.records import ToolCall, Usage

if TYPE_CHECKING:
    from engine.llm.openai_wire import CallDelta, Event


class Answer:
    """What has come of one answer."""

    def __init__(self, where: str) -> None:
        self.closed = False
        """Whether the server said that this was all."""

        self._where = where
        self._reason = ""
        self._usage: Usage | None = None
        self._calls: dict[int, _PartialCall] = {}

    def take(self, event: Event) -> list[Chunk]:
        """The chunks that one event makes."""
        if event.error is not None:
            raise failure_in_stream(self._where, event.error)
        if event.usage is not None or event.timings is not None:
            self._usage = _usage(event.usage or UsageFigures(), event.timings or Timings())
        chunks: list[Chunk] = []
        if event.prompt_progress is not None:
            chunks.append(Chunk(read=event.prompt_progress.share))
        for choice in event.choices or ():
            delta = choice.delta or choice.message or Delta()
            thinking = delta.reasoning_content or delta.reasoning or ""
            if delta.content or thinking:
                chunks.append(Chunk(text=delta.content or "", thinking=thinking))
            for part in delta.tool_calls or ():
                index = len(self._calls) if part.index is None else part.index
                self._calls.setdefault(index, _PartialCall()).add(part)
            self._reason = choice.finish_reason or self._reason
        return chunks

    def end(self) -> list[Chunk]:
        """The tool calls, if any, and the last chunk.

        Raises:
            ModelError: The stream ended before the answer did, or a call's arguments are no object.
        """
        if not self.closed and not self._reason:
            raise ModelError(
                "disconnected",
                f"{self._where} broke off in the middle of the answer.",
                "Try again; what had come is kept.",
            )
        calls = tuple(call.whole(index) for index, call in sorted(self._calls.items()))
        last = Chunk(done=True, done_reason=self._reason or "stop", usage=self._usage)
        return [Chunk(tool_calls=calls), last] if calls else [last]


class _PartialCall:
    """A tool call whose pieces are still coming."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""

    def add(self, part: CallDelta) -> None:
        self.id = part.id or self.id
        if part.function is not None:
            self.name = part.function.name or self.name
            self.arguments += part.function.arguments or ""

    def whole(self, index: int) -> ToolCall:
        try:
            arguments = msgspec.json.decode(self.arguments or "{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ModelError(
                "bad_answer",
                f"The model called the tool {self.name} with arguments that are not JSON.",
                "Try again, or choose a model that is better at calling tools.",
            ) from error
        return ToolCall(id=self.id or f"call_{index}", name=self.name, arguments=arguments)


def _usage(figures: UsageFigures, timings: Timings) -> Usage:
    details = figures.prompt_tokens_details or PromptDetails()
    cached = details.cached_tokens if details.cached_tokens is not None else timings.cache_n
    prompt = figures.prompt_tokens
    if prompt is None and timings.prompt_n is not None:
        prompt = timings.prompt_n + (timings.cache_n or 0)
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        eval_tokens=_first(figures.completion_tokens, timings.predicted_n),
        prompt_seconds=_seconds(timings.prompt_ms),
        eval_seconds=_seconds(timings.predicted_ms),
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
