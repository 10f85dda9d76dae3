"""Names for key bindings, by which the settings can give them other keys."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from textual._context import active_app
from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYS: dict[str, str] = {}
"""The keys behind each name, parted by commas, as the modules have them that are imported."""

MODULES = (
    "tui.screens.chat",
    "tui.transcript",
    "tui.widgets.find_bar",
    "tui.widgets.inspector",
    "tui.widgets.session_list",
)
"""Those that name bindings; some are imported late."""


def named(section: str, bindings: Iterable[BindingType]) -> list[BindingType]:
    """The bindings, each that is described with the name `section.action` as its id.

    An action's argument stands in place of the action's own name: `ask('edit')` of the transcript
    is `transcript.edit`.
    """
    made: list[BindingType] = []
    for binding in Binding.make_bindings(bindings):
        if not binding.description or binding.id:
            made.append(binding)
            continue
        words = [word for word in re.findall(r"\w+", binding.action) if not word.isdigit()]
        name = f"{section}.{words[-1].lower()}"
        if "-1" in binding.action:
            name += "_back"
        KEYS.setdefault(name, binding.key)
        made.append(replace(binding, id=name))
    return made


def keys_of(binding: Binding, keymap: Mapping[str, str]) -> list[str]:
    """The keys of a binding: its own, unless the settings give it others."""
    return keymap.get(binding.id or "", binding.key).split(",")


def key_of(name: str) -> str:
    """The key of that name in the app that runs, for sentences that tell what to press."""
    app = active_app.get(None)
    keymap = {} if app is None else app._keymap
    return keymap.get(name, KEYS[name]).partition(",")[0]


def unknown(keymap: Mapping[str, str]) -> list[str]:
    """The names in a keymap that are no binding's. Imports every widget that has some."""
    for module in MODULES:
        import_module(module)
    return sorted(set(keymap) - KEYS.keys())
