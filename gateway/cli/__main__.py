"""Where `modgate` and `python -m gateway.cli` begin.

The commands are loaded without the garbage collector: it would walk again and again through what stays for good, for a
quarter of all that loading costs (measured 2026-11).
"""

from __future__ import annotations

import gc
from importlib import import_module


def main() -> None:
    """Load the commands, then run the one that was asked for."""
    gc.disable()
    commands = import_module("gateway.cli.main")
    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
