"""What a machine has, and what is wrong with it: one row a check, for a person and for a report of a fault."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal

from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.memory import available_bytes
from search.data.places import cache_folder
from search.machine.processor import KERNEL_VARIABLES, processor
from search.machine.session import commit

Level = Literal["ok", "note", "wrong"]

PACKAGES = (
    "resnet-space",
    "torch",
    "torchvision",
    "ray",
    "optuna",
    "fvcore",
    "numpy",
    "pandas",
    "sqlalchemy",
    "pyarrow",
)

VARIABLES = (*KERNEL_VARIABLES, "OMP_", "GOMP_", "KMP_", "TORCH_NUM_THREADS")
"""Beginnings of the environment variables that change threads and kernels."""

DISK = 1_000_000_000
SHM = 1_000_000_000
FILES = 4096
"""Bytes free, and open files, below which larger runs fail."""

SOCKET = "/ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"
"""What Ray adds to its temporary folder for a socket."""

SOCKET_BYTES = 107
"""Of the path of a socket at the most, on Linux."""

RAY_PORT = 6379

NETS: dict[str, dict[str, object]] = {
    "resnet20": {"input_shape": [3, 32, 32], "stages.*.units": 1},
    "resnet56": {"input_shape": [1, 8, 8], "width": 0.5, "stages.*.units": 1, "unit.shortcut": "exclusive_gate"},
    "preresnet20": {"input_shape": [1, 28, 28], "width": 0.25, "stages.*.units": 1, "transition": "B"},
    "resnet164": {"input_shape": [3, 16, 16], "stages.*.units": 1},
    "resnext29_8x64d": {"input_shape": [3, 16, 16], "width": 0.125, "stages.*.units": 1},
    "resnet50": {"input_shape": [3, 32, 32], "width": 0.5, "stages.*.units": 1},
}
"""Presets, changed to be small, whose kernels stand for those of common studies: basic units, bottlenecks, groups,
gates, projections of 4 channels and more, a stem with a pooling."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    text: str
    level: Level = "ok"
    advice: str = ""
    """What to do, where something is not as it should be."""

    @property
    def line(self) -> str:
        return f"{self.level:<6} {self.name}: {self.text}{self.advice and f'; {self.advice}'}"


def examine() -> Iterator[Finding]:
    """Every check's findings, the quick ones first.

    A check that cannot be made is a finding too: it says why.
    """
    for name, check in CHECKS.items():
        try:
            yield from check()
        except Exception as error:
            why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            yield Finding(name, f"could not be looked at: {why}", "note", "report this")


def summary(findings: Iterable[Finding]) -> dict[str, Any]:
    """For programs: `{ok, findings: [{name, text, level, advice}, ...]}`."""
    rows = [asdict(finding) for finding in findings]
    return {"ok": all(row["level"] != "wrong" for row in rows), "findings": rows}


def versions() -> Iterator[Finding]:
    """Packages, Python, system, and whether torch and torchvision fit together."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Finding("versions", f"{package} is not installed", "wrong", f"install it: pip install {package}")
    yield Finding("versions", ", ".join(found))
    yield Finding("python", f"{platform.python_version()} at {sys.executable}, {platform.platform()}")
    if revision := commit():
        yield Finding("commit", revision)
    try:
        import_module("torchvision")
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        yield Finding(
            "torchvision",
            f"cannot be imported: {why}",
            "wrong",
            "install the torchvision that was made for this torch, both from the same place",
        )


def processors() -> Iterator[Finding]:
    """Processor, instruction sets, cores, and the threads that torch takes."""
    import torch

    own = processor()
    yield Finding("processor", own["name"])
    yield Finding("instruction sets", f"{torch.backends.cpu.get_cpu_capability()}: {' '.join(own['isa']) or 'unknown'}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    given = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)]
    text = (
        f"{cores} cores for this process of {os.cpu_count()}; torch takes {threads} by default, a trial resources.cpus"
    )
    if threads > cores:
        advice = f"more threads than cores are many times slower: set OMP_NUM_THREADS={cores}"
        yield Finding("threads", text, "wrong", advice)
    else:
        yield Finding("threads", text)
    yield Finding("environment", ", ".join(given) or "no variable that changes threads or kernels")


def memory() -> Iterator[Finding]:
    """Memory of the machine, and what this process may still take of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding("memory", f"{_size(whole)}, of which {_size(available_bytes())} are available to this process")


def disks() -> Iterator[Finding]:
    """Room where runs, the cache and temporary files are written, and shared memory."""
    places = {"working directory": Path(), "cache": cache_folder(), "temporary files": _temporary()}
    for name, place in places.items():
        yield _disk(name, place)
    shm = Path("/dev/shm")
    if shm.is_dir():
        free = shutil.disk_usage(shm).free
        small = free < SHM
        advice = "Ray keeps its objects there: give the container more, such as docker run --shm-size=2g"
        yield Finding("/dev/shm", f"{_size(free)} free", "note" if small else "ok", advice if small else "")


def _temporary() -> Path:
    """Where temporary folders are made."""
    with tempfile.TemporaryDirectory() as made:
        return Path(made).parent


def _disk(name: str, place: Path) -> Finding:
    there = next((path for path in (place, *place.absolute().parents) if path.exists()), Path("/"))
    text = f"{place.absolute()}, {_size(shutil.disk_usage(there).free)} free"
    if not os.access(there, os.W_OK):
        return Finding(name, f"{text}, cannot be written", "wrong", _elsewhere(name))
    if shutil.disk_usage(there).free < DISK:
        return Finding(name, text, "wrong", f"make room, or {_elsewhere(name)}")
    return Finding(name, text)


