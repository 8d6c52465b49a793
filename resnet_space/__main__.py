"""The process of a command: `resnet-space`, or `python -m resnet_space` where that is not on the path."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
from typing import NoReturn

from resnet_space import names
from resnet_space.errors import plain

SELDOM = 50_000
"""Objects made between two looks for garbage. Imports make a million of them and next to no garbage: by Python's own
number, the looks take a fourth of the time that a study takes to begin."""


def process() -> NoReturn:
    """Run the command line, and end at once with its status."""
    gc.set_threshold(SELDOM)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A sign that the terminal cannot show, or bytes of a file's name that are no text, is written out.
            stream.reconfigure(errors="backslashreplace")
    names.own_first()
    if found := names.stranger():
        print(f"error: {plain(found)}", file=sys.stderr)
        leave(2)
    status = 0
    try:
        # Not before: it brings in packages by their names.
        from resnet_space.cli import main

        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        status = end.code or 0
    leave(status)


def leave(status: int) -> NoReturn:
    """End without taking apart, module by module, what torch and Ray have made: that takes seconds, and frees nothing
    that the process's end does not."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # What was printed did not arrive: Python itself says it so.
        status = 120
    os._exit(status)


if __name__ == "__main__":
    process()
