"""A driver's share of jobs that others on the same store may do too."""

from __future__ import annotations

import time
from collections.abc import Callable

from search.store.claims import driver_label
from search.store.store import Store
from search.trials.trial import Job, TrialSpec

PAUSE_SECONDS = 1.0
"""Between two looks at what others have in hand."""


class Share:
    """Takes a job's trials in hand before they are done, and keeps an eye on those that another driver has.

    `note` takes a line for people, `ended` how many trials have ended in other hands.
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
        """What another driver has in hand, or had, as far as is known here."""
        self._looked = -PAUSE_SECONDS
        self._told: set[str] = set()

    def take(self, job: Job) -> Job | None:
        """The job with those of its trials that are this driver's to do; None without any."""
        mine = self._store.claim([spec.key for spec in job.trials], job.name)
        self.elsewhere |= {spec.key: spec for spec in job.trials if spec.key not in mine}
        trials = tuple(spec for spec in job.trials if spec.key in mine)
        return job.model_copy(update={"trials": trials}) if trials else None

    def back(self) -> list[TrialSpec]:
        """Trials that were elsewhere and are in nobody's hands any more, without an end; not at every call."""
        now = self._clock()
        if not self.elsewhere or now - self._looked < PAUSE_SECONDS:
            return []
        self._looked = now
        left = self._store.claims.unfinished(self.elsewhere)
        free = [spec for key, spec in self.elsewhere.items() if key in left and left[key] is None]
        if ended := len(self.elsewhere) - len(left):
            self._ended(ended)
        self.elsewhere = {key: spec for key, spec in self.elsewhere.items() if left.get(key) is not None}
        drivers = {driver for driver in left.values() if driver}
        if drivers - self._told:
            names = ", ".join(driver_label(driver) for driver in sorted(drivers))
            number = len(self.elsewhere)
            what = "1 trial is" if number == 1 else f"{number} trials are"
            self._note(f"{what} in the hands of another driver ({names}); waited for when there is nothing else to do")
        self._told |= drivers
        return free
