"""The catalogue of measures: everything that trials and networks are compared by. Fast to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Literal

Source = Literal["trial", "epochs", "network"]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Measure:
    """A number of each trial, or of a network. Smaller is better.

    >>> MEASURES["test_error"].heading, MEASURES["test_error"].text(0.0139, 0.002)
    ('test error, %', '1.39 ± 0.20')
    """

    name: str
    """As a study writes it."""
    words: str
    unit: str
    """The unit of the shown number, such as %; empty for counts."""
    source: Source
    """`trial`: a column of the stored trial; `epochs`: the last epoch's, unless there is an `until`; `network`: known
    before training."""
    column: str
    """Its column in `Store.results()` or `Store.curves()`."""
    split: Split | None = None
    """The split of which it is a share of images, drawn binomially; None for a positive number, whose spread is alike
    on a logarithmic scale."""
    decimals: int = 2
    step: float = 0.0
    """Values are whole multiples of this, such as epochs; 0 if they are continuous."""
    guess: Callable[[int], float] | None = None
    """The value of a network that guesses, by the number of classes: that of a trial that diverged. None if a trial
    that diverged has no value."""
    until: tuple[str, float] | None = None
    """(column, fraction): the measure is the value of its own column at the first epoch at which that column is at most
    this. A trial without such an epoch is censored: all that is known is that it needs more."""
    note: str = ""
    """What a table with the measure says below it."""

    @property
    def heading(self) -> str:
        """Its title in tables and on axes."""
        return f"{self.words}, {self.unit}" if self.unit else self.words

    @property
    def percent(self) -> bool:
        """Whether 100 times the value is shown."""
        return self.unit == "%"

    @property
    def known_before(self) -> bool:
        """Whether it follows from a network's description, without training."""
        return self.source == "network"

    @property
    def of_time(self) -> bool:
        """Whether it is a time that training took."""
        return self.column in ("seconds", "elapsed")

    @property
    def curve(self) -> str:
        """The column of epochs that shows how the value came about; empty if there is none."""
        return self.until[0] if self.until else self.column if self.source == "epochs" else ""

    @property
    def difference_unit(self) -> str:
        """The unit of a difference: percentage points for shares."""
        return "points" if self.percent else self.unit

    def text(self, mean: float | None, std: float | None = None) -> str:
        """Return a value with its spread, such as `1.39 ± 0.20`; `-` if it is None."""
        if mean is None:
            return "-"
        return " ± ".join(f"{self._shown(part):.{self.decimals}f}" for part in (mean, std) if part is not None)

    def size(self, difference: float) -> str:
        """Return a difference without its sign, such as `8.36 points`."""
        return f"{abs(self._shown(difference)):.{self.decimals}f} {self.difference_unit}".rstrip()

    def interval(self, value: float, low: float | None, high: float | None) -> str:
        """Return a difference with its interval, such as `+8.36 [+6.10, +10.62]`."""
        return f"{self.signed(value)} {self.span(low, high)}".strip()

    def span(self, low: float | None, high: float | None) -> str:
        """Return an interval of a difference, such as `[+6.10, +10.62]`; empty if it has no ends."""
        return "" if low is None or high is None else f"[{self.signed(low)}, {self.signed(high)}]"

    def signed(self, difference: float) -> str:
        """Return a difference with its sign, such as `+8.36`."""
        return f"{self._shown(difference):+z.{self.decimals}f}"

    def _shown(self, value: float) -> float:
        return 100 * value if self.percent else value


def _error(name: str, words: str, source: Source, split: Split, *, of: int = 1, note: str = "") -> Measure:
    """An error of which a class is right if it is among the `of` most likely ones."""
    return Measure(name, words, "%", source, name, split, guess=lambda classes: max(0.0, 1 - of / classes), note=note)


LAST_EPOCH = "of the last epoch's steps, on augmented images, while the weights changed."
ONE_MACHINE = "depends on the machine and its load."
SHARED = f"{ONE_MACHINE} Trials that trained as one network have equal shares of its time."

MEASURES: dict[str, Measure] = {
    row.name: row
    for row in (
        _error("test_error", "test error", "trial", "test"),
        _error("validation_error", "validation error", "trial", "validation"),
        # Of the last epoch's steps, on augmented images: what 1512.03385 plots in figure 6. A deeper net with a higher
        # training error is its evidence of degradation, "not caused by overfitting" (section 1).
        _error("train_error", "training error", "epochs", "train", note=LAST_EPOCH),
        _error("top5_error", "top-5 test error", "trial", "test", of=5),
        Measure("train_loss", "training loss", "nats", "epochs", "loss", decimals=4, guess=log, note=LAST_EPOCH),
        Measure("seconds", "training time", "s", "trial", "seconds", decimals=1, note=SHARED),
        Measure("latency_ms", "latency", "ms", "trial", "latency_ms", decimals=3, note=ONE_MACHINE),
    )
}
"""Measures of trials, by name. Those that have a parameter are in `search.measures.targets`."""

COSTS: dict[str, Measure] = {
    row.name: row
    for row in (
        Measure("macs", "MACs", "", "network", "macs", decimals=0),
        Measure("params", "parameters", "", "network", "params", decimals=0),
        Measure("activations", "activations", "", "network", "activations", decimals=0),
    )
}
"""Measures of networks, by name: the same for all trials of a network."""
