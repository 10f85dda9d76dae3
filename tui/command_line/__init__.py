"""The commands that work without the screen, a module each, and how they speak."""
