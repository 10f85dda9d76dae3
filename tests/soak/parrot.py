"""A model server that speaks as Ollama does, and answers well, badly or not at all.

What becomes of an answer follows from the seed, from the question, and from how often that was
asked. What was said can therefore be told again when all is over.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.research.server import Reply, Request

NAME = "parrot:8b"
REF = f"ollama:{NAME}"

TOKEN = re.compile(r"q\d{5}x")
"""What marks a question of the pilot, and by which it is found again."""

SAID = re.compile(r"a(\d{5})n(\d+) ")
"""What each answer begins with: its question, and how often that had been asked before."""

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m [bold]no[/] \u202eesrever\u202c " + "e" + "\u0301" * 60
WORDS = ("a", "jay", "hides", "acorns", "in", "autumn", "and", "finds", "them", "in", "spring")
KINDS = (
    *("plain", "plain", "plain", "long", "slow", "hangs", "refused", "busy", "garbage", "cut"),
    *("broken", "hostile", "huge line", "thinks", "calls", "silent"),
)
ASIDES = ("garbled", "empty", "refused")
"""What comes of questions for JSON, which are asked beside the conversation."""

ONE_IN, AT_FIRST = 25, 10
"""So rarely it fails to tell of itself, after so many times: a start has to find a model."""

SHOWN = {
    "details": {"family": "parrot", "parameter_size": "8B", "quantization_level": "Q4_0"},
    "capabilities": ["completion", "tools", "thinking"],
    "model_info": {"general.architecture": "parrot", "parrot.context_length": 8192},
    "parameters": "num_ctx 8192",
}
MODEL = {"model": NAME, "name": NAME, "size": 5_000_000_000, "digest": "0" * 64}


class Answer(NamedTuple):
    """One answer, as it was meant."""

    kind: str
    about: str
    times: int
    chance: random.Random

    @classmethod
    def to(cls, seed: int, about: str, times: int) -> Answer:
        """The answer to a question that was asked so often before."""
        chance = random.Random(f"{seed} answer to {about}, {times}")
        return cls(chance.choice(KINDS), about, times, chance)

    def pieces(self) -> Iterator[str]:
        """Its text, as it is said; where a kind breaks off, it does so in the midst of it."""
        yield f"a{self.about[1:6]}n{self.times} "
        match self.kind:
            case "hostile":
                yield from [HOSTILE] * 7
            case "huge line":
                yield " ".join(self.chance.choices(WORDS, k=20_000))
            case _:
                length = {"long": 1500, "slow": 40, "thinks": 5}.get(self.kind, 25)
                yield from (f"{self.chance.choice(WORDS)} " for _ in range(length))


class Parrot:
    """Handles the server's requests.

    Attributes:
        faults: How often it answered in which way.
    """

    def __init__(self, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[str] = Counter()

    async def __call__(self, request: Request, reply: Reply) -> None:
        if request.path == "/api/chat":
            await self._chat(json.loads(request.body), reply)
        elif request.path != "/api/version" and self._rarely(request.path):
            self.faults["tells nothing of itself"] += 1
            await reply.whole('{"error": "not now"}', status=500)
        else:
            await reply.whole(json.dumps(_facts(request.path)))

    def _rarely(self, path: str) -> bool:
        self._asked[path] += 1
        if self._asked[path] <= AT_FIRST:
            return False
        return not random.Random(f"{self._seed} {path} {self._asked[path]}").randrange(ONE_IN)

    async def _chat(self, body: dict[str, Any], reply: Reply) -> None:
        asked = [one["content"] for one in body["messages"] if one["role"] == "user"]
        tokens = TOKEN.findall(asked[-1]) if asked else []
        if not tokens or body.get("format"):
            await self._aside(reply)
            return
        about = tokens[-1]
        answer = Answer.to(self._seed, about, self._asked[about])
        self._asked[about] += 1
        self.faults[answer.kind] += 1
        await self._say(answer, reply)

    async def _aside(self, reply: Reply) -> None:
        self._asked["aside"] += 1
        kind = random.Random(f"{self._seed} aside {self._asked['aside']}").choice(ASIDES)
        self.faults[f"aside {kind}"] += 1
        if kind == "refused":
            await reply.whole('{"error": "no"}', status=500)
            return
        await reply.head(Content_Type="application/x-ndjson")
        await reply.raw(_line("{" if kind == "garbled" else "{}"))
        await reply.raw(_end())

    async def _say(self, answer: Answer, reply: Reply) -> None:
        match answer.kind:
            case "refused":
                await reply.whole('{"error": "the parrot is away"}', status=500)
                return
            case "busy":
                await reply.whole('{"error": "server busy, please try again"}', status=503)
                return
            case "garbage":
                await reply.whole("<html>welcome</html>\n", kind="text/html")
                return
        await reply.head(Content_Type="application/x-ndjson")
        if answer.kind == "silent":
            await reply.raw(_end())
            return
        if answer.kind == "calls" and answer.times < 2:
            await reply.raw(_calls(answer))
            await reply.raw(_end())
            return
        if answer.kind == "thinks":
            await reply.raw(_line("", thinking="Acorns, I think. " * 20))
        for number, piece in enumerate(answer.pieces()):
            await reply.raw(_line(piece))
            await asyncio.sleep(0.03 if answer.kind == "slow" else 0)
            if number == 12 and answer.kind == "hangs":
                await asyncio.sleep(answer.chance.uniform(0.2, 1.5))
                return
            if number == 12 and answer.kind == "broken":
                await reply.raw(b'{"error": "an error was encountered while running the model"}\n')
                return
            if number == 12 and answer.kind == "cut":
                await reply.raw(_line(piece)[:30])
                return
        await reply.raw(_end())


def _facts(path: str) -> dict[str, Any]:
    match path:
        case "/api/version":
            return {"version": "0.12.0"}
        case "/api/tags":
            return {"models": [MODEL]}
        case "/api/ps":
            return {"models": [MODEL | {"context_length": 8192}]}
        case "/api/show":
            return SHOWN
        case _:
            return {}


def _line(text: str, **more: Any) -> bytes:
    message = {"role": "assistant", "content": text, **more}
    return json.dumps({"model": NAME, "message": message, "done": False}).encode() + b"\n"


def _calls(answer: Answer) -> bytes:
    calls = [
        {"function": {"name": "calculator", "arguments": {"expression": "6 * 7"}}},
        {"function": {"name": "nonsense", "arguments": {"x": HOSTILE}}},
        {"function": {"name": "research", "arguments": {"question": "What do jays eat?"}}},
    ]
    return _line("", tool_calls=answer.chance.sample(calls, answer.chance.choice([1, 2])))


def _end() -> bytes:
    figures = {
        "prompt_eval_count": 10,
        "prompt_eval_duration": 100_000_000,
        "eval_count": 25,
        "eval_duration": 500_000_000,
        "total_duration": 700_000_000,
    }
    last = {"model": NAME, "message": {"role": "assistant", "content": ""}, "done": True}
    return json.dumps(last | {"done_reason": "stop", **figures}).encode() + b"\n"
