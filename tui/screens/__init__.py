"""Dialogs and the chat screen."""
