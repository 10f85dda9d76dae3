"""The weights of the ranker: a number for each signal of `ranking.py`, by what it speaks of.

Learnt by `python -m tests.benchmarks.learn_recall` from the 760 questions of categories 1 to 4 over
the first five conversations of LoCoMo (Maharana et al., ACL 2024, arXiv:2402.17753), a softmax over
a conversation's messages with an L2 penalty of 10. Weights learnt on four conversations and tried
on the fifth bring back 83.0 % of the evidence among ten messages, and 89.7 % among 25.
A signal's size decides its weight's: don't compare them.
"""

from __future__ import annotations

BY_GROUND: dict[str, dict[str, float]] = {
    "words": {
        "words": -1.09,
        "words_square": 0.8,
        "attained": -1.2,
        "covered": 1.55,
        "matched": 1.49,
        "rarest": 1.04,
        "family": 1.06,
    },
    "neighbours": {
        "previous_raw": 0.78,
        "kindred_nearby": 0.32,
        "previous": -0.82,
        "following": -0.57,
        "before_previous": 1.19,
        "window": 2.01,
        "after_a_question": 0.58,
    },
    "session": {
        "session": 0.89,
        "session_words": 2.64,
        "session_best": 1.04,
        "session_sum": -1.73,
        "early": 0.89,
        "list_session": -1.13,
        "when_session": 1.08,
        "judgement_session": -2.3,
    },
    "kindred words": {
        "kindred": 1.1,
        "kindred_rarest": 1.11,
        "kindred_and_words": -2.32,
    },
    "topic": {
        "topic": 2.29,
    },
    "speaker": {
        "speaker": 2.38,
    },
    "date": {
        "month": 4.39,
        "year": 0.84,
        "day": 4.7,
    },
    "form": {
        "long_square": -0.26,
        "asks": -0.7,
        "time": 0.35,
        "names": 1.2,
        "asked_title": 0.99,
        "when_time": 1.74,
        "when_first": 0.67,
        "when_long": -0.9,
        "when_asks": 0.6,
        "judgement_first": 1.15,
        "asked_duration": 1.23,
        "asked_place": 2.06,
        "asked_reason": 1.28,
        "asked_plan": 1.0,
    },
}

WEIGHTS = {name: weight for group in BY_GROUND.values() for name, weight in group.items()}
