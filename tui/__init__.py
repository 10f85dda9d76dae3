"""What a person sees and presses: the Textual app and the command line."""

import os

# A key that is pressed just after a frame, as many are while an answer streams, waits for the next
# one. Textual reads this when it is imported; what streams is drawn no more often for it.
os.environ.setdefault("TEXTUAL_FPS", "120")
