"""Run one stage in this process: `python -m gpu_stages.one STAGE --device D --out FILE`; started by `first_gpu.py`."""

from __future__ import annotations

import argparse
import platform
import subprocess
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from gpu_stages.expected import STAGES
from gpu_stages.record import Failure, LeftOut, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--commit", default="")
    given = parser.parse_args()
    facts: dict[str, Any] = {"cases": [], "failures": []}
    try:
        facts |= where(given.device, given.commit)
        write_json(given.out, facts)
        for found in lines(given.stage, given.device):
            if isinstance(found, Failure):
                print(f"{found.case}: failed: {found.why}", flush=True)
                facts["failures"].append(asdict(found))
            else:
                if given.device == "cpu":
                    # Goals are for GPUs.
                    found = replace(found, goal=None)
                print(found, flush=True)
                facts["cases"].append(asdict(found))
            write_json(given.out, facts)
    except LeftOut as why:
        write_json(given.out, facts | {"left_out": str(why)})


def lines(stage: str, device: str) -> Any:
    from sizes import SIZES

    module, _, function = STAGES[stage].entry.partition(":")
    return getattr(import_module(f"gpu_stages.{module}"), function)(SIZES[device])


def where(device: str, commit: str) -> dict[str, Any]:
    """Return the card, its driver, the versions and the commit."""
    import torch

    from search.machine.session import commit as found

    if device == "cuda" and not torch.cuda.is_available():
        raise LeftOut("torch sees no GPU; --device cpu tests the code without one")
    return {
        "device": device,
        "card": torch.cuda.get_device_name() if device == "cuda" else f"CPU ({platform.machine()})",
        "driver": driver() if device == "cuda" else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "python": platform.python_version(),
        "commit": commit or found() or "unknown",
    }


def driver() -> str | None:
    """Return the version of NVIDIA's driver; None if it is unknown."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(asked.stdout.split()), None)


if __name__ == "__main__":
    main()
