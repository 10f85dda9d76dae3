"""Scrubjay's own themes, after the bird: blue above, sand and grey below."""

from __future__ import annotations

from textual.theme import Theme

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

DEFAULT = DARK.name
THEMES = (DARK, LIGHT)
