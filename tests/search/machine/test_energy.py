"""Energy is read from the machine's counters, also when they wrap around; it is None without counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.files.atomic import write_text
from search.machine.energy import Meter, metered


def write(counters: Path, package: str, microjoules: int, size: int = 999_999_999) -> None:
    folder = counters / f"intel-rapl:{package}"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "max_energy_range_uj", f"{size}\n")
    # Atomically, as the kernel writes its own.
    write_text(folder / "energy_uj", f"{microjoules}\n")


def test_joules_are_summed_over_packages_without_counting_their_parts_twice(tmp_path: Path) -> None:
    for package in ("0", "1", "0:0"):
        write(tmp_path, package, 1_000_000)
    meter = Meter(tmp_path)
    write(tmp_path, "0", 3_000_000)
    write(tmp_path, "0:0", 2_000_000)
    write(tmp_path, "1", 1_500_000)
    assert meter.read() == pytest.approx(2.5)


def test_a_counter_that_wraps_around_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "0", 999_000_000)
    meter = Meter(tmp_path)
    write(tmp_path, "0", 2_000_000)
    assert meter.read() == pytest.approx(3.0)
    write(tmp_path, "0", 1_000_000)
    assert meter.read() == pytest.approx(3.0 + 999.0)


def test_without_a_counter_there_is_no_number(tmp_path: Path) -> None:
    assert Meter(tmp_path / "nowhere").read() is None
    write(tmp_path, "0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("no number")
    assert Meter(tmp_path).read() is None


def test_a_counter_that_disappears_leaves_no_number(tmp_path: Path) -> None:
    write(tmp_path, "0", 1_000_000)
    meter = Meter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.read() is None
    assert meter.read() is None


def test_energy_is_measured_until_the_session_ends(tmp_path: Path) -> None:
    write(tmp_path, "0", 0)
    with metered(tmp_path, interval=0.001) as energy:
        write(tmp_path, "0", 4_000_000)
    assert energy.joules == pytest.approx(4.0)
