"""What a person says about themselves, read by rules: precise rather than greedy.

Only plain statements in the first person count. Questions, what is imagined, quotations, code and
pasted text give nothing, and so does whatever no rule knows.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from engine.late import late
from engine.memory.words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_MESSAGE = 1_200
LONGEST_LINES = 12
"""What is longer was pasted, not counting code and the like."""

LONGEST_READ = 4_000
"""What is longer with all of that is not read at all."""

LONGEST_VALUE = 90
"""Characters of what is said about a subject."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said about themselves."""

    subject: str
    """What it is about, such as `name`, `home` or `favourite tea`; empty for anything else."""

    text: str
    """As a sentence on "the user"."""

    confidence: float = 0.9
    single: bool = False
    """There is one such thing at a time: what was said before about the subject is over."""

    ends: str = ""
    """What holds no more, in the person's words; what was known of it is over."""


SINGLE = frozenset(
    {
        *("name", "nickname", "home", "origin", "job", "employer", "age", "birthday"),
        *("wife", "husband", "partner", "girlfriend", "boyfriend", "spouse"),
    }
)
"""Subjects of which there is one at a time; so are all that begin with `favourite`."""


SUBJECTS = {
    "name": "name call who",
    "home": "live home city town country address reside place stay where",
    "job": "job work profession occupation career employ living",
    "age": "old age birthday born",
    "birthday": "old age birthday born birth",
    "allergy": "allergy allergic eat food cook recipe diet restaurant meal",
    "diet": "eat food cook recipe diet restaurant meal",
}
"""What people say when they ask about a subject."""


def is_single(subject: str) -> bool:
    """Whether there is one such thing at a time."""
    return subject in SINGLE or subject.startswith("favourite ")


def statements(text: str, *, explicit: bool = False) -> list[Statement]:
    """What a message of a person says about them.

    Args:
        text: The message.
        explicit: Only what it asks to remember in so many words.
    """
    found: list[Statement] = []
    for sentence in _sentences(text):
        if asked := _REMEMBER.match(sentence):
            found += _asked_for(asked["what"], anything=asked["plain"] is not None)
            continue
        if explicit or sentence.rstrip().endswith("?") or _UNREAL.search(sentence):
            continue
        for clause in _CLAUSES.split(sentence):
            found += _stated(clause)
    return found


def may_tell(text: str) -> bool:
    """Whether it is worth a model's time to look for statements: in English, by the first person.

    What seems to be in another language may tell anything.
    """
    words = [word for word in re.findall(r"[^\W\d_]+", text.lower()) if len(word) > 1]
    english = sum(word in STOP_WORDS for word in words)
    return bool(_PERSONAL.search(text)) or (len(words) > 2 and 5 * english < len(words))


def _sentences(text: str) -> Iterator[str]:
    """The sentences that a person may mean as they stand."""
    if len(text) > LONGEST_READ:
        return
    text = _FENCED.sub(" ", text)
    text = _TAGGED.sub(" ", text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith((">", "|", "    "))]
    text = _QUOTED.sub("…", "\n".join(lines).replace("’", "'")).strip()
    if len(text) > LONGEST_MESSAGE or text.count("\n") >= LONGEST_LINES:
        return
    for sentence in _SENTENCES.split(text):
        if _TASK.match(sentence):
            return  # what follows is to be worked on, and need not be true
        if sentence.strip():
            yield _OPENING.sub("", sentence.strip())


def _asked_for(what: str, *, anything: bool) -> list[Statement]:
    """What is to be remembered, in the words of a rule if one knows it.

    Without `anything`, only that: one "keeps in mind" what a task demands, too.
    """
    what = what.strip().rstrip(".!?… ").strip()
    if len(what.split()) < 2 or "…" in what:
        return []
    clauses = [_stated(_OPENING.sub("", clause)) for clause in _CLAUSES.split(what)]
    if all(clauses):
        return [
            msgspec.structs.replace(one, confidence=0.95) for clause in clauses for one in clause
        ]
    if not anything:
        return []
    if _PERSONAL.search(what) or what.startswith("to "):
        text = f"The user asked to remember: {what}."
    else:
        text = f"{what[0].upper()}{what[1:]}."
    return [Statement(subject="", text=text, confidence=0.95)]


def _stated(clause: str) -> list[Statement]:
    clause = _OPENING.sub("", clause.strip()).rstrip(".!… ,;:")
    for pattern, make in _rules():
        if found := pattern.match(clause):
            statement = make(found)
            return [statement] if statement is not None else []
    return []


