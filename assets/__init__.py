"""Files that ship with the program: style sheets, prompts, icon and pictures."""
