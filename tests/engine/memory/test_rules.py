"""Rules: what plain statements in the first person say, and all that they say nothing of."""

from __future__ import annotations

import pytest

from engine.memory.rules import may_tell, statements


def said(text: str, *, explicit: bool = False) -> list[tuple[str, str]]:
    return [(one.subject, one.text) for one in statements(text, explicit=explicit)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Ana.", [("name", "The user's name is Ana.")]),
        ("hi, my name's ana", [("name", "The user's name is ana.")]),
        (
            "Hello! My name is Ana Quispe and I live in Arequipa.",
            [("name", "The user's name is Ana Quispe."), ("home", "The user lives in Arequipa.")],
        ),
        ("Call me Al.", [("nickname", "The user wants to be called Al.")]),
        ("We moved to Cusco last year.", [("home", "The user lives in Cusco.")]),
        (
            "I live in a village near Cusco with two cats",
            [("home", "The user lives in a village near Cusco.")],
        ),
        ("I'm originally from Peru.", [("origin", "The user comes from Peru.")]),
        ("I work as a data engineer.", [("job", "The user works as a data engineer.")]),
        ("I am a nurse.", [("job", "The user works as a nurse.")]),
        (
            "Actually my favorite tea is now oolong.",
            [("favourite tea", "The user's favourite tea is oolong.")],
        ),
        (
            "My favourite colour is blue, and my favourite food is ceviche!",
            [
                ("favourite colour", "The user's favourite colour is blue."),
                ("favourite food", "The user's favourite food is ceviche."),
            ],
        ),
        ("I'm severely allergic to peanuts.", [("allergy", "The user is allergic to peanuts.")]),
        ("I'm now vegetarian.", [("diet", "The user is vegetarian.")]),
        ("I'm 34 years old", [("age", "The user is 34 years old.")]),
        ("My dog is called Rex.", [("dog", "The user's dog is called Rex.")]),
        ("My bike is a green Peugeot.", [("bike", "The user's bike is a green Peugeot.")]),
        ("My time zone is now UTC+1.", [("time zone", "The user's time zone is UTC+1.")]),
    ],
)
def test_what_a_person_states_about_themselves_is_read(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Lima?",
        "Is my name Ana?",
        "If I live in Lima, which adapter do I need?",
        "Suppose my name is Bob. Who am I?",
        "Pretend we are in a play. My name is Jack. I live in London.",
        "Translate into French: my name is Jack.",
        "Translate this.\nI live in London.",
        'He wrote "my name is Bob" on it.',
        "“I live in Paris”",
        "> I live in Paris",
        "```\nmy name is Bob\n```",
        "What does `my name is Bob` mean?",
        "Write a story. I work as a spy.",
        "In my novel I live in Rome.",
        "The song goes: my name is Luka.",
        "She said my name is hard to spell.",
        "Maybe I live in a dream.",
        "I live in fear.",
        "I moved to tears.",
        "My name is not important.",
        "Call me tomorrow.",
        "My bike is broken.",
        "I am a believer.",
        "I'm tired and I'm hungry.",
        "I would move to Peru if I work as a guide.",
        "forget that my name is Ana",
        "<document>My name is Bob.</document>",
        "My name is Bob. " + "And so the letter went on for ages. " * 40,
        "Keep in mind that the answer has to be valid JSON.",
        "Do you remember that I live in Lima?",
        "Remember when we were in Lima?",
    ],
)
def test_what_is_asked_imagined_quoted_or_pasted_gives_nothing(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Please remember that the spare key is under the mat.",
            [("", "The spare key is under the mat.")],
        ),
        ("Remember: I live in Lima.", [("home", "The user lives in Lima.")]),
        ("Can you remember that my dog is called Rex?", [("dog", "The user's dog is called Rex.")]),
        (
            "Don't forget that my sister visits on Friday",
            [("", "The user asked to remember: my sister visits on Friday.")],
        ),
        ("I live in Lima.", []),
        ("My name is Ana. What is yours?", []),
    ],
)
def test_what_is_asked_to_be_remembered_is_read_alone(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(text, explicit=True) == expected


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("I no longer drink coffee.", "coffee"),
        ("I don't eat meat anymore.", "meat"),
        ("I stopped smoking.", "smoking"),
        ("I'm no longer allergic to peanuts.", "peanuts"),
        ("I am not allergic to peanuts any more.", "peanuts"),
        ("I'm not a vegetarian anymore.", "vegetarian"),
        ("My favorite colour is no longer green.", "favourite colour green"),
        ("My job isn't teaching any more.", "job teaching"),
    ],
)
def test_what_holds_no_more_is_read(text: str, over: str) -> None:
    [statement] = statements(text)
    assert statement.ends == over


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "My favourite colour is no longer green, it is blue.",
            [("favourite colour", "The user's favourite colour is blue.")],
        ),
        (
            "My car isn't a Volvo anymore, it's a Saab.",
            [("car", "The user's car is a Saab.")],
        ),
        ("My shoe size is not 43 but 44.", [("shoe size", "The user's shoe size is 44.")]),
        ("My name isn't Vera, it's Wera.", [("name", "The user's name is Wera.")]),
        ("My favourite band is not only Abba but also Queen.", []),
        ("I'm not sure anymore.", []),
        ("My phone isn't working anymore.", []),
        ("My car is not fast, it's slow.", []),
    ],
)
def test_a_correction_says_what_holds_instead(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_there_is_one_name_and_one_home_but_many_allergies() -> None:
    single = {one.subject: one.single for one in statements("My name is Ana and I live in Lima.")}
    assert single == {"name": True, "home": True}
    assert [one.single for one in statements("I'm allergic to nuts.")] == [False]
    assert [one.single for one in statements("My favourite tea is oolong.")] == [True]


def test_a_model_is_asked_where_somebody_may_tell_of_themselves() -> None:
    assert may_tell("I grew up by the sea.")
    assert may_tell("Vivo en Arequipa con dos gatos")
    assert not may_tell("What is the capital of Peru?")
    assert not may_tell("Read a")
