"""The reference is what the code says now."""

from __future__ import annotations

import inspect

from tests.tools.reference import FOLDER, PYTHON, pages


def test_what_is_kept_is_what_would_be_written() -> None:
    kept = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
    assert kept == pages(), "`make reference` writes it anew"


def test_every_public_thing_has_its_words() -> None:
    for _, _, things in PYTHON:
        for thing in things:
            assert isinstance(thing, int) or inspect.getdoc(thing), thing
