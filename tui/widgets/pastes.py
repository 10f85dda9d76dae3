"""Large pastes: a label stands for each while a message is being written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LINES, CHARACTERS = 12, 1_500
"""A paste with more lines or more characters is shown as a label."""

LABEL = re.compile(r"\[Pasted [\d,]+ (?:lines|characters) #\d+\]")


class Pastes:
    """The pastes of one message, by their labels."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    @property
    def texts(self) -> dict[str, str]:
        """A copy of what each label stands for."""
        return dict(self._texts)

    def restore(self, texts: Mapping[str, str]) -> None:
        """Take these pastes for those that there are."""
        self._texts = dict(texts)

    def shortened(self, text: str) -> str:
        """The label that stands for a text from now on; the text itself when it is not large."""
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines <= LINES and len(text) <= CHARACTERS:
            return text
        size = f"{lines:,} lines" if lines > LINES else f"{len(text):,} characters"
        number = 1
        while (label := f"[Pasted {size} #{number}]") in self._texts:
            number += 1
        self._texts[label] = text
        return label

    def whole(self, text: str) -> str:
        """A text with each label's paste in its place."""
        return LABEL.sub(lambda match: self._texts.get(match[0], match[0]), text)

    def used_in(self, text: str) -> dict[str, str]:
        """Those whose labels are in a text."""
        labels = set(LABEL.findall(text))
        return {label: paste for label, paste in self._texts.items() if label in labels}

    def at(self, line: str, column: int) -> tuple[int, int] | None:
        """Where on a line the label is that the cursor stands in or behind."""
        for match in LABEL.finditer(line):
            if match.start() < column <= match.end() and match[0] in self._texts:
                return match.span()
        return None
