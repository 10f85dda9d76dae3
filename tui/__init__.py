"""What a person sees and presses: the Textual app and the command line."""
