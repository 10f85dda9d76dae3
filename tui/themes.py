"""Scrubjay's own themes, after the bird: blue above, sand and grey below; and the user's own.

The two of high contrast are made of the colours that a terminal with 16 of them has, so they are
also what such a terminal shows.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DARK = Theme(
    name="scrubjay-dark",
    primary="#6aa5ee",
    secondary="#8aa2c0",
    accent="#e0a872",
    foreground="#dbe1ea",
    background="#11151c",
    surface="#191f29",
    panel="#252d3a",
    success="#7fc08a",
    warning="#e3c07b",
    error="#e27d7d",
    dark=True,
    variables={
        "border": "#6aa5ee",
        "border-blurred": "#303a4a",
        "footer-background": "#11151c",
        "footer-key-foreground": "#6aa5ee",
        "footer-description-foreground": "#8592a6",
        "input-selection-background": "#6aa5ee 35%",
        "screen-selection-background": "#6aa5ee 35%",
        "block-cursor-background": "#2b4a74",
        "block-cursor-foreground": "#eef3fa",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#252d3a",
        "scrollbar": "#303a4a",
        "scrollbar-hover": "#45536a",
        "scrollbar-active": "#6aa5ee",
        "scrollbar-background": "#11151c",
        "scrollbar-background-hover": "#11151c",
        "scrollbar-background-active": "#11151c",
    },
)

LIGHT = Theme(
    name="scrubjay-light",
    primary="#1f5fae",
    secondary="#52687f",
    accent="#9a5b1d",
    foreground="#1d2530",
    background="#fbfaf7",
    surface="#f1efe9",
    panel="#e2dfd6",
    success="#2d7a3d",
    warning="#8f6200",
    error="#b3363a",
    dark=False,
    variables={
        "border": "#1f5fae",
        "border-blurred": "#cfcbc0",
        "footer-background": "#fbfaf7",
        "footer-key-foreground": "#1f5fae",
        "footer-description-foreground": "#66707c",
        "input-selection-background": "#1f5fae 25%",
        "screen-selection-background": "#1f5fae 25%",
        "block-cursor-background": "#cfe0f5",
        "block-cursor-foreground": "#122a4a",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e2dfd6",
        "scrollbar": "#cfcbc0",
        "scrollbar-hover": "#b5b0a3",
        "scrollbar-active": "#1f5fae",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)


def _contrast(name: str, *, dark: bool, strong: str, weak: str) -> Theme:
    """Text in two colours only, and the rest told by brightness, weight and frames."""
    front, back = ("#ffffff", "#000000") if dark else ("#000000", "#ffffff")
    texts = ("primary", "secondary", "accent", "success", "warning", "error")
    return Theme(
        name=name,
        primary=strong,
        secondary=front,
        accent=strong,
        foreground=front,
        background=back,
        surface=back,
        panel=back,
        success=front,
        warning=weak,
        error=weak,
        dark=dark,
        variables={
            **{f"text-{text}": strong for text in texts},
            "text": front,
            "text-muted": front,
            "text-disabled": front,
            "text-warning": weak,
            "text-error": weak,
            "foreground-muted": front,
            "primary-muted": back,
            "border": strong,
            "border-blurred": front,
            "footer-background": back,
            "footer-key-foreground": strong,
            "footer-description-foreground": front,
            "input-selection-background": strong,
            "input-selection-foreground": back,
            "screen-selection-background": strong,
            "screen-selection-foreground": back,
            "block-cursor-background": front,
            "block-cursor-foreground": back,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": back,
            "block-cursor-blurred-foreground": strong,
            "block-cursor-blurred-text-style": "underline",
            "block-hover-background": back,
            "scrollbar": front,
            "scrollbar-hover": strong,
            "scrollbar-active": strong,
            "scrollbar-background": back,
            "scrollbar-background-hover": back,
            "scrollbar-background-active": back,
        },
    )


CONTRAST_DARK = _contrast("scrubjay-contrast-dark", dark=True, strong="#00ffff", weak="#ffff00")
CONTRAST_LIGHT = _contrast("scrubjay-contrast-light", dark=False, strong="#000080", weak="#800000")

DEFAULT = DARK.name
THEMES = (DARK, LIGHT, CONTRAST_DARK, CONTRAST_LIGHT)

STYLES = {"none", "bold", "dim", "italic", "underline", "strike", "reverse"}


class OwnThemes(NamedTuple):
    """What a folder of themes holds, and what is wrong with those that can't be used."""

    themes: list[Theme]
    troubles: list[str]


def own_themes(folder: Path) -> OwnThemes:
    """The themes that the user wrote: TOML files with the fields of `textual.theme.Theme`.

    A theme is named after its file if it has no `name`.
    """
    found = OwnThemes([], [])
    if not (files := sorted(folder.glob("*.toml"))):
        return found
    import tomllib  # late: most have no themes of their own

    for file in files:
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            found.troubles.append(f"{file}: {error}")
            continue
        wrong = list(_wrong(given))
        if wrong:
            found.troubles.append(f"{file}: {wrong[0]}")
        else:
            found.themes.append(Theme(**{"name": file.stem, **given}))
    return found


def themes_of(given: Mapping[str, Mapping[str, Any]]) -> OwnThemes:
    """The themes that plugins bring, by their names, as far as they can be used."""
    found = OwnThemes([], [])
    there = {theme.name for theme in THEMES} | set(BUILTIN_THEMES)
    for name, look in given.items():
        wrong = [*(["there is one already."] if name in there else []), *_wrong(dict(look))]
        if wrong:
            found.troubles.append(f"The theme {name} of a plugin: {wrong[0]}")
        else:
            found.themes.append(Theme(**{**look, "name": name}))
    return found


def for_16_colours(theme: Theme) -> str:
    """The theme to show in place of this one where there are but 16 colours."""
    if theme.ansi or theme in (CONTRAST_DARK, CONTRAST_LIGHT):
        return theme.name
    return (CONTRAST_DARK if theme.dark else CONTRAST_LIGHT).name


def _wrong(given: dict[str, Any]) -> Iterator[str]:
    """What a theme can't be made from. Textual would end over it."""
    known = {field.name: str(field.type) for field in fields(Theme)}
    if "primary" not in given:
        yield "there is no primary, the one colour that a theme must have."
    for key, value in given.items():
        kind = known.get(key)
        if kind is None:
            yield f"{key} is no field of a theme; there are {', '.join(known)}."
        elif kind == "bool":
            if not isinstance(value, bool):
                yield f"{key} must be true or false."
        elif kind == "float":
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                yield f"{key} must be a number from 0 to 1."
        elif key == "variables":
            if not isinstance(value, dict):
                yield "variables must be a section."
                continue
            for name, part in value.items():
                if not _is_value(name, part):
                    yield f"variables.{name} can't be {part!r}."
        elif not isinstance(value, str) or (key != "name" and not _is_colour(value)):
            yield f'{key} can\'t be {value!r}; it must be a colour, such as "#6aa5ee".'


def _is_value(name: str, value: object) -> bool:
    if not isinstance(value, str) or not value.strip():
        return False
    if name.endswith("style"):
        return set(value.split()) <= STYLES
    colour, *share = value.split()
    return _is_colour(colour) and all(part[:-1].isdecimal() and part[-1] == "%" for part in share)


def _is_colour(value: str) -> bool:
    try:
        Color.parse(value)
    except ColorParseError:
        return False
    return True
