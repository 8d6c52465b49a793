"""Does a study run to its end on a GPU, inline? A shipped one with small networks, two seeds an arm.

Once kernel by kernel, each trial alone; and once with graphs and an arm's seeds as one network. It goes through
planning, checks of the machine and its kernels, the store, training and checkpoints; not through the command line and
the reports, which need more packages and no GPU.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measuring import Measured
from sizes import Size

from gpu_stages.record import Failure, LeftOut

NEEDED = (
    *("cffi", "filelock", "fvcore", "iopath", "moocore", "platformdirs", "portalocker", "rich", "ruamel.yaml"),
    *("safetensors", "sqlalchemy", "tabulate", "termcolor", "tqdm"),
)
"""Beside what the other stages need."""
EPOCHS = 3


def measure(size: Size) -> Iterator[Measured | Failure]:
    if missing := [package for package in NEEDED if find_spec(package.partition(".")[0]) is None]:
        raise LeftOut(f"not installed: {', '.join(missing)}")
    for name, graphs in (("kernel by kernel", False), ("with graphs and seeds fused", True)):
        case = f"a study, {name}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                yield ran(case, Path(folder) / "run", size, graphs=graphs)
        except Exception as error:
            yield Failure.of(case, error)


def ran(case: str, folder: Path, size: Size, *, graphs: bool) -> Measured:
    """The share of trials that are complete."""
    from resnet_space import api

    began = time.monotonic()
    run = api.run(api.study("shortcuts", changes=changes(size, graphs=graphs)), folder, inline=True, say=print)
    ends = Counter(record.status for record in run.records)
    reasons = run.reasons
    value = ends["complete"] / sum(ends.values())
    details = {"ends": dict(ends), "reasons": reasons, "seconds": time.monotonic() - began}
    return Measured(case, None, value, value, value, "x", details)


def changes(size: Size, *, graphs: bool) -> dict[str, Any]:
    """What is otherwise than in the shipped study: small data without a file, and few epochs."""
    return {
        "net": "resnet20",
        "data": size.data(4).model_dump(mode="json", exclude_none=True),
        "recipe": {"base": "fast", "epochs": EPOCHS, "batch_size": size.batch},
        "seeds": 2,
        "resources.gpus": int(size.device == "cuda"),
        "resources.graphs": graphs,
        "resources.fuse": 2 if graphs else "off",
        **{path: value for path, value in size.changes.items() if path != "input_shape"},
    }
