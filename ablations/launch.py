"""From an ablation to its trials, and from its stored trials to what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ablations.published import of_arms
from ablations.study import Ablation
from ablations.summary import ArmSummary, summarise
from resnet_space import Architecture
from search.data import Images
from search.folder import RunFolder
from search.plan import Plan
from search.progress import Progress
from search.store import Store
from search.sweep import Runner, sweep, unfinished
from search.trial import Job, TrialSpec


@dataclass(frozen=True)
class AblationPlan(Plan):
    """An ablation with its data at hand: every arm's architecture, and the distinct trials in the order they run."""

    study: Ablation
    images: Images
    architectures: Mapping[str, Architecture]

    @classmethod
    def of(cls, study: Ablation, images: Images) -> AblationPlan:
        """Compile the study.

        Raises:
            InputError: an arm that is no network, or a published row that is not there.
        """
        of_arms(study)
        return cls(study, images, study.architectures(images.shape, images.classes))

    @cached_property
    def trials(self) -> dict[str, TrialSpec]:
        """Distinct trials by key, a seed of every arm before the next seed."""
        specs = (
            TrialSpec(
                architecture=net,
                recipe=self.study.recipe,
                data=self.study.data,
                fingerprint=self.images.fingerprint,
                seed=seed,
            )
            for seed in self.study.confirming
            for net in self.architectures.values()
        )
        trials: dict[str, TrialSpec] = {}
        for spec in specs:
            trials.setdefault(spec.key, spec)
        return trials

    @property
    def jobs(self) -> list[Job]:
        return [Job(trials=(spec,)) for spec in self.trials.values()]

    @property
    def folded(self) -> list[tuple[str, ...]]:
        """Arms that are one and the same network, and are trained once."""
        by_key: dict[str, list[str]] = {}
        for name, net in self.architectures.items():
            by_key.setdefault(net.key, []).append(name)
        return [tuple(names) for names in by_key.values() if len(names) > 1]

    def name_of(self, key: str) -> str:
        """A trial's name for people: its arms, and its seed."""
        trial = self.trials[key]
        arms = [name for name, net in self.architectures.items() if net.key == trial.architecture.key]
        return f"{' = '.join(arms)}, seed {trial.seed}"

    @property
    def notices(self) -> list[str]:
        return [f"the same network, trained once: {' = '.join(names)}" for names in self.folded]

    def begin(self, store: Store) -> None:
        store.add(self.trials.values())

    def counted(self, store: Store) -> tuple[int, int]:
        return len(self.trials), len(self.trials) - sum(len(job.trials) for job in unfinished(self.jobs, store))

    def drive(self, store: Store, runner: Runner, progress: Progress) -> None:
        sweep(self.jobs, store, runner, progress.tell)


@dataclass(frozen=True)
class AblationRun:
    """An ablation's folder, read: the study, and its trials as they are stored now."""

    study: Ablation
    folder: RunFolder
    summaries: list[ArmSummary]
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]

    @classmethod
    def of(cls, study: Ablation, folder: RunFolder, store: Store) -> AblationRun:
        """What is stored, also while it runs."""
        records = store.records()
        data = records[0].spec["architecture"]
        nets = study.architectures(tuple(data["input_shape"]), data["classes"])
        wanted = [record for record in records if record.seed in study.confirming]
        return cls(study, folder, summarise(study, nets, wanted), store.counts(), store.reasons())

    @property
    def failed(self) -> bool:
        """Whether a trial of this study failed."""
        return any(arm.ended.get("failed") for arm in self.summaries)
