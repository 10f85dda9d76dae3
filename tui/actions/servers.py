"""What servers of tools bring to the chat: a screen of them, and their prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mcp.errors import ServerError
from engine.mcp.texts import prompt_text
from tui.actions.base import ChatBase
from tui.telling import tell

if TYPE_CHECKING:
    from engine.mcp.texts import Wanted


class ServerActions(ChatBase):
    """The servers, and what they write for the composer."""

    def action_servers(self) -> None:
        """Show the servers of tools, how they are, and what they offer."""
        from tui.screens.servers import ServersScreen

        self.app.push_screen(ServersScreen(self._engine))

    async def _put_prompt(self, wanted: Wanted) -> None:
        """Put a server's prompt before the user, who sends it or does not: it is not their text."""
        composer = self.conversation.composer
        try:
            composer.give_back(await prompt_text(wanted))
        except ServerError as error:
            composer.give_back(f"/{wanted.server.name}:{wanted.prompt} {wanted.written}".rstrip())
            tell(self, f"The server {wanted.server.name} {error}.", "warning")
