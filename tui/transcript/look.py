"""How the transcript looks: its style sheet, by which every theme can change it, and its glyphs."""

from __future__ import annotations

import re

PREFIX = "transcript--"

ACTION = "action:"
"""A link that begins so is something for the transcript to do, not an address."""

TOGGLE_THINKING = f"{ACTION}thinking"
TOGGLE_FOLD = f"{ACTION}fold"
RETRY = f"{ACTION}retry"
END = f"{ACTION}end"
CITE = f"{ACTION}cite:"
"""Before the number of an article."""

STYLE_SHEET = """
Transcript {
    background: $background;
    color: $foreground;
    overflow-x: hidden;
    overflow-y: scroll;
    scrollbar-size-vertical: 1;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
    scrollbar-color: $panel;
    .transcript--bar-user { color: $accent; }
    .transcript--bar-assistant { color: $primary-muted; }
    .transcript--bar-other { color: $panel; }
    .transcript--bar-failed { color: $error; }
    .transcript--bar-current { color: $primary; text-style: bold; }
    .transcript--name-user { color: $text-accent; text-style: bold; }
    .transcript--name-assistant { color: $text-primary; text-style: bold; }
    .transcript--name-other { color: $text-muted; text-style: bold; }
    .transcript--meta { color: $text-muted; }
    .transcript--pinned { color: $text-warning; }
    .transcript--heading1 { color: $text-primary; text-style: bold underline; }
    .transcript--heading2 { color: $text-primary; text-style: bold; }
    .transcript--heading3 { color: $text-secondary; text-style: bold; }
    .transcript--heading4 { text-style: bold; }
    .transcript--strong { text-style: bold; }
    .transcript--em { text-style: italic; }
    .transcript--strike { text-style: strike; }
    .transcript--code { color: $text-warning; background: $surface; }
    .transcript--code-block { background: $surface; }
    .transcript--code-label { color: $text-muted; }
    .transcript--link { color: $text-primary; text-style: underline; }
    .transcript--quote { color: $text-muted; text-style: italic; }
    .transcript--quote-bar { color: $primary-muted; }
    .transcript--rule { color: $foreground 30%; }
    .transcript--bullet { color: $text-primary; }
    .transcript--task-done { color: $text-success; }
    .transcript--table-head { text-style: bold; }
    .transcript--table-rule { color: $foreground 30%; }
    .transcript--thinking { color: $text-muted; text-style: italic; }
    .transcript--error { color: $text-error; text-style: bold; }
    .transcript--status { color: $text-muted; }
    .transcript--match { background: $warning-muted; color: $text-warning; }
    .transcript--match-current { background: $warning; color: $background; }
    .transcript--new { background: $primary; color: $background; text-style: bold; }
    .transcript--tok-keyword { color: $text-accent; }
    .transcript--tok-builtin { color: $text-secondary; }
    .transcript--tok-type { color: $text-primary; }
    .transcript--tok-function { color: $text-primary; }
    .transcript--tok-string { color: $text-success; }
    .transcript--tok-number { color: $text-warning; }
    .transcript--tok-comment { color: $text-muted; text-style: italic; }
    .transcript--tok-deleted { color: $text-error; }
    .transcript--tok-inserted { color: $text-success; }
}
"""

STYLES = frozenset(re.findall(rf"\.{PREFIX}([\w-]+)", STYLE_SHEET))
"""The names of the styles, as the style sheet has them behind the prefix."""
