"""The kinds of studies. A new kind is a row of `KINDS` that names its classes and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

    from ablations.sensitivity import Sensitivity
    from reports.outlook import Outlook
    from reports.page import Page
    from reports.runs import Run
    from search.data import DataSet, Images
    from search.files.folder import RunFolder
    from search.running.feed import Feed
    from search.running.plan import Plan
    from search.running.progress import Progress
    from search.store.store import Store
    from search.trials.study import Study

T = TypeVar("T")


@dataclass(frozen=True)
class LazyImport(Generic[T]):
    """A class or function that is imported when needed, by `module:name`: importing all at the start takes seconds."""

    location: str

    def load(self) -> T:
        found: T = resolve_name(self.location)
        return found


@dataclass(frozen=True)
class Kind:
    """The classes and functions for one kind of study."""

    study: LazyImport[type[Study]]
    """The study's description, as its file has it."""
    in_code: LazyImport[type[Study]]
    """The same in Python, with what can be done with it."""
    plan: LazyImport[Callable[..., Plan]]
    """From the study, and the images of each data set, to the plan. Raises `InputError` if it cannot be compiled."""
    outlook: LazyImport[Callable[[Any], Outlook]]
    """From the plan to the forecast of its time and memory."""
    feed: LazyImport[Callable[[Any, Store, Progress], Feed]]
    """From plan, store and progress to the feed of jobs; adds the trials to the store."""
    run: LazyImport[Callable[[Any, RunFolder, Store], Run]]
    """From the folder to its results so far. Raises `InputError` if no stored trial belongs to the run."""
    document: LazyImport[Callable[..., Page]]
    """From a run, and `published` results, to its report as a page."""
    exports: Mapping[str, Mapping[str, LazyImport[Callable[[Any], str | bytes]]]]
    """From a run to its tables for other programs, by the name of the format and that of the file."""
    frames: Mapping[str, LazyImport[Callable[[Any], pd.DataFrame]]]
    """From a run to its results as data frames, by name: table, findings, trials, curves."""
    sensitivity: LazyImport[Callable[..., Sensitivity]] | None = None
    """From the plan, a `StoredRun` to learn from and a wanted difference to what the seeds can show."""


KINDS: dict[str, Kind] = {
    "ablation": Kind(
        study=LazyImport("ablations.study:Ablation"),
        in_code=LazyImport("resnet_space.api.in_code:Study"),
        plan=LazyImport("ablations.plan:AblationPlan.of"),
        outlook=LazyImport("reports.outlook:of_ablation"),
        feed=LazyImport("ablations.feed:AblationFeed"),
        run=LazyImport("ablations.run:AblationRun.of"),
        document=LazyImport("reports.document.ablation:document"),
        exports={
            "csv": {"report": LazyImport("reports.arms:as_csv")},
            "parquet": {"report": LazyImport("reports.arms:as_parquet")},
        },
        frames={
            "table": LazyImport("reports.frames:arms_of"),
            "findings": LazyImport("reports.frames:findings_of"),
            "trials": LazyImport("reports.frames:trials_of"),
            "curves": LazyImport("reports.frames:curves_of"),
        },
        sensitivity=LazyImport("ablations.sensitivity:of_plan"),
    ),
    "search": Kind(
        study=LazyImport("search.exploring.study:Search"),
        in_code=LazyImport("resnet_space.api.in_code:Search"),
        plan=LazyImport("search.exploring.plan:SearchPlan.of"),
        outlook=LazyImport("reports.outlook:of_search"),
        feed=LazyImport("search.exploring.feed:SearchFeed"),
        run=LazyImport("search.exploring.run:SearchRun.of"),
        document=LazyImport("reports.document.search:document"),
        exports={
            "csv": {"report": LazyImport("reports.front:of_run")},
            "parquet": {"report": LazyImport("reports.front:as_parquet")},
        },
        frames={
            "table": LazyImport("reports.frames:networks_of"),
            "trials": LazyImport("reports.frames:trials_searched"),
            "curves": LazyImport("reports.frames:curves_searched"),
        },
    ),
}
"""By the `kind` in the study's file. The first one is the default."""

