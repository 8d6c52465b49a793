"""A processor's name and instruction sets, with Linux's /proc/cpuinfo and without it."""

from __future__ import annotations

import platform
from pathlib import Path

from search.machine.processor import processor

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse4_2 avx avx2 avx512f avx512_bf16 amx_tile smep sme fma

processor\t: 1
model name\t: another
flags\t\t: avx
"""
ARM = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm sve bf16 i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_on_x86_the_processor_has_the_first_cpus_model_and_the_relevant_flags(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(X86)
    assert processor(tmp_path / "cpuinfo") == {
        "name": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        "isa": ["amx_tile", "avx", "avx2", "avx512_bf16", "avx512f", "fma", "sse4_2"],
    }


def test_on_arm_the_name_has_the_numbers_of_designer_and_part(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ARM)
    assert processor(tmp_path / "cpuinfo") == {
        "name": f"{platform.machine()} implementer 0x41 part 0xd40",
        "isa": ["asimd", "bf16", "i8mm", "sve"],
    }


def test_without_cpuinfo_the_name_is_pythons(tmp_path: Path) -> None:
    found = processor(tmp_path / "nothing")
    assert found == {"name": platform.processor() or platform.machine(), "isa": []}


def test_this_machine_has_a_name() -> None:
    assert processor()["name"]
