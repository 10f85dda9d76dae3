"""The view of a conversation, drawn line by line: ten thousand messages cost what ten do."""

from tui.transcript.view import Transcript

__all__ = ["Transcript"]
