"""How long do the `resnet-space` commands that do not train take?

Wall seconds of complete processes of the installed command, with a warm disk cache. `show` runs on a preset, whose
counts are shipped with the package, and on a network that must be counted, which imports torch.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

from fronts import fill
from measuring import ROUNDS, Goal, Measured, main, median_of

FRONT_DOOR = "from resnet_space.__main__ import process; process()"
"""What the installed command runs."""

HALF, THREE = Goal("most", 0.5, "s"), Goal("most", 3.0, "s")


def seconds(arguments: list[str]) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", FRONT_DOOR, *arguments], check=True, capture_output=True)
    return time.monotonic() - began


def measure(quick: bool) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        fill(folder, 200)
        asked = {
            "--help": HALF,
            "list": HALF,
            "list studies": HALF,
            "list published": HALF,
            "status DIR": HALF,
            "show resnet110": THREE,
            "show resnet110 --set width=0.5": THREE,
        }
        for command, goal in asked.items():
            arguments = shlex.split(command.replace("DIR", str(folder)))
            rounds = 1 if quick else 2 * ROUNDS + 1
            for _ in range(1 if quick else 2):
                seconds(arguments)
            yield median_of(f"resnet-space {command}", goal, [seconds(arguments) for _ in range(rounds)])


if __name__ == "__main__":
    main(measure, number=9, about=__doc__ or "")
