"""What is said when a signal kills this command, such as SIGSEGV by a fault of a library.

The process itself can leave a traceback and nothing more, by `faulthandler`, which knows no advice. So that goes
through a small process that waits for it, and adds what to do. Of SIGKILL, and of any other end, nothing is said.
"""

from __future__ import annotations

import faulthandler
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

LIBRARY = "which is usually a fault of a library on this machine; run resnet-space doctor"

SIGNALS = {
    "Segmentation fault": ("SIGSEGV", LIBRARY),
    "Aborted": ("SIGABRT", LIBRARY),
    "Floating-point exception": ("SIGFPE", LIBRARY),
    "Floating point exception": ("SIGFPE", LIBRARY),
    "Illegal instruction": (
        "SIGILL",
        "as by a library that was built for another processor; run resnet-space doctor",
    ),
    "Bus error": (
        "SIGBUS",
        "as where a file that is mapped into memory was cut off: look whether a disk, or /dev/shm, is full",
    ),
}
"""What `faulthandler` calls each signal, its name, and what helps."""

WAITS = """
hear() {{
    case $1 in
    "at "*) at=${{1#at }} ;;
    "process "*) said= ;;
    "Fatal Python error: "*) said=${{1#*: }} ;;
    esac
}}
while IFS= read -r line; do
    hear "$line"
    case $line in "at "*) ;; *) printf '%s\\n' "$line" ;; esac
done >&2
[ ! -r "$at" ] || while IFS= read -r line; do hear "$line"; done < "$at"
case $said in
{}
*) exit ;;
esac
printf 'error: %s\\n' "$what${{at:+; where: $at}}" >&2
"""
"""For a shell. Its input are lines `at FILE`, the file in which the traceback will be, or none, and then the traceback
if there is no such file. Of those in a file, the last process's counts."""

STDERR = 2

stream = STDERR
"""The file, by number, that `faulthandler` has when nobody asks for another."""

_waits: int | None = None
"""The process that waits."""


def watch() -> None:
    """From now on, have what kills this process said on stderr."""
    global stream, _waits
    if sys.stderr is None:
        return
    # Where there is no such thing as a shell, without advice.
    with suppress(OSError, NotImplementedError, AttributeError):
        words, stream = os.pipe()
        # A process that does not read holds nobody up.
        os.set_blocking(stream, False)
        _waits = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", WAITS.format("\n".join(map(_case, SIGNALS)))],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, words, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
            # Ctrl-C is not for it.
            setsid=True,
        )
        os.close(words)
    if _waits is None:
        stream = STDERR
    faulthandler.enable(file=stream)


def look_in(file: Path | None) -> None:
    """The traceback of what kills this process will be in this file; or no longer in one."""
    if _waits is not None:
        with suppress(OSError):
            os.write(stream, b"at " + os.fsencode(file or "") + b"\n")


def unwatch() -> None:
    """Nothing more will be said: let go of the process that waits."""
    global stream, _waits
    faulthandler.disable()
    if _waits is not None:
        os.close(stream)
        with suppress(ChildProcessError):
            os.waitpid(_waits, 0)
        stream, _waits = STDERR, None


def _case(words: str) -> str:
    name, helps = SIGNALS[words]
    return f"{shlex.quote(words)}) what={shlex.quote(f'killed by {name}, {helps}')} ;;"