ACROSS: dict[str, Kind] = {
    "ablation": Kind(
        study=LazyImport("ablations.study:Ablation"),
        in_code=LazyImport("resnet_space.api.in_code:Study"),
        plan=LazyImport("ablations.across.plan:PlanAcross.of"),
        outlook=LazyImport("reports.outlook_of_parts:of_several"),
        feed=LazyImport("ablations.across.feed:FeedAcross"),
        run=LazyImport("ablations.across.run:RunAcross.of"),
        document=LazyImport("reports.document.across:document"),
        exports={
            "csv": {
                "report": LazyImport("reports.across:csv_of_arms"),
                "over-data-sets": LazyImport("reports.across:csv_of_comparisons"),
            },
            "parquet": {
                "report": LazyImport("reports.across:parquet_of_arms"),
                "over-data-sets": LazyImport("reports.across:parquet_of_comparisons"),
            },
        },
        frames={
            "table": LazyImport("reports.frames:arms_across"),
            "findings": LazyImport("reports.frames:findings_across"),
            "trials": LazyImport("reports.frames:trials_across"),
            "curves": LazyImport("reports.frames:curves_across"),
        },
    ),
}
"""By kind, if the study has several data sets. The description of such a study is that of its kind."""

TUNED: dict[str, Kind] = {
    "ablation": Kind(
        study=LazyImport("ablations.study:Ablation"),
        in_code=LazyImport("resnet_space.api.in_code:Study"),
        plan=LazyImport("ablations.tuning.plan:TunedPlan.of"),
        outlook=LazyImport("reports.outlook_of_parts:of_tuned"),
        feed=LazyImport("ablations.tuning.feed:TunedFeed"),
        run=LazyImport("ablations.tuning.run:TunedRun.of"),
        document=LazyImport("reports.document.tuned:document"),
        exports={
            "csv": {
                "report": LazyImport("reports.tuned:csv_of_arms"),
                "tuning": LazyImport("reports.tuned:csv_of_tuning"),
            },
            "parquet": {
                "report": LazyImport("reports.tuned:parquet_of_arms"),
                "tuning": LazyImport("reports.tuned:parquet_of_tuning"),
            },
        },
        frames={
            "table": LazyImport("reports.frames:arms_tuned"),
            "findings": LazyImport("reports.frames:findings_tuned"),
            "trials": LazyImport("reports.frames:trials_tuned"),
            "curves": LazyImport("reports.frames:curves_tuned"),
            "tuning": LazyImport("reports.frames:tuning_of"),
        },
    ),
}
"""By kind, if the study tunes its arms. The description of such a study is that of its kind."""


def compile_plan(study: Study, load: Callable[[DataSet], Images]) -> Plan:
    """Load the data of a study and of its arms, and compile it into a plan.

    Raises:
        InputError: it cannot be compiled, or an augmentation is not possible for these images or networks.
    """
    from search.trials.sides import at_sides

    parts = study.on_each.values()
    images = {data: load(data) for part in parts for data in (part.dataset, *part.datasets)}
    variants = {data: found for data, found in images.items() if all(data != part.dataset for part in parts)}
    own = [images[part.dataset] for part in parts]
    planned = kind_of(study).plan.load()(study, *own, **({"variants": variants} if variants else {}))
    for part in parts:
        for recipe, data in part.trainings:
            recipe.augmentation.check(images[data].shape, images[data].classes)
        for setup in part.setups(images).values():
            at_sides(setup.net, setup.recipe)
    return planned


def kind_of(study: Study) -> Kind:
    """Return the classes and functions for a study."""
    return (ACROSS if study.several else TUNED if study.tunes else KINDS)[study.kind]
