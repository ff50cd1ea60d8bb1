"""Less work for the garbage collector, which Streamlit calls after every run of a page."""

from __future__ import annotations

import gc
import sys

_modules = 0


def leave_out_modules() -> None:
    """Have the collector pass over what is there for good, each time that more was imported.

    It looked at every object of every library otherwise, for a tenth of a second, while all sessions wait.
    """
    global _modules
    if len(sys.modules) != _modules:
        _modules = len(sys.modules)
        gc.collect()
        gc.freeze()
