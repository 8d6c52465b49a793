"""The first minutes on a GPU, in stages: each is a process with a time limit, so an interrupted run loses one stage.

    python benchmarks/first_gpu.py --commit HASH                all stages that fit into the time
    python benchmarks/first_gpu.py r110 r1001 --seconds 250     some of them
    python benchmarks/first_gpu.py --device cpu                 the same code with tiny networks, without a GPU

The most valuable stages come first. Each measured line is written to STAGE.json, the stage's output to STAGE.txt. After
each stage first_gpu.json has the results of all, and first_gpu.md a table of measured and expected values, and of what
was left out and why. Stages of an earlier run in the same folder stay, unless they run again. It needs torch, numpy and
pydantic, but no Ray, no network and no installed resnet-space; the stage `run` needs more.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from gpu_stages.expected import MIN_STAGE_S, STAGES
from gpu_stages.record import ALL, TABLE, Facts, read, sources, table, write, write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results" / "first_gpu"

SECONDS = 540.0
"""Time limit of all stages together."""
LAST_LINES = 15
"""Number of output lines kept with the results of a stage that did not finish."""

Command = Callable[[str], list[str]]
"""From a stage's name to its command line."""


def run(
    names: Iterable[str], command: Command, folder: Path, *, seconds: float, limit_s: float | None, device: str
) -> dict[str, Facts]:
    """Run the stages that fit into `seconds`; return and, after each stage, write all results of the folder.

    `limit_s` is the limit of each stage; None means the stage's own.
    """
    began = time.monotonic()
    found: dict[str, Facts] = dict(read(folder / ALL).get("stages", {}))
    for name in names:
        left = seconds - (time.monotonic() - began)
        limit = min(left, STAGES[name].limit_s if limit_s is None else limit_s)
        if left < MIN_STAGE_S:
            found[name] = {"status": f"left out: only {left:.0f} s were left"}
        else:
            print(f"==== {name}: {STAGES[name].question} At most {limit:.0f} s.", flush=True)
            found[name] = run_stage(name, command(name), folder, limit, device)
        print(f"==== {name}: {found[name]['status']}", flush=True)
        write_json(folder / ALL, {"stages": found})
        write(folder / TABLE, table(found))
    return found


def run_stage(name: str, command: list[str], folder: Path, limit_s: float, device: str) -> Facts:
    """Run one stage and return its results, even if it failed or was stopped."""
    path = folder / f"{name}.json"
    path.unlink(missing_ok=True)
    began = time.monotonic()
    lines: list[str] = []
    # A new session: the stage and its children, such as compilers, can be stopped as one group.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(device),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    reader = threading.Thread(target=follow, args=(process, folder / f"{name}.txt", lines), daemon=True)
    reader.start()
    try:
        status = status_text(process.wait(limit_s))
    except subprocess.TimeoutExpired:
        status = f"stopped at its limit of {limit_s:.0f} s"
    finally:
        stop(process)
    reader.join(5)
    facts = read(path)
    if reason := facts.pop("left_out", ""):
        status = f"left out: {reason}"
    elif status != "finished":
        facts["last_lines"] = lines[-LAST_LINES:]
    facts |= {"status": status, "seconds": time.monotonic() - began}
    write_json(path, facts)
    return facts


def status_text(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"failed with status {status}" if status else "finished"


def follow(process: subprocess.Popen[str], path: Path, lines: list[str]) -> None:
    """Print a stage's output and write it to a file, line by line."""
    assert process.stdout is not None
    with process.stdout, path.open("w", encoding="utf-8") as file:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            file.flush()
            lines.append(line.rstrip("\n"))


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a stage's process and all its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def environment(device: str) -> dict[str, str]:
    """Return the environment of a stage: this checkout first on the path; on a CPU one thread, no GPU, no compiler."""
    path = os.pathsep.join(filter(None, [str(ROOT), str(HERE), os.environ.get("PYTHONPATH")]))
    on_cpu = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"}
    return {**os.environ, "PYTHONPATH": path, **(on_cpu if device == "cpu" else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"by default all: {', '.join(STAGES)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, help=f"folder of results; by default {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--commit", help="the commit of this code, if there is no .git")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float(os.environ.get("FIRST_GPU_SECONDS", SECONDS)),
        help=f"limit of all stages together; by default FIRST_GPU_SECONDS, or {SECONDS:.0f}",
    )
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="limit of each stage; by default its own")
    given = parser.parse_args()
    if unknown := [name for name in given.stages if name not in STAGES]:
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    # Numbers of a CPU are not results.
    out = given.out or (RESULTS if given.device == "cuda" else Path(tempfile.mkdtemp(prefix="first-gpu-")))
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    def command(name: str) -> list[str]:
        options = ["--device", given.device, "--out", str(out / f"{name}.json"), "--commit", given.commit or ""]
        return [sys.executable, "-m", "gpu_stages.one", name, *options]

    # Like Ctrl-C, so that the running stage is stopped too.
    signal.signal(signal.SIGTERM, interrupt)
    names = given.stages or list(STAGES)
    found = run(names, command, out, seconds=given.seconds, limit_s=given.limit, device=given.device)
    print(f"\n{table(found)}")
    print("\n".join([*sources(found), f"results: {out}"]))
    good = all(found[name]["status"] == "finished" and not found[name].get("failures") for name in names)
    sys.exit(0 if good else 1)


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
