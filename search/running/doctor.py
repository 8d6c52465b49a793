"""Checks of a machine: what it has and what is wrong with it, for its user and for bug reports."""

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

VARIABLE_PREFIXES = (*KERNEL_VARIABLES, "OMP_", "GOMP_", "KMP_", "TORCH_NUM_THREADS")
"""Prefixes of the environment variables that change threads and kernels."""

MIN_DISK_BYTES = 1_000_000_000
MIN_SHM_BYTES = 1_000_000_000
MIN_OPEN_FILES = 4096
"""With fewer free bytes or fewer open files, larger runs fail."""

SOCKET_SUFFIX = "/ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"
"""The path of Ray's longest socket below its temporary folder."""

MAX_SOCKET_PATH_BYTES = 107
"""The limit of Linux for the path of a socket."""

RAY_PORT = 6379

SAMPLE_NETWORKS: dict[str, dict[str, object]] = {
    "resnet20": {"input_shape": [3, 32, 32], "stages.*.units": 1},
    "resnet56": {"input_shape": [1, 8, 8], "width": 0.5, "stages.*.units": 1, "unit.shortcut": "exclusive_gate"},
    "preresnet20": {"input_shape": [1, 28, 28], "width": 0.25, "stages.*.units": 1, "transition": "B"},
    "resnet164": {"input_shape": [3, 16, 16], "stages.*.units": 1},
    "resnext29_8x64d": {"input_shape": [3, 16, 16], "width": 0.125, "stages.*.units": 1},
    "resnet50": {"input_shape": [3, 32, 32], "width": 0.5, "stages.*.units": 1},
}
"""Presets with changes that make them small. Together they have the kernels of common studies: basic units,
bottlenecks, groups, gates, projections from 4 channels up, and a stem with pooling."""


@dataclass(frozen=True)
class Finding:
    """The result of one check, for example `Finding("cache", "12 MB free", "wrong", "make room")`."""

    name: str
    text: str
    level: Level = "ok"
    advice: str = ""
    """What to do if something is wrong."""

    @property
    def line(self) -> str:
        return f"{self.level:<6} {self.name}: {self.text}{self.advice and f'; {self.advice}'}"


def examine() -> Iterator[Finding]:
    """Yield the findings of every check, the fast checks first. A check that fails itself is a finding too."""
    for name, check in CHECKS.items():
        try:
            yield from check()
        except Exception as error:
            why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            yield Finding(name, f"could not be checked: {why}", "note", "report this")


