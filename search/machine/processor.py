"""Which processor this is: its name, and those of its instruction sets that a kernel may be chosen by."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TypedDict

CPUINFO = Path("/proc/cpuinfo")

X86 = ("avx", "amx", "fma", "f16c", "sse4")
ARM = ("asimd", "sve", "sme", "bf16", "i8mm")
"""What begins the flags by which oneDNN, MKL and torch choose kernels."""

CHOOSE_KERNELS = (
    *("ONEDNN_", "DNNL_", "MKL_", "OPENBLAS_", "ATEN_CPU_CAPABILITY"),
    *("CUDNN_", "CUBLAS_", "NVIDIA_TF32_OVERRIDE"),
)
"""Beginnings of the environment variables by which libraries choose kernels."""


class Processor(TypedDict):
    """`isa` are flags as the kernel spells them, sorted; none where they cannot be read."""

    name: str
    isa: list[str]


def processor(cpuinfo: Path = CPUINFO) -> Processor:
    """The first processor of this machine, by Linux's own list; elsewhere its name alone, as Python has it."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        first = ""
    rows = (line.partition(":") for line in first.splitlines())
    fields = {name.strip().lower(): value.strip() for name, _, value in rows}
    name = fields.get("model name") or _by_number(fields) or platform.processor() or platform.machine()
    flags = [flag for flag in fields.get("flags", "").split() if flag.startswith(X86)]
    flags += [flag for flag in fields.get("features", "").split() if flag.startswith(ARM)]
    return {"name": name, "isa": sorted(flags)}


def _by_number(fields: dict[str, str]) -> str:
    """An Arm processor has no name there, but numbers of who designed it and of the part."""
    designer, part = fields.get("cpu implementer"), fields.get("cpu part")
    return f"{platform.machine()} implementer {designer} part {part}" if designer and part else ""
