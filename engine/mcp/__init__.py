"""The Model Context Protocol, both ways: tools of other programs, and what these may ask here.

`servers.py` is all that a start imports; the SDK comes with the first connection.
"""
