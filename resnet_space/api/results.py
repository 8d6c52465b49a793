"""The results of a run in Python, as text, tables, figures and modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from resnet_space import api
from resnet_space.api.folders import open_folder
from resnet_space.api.kinds import kind_of
from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

    from reports.page import Page
    from reports.runs import Run as Stored
    from resnet_space.api.exports import Options
    from search.trials.study import Study

FIGURES = {"effects": "differences"}
"""Other names of figures, by the name of their files."""


class Run:
    """A run's folder, with its results as they were at the first use; `refresh` reads them again.

    The run can still be running. Errors are fractions.

    >>> import resnet_space as rs
    >>> run = rs.open_run("runs/demo")  # doctest: +SKIP
    >>> print(run.answer)  # doctest: +SKIP
    >>> run.table()[["arm", "error_mean", "delta", "verdict"]]  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, *, storage: str | None = None, checkpoints: str | None = None) -> None:
        """Open a run's folder.

        Args:
            storage: the URL of the database, if it is not the folder's own.
            checkpoints: the URL of the bucket, if the checkpoints are not in the folder.

        Raises:
            InputError: not a run's folder.
        """
        from search.files.folder import RunFolder

        self.path, self._storage, self._checkpoints = Path(path), storage, checkpoints
        RunFolder.existing(self.path, checkpoints)

    def refresh(self) -> Run:
        """Forget what was read, and return the run."""
        for name in ("stored", "page"):
            self.__dict__.pop(name, None)
        return self

    @cached_property
    def stored(self) -> Stored:
        """The results as the reports use them.

        Raises:
            InputError: there is no trial yet, or the database cannot be read.
        """
        return api.open_run(self.path, self._storage, self._checkpoints)

    @cached_property
    def page(self) -> Page:
        """The report as plain data."""
        return api.document(self.stored)

    @property
    def study(self) -> Study:
        """The study as it was resolved: an `rs.Study` or `rs.Search`."""
        with open_folder(self.path, self._storage) as (_, study, _):
            return kind_of(study).in_code.load().of(study.to_dict())

    @property
    def answer(self) -> str:
        """The answer to the study's question, in words."""
        return self.page.answer

    def status(self) -> dict[str, Any]:
        """Return what `resnet-space status --json` prints."""
        return api.status(self.path, self._storage).presence.as_json()

    def table(self) -> pd.DataFrame:
        """Return one row per arm of an ablation, or per network of a search with a complete trial.

        The columns of arms are those of `report --format csv`.
        """
        return self._frame("table")

    def findings(self) -> pd.DataFrame:
        """Return one row per comparison of arms, planned ones first: difference, interval, p-values, verdict.

        Raises:
            InputError: the run is a search, which compares no arms.
        """
        return self._frame("findings")

    def trials(self) -> pd.DataFrame:
        """Return one row per trial: its arms or its network, seed, status, errors, costs and times."""
        return self._frame("trials")

    def curves(self) -> pd.DataFrame:
        """Return one row per epoch of each trial: loss, errors, learning rate, seconds."""
        return self._frame("curves")

    def tuning(self) -> pd.DataFrame:
        """Return one row per arm and recipe that was tried, with its validation error, if the study tunes its arms.

        Raises:
            InputError: the study does not.
        """
        return self._frame("tuning")

    def front(
        self,
        objectives: str | Sequence[str] | None = None,
        *,
        where: str | None = None,
        budget: str | None = None,
        knee: bool = False,
        dataset: str | None = None,
    ) -> pd.DataFrame:
        """Return the Pareto front, one row per network; the columns are those of `front --format json`.

        Args:
            objectives: what is minimised, such as `["error", "macs"]`. Default: the study's.
            where: keep only networks for which this is true, such as `macs < 1e8 and depth >= 20`.
            budget: return only the network of least error for which this is true.
            knee: return only the knee, where the front bends most.
            dataset: the label of a data set, for a run on several.

        Raises:
            InputError: an unknown objective, an invalid filter, or no network that fits.
        """
        import pandas as pd

        from reports.front import COLUMNS, rows

        wanted = objectives if objectives is None or isinstance(objectives, str) else ",".join(objectives)
        found = api.front(
            self.path,
            objectives=wanted,
            where=where,
            budget=budget,
            knee=knee,
            dataset=dataset,
            storage=self._storage,
        )
        return pd.DataFrame(rows(found.points, found.nets), columns=list(COLUMNS))

    @property
    def figures(self) -> list[str]:
        """The names of the report's figures."""
        return [picture.stem for picture in self.page.pictures]

    def figure(self, name: str, width: float | None = None) -> Figure:
        """Return a figure of the report by name, such as `effects` or `curves`, to show, change or save.

        Args:
            width: in inches; the layout is for this width. Default: 6.75, two columns of a paper; one column is 3.25.

        Raises:
            InputError: the report has no such figure.
        """
        from reports.page import DOUBLE

        pictures = {picture.stem: picture for picture in self.page.pictures}
        stem = name if name in pictures else FIGURES.get(name, name)
        if stem not in pictures:
            raise unknown("figure", name, pictures)
        return pictures[stem].draw(DOUBLE if width is None else width)

    def report(self, formats: Sequence[str] = ("html",), *, figures: str | Path | None = None) -> list[Path]:
        """Write the report in each format into the folder, and return the paths.

        Args:
            figures: a folder for each figure alone, for one and for two columns of a paper, as SVG, PNG and PDF.

        Raises:
            InputError: an unknown format, or one that needs a program that is not installed.
        """
        return api.report(self.stored, formats, figures=None if figures is None else Path(figures))

    def model(self, network: str, *, seed: int | None = None, dataset: str | None = None) -> nn.Module:
        """Return a network with the weights of one of its trials, in evaluation mode.

        It takes normalised images, float32 (N, C, H, W); `resnet-space export` has mean and standard deviation.

        Args:
            network: an arm's name, the network's key, or the first characters of the key.
            seed: the seed of the trial; default: that of the median validation error.
            dataset: the label of the data set that it was trained on, for a run on several.

        Raises:
            InputError: no network has this name, or it has no complete trial.
        """
        from search.running.choice import choose
        from search.training.export import load_trained

        with open_folder(self.path, self._storage, self._checkpoints) as found:
            choice = choose(found.on(dataset), network, seed=seed)
        if not choice.weights:
            raise InputError(f"{network}: has no weights here: none of its trials is complete")
        return load_trained(choice.net, choice.weights[0]).eval()

    def export(self, network: str, to: str | Path, **options: Unpack[Options]) -> list[Path]:
        """Write a trained network to a file or folder that works alone; see `resnet_space.api.exports.export`."""
        options.setdefault("storage", self._storage)
        options.setdefault("checkpoints", self._checkpoints)
        return api.export(self.path, network, to, **options).paths

    def _frame(self, name: str) -> pd.DataFrame:
        frames: Mapping[str, Any] = kind_of(self.stored.study).frames
        if name not in frames:
            raise InputError(f"{self.path}: {name}: a {self.stored.study.kind} has {', '.join(frames)}")
        found: pd.DataFrame = frames[name].load()(self.stored)
        return found

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})\n{self.page.answer}\n{self.page.state}"

    def _repr_html_(self) -> str:
        from reports import notebook

        return notebook.page(self.page)


def open_run(path: str | Path, *, storage: str | None = None, checkpoints: str | None = None) -> Run:
    """Return a run by its folder; see `Run`."""
    return Run(path, storage=storage, checkpoints=checkpoints)
