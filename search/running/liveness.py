"""Whether anybody is at work on a run: a trial that is marked as running is not, once its driver is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.files.bucket import Bucket, Place
from search.files.folder import RunFolder
from search.files.lock import DriverState, driver_state
from search.store.status import RunStatus
from search.training import killed


@dataclass(frozen=True)
class Presence:
    """How a run stands, seen together with who drives it."""

    folder: RunFolder
    standing: RunStatus
    seen: DriverState

    @classmethod
    def of(cls, folder: RunFolder, standing: RunStatus) -> Presence:
        return cls(folder, standing, driver_state(folder.path))

    @property
    def interrupted(self) -> list[tuple[str, str]]:
        """(key, job) of trials that are marked as running, and whose driver is gone."""
        return [(key, job) for key, owner, job in self.standing.running if not self._has_driver(owner)]

    @property
    def counts(self) -> Mapping[str, int]:
        """Trials of every status; interrupted ones wait."""
        counts, number = self.standing.counts, len(self.interrupted)
        return {**counts, "running": counts["running"] - number, "waiting": counts["waiting"] + number}

    @property
    def died(self) -> dict[Path, str]:
        """What signals killed the processes of interrupted trials, by the file that says where."""
        checkpoints = self._checkpoints() if self.interrupted else None
        records = [
            killed.Record.of(checkpoints, name, file)
            for key, job in self.interrupted
            for name, file in ((key, killed.NAME), (job, killed.TOGETHER))
        ]
        return {record.path: why for record in records if record.path and (why := record.last)}

    @property
    def lines(self) -> list[str]:
        """For people: who is at work, and what to do where nobody is."""
        counts, stopped = self.counts, len(self.interrupted)
        lines = []
        if self.seen.alive:
            lines.append(f"{self.seen.label} is at work here")
        elif self.seen.alive is None:
            if counts["running"]:
                who = self.seen.label if self.seen.driver else "its driver"
                lines.append(f"running, as far as is known: whether {who} is alive cannot be seen from here")
        elif counts["waiting"]:
            what = (
                f"{_trials(stopped)} interrupted" if stopped else f"{_trials(counts['waiting'], 'is', 'are')} waiting"
            )
            was = f" ({self.seen.label} is gone)" if self.seen.driver else ""
            lines.append(f"no driver is at work here{was}; {what}: the same `resnet-space run` command goes on")
        if self.standing.shared and counts["running"] and self.seen.alive is False:
            lines.append(
                f"{_trials(counts['running'], 'is', 'are')} with drivers of other folders; whether those are alive, "
                "a driver that waits for them finds out within a minute"
            )
        return [*lines, *(f"{why}: {path}" for path, why in self.died.items())]

    def as_json(self) -> dict[str, Any]:
        """For programs. `driver` is the folder's own, None where there is none known; `alive` is None where that cannot
        be known; `interrupted` are among those that wait."""
        reasons = [{"status": status, "reason": why, "trials": n} for status, why, n in self.standing.reasons]
        driver = self.seen.driver
        who = driver and {"host": driver.host, "process": driver.process, "began": driver.began}
        return {
            **self.counts,
            "interrupted": len(self.interrupted),
            "driver": who and {"alive": self.seen.alive, **who},
            "reasons": reasons,
            "killed": [{"reason": why, "file": str(path)} for path, why in self.died.items()],
        }

    def _checkpoints(self) -> Place:
        """Where the last session had them; a bucket is not asked, since what is looked for is on this machine."""
        sessions = self.folder.read_manifest()["sessions"]
        bucket = sessions[-1].get("checkpoints") if sessions else None
        return Bucket.of(bucket) if bucket else self.folder.checkpoints

    def _has_driver(self, owner: str | None) -> bool:
        own, alive = self.seen.driver, self.seen.alive
        if not self.standing.shared:
            return alive is not False
        # Those that may live: it takes a while to see whether they do.
        others = set(self.standing.drivers) - ({own.name} if own else set())
        if owner is None:
            # A search's, which has one driver.
            return alive is not False or bool(others)
        return alive is not False if own and owner == own.name else owner in others


def _trials(number: int, one: str = "was", more: str = "were") -> str:
    return f"1 trial {one}" if number == 1 else f"{number} trials {more}"
