"""Threads share arenas, and large pieces lie in none, where the C library is glibc."""

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


LARGE = """
import ctypes, sys
from engine.arenas import share_arenas
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
class Figures(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]
libc.mallinfo2.restype = Figures
if sys.argv[1] == "shared":
    share_arenas()
libc.free(libc.malloc(20_000_000))  # after this glibc's own threshold is as high
before = libc.mallinfo2().e  # bytes outside of arenas
libc.malloc(1_000_000)
print(libc.mallinfo2().e - before)
"""


def run(script: str, how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", script, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_threads_that_begin_later_share_arenas() -> None:
    assert run(ARENAS, "shared") <= 2 < run(ARENAS, "own")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_a_large_piece_lies_in_no_arena() -> None:
    assert run(LARGE, "own") == 0
    assert run(LARGE, "shared") >= 1_000_000
