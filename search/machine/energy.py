"""The energy that a session takes, from Linux's counters for processors (RAPL), if the machine has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

log = logging.getLogger(__name__)

COUNTERS = Path("/sys/class/powercap")
INTERVAL_SECONDS = 60.0
"""Seconds between two readings. A counter wraps around after minutes to hours: it must be read more often than that."""

TIMEOUT_SECONDS = 3.0
"""How long to wait for a counter that hangs."""


class Meter:
    """Joules that this machine's processor packages have taken since the meter was created, by all processes.

    E = sum over readings and packages of (now - before) modulo the counter's range. None if there is no counter, or
    one cannot be read.
    """

    def __init__(self, counters: Path = COUNTERS) -> None:
        self.counters, self.joules = counters, 0.0
        self._last = self._packages()

    def read(self) -> float | None:
        """Read the counters; return the joules so far."""
        now = self._packages()
        if not self._last or now.keys() != self._last.keys():
            self._last = {}
            return None
        self.joules += sum((now[name][0] - begin) % size for name, (begin, size) in self._last.items()) / 1e6
        self._last = now
        return self.joules

    def _packages(self) -> dict[str, tuple[int, int]]:
        """Return microjoules so far and the counter's range, by package; empty if any cannot be read."""
        found = {}
        try:
            for folder in sorted(self.counters.glob("intel-rapl:[0-9]*")):
                # intel-rapl:0:1 is part of intel-rapl:0.
                if folder.name.count(":") == 1:
                    size = int((folder / "max_energy_range_uj").read_text(encoding="utf-8")) + 1
                    found[folder.name] = (int((folder / "energy_uj").read_text(encoding="utf-8")), size)
        except (OSError, ValueError):
            return {}
        return found


@dataclass
class Energy:
    """The energy of a session in joules; None until it has ended, or if it is unknown."""

    joules: float | None = None


@contextmanager
def metered(
    counters: Path = COUNTERS, interval: float = INTERVAL_SECONDS, timeout: float = TIMEOUT_SECONDS
) -> Iterator[Energy]:
    """Measure energy while the context is open. If a counter hangs, wait `timeout` seconds, twice; joules stay None."""
    energy, begun, done = Energy(), Event(), Event()

    def watch() -> None:
        try:
            meter = Meter(counters)
            begun.set()
            while not done.wait(interval):
                meter.read()
            energy.joules = meter.read()
        except Exception:
            log.warning("the energy of this session is unknown", exc_info=True)
            begun.set()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    begun.wait(timeout)
    try:
        yield energy
    finally:
        done.set()
        thread.join(timeout)
