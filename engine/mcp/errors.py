"""What can be wrong with a server, in words."""

from __future__ import annotations


class ServerError(Exception):
    """A server can't do it. The message completes a sentence that begins with its name.

    Attributes:
        lost: Whether the connection is of no use any more.
    """

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


def reason(error: BaseException) -> str:
    """What went wrong, as the rest of a sentence that begins with the server."""
    if isinstance(error, BaseExceptionGroup):
        return reason(error.exceptions[0])
    text = str(error)[:500].rstrip(". ")
    match type(error).__name__:
        case "ServerError":
            return text
        case "MCPError":
            return "is not there any more" if text == "Connection closed" else f"says: {text}"
        case "ValidationError":
            return "answers, but not as the protocol has it"
        case "OAuthFlowError" | "OAuthTokenError" | "OAuthRegistrationError":
            return f"grants nothing ({text})"
        case "TimeoutError":
            return "does not answer"
        case name:
            return f"can't be reached ({text or name})"
