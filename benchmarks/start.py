"""How long does `resnet-space` take to say what it knows without training?

Wall seconds of whole processes, from an installed command's first line to its last, on a warm disk. `show` is asked for
a preset, whose counts come with the package, and for a network that has to be counted, which imports torch.
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
from measuring import ROUNDS, Goal, Measured, main, several

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
        for told, goal in asked.items():
            arguments = shlex.split(told.replace("DIR", str(folder)))
            rounds = 1 if quick else 2 * ROUNDS + 1
            for _ in range(1 if quick else 2):
                seconds(arguments)
            yield several(f"resnet-space {told}", goal, [seconds(arguments) for _ in range(rounds)])


if __name__ == "__main__":
    main(measure, number=9, about=__doc__ or "")
