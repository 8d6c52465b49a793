"""What one sees while trials run: a live display on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from search.running.screen import Screen, Stderr
from search.trials.events import Epoch, Event, Finished, Notice, Started

QUIET = 60.0
"""Seconds without a word that are never told."""

LONG = 10
"""A trial is silent when it has told nothing for so many times the longest pause so far."""


class Progress:
    """Counts events of trials of so many `steps`. Use it as a context.

    What it shows is shown aside: a terminal that hangs, or has gone, is no trial's affair.
    """

    def __init__(
        self,
        *,
        total: int,
        already: int,
        steps: int,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.already, self.steps, self.clock = total, already, steps, clock
        self.console = console or Stderr()
        self.screen = Screen(self.look)
        self.began = clock()
        self.names: dict[str, str] = {}
        """Of trials, for people, by key; one without a name is shown by its key."""
        self.running: dict[str, Epoch | None] = {}
        self.together: dict[str, int] = {}
        self.carried: dict[str, float] = {}
        """Parts of trials that a session before this one did."""
        self.heard: dict[str, float] = {}
        """When running trials told something last."""
        self.longest_pause = 0.0
        self.silent: set[str] = set()
        self.machines: list[str] = []
        """What was shown of machines."""
        self.shown: set[str] = set()
        """Notices that are shown once."""
        self.ended: Counter[str] = Counter()
        self.best: tuple[float, str] | None = None
        self.live = Live(console=self.console, get_renderable=self.render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        self.began = self.clock()
        self.screen.__enter__()
        if self.already:
            self.say(f"{self.already} of {self.total} trials are stored; {self.total - self.already} to do")
        if self.console.is_terminal:
            self.screen.do(self.live.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.screen.do(self.live.stop)
        self.screen.__exit__()

    def say(self, line: str) -> None:
        """Have a line printed."""
        self.screen.do(lambda: self.console.print(line, soft_wrap=True, markup=False))

    def tell(self, event: Event) -> None:
        """Take an event in, and print a line where a trial ends."""
        self._hear(event)
        match event:
            case Started():
                self.running[event.key] = None
                self.together[event.key] = event.together
                # Once: what a lost worker did in this session is no gift of one before.
                self.carried.setdefault(event.key, event.step / self.steps)
            case Epoch():
                self.running[event.key] = event
                self._better(event.validation_error, event.key)
            case Notice(host=""):
                if not event.once or event.text not in self.shown:
                    self.say(f"{self._name(event.key)}: {event.text}")
                self.shown.add(event.text)
            case Notice():
                line = f"{event.host}: {event.text}"
                if line not in self.machines:
                    self.machines.append(line)
                    self.say(line)
            case Finished():
                self.running.pop(event.key, None)
                self.ended[event.status] += 1
                self.say(self._line(event))

    def look(self) -> None:
        """Say which trials have been silent for much longer than any was; once, until they are heard again."""
        now = self.clock()
        for key, heard in list(self.heard.items()):
            pause = now - heard
            if self.longest_pause and pause > max(QUIET, LONG * self.longest_pause) and key not in self.silent:
                self.silent.add(key)
                longest = clock_face(self.longest_pause)
                self.say(f"{self._name(key)}: silent for {clock_face(pause)}; the longest pause so far was {longest}")

    def _hear(self, event: Event) -> None:
        now = self.clock()
        if isinstance(event, Epoch) and event.key in self.heard:
            self.longest_pause = max(self.longest_pause, now - self.heard[event.key])
        self.heard[event.key] = now
        self.silent.discard(event.key)
        if isinstance(event, Finished):
            del self.heard[event.key]

    def more(self, trials: int) -> None:
        """There are more trials to do than was known, or fewer."""
        self.total += trials

    def note(self, line: str) -> None:
        """Say something, above the display."""
        self.console.print(line, soft_wrap=True)

    def ended_elsewhere(self, trials: int) -> None:
        """So many were done by another driver."""
        self.already += trials

    def _name(self, key: str) -> str:
        return self.names.get(key, key)

    def _better(self, error: float, key: str) -> None:
        if self.best is None or error < self.best[0]:
            self.best = (error, self._name(key))

    def _line(self, event: Finished) -> str:
        done = self.already + self.ended.total()
        what = event.reason if event.test_error is None else f"test error {event.test_error:6.2%}"
        left = self.seconds_left()
        ahead = f", {clock_face(left)} left" if left and done < self.total else ""
        others = self.together.get(event.key, 1) - 1
        beside = f", together with {others} other{'s' * (others > 1)}" if others else ""
        ended = f"{self._name(event.key)}: {event.status}, {what}, {event.seconds:.0f} s{beside}"
        return f"[{done}/{self.total}] {ended}{ahead}"

    def seconds_left(self) -> float | None:
        """Time left at this session's pace, counting the parts of running trials; None before there is a pace."""
        parts = sum(epoch.step / self.steps for epoch in self.running.values() if epoch)
        done = self.ended.total() + parts - sum(self.carried.values())
        ahead = self.total - self.already - self.ended.total() - parts
        return (self.clock() - self.began) / done * ahead if done > 0.01 else None

    def render(self) -> Text:
        """The live display: a line of counts, and a line a running trial."""
        bad = ", ".join(f"{n} {status}" for status, n in self.ended.items() if status != "complete")
        waiting = self.total - self.already - self.ended.total() - len(self.running)
        left = self.seconds_left()
        head = [
            f"{self.already + self.ended['complete']} of {self.total} complete",
            f"{len(self.running)} running",
            f"{waiting} waiting",
            *([bad] if bad else []),
            f"{clock_face(left)} left" if left is not None else "starting",
            *([f"best so far {self.best[0]:.2%} ({self.best[1]}, validation)"] if self.best else []),
        ]
        lines = [" | ".join(head)]
        for key, epoch in list(self.running.items()):
            where = "starting"
            if epoch:
                where = (
                    f"{epoch.step / self.steps:4.0%}  epoch {epoch.epoch}  loss {epoch.loss:.3f}  "
                    f"validation error {epoch.validation_error:6.2%}  {epoch.images_per_second:,.0f} images/s"
                )
            lines.append(f"  {self._name(key)}: {where}")
        return Text("\n".join(lines))


def clock_face(seconds: float) -> str:
    """3:05, or 1:02:03 past an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
