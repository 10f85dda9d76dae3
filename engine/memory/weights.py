"""The weights of the ranker: a number for each signal of `ranking.py`, by what it speaks of.

Learnt by `python -m tests.benchmarks.learn_recall` from the 760 questions of categories 1 to 4 over
the first five conversations of LoCoMo (Maharana et al., ACL 2024, arXiv:2402.17753), a softmax over
a conversation's messages with an L2 penalty of 10. Weights learnt on four conversations and tried
on the fifth bring back 83.0 % of the evidence among ten messages, and 89.7 % among 25.
A signal's size decides its weight's: don't compare them.

The second set is learnt in the same way (`--embedder embedded`) where messages have vectors: 84.6 %
and 91.0 %. It holds for other models as well, because nearness is told in units of what is usual
for a model: with all-MiniLM-L6-v2 instead these same weights bring back 84.8 % and 91.1 %.
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

BY_GROUND_WITH_VECTORS: dict[str, dict[str, float]] = {
    "words": {
        "words": -1.16,
        "words_square": 0.69,
        "attained": -2.68,
        "covered": 2.84,
        "matched": 1.11,
        "rarest": 0.66,
        "family": 0.46,
    },
    "neighbours": {
        "previous_raw": 0.77,
        "kindred_nearby": 0.17,
        "previous": -1.07,
        "following": -0.83,
        "before_previous": 1.12,
        "window": 1.85,
        "after_a_question": 0.39,
    },
    "session": {
        "session": 0.91,
        "session_words": 2.47,
        "session_best": 1.04,
        "session_sum": -1.8,
        "early": 0.7,
        "list_session": -1.13,
        "when_session": 1.06,
        "judgement_session": -2.24,
    },
    "kindred words": {
        "kindred": 0.48,
        "kindred_rarest": 1.1,
        "kindred_and_words": -1.99,
    },
    "topic": {
        "topic": 1.47,
    },
    "speaker": {
        "speaker": 2.37,
    },
    "date": {
        "month": 4.19,
        "year": 0.79,
        "day": 4.8,
    },
    "form": {
        "long_square": -0.11,
        "asks": -0.94,
        "time": 0.3,
        "names": 1.28,
        "asked_title": 0.88,
        "when_time": 1.61,
        "when_first": 0.66,
        "when_long": -0.72,
        "when_asks": 0.77,
        "judgement_first": 1.04,
        "asked_duration": 1.18,
        "asked_place": 1.84,
        "asked_reason": 1.23,
        "asked_plan": 0.98,
    },
    "meaning": {
        "near": 0.08,
        "near_window": 0.48,
    },
}
