"""The methods that are compared: our samplers, Optuna's as a user calls them, and peers in their own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from search.samplers.kinds import SAMPLERS, Local
from search.samplers.local_search import LocalSearch
from search.samplers.sampler import Outcome, Sampler, Strategy
from search.samplers.stopping import MoAsha, NoStopping, Rungs, StoppingKind
from search_quality import public
from search_quality.method import Method, Request
from search_quality.table import Table

HERE = Path(__file__).parent
PEERS_PYTHON = Path(os.environ.get("SEARCH_QUALITY_PEERS", HERE / ".venv")) / "bin" / "python"
"""The interpreter of the environment with the peers; see `peers/requirements.txt`."""


class Ours:
    """One of our samplers, with one of our stopping rules, as a search uses them."""

    def __init__(self, name: str, stopping: StoppingKind, table: Table, seed: int) -> None:
        objectives = ("error", table.cost)
        if name == "local":
            # As `Local.strategy`, for spaces that count their networks in another way.
            strategy: Strategy = LocalSearch(table.space, objectives, table.count, seed, Local().startup)
        else:
            strategy = SAMPLERS[name]().strategy(table.space, objectives, seed)
        self._sampler = Sampler(table.space, strategy, seed=seed)
        self._rungs = Rungs(stopping, table.epochs)
        self._epochs = table.epochs
        self.every_epoch = bool(self._rungs.recorded)

    def ask(self) -> Request | None:
        proposal = self._sampler.ask()
        self._sampler.refused()
        return proposal and Request(str(proposal.number), proposal.assignment, self._epochs)

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        if epoch == self._epochs:
            self._sampler.tell(int(request.trial), Outcome("complete", values))
        elif self._rungs.judge(request.trial, epoch, values):
            self._sampler.tell(int(request.trial), Outcome("pruned"))
            return False
        return True


class Optuna:
    """One of Optuna's samplers with its own defaults and categories, as in its documentation."""

    every_epoch = False

    def __init__(self, sampler: str, table: Table, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            directions=["minimize", "minimize"], sampler=getattr(optuna.samplers, sampler)(seed=seed)
        )
        self._space, self._epochs = table.space, table.epochs
        self._trials: dict[str, Any] = {}

    def ask(self) -> Request:
        trial = self._study.ask()
        self._trials[str(trial.number)] = trial
        assignment = self._space.suggest(lambda path, axis: trial.suggest_categorical(path, list(axis.values())))
        return Request(str(trial.number), assignment, self._epochs)

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        self._study.tell(self._trials.pop(request.trial), list(values))
        return True


class Peer:
    """A method of another library, in a process of its own; see `peers/serve.py`."""

    def __init__(self, name: str, table: Table, seed: int) -> None:
        self._process = subprocess.Popen(
            [PEERS_PYTHON, "-m", "search_quality.peers.serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        )
        self._values = {path: list(axis.values()) for path, axis in table.space.axes.items()}
        # Every axis is a category to the peers, as it is to Optuna; its values are named by their places.
        axes = {path: [str(place) for place in range(len(values))] for path, values in self._values.items()}
        self.every_epoch = self._answer({"axes": axes, "epochs": table.epochs, "seed": seed})

    def ask(self) -> Request:
        request = Request(**self._answer({"ask": True}))
        assignment = {path: self._values[path][int(place)] for path, place in request.assignment.items()}
        return replace(request, assignment=assignment)

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        return bool(self._answer({"tell": request.trial, "epoch": epoch, "values": values}))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self, question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended with status {self._process.wait()}")
        return json.loads(line)


@dataclass(frozen=True)
class Entry:
    """A row of the comparison: what it is, how to make it, and what it needs.

    `make` takes a table, of which it sees what is known before training, and a seed. `stops`: it needs a table with
    curves. `ours` is given costs as they are and knows no scale; the others are given each scale's, between 0 and 1.
    """

    label: str
    make: Callable[[Table, int], Method]
    stops: bool = False
    ours: bool = False
    package: str = ""
    """The package that the peers' environment needs."""
    slow: bool = False
    """Whether it takes seconds per proposal: it is replayed only if it is named, and with fewer repetitions."""


SYNE_TUNE, NEPS = "syne-tune", "neural-pipeline-search"
RUNGS = MoAsha(grace=1, reduction=3)

METHODS: dict[str, Entry] = {
    "random": Entry("random search", partial(Ours, "random", NoStopping()), ours=True),
    **{
        name: Entry(f"`{name}`", partial(Ours, name, NoStopping()), ours=True)
        for name in ("local", "tpe", "nsga2", "nsga3", "grid")
    },
    "gp": Entry("`gp`", partial(Ours, "gp", NoStopping()), ours=True, slow=True),
    "local+mo_asha": Entry("`local`, `stopping: mo_asha`", partial(Ours, "local", RUNGS), stops=True, ours=True),
    "random+mo_asha": Entry("`random`, `stopping: mo_asha`", partial(Ours, "random", RUNGS), stops=True, ours=True),
    "optuna tpe": Entry("Optuna, TPE", partial(Optuna, "TPESampler")),
    "optuna nsga2": Entry("Optuna, NSGA-II", partial(Optuna, "NSGAIISampler")),
    "optuna gp": Entry("Optuna, GP", partial(Optuna, "GPSampler"), slow=True),
    "syne-tune mo-rea": Entry("Syne Tune, evolution", partial(Peer, "syne-tune mo-rea"), package=SYNE_TUNE),
    "syne-tune ehvi": Entry("Syne Tune, EHVI", partial(Peer, "syne-tune ehvi"), slow=True, package=SYNE_TUNE),
    "syne-tune mo-asha": Entry("Syne Tune, MO-ASHA", partial(Peer, "syne-tune mo-asha"), stops=True, package=SYNE_TUNE),
    "neps bo": Entry("NePS, EHVI", partial(Peer, "neps bo"), slow=True, package=NEPS),
    "neps mo-asha": Entry("NePS, MO-ASHA", partial(Peer, "neps mo-asha"), stops=True, package=NEPS),
    "neps mo-hyperband": Entry("NePS, MO-Hyperband", partial(Peer, "neps mo-hyperband"), stops=True, package=NEPS),
    "neps primo": Entry("NePS, PriMO", partial(Peer, "neps primo"), stops=True, slow=True, package=NEPS),
}
"""All methods, by the name that `--only` takes."""


def peers_versions() -> dict[str, str]:
    """Return the versions of the installed peers, by package."""
    return {name: facts["version"] for name, facts in _installed().items()}


def peers_folder(package: str) -> Path | None:
    """Return the folder in which a package of the peers' environment is installed; None if it is not."""
    return Path(_installed()[package]["folder"]) if package in _installed() else None


@lru_cache(maxsize=1)
def _installed() -> dict[str, dict[str, str]]:
    if not PEERS_PYTHON.is_file():
        return {}
    code = (
        "import json; from importlib.metadata import distributions; "
        "print(json.dumps({d.name: {'version': d.version, 'folder': str(d.locate_file(''))} for d in distributions()}))"
    )
    found = json.loads(subprocess.run([PEERS_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)
    return {name: found[name] for name in (SYNE_TUNE, NEPS, public.PACKAGE) if name in found}
