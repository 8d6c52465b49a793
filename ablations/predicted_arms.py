"""The stored predictions of a run's trials, by arm; and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ablations import alpha_spending
from ablations.findings import Finding
from ablations.predictions import ArmPredictions, paired_errors
from ablations.study import Ablation
from ablations.two_way import TwoWay, with_images
from resnet_space import Architecture
from search.trials.predictions import Predictions
from search.trials.record import TrialRecord

MEASURE = "test_error"
"""The measure of a study that predictions are of. Predictions for the validation split are not stored."""


@dataclass(frozen=True, eq=False)
class PredictedArms:
    """The predictions of arms for the same test images."""

    arms: Mapping[str, ArmPredictions]
    """By name; without arms of which nothing is stored."""
    split: str
    """The digest of the test split; empty if nothing is stored."""
    missing: int
    """The number of complete trials without predictions: of an earlier version, or lost in a repair."""
    unusable: int
    """The number of trials whose predictions are damaged, do not give their test error, or are of other images."""

    @classmethod
    def of(
        cls, nets: Mapping[str, Architecture], records: Iterable[TrialRecord], stored: Mapping[str, bytes]
    ) -> PredictedArms:
        """Read the predictions of complete trials from their bytes by trial key."""
        complete = [record for record in records if record.status == "complete"]
        classes = {net.key: net.classes for net in nets.values()}
        found: list[tuple[TrialRecord, Predictions]] = []
        for record in complete:
            if content := stored.get(record.key):
                made = _read(content, record, classes.get(record.architecture, 0))
                found += [(record, made)] if made else []
        splits = Counter((made.split, made.label.tobytes()) for _, made in found)
        chosen = max(splits, key=lambda split: splits[split], default=("", b""))
        by_net: dict[str, dict[int, Predictions]] = {}
        for record, made in found:
            if (made.split, made.label.tobytes()) == chosen:
                by_net.setdefault(record.architecture, {})[record.seed] = made
        stacked = {key: ArmPredictions.of(by_seed) for key, by_seed in by_net.items()}
        used = sum(len(by_seed) for by_seed in by_net.values())
        with_content = sum(record.key in stored for record in complete)
        return cls(
            arms={name: stacked[net.key] for name, net in nets.items() if net.key in stacked},
            split=chosen[0],
            missing=len(complete) - with_content,
            unusable=with_content - used,
        )

    def interval(self, study: Ablation, found: Finding) -> TwoWay | None:
        """Return the intervals of a comparison, on these test images and on images like these.

        The first is the finding's own. None if there is none, if the study compares validation errors, or if no seed of
        the comparison has predictions of both arms.
        """
        seen = found.difference
        arm, other = self.arms.get(found.arm), self.arms.get(found.versus)
        if study.planned.measure != MEASURE or arm is None or other is None:
            return None
        if seen.delta is None or seen.low is None or seen.high is None:
            return None
        d = paired_errors(arm, other)
        if not len(d):
            return None
        done = len(study.analyses_up_to(seen.n + len(seen.missing)))
        confidence = alpha_spending.interval_confidence(done, len(study.analyses))
        return with_images(seen.delta, (seen.high - seen.low) / 2, d, confidence)


def _read(content: bytes, record: TrialRecord, classes: int) -> Predictions | None:
    """Return the predictions of a trial; None if they cannot be those of its test error."""
    try:
        found = Predictions.from_bytes(content)
    except ValueError:
        return None
    possible = max(int(found.label.max()), int(found.predicted.max())) < classes
    return found if possible and found.error == record.test_error else None
