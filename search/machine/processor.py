"""The processor of this machine: its name, and the instruction sets by which libraries choose kernels."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TypedDict

CPUINFO = Path("/proc/cpuinfo")

X86 = ("avx", "amx", "fma", "f16c", "sse4")
ARM = ("asimd", "sve", "sme", "bf16", "i8mm")
"""Prefixes of the CPU flags by which oneDNN, MKL and torch choose kernels."""

KERNEL_VARIABLES = (
    *("ONEDNN_", "DNNL_", "MKL_", "OPENBLAS_", "ATEN_CPU_CAPABILITY"),
    *("CUDNN_", "CUBLAS_", "NVIDIA_TF32_OVERRIDE"),
)
"""Prefixes of the environment variables by which libraries choose kernels."""


class Processor(TypedDict):
    """A processor. `isa` has CPU flags as Linux spells them, sorted; empty if they cannot be read."""

    name: str
    isa: list[str]


def processor(cpuinfo: Path = CPUINFO) -> Processor:
    """Return the first processor in /proc/cpuinfo; on other systems only its name, from Python."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        first = ""
    rows = (line.partition(":") for line in first.splitlines())
    fields = {name.strip().lower(): value.strip() for name, _, value in rows}
    name = fields.get("model name") or _arm_name(fields) or platform.processor() or platform.machine()
    flags = [flag for flag in fields.get("flags", "").split() if flag.startswith(X86)]
    flags += [flag for flag in fields.get("features", "").split() if flag.startswith(ARM)]
    return {"name": name, "isa": sorted(flags)}


def _arm_name(fields: dict[str, str]) -> str:
    """Return the name of an Arm processor, made of the numbers of its designer and part: it has no other there."""
    designer, part = fields.get("cpu implementer"), fields.get("cpu part")
    return f"{platform.machine()} implementer {designer} part {part}" if designer and part else ""
