"""What can be done on the chat screen, an idea a module; the screen is all of them together."""
