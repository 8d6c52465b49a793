"""An error message with a remedy when a signal kills this command, such as SIGSEGV caused by a fault of a library.

The process itself can only write a traceback, through `faulthandler`. A small shell process, the reporter, waits for
that traceback, prints it, and adds the error message. After SIGKILL, or any other end, it prints nothing.
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
        "usually by a library that was built for another processor; run resnet-space doctor",
    ),
    "Bus error": (
        "SIGBUS",
        "usually because a file mapped into memory was truncated: check whether a disk, or /dev/shm, is full",
    ),
}
"""By `faulthandler`'s text for a signal: the signal's name, and the cause with a remedy."""

REPORTER_SCRIPT = """
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
"""The reporter, a shell script. Its input is lines `at FILE`, naming the file that the traceback will be written to
(empty: none), then the traceback itself if there is no such file. A file can hold tracebacks of several processes; the
last one counts."""

STDERR = 2

stream = STDERR
"""The number of the file that `faulthandler` writes to by default."""

_reporter: int | None = None
"""The process id of the reporter; None if there is none."""


def watch() -> None:
    """Start the reporter: from now on, a fatal signal is explained on stderr."""
    global stream, _reporter
    if sys.stderr is None:
        return
    # Without a shell there is a traceback only.
    with suppress(OSError, NotImplementedError, AttributeError):
        words, stream = os.pipe()
        # This process must not wait for a reporter that does not read.
        os.set_blocking(stream, False)
        _reporter = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", REPORTER_SCRIPT.format("\n".join(map(_shell_case, SIGNALS)))],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, words, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
            # Ctrl-C must not reach the reporter.
            setsid=True,
        )
        os.close(words)
    if _reporter is None:
        stream = STDERR
    faulthandler.enable(file=stream)


def set_traceback_file(file: Path | None) -> None:
    """Tell the reporter which file a traceback will be written to; None for no file."""
    if _reporter is not None:
        with suppress(OSError):
            os.write(stream, b"at " + os.fsencode(file or "") + b"\n")


def unwatch() -> None:
    """Stop the reporter and wait for it to end."""
    global stream, _reporter
    faulthandler.disable()
    if _reporter is not None:
        os.close(stream)
        with suppress(ChildProcessError):
            os.waitpid(_reporter, 0)
        stream, _reporter = STDERR, None


def _shell_case(description: str) -> str:
    name, remedy = SIGNALS[description]
    return f"{shlex.quote(description)}) what={shlex.quote(f'killed by {name}, {remedy}')} ;;"
