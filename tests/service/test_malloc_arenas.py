from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_ARENAS = """
import ctypes, os, sys, threading
from service.malloc_arenas import share_one_arena
if {shared}:
    share_one_arena()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
together = threading.Barrier(4)
def allocate():
    together.wait()
    assert library.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library.fdopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, output)
library.fflush(output)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is not glibc")
def test_threads_share_an_arena() -> None:
    def arenas(shared: bool) -> int:
        command = [sys.executable, "-c", _ARENAS.format(shared=shared)]
        found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return found.count("<heap nr=")

    assert arenas(shared=True) == 1
    assert arenas(shared=False) > 1
