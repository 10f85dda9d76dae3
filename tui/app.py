"""The app: the engine behind a screen, from the first frame to the last write."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App

import assets
from engine.config import SettingsError
from engine.engine import Engine
from engine.events import Event, PluginsLoaded, SettingsChanged
from storage.errors import StorageError
from tui.attention import Attention
from tui.bindings import key_of, unknown
from tui.commands import Commands
from tui.giving_back import giving_back
from tui.letting_go import share_backgrounds
from tui.screens.chat import ChatScreen
from tui.telling import tell
from tui.themes import DEFAULT, THEMES, for_16_colours, own_themes, themes_of
from tui.transcript.pace import KeysTold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.screen import Screen
    from textual.theme import Theme

    from engine.config import Paths, Settings
    from engine.plugin_finder import Plugins

CANNOT_OPEN = 1
"""The exit code when the conversations can't be opened."""


START_SECONDS = 1.0
"""For so long no garbage is collected: what a start makes, stays, and looking for garbage in it
takes a tenth of the start."""


def run(settings: Settings, paths: Paths) -> int:
    """Show the app until the user quits. Returns the exit code.

    A signal that ends the program ends it in order, with the code 128 + its number.
    """
    gc.disable()
    try:
        return asyncio.run(_run(settings, paths))
    finally:
        gc.enable()


async def _run(settings: Settings, paths: Paths) -> int:
    try:
        engine = await Engine.open(settings, paths)
    except StorageError as error:
        sys.stderr.write(f"scrubjay: {error}\n")
        return CANNOT_OPEN
    asyncio.get_running_loop().call_later(START_SECONDS, _collect_garbage_again)
    try:
        app = ScrubjayApp(engine)
        async with giving_back(START_SECONDS):
            with _ending_signals(app):
                await app.run_async()
        return app.return_code or 0
    finally:
        await engine.close()


def _collect_garbage_again() -> None:
    gc.freeze()
    gc.enable()


class ScrubjayApp(KeysTold):
    """Scrubjay on the screen. The engine is opened and closed by whoever makes the app."""

    TITLE = "Scrubjay"
    CSS_PATH = Path(assets.__file__).with_name("scrubjay.tcss")
    COMMANDS: ClassVar = {Commands}
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        share_backgrounds()
        self.engine = engine
        own = own_themes(engine.paths.config_dir / "themes")
        for theme in (*THEMES, *own.themes):
            self.register_theme(theme)
        self._troubles = own.troubles
        self.set_keymap(engine.settings.keys)
        self._set_theme = wanted = engine.settings.ui.theme
        self._unknown_theme = "" if wanted in self.available_themes else wanted
        self._begin_with(DEFAULT if self._unknown_theme else wanted)

    def _begin_with(self, theme: str) -> None:
        """Have a theme before any style is read: changed later, all styles would be read again."""
        self.set_reactive(App.theme, theme)
        self.stylesheet.set_variables(self.get_css_variables())
        dark = self.current_theme.dark
        self.update_classes(
            {"-dark-mode": dark, "-light-mode": not dark, f"-theme-{theme}": True}, update=False
        )
        self._refresh_truecolor_filter(self.ansi_theme)

    def get_default_screen(self) -> Screen[None]:
        """The only screen that is not a dialog."""
        return ChatScreen(self.engine)

    def on_mount(self) -> None:
        """Say what could not be done as the settings want it."""
        if troubles := "\n".join(self._settings_troubles()):
            # The status line has its width with the first frame.
            self.screen.call_after_refresh(tell, self, troubles, "warning")
        if "devtools" in self.features:
            from tui.devtools import show_log

            show_log(self)
        self._attention = Attention(self, self._to_terminal)
        if self.console.color_system == "standard" and not self.is_headless:
            self.theme = for_16_colours(self.current_theme)
        self._shown_theme = self.theme
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self._unsubscribe = self.engine.events.subscribe(self._hear)

    def on_unmount(self) -> None:
        """Call nobody any more."""
        self._attention.end()
        self._unsubscribe()

    def _settings_troubles(self) -> Iterator[str]:
        yield from self._troubles
        keys = self.engine.settings.keys
        if keys and (names := unknown(keys)):
            yield f"[keys] in the settings: there is no {', '.join(names)}."

    def _take_themes(self, plugins: Plugins) -> None:
        """Have the themes of plugins, and show the one that the settings want, if it is theirs."""
        found = themes_of(plugins.themes)
        for theme in found.themes:
            self.register_theme(theme)
        for trouble in found.troubles:
            tell(self, trouble, "warning")
        if not self._unknown_theme:
            return
        if self._unknown_theme in self.available_themes:
            self._shown_theme = self.theme = self._unknown_theme
        else:
            wanted = self._unknown_theme
            menu = key_of("chat.command_palette")
            trouble = f"There is no theme {wanted!r}; {menu} shows those that there are."
            tell(self, trouble, "warning")

    def _hear(self, event: Event) -> None:
        if isinstance(event, PluginsLoaded):
            self._take_themes(event.plugins)
        if isinstance(event, SettingsChanged):
            wanted = event.settings.ui.theme
            if wanted != self._set_theme and wanted in self.available_themes:
                self._shown_theme = self.theme = wanted
            self._set_theme = wanted

    def _keep_theme(self, theme: Theme) -> None:
        """Let the next start have the theme that was chosen."""
        if theme.name != self._shown_theme:
            self._shown_theme = theme.name
            self.run_worker(self._write_theme(theme.name), group="theme", exclusive=True)

    async def _write_theme(self, name: str) -> None:
        if name == self.engine.settings.ui.theme:
            return
        try:
            await self.engine.set("ui", "theme", name)
        except SettingsError as error:
            tell(self, str(error), "warning")

    def action_command_palette(self) -> None:
        """Show the commands, unless a dialog is open: they are the chat screen's."""
        if isinstance(self.screen, ChatScreen):
            super().action_command_palette()

    def _to_terminal(self, sequence: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)


@contextmanager
def _ending_signals(app: ScrubjayApp) -> Iterator[None]:
    """Let signals that end the program end the app, so that everything is kept."""
    loop = asyncio.get_running_loop()
    numbers = [
        number
        for name in ("SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None)) is not None
    ]

    def end(number: int) -> None:
        app.exit(return_code=128 + number)

    if sys.platform == "win32":  # its loops can't handle signals
        yield
        return
    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
