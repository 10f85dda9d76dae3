"""The prompts that ship with the program, read from `assets/prompts`."""

from __future__ import annotations

from functools import cache


@cache
def prompt(name: str) -> str:
    """The text of one prompt, without the space around it."""
    from importlib.resources import files  # late: a start needs no prompt

    return files("assets").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()
