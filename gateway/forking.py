"""Processes that come from a fork server, without the main module of this one."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec


def fork_server(modules: Sequence[str] = ()) -> multiprocessing.context.ForkServerContext:
    """A fork server with the modules loaded (there is one a process, who asks first decides).

    Processes would run the main module once more, and with it import the whole gateway, unless it is called `__main__`
    of a package.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    main = sys.modules["__main__"]
    if main.__spec__ is None or not main.__spec__.name.endswith("__main__"):
        main.__spec__ = ModuleSpec("gateway.__main__", None)
    return context
