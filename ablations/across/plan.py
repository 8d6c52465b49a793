"""The plan of an ablation on several data sets: one plan for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablations.plan import AblationPlan
from ablations.study import Ablation
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.running.plan import Plan, facts_of_variants
from search.store.store import Store
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class PlanAcross(Plan):
    """An ablation on several data sets. On each of them it is an ablation as any other."""

    study: Ablation
    parts: Mapping[str, AblationPlan]
    """The plan on each data set, by its label."""

    @classmethod
    def of(cls, study: Ablation, *images: Images, variants: Mapping[DataSet, Images] | None = None) -> PlanAcross:
        """Compile the study, with the images of each of its data sets.

        Raises:
            InputError: an arm cannot be built for one of the data sets, or two of them have the same images.
        """
        parts: dict[str, AblationPlan] = {}
        for (label, on_one), each in zip(study.on_each.items(), images, strict=True):
            for other, part in parts.items():
                if each.were_read and part.images.fingerprint == each.fingerprint:
                    raise InputError(
                        f"data: {other} and {label} have the same images (fingerprint {each.fingerprint}); each data "
                        "set counts once"
                    )
            try:
                parts[label] = AblationPlan.of(on_one, each, label, variants)
            except InputError as error:
                raise InputError(f"on {label}: {error}") from None
        return cls(study, parts)

    @property
    def loaded(self) -> Mapping[str, tuple[DataSet, Images]]:
        return {label: (part.study.dataset, part.images) for label, part in self.parts.items()}

    @property
    def data(self) -> Sequence[tuple[DataSet, Images]]:
        return [each for part in self.parts.values() for each in part.data]

    @property
    def steps(self) -> int:
        return max(part.steps for part in self.parts.values())

    def count_trials(self, store: Store) -> tuple[int, int]:
        counts = [part.count_trials(store) for part in self.parts.values()]
        return sum(total for total, _ in counts), sum(ended for _, ended in counts)

    def name_of(self, spec: TrialSpec) -> str:
        return self._by_fingerprint[spec.fingerprint].name_of(spec)

    @cached_property
    def _by_fingerprint(self) -> dict[str, AblationPlan]:
        return {images.fingerprint: part for part in self.parts.values() for _, images in part.data}

    @property
    def notices(self) -> list[str]:
        return lines_of_parts({label: part.notices for label, part in self.parts.items()})

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "planned": self.study.plan_hash,
            **facts_of_variants([part.variants for part in self.parts.values()]),
        }


def lines_of_parts(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines of all parts, each with the part's label; a line that all parts have comes once."""
    found = [
        f"on each: {line}" if all(line in others for others in lines.values()) else f"{label}: {line}"
        for label, own in lines.items()
        for line in own
    ]
    return list(dict.fromkeys(found))
