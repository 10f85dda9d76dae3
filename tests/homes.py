"""Empty homes: what a program sees on a machine where nothing of Scrubjay has ever been."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PASSED_ON = ("PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""How this machine reaches its package index."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

NO_SERVER = "127.0.0.1:1"
"""An address at which no Ollama answers."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a fresh login in `home`, which is made.

    Of the machine it has the system's programs, and the way to its package index; and of course no
    Ollama server, unless `more` names one in OLLAMA_HOST.
    """
    home.mkdir(parents=True, exist_ok=True)
    for file in (Path(".config/pip/pip.conf"), Path(".pip/pip.conf")):
        if (Path.home() / file).is_file():
            (home / file.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(Path.home() / file, home / file)
    index = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) or name.lower() in PROXIES
    }
    return {
        "HOME": str(home),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "OLLAMA_HOST": NO_SERVER,
        **index,
        **more,
    }
