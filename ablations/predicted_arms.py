"""The stored predictions of a run's trials, by arm; and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ablations.effects import Difference
from ablations.findings import Finding
from ablations.predictions import ArmPredictions, paired_errors
from ablations.two_way import TwoWay, over_divisions, with_images
from search.measures.catalogue import MEASURES
from search.trials.predictions import Predictions
from search.trials.record import TrialRecord
from search.trials.setup import Setup

NOTHING: Mapping[str, str] = MappingProxyType({})

MEASURE = MEASURES["test_error"]
"""The measure that predictions are of."""


@dataclass(frozen=True, eq=False)
class PredictedArms:
    """The predictions of arms for the test images: the same ones, or with `data.split: seed` each seed's own."""

    arms: Mapping[str, ArmPredictions]
    """By name; without arms of which nothing is stored."""
    split: str
    """The digest of the test split; empty if nothing is stored, or if seeds have test images of their own."""
    missing: int
    """The number of complete trials without predictions: of an earlier version, or lost in a repair."""
    unusable: int
    """The number of trials whose predictions are damaged, do not give their test error, or are of other images."""

    @classmethod
    def of(
        cls,
        setups: Mapping[str, Setup],
        records: Iterable[TrialRecord],
        stored: Mapping[str, bytes],
        *,
        by_seed: bool = False,
        same: Mapping[str, str] = NOTHING,
    ) -> PredictedArms:
        """Read the predictions of complete trials from their bytes by trial key.

        The test images are those of most trials; with `by_seed`, of most trials of each seed.

        Args:
            same: the digest of the study's test split, by the digests of the same images at other resolutions.
        """
        complete = [record for record in records if record.status == "complete"]
        classes = {setup.key: setup.classes for setup in setups.values()}
        found: list[tuple[TrialRecord, Predictions]] = []
        for record in complete:
            if content := stored.get(record.key):
                made = _read(content, record, classes.get(record.setup, 0))
                found += [(record, replace(made, split=same.get(made.split, made.split)))] if made else []
        tested: dict[int, Counter[Tested]] = {}
        for record, made in found:
            tested.setdefault(record.seed if by_seed else 0, Counter())[_tested(made)] += 1
        chosen = {seed: max(counts, key=lambda each: counts[each]) for seed, counts in tested.items()}
        # Divisions have splits of equal sizes.
        images = max((len(made) for _, made in found), default=0)
        by_setup: dict[str, dict[int, Predictions]] = {}
        for record, made in found:
            if len(made) == images and _tested(made) == chosen[record.seed if by_seed else 0]:
                by_setup.setdefault(record.setup, {})[record.seed] = made
        stacked = {key: ArmPredictions.of(seeds) for key, seeds in by_setup.items()}
        splits = {digest for digest, _ in chosen.values()}
        with_content = sum(record.key in stored for record in complete)
        return cls(
            arms={name: stacked[setup.key] for name, setup in setups.items() if setup.key in stacked},
            split=splits.pop() if len(splits) == 1 else "",
            missing=len(complete) - with_content,
            unusable=with_content - sum(len(seeds) for seeds in by_setup.values()),
        )

    @property
    def same_images(self) -> bool:
        """Whether all seeds have the same test images."""
        return bool(self.split)

    def interval(self, found: Finding, *, failed: Collection[int] = (), train: int | None = None) -> TwoWay | None:
        """Return the intervals of a comparison, on these test images and on images like these.

        The first is the finding's own. None if there is none, if it is by another measure than the test error, or if no
        seed of the comparison has predictions of both arms. `failed` are seeds that the difference leaves out; `train`
        is the number of training images, which is needed if seeds have test images of their own.
        """
        seen = found.difference
        arm, other = self.arms.get(found.arm), self.arms.get(found.versus)
        if found.measure != MEASURE or arm is None or other is None:
            return None
        if self.same_images:
            return on_images_like_these(seen, arm, other, failed=failed)
        if seen.delta is None or seen.low is None or seen.high is None or not train:
            return None
        return over_divisions(seen.delta, seen.low, seen.high, seen.n, train=train, test=arm.label.shape[1])


def on_images_like_these(
    seen: Difference, arm: ArmPredictions, other: ArmPredictions, *, failed: Collection[int] = ()
) -> TwoWay | None:
    """Return the intervals of arm - other, whose networks were tested on the same images; `seen` has that over seeds.

    None if there is no interval over seeds, or if no seed has predictions of both without being among the `failed`.
    """
    if seen.delta is None or seen.low is None or seen.high is None:
        return None
    d = paired_errors(arm, other, without=failed)
    return with_images(seen.delta, seen.low, seen.high, d, seen.confidence) if len(d) else None


Tested = tuple[str, bytes]
"""The digest of a test split, and its labels."""


def _tested(made: Predictions) -> Tested:
    return made.split, made.label.tobytes()


def _read(content: bytes, record: TrialRecord, classes: int) -> Predictions | None:
    """Return the predictions of a trial; None if they cannot be those of its test error."""
    try:
        found = Predictions.from_bytes(content)
    except ValueError:
        return None
    possible = max(int(found.label.max()), int(found.predicted.max())) < classes
    return found if possible and found.error == record.test_error else None
