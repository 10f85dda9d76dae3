"""Threads share arenas, where the C library is glibc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ARENAS = """
import ctypes, re, sys, tempfile, threading
from engine.arenas import share_arenas
if sys.argv[1] == "shared":
    share_arenas()
begun = threading.Barrier(9)
def work():
    kept = [bytes(2000) for _ in range(100)]  # larger than what Python itself manages
    begun.wait()
for _ in range(8):
    threading.Thread(target=work).start()
begun.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(len(re.findall("<heap nr=", open(file.name).read())))
"""


def arenas(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_threads_that_begin_later_share_arenas() -> None:
    assert arenas("shared") <= 2 < arenas("own")
