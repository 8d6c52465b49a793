"""A plan in Python: what a study will train, what that costs, and what its seeds can show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from reports.outlook import Outlook
    from search.running.plan import Plan
    from search.trials.study import Study


class Planned:
    """A study with its data and its forecast. A notebook shows it as tables.

    >>> import resnet_space as rs
    >>> plan = rs.study("shortcuts", seeds=2).plan()  # doctest: +SKIP
    >>> plan.trials, plan.hours, plan.table()  # doctest: +SKIP
    """

    def __init__(self, plan: Plan, outlook: Outlook) -> None:
        self._plan, self.outlook = plan, outlook

    @property
    def study(self) -> Study:
        return self._plan.study

    @property
    def arms(self) -> list[str]:
        """The names of the networks: the arms of an ablation, some networks of a search."""
        return [row.name for row in self.outlook.rows]

    @property
    def trials(self) -> int | None:
        """The number of trials; None if a budget in hours decides it."""
        return self.outlook.trials

    @property
    def hours(self) -> float | None:
        """The estimated hours from the start to the end on this machine; None if it cannot run the study."""
        hours: float | None = self.as_dict()["wall_hours"]
        return hours

    @property
    def misfits(self) -> list[str]:
        """What does not fit on this machine, in words."""
        return list(self.outlook.misfits)

    def table(self) -> pd.DataFrame:
        """Return one row per network: complexity, and the seconds and bytes of one trial on this machine."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.outlook.rows])

    def as_dict(self) -> dict[str, Any]:
        """Return what `resnet-space plan --json` prints."""
        resources = self.study.resources
        return self.outlook.as_json(resources.gpus, resources.cpus)

    def register(self, path: str | Path) -> None:
        """Write the plan to a new file, as a pre-registration; see `resnet_space.api.register`.

        Raises:
            InputError: the file exists or cannot be written, or the study is a search.
        """
        from resnet_space import api

        api.register(self._plan, self.outlook, Path(path))

    def __repr__(self) -> str:
        return "\n".join([f"plan of {self.study.name}", *self.outlook.lines, *self.outlook.misfits])

    def _repr_html_(self) -> str:
        from reports import notebook
        from reports.outlook import blocks

        return notebook.blocks(blocks(self.outlook))
