"""Themes: contrast that can be read, the user's own, 16 colours, and none."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.color import Color
from textual.selection import SELECT_ALL

from storage.records import Role
from tests.homes import environment
from tests.terminal.app import ROOT
from tests.terminal.screen import Terminal
from tests.tui.chatting import chatting, settings
from tests.tui.transcript.conversations import TranscriptApp, message, settled
from tui.themes import CONTRAST_DARK, CONTRAST_LIGHT, THEMES, own_themes

if TYPE_CHECKING:
    from pathlib import Path

    from textual.theme import Theme

SGR = re.compile(rb"\x1b\[([\d;]*)m")

OWN = """\
primary = "#ff8800"
background = "#101010"
dark = true

[variables]
border = "#ff8800 50%"
block-cursor-text-style = "bold"
"""


def variables(theme: Theme) -> dict[str, str]:
    return {**theme.to_color_system().generate(), **theme.variables}


def luminance(colour: Color) -> float:
    """As WCAG 2.2 defines it."""
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [CONTRAST_DARK, CONTRAST_LIGHT], ids=lambda theme: theme.name)
def test_text_of_high_contrast_is_readable_as_wcag_aaa_wants_it(theme: Theme) -> None:
    given = variables(theme)
    grounds = [Color.parse(given[name]) for name in ("background", "surface", "panel")]
    texts = [
        name
        for name in given
        if name in ("foreground", "primary", "accent", "warning", "error", "success")
        or (name.startswith("text") and "style" not in name)
    ]
    assert len(texts) > 10
    for name in texts:
        for ground in grounds:
            assert contrast(Color.parse(given[name]), ground) >= 7, name
    for pair in ("block-cursor", "block-cursor-blurred", "input-selection"):
        front, back = (
            Color.parse(given[f"{pair}-{part}"]) for part in ("foreground", "background")
        )
        assert contrast(front, back) >= 7, pair


@pytest.mark.parametrize("theme", [CONTRAST_DARK, CONTRAST_LIGHT], ids=lambda theme: theme.name)
def test_high_contrast_has_the_very_colours_of_a_terminal_with_16(theme: Theme) -> None:
    for name in ("primary", "foreground", "background", "warning"):
        wanted = RichColor.parse(getattr(theme, name))
        shown = wanted.downgrade(ColorSystem.STANDARD).get_truecolor()
        assert shown == wanted.get_truecolor(), name


@pytest.mark.parametrize("theme", [*(theme.name for theme in THEMES), "textual-dark"])
async def test_selected_text_can_be_read(theme: str) -> None:
    app = TranscriptApp([message(0, Role.ASSISTANT, "plain `code` **bold** [link](https://a.b)")])
    for own in THEMES:
        app.register_theme(own)
    app.theme = theme
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        app.screen.selections = {app.transcript: SELECT_ALL}
        await settled(pilot)
        ground = app.screen.get_component_rich_style("screen--selection").bgcolor
        assert ground
        selected = [
            (text, style.color)
            for text, style, _ in app.transcript.render_line(1)
            if style and style.color and style.bgcolor == ground
        ]
        assert "".join(text for text, _ in selected) == "plain code bold link"
        for text, colour in selected:
            front, back = (Color.from_rich_color(one) for one in (colour, ground))
            assert contrast(front, back) >= 3, text


@pytest.mark.parametrize("theme", [CONTRAST_DARK, CONTRAST_LIGHT], ids=lambda theme: theme.name)
async def test_bars_of_high_contrast_are_seen(theme: Theme, tmp_path: Path) -> None:
    async with chatting(tmp_path, chosen=settings(theme.name)) as chat:
        await chat.ready()
        for bar in ("bar-user", "bar-assistant", "bar-other", "bar-failed", "quote-bar"):
            style = chat.transcript.get_component_rich_style(f"transcript--{bar}")
            front, back = map(Color.from_rich_color, (style.color, style.bgcolor))
            assert contrast(front, back) >= 7, bar


async def test_a_theme_of_one_s_own_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "themes"
    folder.mkdir()
    (folder / "amber.toml").write_text(OWN)
    [theme], troubles = own_themes(folder)
    assert (theme.name, theme.primary, troubles) == ("amber", "#ff8800", [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('primary = "#f80"\nsurfce = "#111"\n', "surfce is no field of a theme"),
        ('primary = "reddish"\n', "primary can't be 'reddish'; it must be a colour"),
        ('primary = "#f80"\ndark = "yes"\n', "dark must be true or false"),
        ('primary = "#f80"\nluminosity_spread = 5\n', "luminosity_spread must be a number from 0"),
        ('primary = "#f80"\nvariables = 1\n', "variables must be a section"),
        ('primary = "#f80"\n[variables]\nborder = "no; x"\n', "variables.border can't be 'no; x'"),
        ('primary = "#f80"\n[variables]\nborder = 3\n', "variables.border can't be 3"),
        ('name = "x"\n', "there is no primary"),
        ("primary = \n", "line 1"),
    ],
)
async def test_a_theme_that_can_t_be_used_is_told_with_file_and_key(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    themes, [trouble] = own_themes(tmp_path)
    assert themes == []
    assert trouble.startswith(str(tmp_path / "bad.toml"))
    assert says in trouble


async def test_themes_beside_the_settings_are_used_and_bad_ones_told(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        folder = chat.engine.paths.config_dir / "themes"
    folder.mkdir(parents=True)
    (folder / "amber.toml").write_text(OWN)
    (folder / "bad.toml").write_text('primary = "reddish"\n')
    async with chatting(tmp_path, chosen=settings("amber"), size=(160, 40)) as chat:
        assert chat.app.theme == "amber"
        await chat.until_shown("'reddish'")


def colours(home: Path, **variables: str) -> set[bytes]:
    """What the app asks a terminal for as long as it starts, help and all."""
    env = environment(home, **variables)
    command = [sys.executable, "-m", "tests.terminal.scripted_app", str(home), "[]"]
    with Terminal(command, env=env, cwd=ROOT, columns=80, lines=24) as terminal:
        terminal.wait_for("Ask anything")
        terminal.wait_for("answers")
        terminal.keys("\x1bOP")
        terminal.wait_for("Search for a key")
        return set(SGR.findall(bytes(terminal.everything)))


def test_the_linux_console_gets_its_16_colours_and_no_other(tmp_path: Path) -> None:
    sent = colours(tmp_path, TERM="linux")
    assert any(b"96" in sequence.split(b";") for sequence in sent)  # high contrast has that cyan
    for sequence in sent:
        for number in sequence.split(b";"):
            code = int(number or 0)
            assert code < 38 or 39 <= code < 48 or code == 49 or 90 <= code <= 107, sequence


def test_with_no_color_there_is_no_colour_but_grey(tmp_path: Path) -> None:
    sent = colours(tmp_path, TERM="xterm-256color", COLORTERM="truecolor", NO_COLOR="1")
    for sequence in sent:
        for numbers in re.findall(rb"[34]8;2;(\d+;\d+;\d+)", sequence):
            assert len(set(numbers.split(b";"))) == 1, sequence
        for number in re.findall(rb"[34]8;5;(\d+)", sequence):
            assert int(number) in {0, 7, 8, 15, 16, 59, 102, 145, 188, 231, *range(232, 256)}


def test_every_built_in_theme_has_a_name_of_its_own() -> None:
    assert len({theme.name for theme in THEMES}) == len(THEMES)
