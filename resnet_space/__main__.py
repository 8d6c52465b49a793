"""The process of a command: `resnet-space`, or `python -m resnet_space` where that is not on the path."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from resnet_space import killed, names
from resnet_space.errors import plain

SELDOM = 50_000
"""Objects made between two looks for garbage. Imports make a million of them and next to no garbage: by Python's own
number, the looks take a fourth of the time that a study takes to begin."""


def process() -> NoReturn:
    """Run the command line, and end at once with its status."""
    gc.set_threshold(SELDOM)
    _streams()
    names.own_first()
    if found := _removed() or names.stranger():
        with suppress(OSError):
            print(f"error: {plain(found)}", file=sys.stderr)
        leave(2)
    killed.watch()
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


def _removed() -> str:
    """What to do where the working directory was removed: torch is not found from there, and Ray does not start."""
    try:
        os.getcwd()
    except OSError:
        return "the working directory is no longer there; go to another one with cd"
    return ""


def _streams() -> None:
    """Make standard streams that take whatever is written: what the terminal cannot show, and bytes of a file's name
    that are no text, are written out, as in `\\xe9`; where one was closed nothing is kept, and no file of ours gets its
    number."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        stream or os.fdopen(number, mode, encoding="utf-8", closefd=False)
        for number, (stream, mode) in enumerate([(sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w")])
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
    killed.unwatch()
    os._exit(status)


if __name__ == "__main__":
    process()
