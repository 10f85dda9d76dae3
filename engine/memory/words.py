"""English words as recall sees them: stems, stop words, names of times, and what a question asks.

Everything here is general English. Other languages keep their words as they are written, and are
found by them.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
"""Letters and digits; an apostrophe within a word belongs to it."""

LONGEST_CHARACTERS = 20_000
"""Of a longer message, this much is indexed."""


LONGEST_WORD = 30
"""Longer ones are no words, but codes; they stay as they are, and so does what holds digits."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    """
    a about after again all also am an and any are aren't as at be because been before being but
    by can can't could couldn't did didn't do does doesn't doing don't during each either else
    ever every for from further get gets getting give got had hadn't has hasn't have haven't
    having he he'd he'll he's hello her here here's hers herself hey hi him himself his how how's
    i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just let let's like ll m
    made make makes many may maybe me might mine more most much must my myself need no nor not now
    of off oh ok okay on once one only onto or other our ours ourselves out over own please re
    really s same say she she'd she'll she's should shouldn't so some somebody someone something
    still such t tell than thank thanks that that's the their theirs them themselves then there
    there's these they they'd they'll they're they've thing things this those through to too
    towards under until up upon us use ve very was wasn't way we we'd we'll we're we've were
    weren't what what's when when's where where's which while who who's whom whose why will with
    within without won't would wouldn't yeah yes yet you you'd you'll you're you've your yours
    yourself yourselves
    """
)
"""Words without a topic of their own."""

_IRREGULAR = """
    arise arose arisen|awake awoke awoken|bear bore borne|beat beaten|become became
    begin began begun|bend bent|bind bound|bite bit bitten|bleed bled|blow blew blown
    break broke broken|breed bred|bring brought|build built|burn burnt|buy bought|catch caught
    choose chose chosen|cling clung|come came|creep crept|deal dealt|dig dug|draw drew drawn
    dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed
    feel felt|fight fought|find found|flee fled|fly flew flown|forbid forbade forbidden
    forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|go went gone goes
    grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|kneel knelt
    know knew known|lay laid|lead led|lean leant|leap leapt|learn learnt|leave left|lend lent
    light lit|lose lost|mean meant|meet met|overcome overcame|pay paid|prove proven
    ride rode ridden|ring rang rung|rise rose risen|run ran|see saw seen|seek sought|sell sold
    send sent|sew sewn|shake shook shaken|shine shone|shoot shot|show shown|shrink shrank shrunk
    sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|speak spoke spoken|speed sped
    spend spent|spin spun|spring sprang sprung|stand stood|steal stole stolen|stick stuck
    sting stung|strike struck|strive strove|swear swore sworn|sweep swept|swim swam swum
    swing swung|take took taken|teach taught|tear tore torn|think thought|throw threw thrown
    understand understood|undergo underwent undergone|wake woke woken|wear wore worn
    weave wove woven|weep wept|win won|wind wound|withdraw withdrew withdrawn|write wrote written
    child children|man men|woman women|foot feet|tooth teeth|mouse mice|goose geese|person people
    wife wives|knife knives|shelf shelves|half halves|wolf wolves|bookshelf bookshelves
"""

_SAME = """
    photo photograph photography pic picture|mom mum mother mommy|dad father daddy
    grandma grandmother|grandpa grandfather|child kid|movie film|tv television|phone telephone
    bike bicycle|vacation holiday|job work|color colour|favorite favourite|theater theatre
    center centre
"""


_one_at_a_time = threading.Lock()
"""The stemmer keeps the word that it works on in itself."""


@cache
def _irregular() -> dict[str, str]:
    """Irregular forms to the word they are forms of."""
    return _heads(_IRREGULAR)


@cache
def _same() -> dict[str, str]:
    """Stems of other spellings, short forms and plain synonyms to one stem for all."""
    plain = _stemmer()
    return {plain(form): plain(head) for form, head in _heads(_SAME).items()}


def _heads(groups: str) -> dict[str, str]:
    heads: dict[str, str] = {}
    for group in re.split(r"[|\n]", groups):
        head, *forms = group.split() or [""]
        heads.update(dict.fromkeys(forms, head))
    return heads


@cache
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer  # type: ignore[import-untyped]

    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return stem


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The stem of a lower-case word (Snowball's English stemmer, irregular forms first)."""
    word = word.removesuffix("'s")
    if len(word) > LONGEST_WORD or not word.replace("'", "").isalpha():
        return word
    with _one_at_a_time:
        plain = _stemmer()(_irregular().get(word, word))
        return _same().get(plain, plain)


def folded(text: str) -> str:
    """The text in lower case, without diacritics, with plain apostrophes."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("’", "'"))
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return text.lower()
