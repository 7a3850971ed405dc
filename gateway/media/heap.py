"""The C library's memory: large blocks go back to the system when they are freed.

glibc stops doing so for sizes it has seen freed before, up to 32 MB, and what is left are holes: with pictures of 5 MB
a decoder kept 20 MB of those (measured 2026-11). For decoders only: fresh memory costs time, and in the process with
the event loop that is a stall of 10 ms a picture.
"""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 1 << 20  # bytes


def return_large_blocks() -> None:
    """From now on, in this process. Another C library than glibc is left as it is."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_THRESHOLD, _LARGE)
