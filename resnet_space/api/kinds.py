"""The kinds of studies. A new kind is a row: it says where its parts are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from reports.outlook import Outlook
    from reports.page import Page
    from reports.runs import Run
    from search.data import Images
    from search.files.folder import RunFolder
    from search.running.feed import Feed
    from search.running.plan import Plan
    from search.running.progress import Progress
    from search.store.store import Store
    from search.trials.study import Study

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """Something of a package, by its place, `module:name`: importing all of them at the start would take seconds."""

    place: str

    def load(self) -> T:
        found: T = resolve_name(self.place)
        return found


@dataclass(frozen=True)
class Kind:
    """What is done with a study of a kind."""

    study: Part[type[Study]]
    """What its file says."""
    plan: Part[Callable[[Any, Images], Plan]]
    """The study with its data at hand. Raises `InputError` for a study that cannot be compiled."""
    outlook: Part[Callable[[Any], Outlook]]
    """What its plan will take."""
    feed: Part[Callable[[Any, Store, Progress], Feed]]
    """The jobs of a plan; puts its trials on the store's list."""
    run: Part[Callable[[Any, RunFolder, Store], Run]]
    """What its folder holds, also while it runs. Raises `InputError` if no stored trial is of the run."""
    document: Part[Callable[..., Page]]
    """The report of a run as a page; takes `published` results, too."""
    exports: Mapping[str, Part[Callable[[Any], str | bytes]]]
    """Tables of a run for other programs, by the name of their format."""


KINDS: dict[str, Kind] = {
    "ablation": Kind(
        study=Part("ablations.study:Ablation"),
        plan=Part("ablations.plan:AblationPlan.of"),
        outlook=Part("reports.outlook:of_ablation"),
        feed=Part("ablations.feed:AblationFeed"),
        run=Part("ablations.run:AblationRun.of"),
        document=Part("reports.document.ablation:document"),
        exports={"csv": Part("reports.arms:as_csv"), "parquet": Part("reports.arms:as_parquet")},
    ),
    "search": Kind(
        study=Part("search.exploring.study:Search"),
        plan=Part("search.exploring.plan:SearchPlan.of"),
        outlook=Part("reports.outlook:of_search"),
        feed=Part("search.exploring.feed:SearchFeed"),
        run=Part("search.exploring.run:SearchRun.of"),
        document=Part("reports.document.search:document"),
        exports={"csv": Part("reports.front:of_run"), "parquet": Part("reports.front:as_parquet")},
    ),
}
"""By the word that a study's file has as its `kind`. The first is the one of a file that has none."""
