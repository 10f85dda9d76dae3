"""Gives the documentation's site the pages that lie at the top of the tree, for `mkdocs.yml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
DIAGRAM = "![Three packages, and what goes between them](pictures/architecture.svg)\n"
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)]+)\)")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add them, with links that hold on the site."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = LINK.sub(lambda found: f"]({_target(found[1], config.repo_url or '')})", text)
        if page == "architecture.md":
            title, newline, rest = text.partition("\n")
            text = f"{title}{newline}\n{DIAGRAM}{rest}"
        files.append(File.generated(config, page, content=text))
    return files


def _target(link: str, repository: str) -> str:
    if link in PAGES:
        return PAGES[link]
    if link.startswith("docs/"):
        return link.removeprefix("docs/")
    return f"{repository}/blob/main/{link}"