def _elsewhere(name: str) -> str:
    ways = {"cache": "name another folder by RESNET_SPACE_CACHE", "temporary files": "name another folder by TMPDIR"}
    return ways.get(name, "choose another --out")


def limits() -> Iterator[Finding]:
    """Open files, and the length of the paths of Ray's sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft < FILES
    advice = f"a run on Ray may need more: ulimit -n {min(hard, 65536) if hard > 0 else 65536}"
    yield Finding("open files", f"{soft} at the most", "note" if few else "ok", advice if few else "")
    folder = os.environ.get("RAY_TMPDIR") or str(_temporary())
    length = len(os.fsencode(folder + SOCKET))
    text = f"{folder}; the longest path of a socket there has {length} bytes of at most {SOCKET_BYTES}"
    if length > SOCKET_BYTES:
        yield Finding("temporary path", text, "wrong", "Ray cannot start there: name a shorter folder by RAY_TMPDIR")
    else:
        yield Finding("temporary path", text)


def gpus() -> Iterator[Finding]:
    """GPUs, their memory, and the libraries for them."""
    import torch

    driver = Path("/proc/driver/nvidia/version")
    if not torch.cuda.is_available():
        if driver.exists():
            text = f"none that torch can use, though there is a driver: {driver.read_text().splitlines()[0]}"
            advice = f"install a torch for this driver (this one is for CUDA {torch.version.cuda})"
            yield Finding("GPU", text, "wrong", advice)
        else:
            yield Finding("GPU", "none")
        return
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield Finding("GPU", f"{about.name}, {_size(about.total_memory)}, compute {about.major}.{about.minor}")
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    line = driver.read_text().splitlines()[0] if driver.exists() else "driver unknown"
    yield Finding("CUDA", f"{torch.version.cuda}, cuDNN {cudnn}, {line}")


def ray_ports() -> Iterator[Finding]:
    """Whether a Ray listens on this machine, and which one the environment names."""
    address = os.environ.get("RAY_ADDRESS")
    with socket.socket() as probe:
        probe.settimeout(1)
        listens = probe.connect_ex(("127.0.0.1", RAY_PORT)) == 0
    here = f"something listens at 127.0.0.1:{RAY_PORT}" if listens else f"nothing listens at 127.0.0.1:{RAY_PORT}"
    yield Finding("Ray", f"{here}; {f'RAY_ADDRESS={address}' if address else 'RAY_ADDRESS is not set'}")


def datasets() -> Iterator[Finding]:
    """Data sets that are found without being named a place."""
    from search.data.description import DataSet

    found, absent = [], []
    for name, row in DATASETS.items():
        if row.origin == "yours":
            continue
        module, function = row.loader.split(":")
        try:
            getattr(import_module(module), function)(DataSet(name=name), None, False)
            found.append(name)
        except InputError:
            absent.append(name)
    more = f"; not here: {', '.join(absent)} (`run --download`, or --data-root DIR)" if absent else ""
    yield Finding("data sets", f"{', '.join(found)}{more}")


def known_faults() -> Iterator[Finding]:
    """Faults of these versions on this processor that are known, from `FAULTS`."""
    isa = processor()["isa"]
    for fault in FAULTS:
        if fault.applies(isa):
            yield Finding("known fault", f"{fault.text} ({fault.source})", "note", fault.here)


def numerics() -> Iterator[Finding]:
    """The kernels of common networks, alone and fused, against float64: on every device, with one and all threads."""
    import torch

    from resnet_space import preset
    from search.kernels.layers import Conditions, kernels
    from search.kernels.soundness import Faulty, sound

    threads = sorted({1, torch.get_num_threads()})
    checks = [Conditions(8, "cpu", number, "float32") for number in threads]
    if torch.cuda.is_available():
        checks += [Conditions(8, "cuda", 1, precision) for precision in ("float32", "bf16")]
    nets = [preset(name).assign(changes) for name, changes in NETS.items()]
    for conditions in checks:
        number, bad = 0, False
        for net in nets:
            for networks in (1, 2):
                number += len(kernels(net, networks))
                try:
                    lines = sound(net, conditions, networks).lines
                except Faulty as error:
                    bad = True
                    first, *_ = str(error).splitlines()
                    yield Finding("numerics", first, "wrong", "another torch, or another machine, may be right")
                    continue
                for line in lines:
                    bad = True
                    yield Finding("numerics", line, "wrong", "trials here avoid it; report it to the library's makers")
        if not bad:
            yield Finding("numerics", f"{number} kernels agree with float64 ({conditions})")


@dataclass(frozen=True)
class Fault:
    """A fault of a library that is known, and where it is met."""

    text: str
    source: str
    applies: Callable[[list[str]], bool]
    """By the processor's instruction sets."""
    here: str
    """What this package does about it."""


FAULTS = (
    Fault(
        "oneDNN's weight gradient of a 1x1 convolution with a stride, channels last, is wrong or crashes with AVX2 and "
        "2 to 6 input channels, in torch 2.3 to 2.15 at least",
        "https://github.com/uxlfoundation/oneDNN/issues/6035",
        lambda isa: "avx2" in isa and ("avx512f" not in isa or os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2"),
        "networks of this package do not meet it; code of your own may",
    ),
)

CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "versions": versions,
    "processor": processors,
    "memory": memory,
    "disks": disks,
    "limits": limits,
    "GPU": gpus,
    "Ray": ray_ports,
    "data sets": datasets,
    "known faults": known_faults,
    "numerics": numerics,
}


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