def summary(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the findings for programs: `{ok, findings: [{name, text, level, advice}, ...]}`."""
    rows = [asdict(finding) for finding in findings]
    return {"ok": all(row["level"] != "wrong" for row in rows), "findings": rows}


def versions() -> Iterator[Finding]:
    """Check packages, Python and system, and whether torchvision fits torch."""
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
            "install the torchvision that was built for this torch, both from the same source",
        )


def processors() -> Iterator[Finding]:
    """Check processor, instruction sets, cores, and the number of threads that torch uses."""
    import torch

    own = processor()
    yield Finding("processor", own["name"])
    yield Finding("instruction sets", f"{torch.backends.cpu.get_cpu_capability()}: {' '.join(own['isa']) or 'unknown'}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    given = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(VARIABLE_PREFIXES)]
    text = (
        f"this process has {cores} of {os.cpu_count()} cores; torch uses {threads} threads by default, and a trial "
        "uses resources.cpus"
    )
    if threads > cores:
        advice = f"with more threads than cores torch is many times slower: set OMP_NUM_THREADS={cores}"
        yield Finding("threads", text, "wrong", advice)
    else:
        yield Finding("threads", text)
    yield Finding("environment", ", ".join(given) or "no variable changes threads or kernels")


def memory() -> Iterator[Finding]:
    """Report the machine's memory, and how much of it this process can still use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding("memory", f"{_size(total)}, of which {_size(available_bytes())} are available to this process")


def disks() -> Iterator[Finding]:
    """Check free space for runs, the cache and temporary files, and in shared memory."""
    places = {"working directory": Path(), "cache": cache_folder(), "temporary files": _temporary()}
    for name, place in places.items():
        yield _disk(name, place)
    shm = Path("/dev/shm")
    if shm.is_dir():
        free = shutil.disk_usage(shm).free
        small = free < MIN_SHM_BYTES
        advice = "Ray keeps its objects there: give the container more, for example docker run --shm-size=2g"
        yield Finding("/dev/shm", f"{_size(free)} free", "note" if small else "ok", advice if small else "")


def _temporary() -> Path:
    """Return the folder in which temporary folders are created."""
    with tempfile.TemporaryDirectory() as made:
        return Path(made).parent


def _disk(name: str, place: Path) -> Finding:
    existing = next((path for path in (place, *place.absolute().parents) if path.exists()), Path("/"))
    text = f"{place.absolute()}, {_size(shutil.disk_usage(existing).free)} free"
    if not os.access(existing, os.W_OK):
        return Finding(name, f"{text}, cannot be written", "wrong", _other_folder(name))
    if shutil.disk_usage(existing).free < MIN_DISK_BYTES:
        return Finding(name, text, "wrong", f"make room, or {_other_folder(name)}")
    return Finding(name, text)


def _other_folder(name: str) -> str:
    variables = {"cache": "RESNET_SPACE_CACHE", "temporary files": "TMPDIR"}
    return f"set {variables[name]} to another folder" if name in variables else "choose another --out"


def limits() -> Iterator[Finding]:
    """Check the limit of open files, and the length of the paths of Ray's sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft < MIN_OPEN_FILES
    advice = f"a run on Ray can need more: ulimit -n {min(hard, 65536) if hard > 0 else 65536}"
    yield Finding("open files", f"at most {soft}", "note" if few else "ok", advice if few else "")
    folder = os.environ.get("RAY_TMPDIR") or str(_temporary())
    length = len(os.fsencode(folder + SOCKET_SUFFIX))
    text = f"{folder}; its longest socket path has {length} bytes, the limit is {MAX_SOCKET_PATH_BYTES}"
    if length > MAX_SOCKET_PATH_BYTES:
        yield Finding("temporary path", text, "wrong", "Ray cannot start there: set RAY_TMPDIR to a shorter path")
    else:
        yield Finding("temporary path", text)


def gpus() -> Iterator[Finding]:
    """Check GPUs, their memory, and CUDA's libraries."""
    import torch

    driver = Path("/proc/driver/nvidia/version")
    if not torch.cuda.is_available():
        if driver.exists():
            text = f"none that torch can use, although there is a driver: {driver.read_text().splitlines()[0]}"
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
    """Report whether a Ray cluster listens on this machine, and which one `RAY_ADDRESS` names."""
    address = os.environ.get("RAY_ADDRESS")
    with socket.socket() as probe:
        probe.settimeout(1)
        listens = probe.connect_ex(("127.0.0.1", RAY_PORT)) == 0
    here = f"something listens at 127.0.0.1:{RAY_PORT}" if listens else f"nothing listens at 127.0.0.1:{RAY_PORT}"
    yield Finding("Ray", f"{here}; {f'RAY_ADDRESS={address}' if address else 'RAY_ADDRESS is not set'}")


def datasets() -> Iterator[Finding]:
    """Report which data sets are found without `--data-root`."""
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
    """Report the rows of `FAULTS` that apply to this processor."""
    isa = processor()["isa"]
    for fault in FAULTS:
        if fault.applies(isa):
            yield Finding("known fault", f"{fault.text} ({fault.source})", "note", fault.effect)


def numerics() -> Iterator[Finding]:
    """Compare the kernels of common networks with float64: single and fused, on each device, with 1 and all threads."""
    import torch

    from resnet_space import preset
    from search.kernels.layers import Conditions, kernels
    from search.kernels.soundness import FaultyKernel, check_kernels

    threads = sorted({1, torch.get_num_threads()})
    checks = [Conditions(8, "cpu", number, "float32") for number in threads]
    if torch.cuda.is_available():
        checks += [Conditions(8, "cuda", 1, precision) for precision in ("float32", "bf16")]
    nets = [preset(name).assign(changes) for name, changes in SAMPLE_NETWORKS.items()]
    for conditions in checks:
        number, bad = 0, False
        for net in nets:
            for alike in ([net], [net, net]):
                number += len(kernels(*alike))
                try:
                    lines = check_kernels(conditions, *alike).lines
                except FaultyKernel as error:
                    bad = True
                    first, *_ = str(error).splitlines()
                    yield Finding("numerics", first, "wrong", "try another torch version or another machine")
                    continue
                for line in lines:
                    bad = True
                    yield Finding("numerics", line, "wrong", "trials avoid it; report it to the library's authors")
        if not bad:
            yield Finding("numerics", f"{number} kernels agree with float64 ({conditions})")


@dataclass(frozen=True)
class Fault:
    """A known fault of a library."""

    text: str
    source: str
    applies: Callable[[list[str]], bool]
    """Whether it affects a processor, given its instruction sets."""
    effect: str
    """What it means for users of this package."""


FAULTS = (
    Fault(
        "oneDNN's weight gradient of a strided 1x1 convolution in channels-last layout is wrong or crashes, with AVX2 "
        "and 2 to 6 input channels, at least in torch 2.3 to 2.15",
        "https://github.com/uxlfoundation/oneDNN/issues/6035",
        lambda isa: "avx2" in isa and ("avx512f" not in isa or os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2"),
        "networks of this package avoid it; your own code can be affected",
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
