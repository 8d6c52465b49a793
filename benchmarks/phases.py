"""Where do the seconds of the demo go, from the command to the report?

The shipped study of shortcuts in its laptop form with two seeds, from an empty folder and an empty cache, on two CPUs:
what `make demo` runs. The store is watched from outside, so that nothing of the run is changed:

- until the first epoch: imports, data, checks of kernels, the start of Ray and its workers, the first measurement of
  whether trials are faster together, and the first epoch itself;
- training: from there to the end of the last trial;
- afterwards: the end of Ray, and the report.

`details` has the seconds of both workers together: in epochs, in the rest of their jobs (validation, probes, test,
checkpoints), and between jobs, before the first, or after the last.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from measuring import Goal, Measured, main, median_of

STUDY, SEEDS, WORKERS = "shortcuts", 2, 2
ROUNDS = 3
POLL_SECONDS = 0.05


def measure(quick: bool) -> Iterator[Measured]:
    found = [_run(epochs=1 if quick else 10) for _ in range(1 if quick else ROUNDS)]
    for case, goal in (
        ("from the command to the report", Goal("most", 180, "s")),
        ("from the command to the first epoch", Goal("most", 15, "s")),
        ("from the first epoch to the end of the last trial", None),
        ("from the end of the last trial to the report", None),
    ):
        yield median_of(case, goal, [each[case] for each in found], runs=found)


def _run(epochs: int) -> dict[str, Any]:
    """Run the demo, and return the seconds of its parts and of its workers."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-m", "resnet_space", "run", STUDY, "--out", str(out)]
        command += ["--seeds", str(SEEDS), "--epochs", str(epochs)]
        environment = os.environ | {"RESNET_SPACE_CACHE": str(Path(scratch) / "cache")}
        began = time.time()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            while not _has_epoch(out / "trials.db"):
                if process.poll() is not None:
                    raise SystemExit(f"the demo ended with status {process.returncode} before its first epoch")
                time.sleep(POLL_SECONDS)
            first = time.time()
            if process.wait() != 0:
                raise SystemExit(f"the demo ended with status {process.returncode}")
        finally:
            process.kill()
        ended = time.time()
        with closing(sqlite3.connect(f"file:{out / 'trials.db'}?mode=ro", uri=True)) as stored:
            last = max(_seconds(text) for (text,) in stored.execute("SELECT finished FROM trials"))
            jobs = stored.execute("SELECT min(started), max(finished) FROM trials GROUP BY coalesce(job, key)")
            busy = sum(_seconds(end) - _seconds(start) for start, end in jobs)
            (in_epochs,) = stored.execute("SELECT sum(seconds) FROM epochs").fetchone()
    return {
        "from the command to the report": ended - began,
        "from the command to the first epoch": first - began,
        "from the first epoch to the end of the last trial": last - first,
        "from the end of the last trial to the report": ended - last,
        "in epochs": in_epochs,
        "in the rest of jobs": busy - in_epochs,
        "between jobs or idle": WORKERS * (ended - began) - busy,
    }


def _has_epoch(path: Path) -> bool:
    """Return whether an epoch is stored."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as stored:
            return stored.execute("SELECT 1 FROM epochs LIMIT 1").fetchone() is not None
    except sqlite3.OperationalError:
        # The tables are not there yet.
        return False


def _seconds(text: str) -> float:
    """Return a stored time, which is in UTC, in seconds since 1970."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


if __name__ == "__main__":
    main(measure, number=9, about=__doc__ or "")
