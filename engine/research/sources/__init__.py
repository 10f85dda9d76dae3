"""Where research looks: one file a source, behind `engine.research.sources.base.Source`."""

NAMES = (
    "wikipedia",
    "hacker news",
    "arxiv",
    "stack exchange",
    "feeds",
    "pages",
    "files",
    "conversations",
    "kept",
)
"""Those that come with the program, in the order in which they are asked."""
