"""The entry point of the command line: `resnet-space`, or `python -m resnet_space` if that script is not on PATH."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from resnet_space import fatal_signals, package_names
from resnet_space.errors import printable

GC_THRESHOLD = 50_000
"""Allocations between two garbage collections. Imports create a million objects and almost no garbage: with Python's
default threshold, collections take a quarter of the time that a study needs to start."""


def process() -> NoReturn:
    """Run the command line, then exit at once with its status."""
    gc.set_threshold(GC_THRESHOLD)
    _repair_streams()
    package_names.put_own_packages_first()
    if found := _working_directory_problem() or package_names.find_shadowing_package():
        with suppress(OSError):
            print(f"error: {printable(found)}", file=sys.stderr)
        exit_quickly(2)
    fatal_signals.watch()
    status = 0
    try:
        # Imported only now: it imports packages by name, and `put_own_packages_first` must run before that.
        from resnet_space.cli import main

        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        status = end.code or 0
    exit_quickly(status)


def _working_directory_problem() -> str:
    """Return an error message if the working directory was removed, else "": torch and Ray do not start from there."""
    try:
        os.getcwd()
    except OSError:
        return "the working directory no longer exists; change to another one with cd"
    return ""


def _repair_streams() -> None:
    """Make the standard streams accept any text, and replace closed ones by the null device.

    Characters that the terminal cannot show, and bytes of a file name that are not UTF-8, are escaped, as in `\\xe9`.
    File numbers 0 to 2 are always taken, so that no file opened later gets the number of a standard stream.
    """
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


def exit_quickly(status: int) -> NoReturn:
    """Exit without Python's cleanup of every module, after waiting for threads and exit handlers.

    Cleaning up torch and Ray takes seconds, and frees nothing that the end of the process does not free.
    """
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # The output was not written; Python exits with this status too.
        status = 120
    fatal_signals.unwatch()
    os._exit(status)


if __name__ == "__main__":
    process()
