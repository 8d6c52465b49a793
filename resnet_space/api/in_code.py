"""Studies in Python: those of files and those written in code, which plan and run with one call each.

>>> import resnet_space as rs
>>> study = rs.study("shortcuts", seeds=2, epochs=1)
>>> run = study.run("runs/short", inline=True)  # doctest: +SKIP
>>> run.table()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ablations.study import Ablation
from resnet_space import api
from resnet_space.api.kinds import kind_of
from resnet_space.api.studies import changes_of, load, load_data
from resnet_space.description import explanation
from resnet_space.errors import InputError
from search.exploring.study import Search as SearchStudy
from search.trials.study import Study as AnyStudy

if TYPE_CHECKING:
    from resnet_space.api.planned import Planned
    from resnet_space.api.results import Run


class Runnable(AnyStudy):
    """What can be done with a study in Python."""

    if not TYPE_CHECKING:  # There, the fields are the arguments.

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise InputError(explanation(error, type(self))) from None

    def plan(self, *, detect: float | None = None, pilot: str | Path | None = None, download: bool = False) -> Planned:
        """Return the plan: arms, trials, cost, and what the seeds can show. The first steps of networks are measured.

        Args:
            detect: the difference that the study should resolve, in percentage points.
            pilot: the folder of a run whose errors and spreads are expected here.
            download: download the data set if it is missing. Default: plan with what is known of it.

        Raises:
            InputError: the study cannot be compiled, or as `resnet_space.api.forecasts.outlook`.
        """
        from resnet_space.api.planned import Planned

        plan = api.plan(self, download=download, unread=not download)
        return Planned(plan, api.outlook(plan, detect=detect, pilot=None if pilot is None else Path(pilot)))

    def run(
        self,
        out: str | Path | None = None,
        *,
        download: bool = False,
        inline: bool = False,
        address: str | None = None,
        storage: str | None = None,
        checkpoints: str | None = None,
        retry_failed: bool = False,
        registered: str | Path | None = None,
    ) -> Run:
        """Run the study, or resume it where it stopped, and return its results.

        Ctrl-C stops it; what is stored is kept. A Ray that this process has joined is used.

        Args:
            out: the run's folder. Default: `runs/NAME`.
            download: download the data set if it is missing.
            inline: train in this process, without Ray.
            address: the address of a running Ray cluster. Default: Ray starts on this machine.
            storage: the URL of a database to use instead of the folder's SQLite file.
            checkpoints: the URL of a bucket to use instead of the folder's `checkpoints/`.
            retry_failed: retry failed trials.
            registered: a file of `resnet-space plan --register`; the report says what differs from it.

        Raises:
            InputError: the data are missing, the folder belongs to another study, or a machine lacks what it needs.
            KeyboardInterrupt: it was stopped. The same call resumes it.
        """
        from resnet_space.api.results import Run

        folder = Path("runs") / self.name if out is None else Path(out)
        api.run(
            self,
            folder,
            download=download,
            inline=inline,
            address=address,
            storage=storage,
            checkpoints=checkpoints,
            retry_failed=retry_failed,
            registered=None if registered is None else Path(registered),
        )
        return Run(folder, storage=storage, checkpoints=checkpoints)

    def _repr_html_(self) -> str:
        from reports import notebook

        rows = [
            ("kind", f"{self.kind}, {self.extent}"),
            ("question", self.question),
            ("source", self.source),
            ("data", ", ".join(self.on_each)),
            ("recipe", ", ".join(f"{name} {value}" for name, value in self.recipe.to_dict().items() if value)),
        ]
        return notebook.table(self.name, ["", ""], [row for row in rows if row[1]])


class Study(Runnable, Ablation):
    """An ablation, in code: the fields are those of its file, and are checked in the same way.

        rs.Study(
            name="gates",
            net="resnet20",
            data="digits",
            recipe={"base": "digits", "epochs": 5},
            arms={"identity": {}, "gated": {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6}}}},
            baseline="identity",
        )

    Raises:
        InputError: one line per mistake: path, value, what is allowed, nearest name.
    """


class Search(Runnable, SearchStudy):
    """A search, in code: the fields are those of its file, and are checked in the same way.

        rs.Search(
            name="small",
            data="digits",
            recipe="digits",
            space={"base": "resnet20", "axes": {"width": [0.25, 0.5, 1], "unit.order": "all"}},
            budget={"trials": 20},
        )

    Raises:
        InputError: one line per mistake: path, value, what is allowed, nearest name.
    """


def study(
    source: str | Path | Mapping[str, Any],
    *,
    profile: str | None = None,
    dataset: str | Sequence[str] | None = None,
    data_root: str | Path | None = None,
    seeds: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Study | Search:
    """Return a study by the name of a shipped one, by file, or from its fields, with changes.

    Args:
        profile: a profile of the study, such as laptop or paper.
        dataset: use this data set, or several, instead of the study's.
        data_root: the folder of the data sets.
        seeds: seeds per arm, or seeds that confirm the front of a search.
        epochs: epochs per trial.
        trials: the maximum number of trials of a search.
        changes: further values by path, as `--set` has them: `{"recipe.lr": 0.2, "unit.order": "original"}`.

    Raises:
        InputError: the study is wrong; the message has file, path, value, allowed values and nearest name.
    """
    root = None if data_root is None else str(data_root)
    changed = dict(changes or {}) | changes_of(
        dataset=dataset, data_root=root, seeds=seeds, epochs=epochs, trials=trials
    )
    if isinstance(source, Mapping):
        found = load_data(dict(source), profile=profile, changes=changed)
    else:
        found = load(str(source), profile=profile, changes=changed)
    made = kind_of(found).in_code.load().of(found.to_dict())
    assert isinstance(made, Study | Search)
    return made
