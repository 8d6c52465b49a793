"""Does a complete study run on a GPU, inline? It is a shipped study with small networks and two seeds per arm.

It runs once kernel by kernel with each trial alone, and once with graphs and the seeds of an arm as one network. It
uses planning, checks of the machine and its kernels, the store, training and checkpoints, but not the command line and
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
"""Packages in addition to those of the other stages."""
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
    """Run the study and return the share of complete trials."""
    from resnet_space import api

    began = time.monotonic()
    run = api.run(api.study("shortcuts", changes=changes(size, graphs=graphs)), folder, inline=True, say=print)
    ends = Counter(record.status for record in run.records)
    reasons = run.reasons
    value = ends["complete"] / sum(ends.values())
    details = {"ends": dict(ends), "reasons": reasons, "seconds": time.monotonic() - began}
    return Measured(case, None, value, value, value, "x", details)


def changes(size: Size, *, graphs: bool) -> dict[str, Any]:
    """Return the changes to the shipped study: small synthetic data, and few epochs."""
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