_FENCED = late(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
_TAGGED = late(r"<(\w+)[^>]*>.*?</\1>", re.DOTALL)
_QUOTED = late(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)'[^'\n]*'(?!\w)")
_SENTENCES = late(r"(?<=[.!?…])\s+|\s*\n\s*")
_CLAUSES = late(
    r",?\s+(?:and|but|so)\s+(?=(?:i|i'm|i've|my|you can call me|call me)\b)|;\s+|,\s+(?=i\b)",
    re.IGNORECASE,
)
_OPENING = late(
    r"^(?:(?:hi|hello|hey|oh|well|so|and|also|by the way|btw|fyi|just so you know|for the record"
    r"|no|yes|ok|okay|thanks|thank you|actually|in fact|from now on|now|these days|nowadays"
    r"|as you know|today|update|correction|sorry)(?: there)?(?:\s*[,:!.–—-]+\s*|\s+))+",
    re.IGNORECASE,
)
_TASK = late(
    r"^\W*(?:(?:please|can you|could you)\s+)?(?:translate|rewrite|rephrase|reword|correct"
    r"|proofread|paraphrase|summari[sz]e|write|draft|compose|complete the|continue|imagine"
    r"|pretend|suppose|assume|act as|role-?play|let's (?:say|pretend|imagine|assume)|say we"
    r"|what does|how do (?:you|i) say|explain the (?:sentence|phrase)|for example|e\.g\.)\b",
    re.IGNORECASE,
)
_UNREAL = late(
    r"\b(?:if|suppose|supposing|imagine|pretend\w*|assum\w+|hypothetical\w*|wish|unless|as though"
    r"|would|could|might|maybe|perhaps|probably|in (?:my|a|the) (?:story|dream|novel|game|book)"
    r"|(?:my|the) character|said|says|sings?|wrote|used to think|kidding|joking)\b",
    re.IGNORECASE,
)
_REMEMBER = late(
    r"^(?:please\s+|(?:can|could|will|would) you (?:please )?)?"
    r"(?:(?P<plain>remember(?! when\b| the time\b| how\b| who\b| what\b| me\b)|don't forget"
    r"|do not forget)|keep in mind|bear in mind|note|make a note|take note)"
    r"(?:\s+(?:that|for me that|of this|this))?\s*[:,]?\s+(?P<what>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)
_PERSONAL = late(r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|we|our|us)\b", re.IGNORECASE)
_NO_VALUE = late(
    r"^(?:not|no|never|none|unknown|what|which|who|why|how|where|that|this|it|there|here|being|to|so"
    r"|too|very|really|still|the same|a secret|a mystery|irrelevant|private|important|ok|okay|fine"
    r"|good|bad|in|on|at)\b",
    re.IGNORECASE,
)
_TAIL = late(
    r"\s+(?:with|because|since|where|which|who|but|while|when|now|currently|these days|nowadays"
    r"|at the moment|yesterday|recently|(?:last|this) (?:year|month|week|spring|summer|autumn|fall"
    r"|winter)|in (?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December|(?:19|20)\d\d)|for (?:\w+ )?(?:years?|months?|weeks?)|by the way|too|as well"
    r"|anymore)\b.*$"
    r"|,\s+(?:and|so|which|where|but|please|can|what)\b.*$",
    re.IGNORECASE,
)
_JOBS = (
    "accountant|actor|actress|architect|artist|baker|barista|biologist|builder|carpenter|chef"
    "|chemist|cook|dentist|designer|developer|doctor|driver|economist|editor|electrician|engineer"
    "|farmer|firefighter|gardener|geologist|hairdresser|historian|journalist|judge|lawyer|lecturer"
    "|librarian|manager|mathematician|mechanic|midwife|musician|nurse|painter|paramedic|pharmacist"
    "|photographer|physicist|pilot|plumber|police officer|postman|professor|programmer"
    "|psychologist|researcher|scientist|secretary|soldier|student|surgeon|tailor|teacher"
    "|therapist|translator|vet|veterinarian|waiter|waitress|writer"
)
_THINGS = (
    "time ?zone|email(?: address)?|phone number|address|nickname|birthday|job|profession|occupation"
    "|home ?town|native language|mother tongue|first language|blood type|shoe size"
    "|operating system|pronouns|employer|religion|star sign"
)
_POSSESSIONS = "car|bike|bicycle|motorbike|phone|laptop|computer|camera|guitar|piano|violin|house"
_RELATIVES = (
    "wife|husband|partner|girlfriend|boyfriend|spouse|son|daughter|mother|father|mum|mom|dad"
    "|brother|sister|dog|cat|boss|manager|best friend|horse|parrot|rabbit"
)


def _value(text: str) -> str:
    """What is said, without what is added; empty when it says nothing."""
    value = _TAIL.sub("", text).strip(" .,;:!")
    if not value or len(value) > LONGEST_VALUE or "…" in value or _NO_VALUE.match(value):
        return ""
    return value


def _name(found: re.Match[str]) -> str:
    value = _value(found["v"])
    words = value.split()
    if not words or len(words) > 4 or any(character.isdigit() for character in value):
        return ""
    capitals = all(word[0].isupper() or word in ("de", "van", "von", "da", "al") for word in words)
    return value if capitals or (len(words) == 1 and value.isalpha()) else ""


def _place(found: re.Match[str]) -> str:
    value = _value(found["v"])
    vague = re.match(r"(?:fear|hope|peace|denial|style|tears|silence|the (?:past|moment))\b", value)
    known = any(character.isupper() or character.isdigit() for character in value)
    return value if value and not vague and (known or len(value.split()) <= 2) else ""


def _as(
    subject: str,
    sentence: str,
    read: Callable[[re.Match[str]], str] = lambda found: _value(found["v"]),
    confidence: float = 0.9,
) -> Callable[[re.Match[str]], Statement | None]:
    def make(found: re.Match[str]) -> Statement | None:
        value = read(found)
        if not value:
            return None
        return Statement(
            subject=subject,
            text=sentence.format(value),
            confidence=confidence,
            single=is_single(subject),
        )

    return make


def _thing(found: re.Match[str]) -> Statement | None:
    value = _value(found["v"])
    thing = " ".join(found["thing"].lower().split())
    if not value or len(thing.split()) > 3:
        return None
    thing = thing.replace("favorite", "favourite")
    subject = {"profession": "job", "occupation": "job", "hometown": "origin"}.get(thing, thing)
    verb = "are" if found["verb"].lower() == "are" else "is"
    return Statement(subject=subject, text=f"The user's {thing} {verb} {value}.", single=True)


def _other(found: re.Match[str]) -> Statement | None:
    """What a thing is instead of what it was; where that is not said, what is over."""
    if found["v"]:
        return _thing(found)
    old = _value(found["old"])
    if not old:
        return None
    thing = found["thing"].lower().replace("favorite", "favourite")
    said = found[0].rstrip(".! ")
    return Statement(subject="", text=f"The user said: {said}.", ends=f"{thing} {old}")


def _relative(found: re.Match[str]) -> Statement | None:
    value = _name(found)
    who = found["who"].lower()
    if not value:
        return None
    return Statement(
        subject=who, text=f"The user's {who} is called {value}.", single=is_single(who)
    )


def _over(found: re.Match[str]) -> Statement | None:
    value = _value(found["v"])
    if not value:
        return None
    said = found[0].rstrip(".! ")
    return Statement(subject="", text=f"The user said: {said}.", ends=value)


_AM = r"i(?:'m| am)"
_INSTEAD = r",? (?:but|(?:(?:but|and) )?(?:it|they)(?:'s|'re| is| are))(?: now)? (?P<v>.+)"
_Make: TypeAlias = "Callable[[re.Match[str]], Statement | None]"


@cache
def _rules() -> tuple[tuple[re.Pattern[str], _Make], ...]:
    """Compiled at first use: they take longer than a start may."""
    return tuple((re.compile(pattern, re.IGNORECASE), make) for pattern, make in _PATTERNS)


_PATTERNS: tuple[tuple[str, _Make], ...] = (
    (
        r"(?:i no longer (?!know\b|want\b|need\b|see\b|think\b)\w+"
        r"(?: (?:in|at|as|for|to|a|an))*"
        r"|i(?:'m| am) no longer(?: (?:in|at|a|an|allergic to|from))*"
        r"|i(?:'ve| have)? (?:stopped|quit|gave up|given up)) (?P<v>.+)",
        _over,
    ),
    (r"i (?:don't|do not) (?:\w+)(?: (?:in|at|as|for))* (?P<v>.+?) any ?more$", _over),
    (
        r"i(?:'m| am) not (?:an? |allergic to |(?=vegan|vegetarian|diabetic))(?P<v>.+?) any ?more$",
        _over,
    ),
    (
        r"my (?:full |first |real |own )?name(?:'s| is)(?: now)? (?P<v>.+)",
        _as("name", "The user's name is {}.", _name),
    ),
    (
        r"(?:please |you can |you may |just )*call me (?P<v>.+)",
        _as(
            "nickname",
            "The user wants to be called {}.",
            lambda found: _name(found) if found["v"][0].isupper() else "",
        ),
    ),
    (
        rf"(?:i (?:currently |now |still )?(?:live|reside)|{_AM} (?:now |currently )?"
        r"(?:living|based)) (?:in|near|on) (?P<v>.+)",
        _as("home", "The user lives in {}.", _place),
    ),
    (
        r"(?:i|we)(?:'ve| have)?(?: just| recently| now)* moved"
        r" (?:from \S+ )?(?:back )?to (?P<v>.+)",
        _as("home", "The user lives in {}.", _place),
    ),
    (
        rf"(?:{_AM}|i come) (?:originally )?from (?P<v>.+)",
        _as("origin", "The user comes from {}.", _place),
    ),
    (
        rf"(?:i (?:now )?work|{_AM} (?:now )?working"
        r"|i(?:'ve| have)? (?:just )?started(?: working)?"
        r"|i(?:'ve| have)? (?:just )?got a (?:new )?job) as (?P<v>.+)",
        _as("job", "The user works as {}."),
    ),
    (
        rf"{_AM} (?:now )?(?P<v>an? (?:[\w-]+ ){{0,2}}(?:{_JOBS}))$",
        _as("job", "The user works as {}.", confidence=0.8),
    ),
    (
        r"i (?:now )?work (?:for|at) (?P<v>.+)",
        _as("employer", "The user works for {}.", _place),
    ),
    *(
        (
            rf"my (?P<thing>favou?rite [\w-]+(?: [\w-]+)?|name|{_THINGS}"
            rf"|(?:{_POSSESSIONS})(?= is(?:n't| not| no longer) an? )) (?P<verb>is|are)"
            rf"{no} (?P<old>.+?){after}",
            _other,
        )
        for no, after in (
            (" no longer", rf"(?:{_INSTEAD})?$"),
            ("(?:n't| not)", rf" any ?more(?:{_INSTEAD})?$"),
            (r"(?:n't| not)(?! (?:only|just|merely|really)\b)", rf"{_INSTEAD}$"),
        )
    ),
    (
        r"my (?P<thing>(?:all-time |absolute )?favou?rite [\w-]+(?: [\w-]+)?)"
        r" (?P<verb>is|are)(?: now)? (?P<v>.+)",
        lambda found: _thing(found),
    ),
    (
        rf"{_AM} (?:\w+ly |very )?allergic to (?P<v>.+)",
        _as("allergy", "The user is allergic to {}.", confidence=0.95),
    ),
    (
        rf"{_AM} (?:now )?(?:an? )?(?P<v>vegan|vegetarian|pescatarian|diabetic|coeliac|celiac"
        r"|lactose[- ]intolerant)$",
        _as("diet", "The user is {}."),
    ),
    (
        rf"{_AM} (?:now )?(?P<v>\d{{1,3}})(?: years old)?$",
        _as("age", "The user is {} years old."),
    ),
    (
        r"my birthday is (?:on )?(?:the )?(?P<v>.+)",
        _as("birthday", "The user's birthday is {}."),
    ),
    (
        r"i was born (?:on|in) (?P<v>.*\d.*)",
        _as("birthday", "The user was born on {}."),
    ),
    (
        rf"my (?P<who>{_RELATIVES})(?:'s name is| is called| is named) (?P<v>.+)",
        _relative,
    ),
    (
        rf"i have an? (?P<who>{_RELATIVES}) (?:called|named) (?P<v>.+)",
        _relative,
    ),
    (rf"my (?P<thing>{_THINGS}) (?P<verb>is|are)(?: now)? (?P<v>.+)", _thing),
    (rf"my (?P<thing>{_POSSESSIONS}) (?P<verb>is)(?: now)? (?P<v>an? .+)", _thing),
    (r"my (?P<thing>[\w-]+(?: [\w-]+)?) (?P<verb>is|are) now (?P<v>.+)", _thing),
)
