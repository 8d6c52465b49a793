"""A driver's share of jobs that other drivers on the same store can run too."""

from __future__ import annotations

import time
from collections.abc import Callable

from search.store.claims import driver_label
from search.store.store import Store
from search.trials.trial import Job, TrialSpec

PAUSE_SECONDS = 1.0
"""Time between two checks of the trials that other drivers hold."""


class Share:
    """Claims a job's trials before they run, and watches the trials that other drivers hold.

    `note` receives lines for people, `ended` the number of trials that other drivers have finished.
    """

    def __init__(
        self,
        store: Store,
        *,
        note: Callable[[str], object],
        ended: Callable[[int], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._note, self._ended, self._clock = store, note, ended, clock
        self.elsewhere: dict[str, TrialSpec] = {}
        """Trials that another driver holds, or held at the last check, by key."""
        self._last_check = -PAUSE_SECONDS
        self._noted_drivers: set[str] = set()

    def claim(self, job: Job) -> Job | None:
        """Claim a job's trials, and return the job reduced to those that were free; None if none was."""
        claimed = self._store.claim([spec.key for spec in job.trials], job.name)
        self.elsewhere |= {spec.key: spec for spec in job.trials if spec.key not in claimed}
        trials = tuple(spec for spec in job.trials if spec.key in claimed)
        return job.model_copy(update={"trials": trials}) if trials else None

    def reclaimed(self) -> list[TrialSpec]:
        """Return unfinished trials whose driver has given them up. Calls within `PAUSE_SECONDS` return none."""
        now = self._clock()
        if not self.elsewhere or now - self._last_check < PAUSE_SECONDS:
            return []
        self._last_check = now
        left = self._store.claims.unfinished(self.elsewhere)
        free = [spec for key, spec in self.elsewhere.items() if key in left and left[key] is None]
        if ended := len(self.elsewhere) - len(left):
            self._ended(ended)
        self.elsewhere = {key: spec for key, spec in self.elsewhere.items() if left.get(key) is not None}
        drivers = {driver for driver in left.values() if driver}
        if drivers - self._noted_drivers:
            names = ", ".join(driver_label(driver) for driver in sorted(drivers))
            number = len(self.elsewhere)
            what = "1 trial is" if number == 1 else f"{number} trials are"
            self._note(
                f"{what} held by another driver ({names}); this one waits for them when it has nothing else to do"
            )
        self._noted_drivers |= drivers
        return free
