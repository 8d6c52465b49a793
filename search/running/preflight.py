"""Checks before the first trial: does every machine have what the run needs (folder, disk, data, versions, kernels)?"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data.description import DataSet
from search.files.bucket import Place, write_file

if TYPE_CHECKING:
    from search.kernels.layers import Conditions
    from search.running.plan import Plan
    from search.store.store import Store

RESERVE_BYTES = 100_000_000
"""Free space required in addition to checkpoints and weights: for the store, reports and logs."""

GRACE_SECONDS = 5.0
"""How long a network file system can take to show a node what another node wrote."""

TOKEN_PREFIX = ".preflight-"
"""Prefix of the temporary folder that every node must find in the run's checkpoint folder."""

PACKAGE = "resnet-space"


@dataclass(frozen=True)
class Preflight:
    """What the machines of a run must have."""

    checkpoints: Place
    data: Sequence[tuple[DataSet, str]]
    """Each data set of the study with its fingerprint."""
    checkpoint_bytes: int = 0
    """Size of one trial's checkpoint."""
    weight_bytes: int = 0
    """Size of the weights of all trials that are not finished."""
    answer_seconds: float = 60.0
    """Timeout for a node's answer."""
    data_seconds: float = 900.0
    """Timeout for a node to read a data set. Its trials then find the data in its cache."""
    say: Callable[[str], None] = print
    kernels: Mapping[Conditions, Sequence[Architecture]] = field(default_factory=dict)
    """The conditions under which kernels run, each with the networks that will be trained so, as far as they are known.
    """

    @classmethod
    def of(cls, plan: Plan, store: Store, checkpoints: Place, say: Callable[[str], None]) -> Preflight:
        """Return the needs of a store's unfinished trials. The later networks of a search are not known yet."""
        from search.kernels.soundness import conditions_of
        from search.trials.events import FINISHED
        from search.trials.recipe import Recipe

        trials, study = store.frame(), plan.study
        left = trials.loc[~trials["status"].isin(FINISHED)]
        described = store.architectures(left["architecture"].unique().tolist())
        nets = {key: Architecture.of(data) for key, data in described.items()}
        trained = store.trainings(left["training"].dropna().unique().tolist())
        recipes = {training: Recipe.of(spec["recipe"]) for training, spec in trained.items()}
        kernels: dict[Conditions, dict[Architecture, None]] = {conditions_of(study.recipe, study.resources): {}}
        for net, training in left[["architecture", "training"]].drop_duplicates().itertuples(index=False):
            conditions = conditions_of(recipes.get(training, study.recipe), study.resources)
            kernels.setdefault(conditions, {})[nets[net]] = None
        # Weights, the optimiser's moments and averages in float32.
        copies = max(recipe.copies for recipe in (study.recipe, *recipes.values()))
        checkpoint_bytes = 4 * copies * int(left["params"].max()) if len(left) else 0
        return cls(
            checkpoints,
            [(data, images.fingerprint) for data, images in plan.data],
            checkpoint_bytes,
            4 * int(left["params"].sum()),
            say=say,
            kernels={conditions: tuple(some) for conditions, some in kernels.items()},
        )

    def check_this_machine(self, workers: int) -> None:
        """Check this machine, the only one of the run. It has loaded the data already.

        Raises:
            InputError: the folder cannot be written, the disk is too full, torch cannot use the GPU that trials ask
                for, or a kernel is wrong.
        """
        with self.token() as asked:
            self.check_answers({"this machine": check_node(asked)}, workers)
        if any(conditions.device != "cpu" for conditions in self.kernels):
            from search.kernels.gpu import why_unusable

            if why := why_unusable():
                self.raise_if_any({"this machine": [f"resources.gpus: torch cannot use any GPU here: {why}"]}, 1)
        for conditions, nets in self.kernels.items():
            from search.kernels.soundness import unavoidable_faults

            self.raise_if_any({"this machine": found} if (found := unavoidable_faults(nets, conditions)) else {}, 1)

    @contextmanager
    def token(self) -> Iterator[dict[str, Any]]:
        """Write a secret into the run's folder, and yield what nodes need to find it: `{folder, word}`.

        Raises:
            InputError: the folder cannot be written here.
        """
        for leftover in self.checkpoints.glob(f"{TOKEN_PREFIX}*"):
            # Of a driver that was killed: no other living driver has this folder.
            remove_folder(leftover)
        folder, word = self.checkpoints / f"{TOKEN_PREFIX}{secrets.token_hex(8)}", secrets.token_hex(16)
        try:
            try:
                write_file(folder / "driver", word.encode())
            except OSError as error:
                raise InputError(
                    f"{self.checkpoints}: cannot be written here ({error.strerror or error}); {self._other}"
                ) from None
            yield {"folder": folder, "word": word}
        finally:
            remove_folder(folder)

    @property
    def _other(self) -> str:
        return f"choose another {'--out' if isinstance(self.checkpoints, Path) else '--checkpoints'}"

    def check_answers(self, answers: Mapping[str, Mapping[str, Any]], workers: int) -> None:
        """Judge the answers of `check_node`, by node name: report small differences, and raise for serious ones.

        Raises:
            InputError: one line for each problem of each node that is not ready.
        """
        own = versions()
        wrong: dict[str, list[str]] = {}
        for name, found in answers.items():
            refused, noted = compare_versions(own, found["versions"])
            for note in noted:
                self.say(f"{name} has {note}: numbers can differ in their last digits")
            lines = [f"has {each}" for each in refused] + ([found["folder"]] if found["folder"] else [])
            if not found["folder"] and (full := self._too_full(found["free"], workers)):
                lines.append(full)
            if lines:
                wrong[name] = lines
        self.raise_if_any(wrong, len(answers))

    def raise_if_any(self, wrong: Mapping[str, Sequence[str]], nodes: int) -> None:
        """Check that no node has a problem. `wrong` has the problems by node name, `nodes` is the number of nodes.

        Raises:
            InputError: one line for each problem.
        """
        if wrong:
            lines = [f"{name}: {line}" for name, some in wrong.items() for line in some]
            head = [f"{len(wrong)} of {nodes} nodes cannot take trials:"] if nodes > 1 else []
            raise InputError("\n".join([*head, *lines]))

    def _too_full(self, free: int | None, workers: int) -> str:
        # A trial keeps two checkpoints, and has a third one while it writes it.
        needed = workers * 3 * self.checkpoint_bytes + self.weight_bytes + RESERVE_BYTES
        if free is None or free >= needed:
            return ""
        return (
            f"{_size(free)} are free at {self.checkpoints}, and the run can take {_size(needed)} ({workers} trials at "
            f"a time with three checkpoints of {_size(self.checkpoint_bytes)} each, and {_size(self.weight_bytes)} of "
            "weights); make room, or choose another --out"
        )


def check_node(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run on a node: return its versions, its free disk space, and what is wrong with the run's folder there.

    `free` is None in a bucket, whose space is not limited; `folder` is "" if nothing is wrong.
    """
    folder: Place = asked["folder"]
    wrong, free = "", None
    try:
        if isinstance(folder, Path):
            _wait_for(folder / "driver")
        if (folder / "driver").read_bytes() != asked["word"].encode():
            wrong = "is not the folder in which the run was started"
        (folder / f"{platform.node()}-{os.getpid()}").write_text(asked["word"])
        if isinstance(folder, Path):
            free = shutil.disk_usage(folder).free
    except FileNotFoundError:
        wrong = "does not exist, or is not the folder in which the run was started"
    except OSError as error:
        wrong = f"cannot be written ({error.strerror or error})"
    line = f"{folder.parent} {wrong}; checkpoints need a folder that all nodes share: choose another --out"
    return {"versions": versions(), "free": free, "folder": line if wrong else ""}


def remove_folder(folder: Place) -> None:
    """Remove a folder with its contents, and ignore errors."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        folder.remove()


def check_node_data(data: Mapping[str, Any], fingerprint: str) -> str:
    """Run on a node: return what is wrong with its data set, or "" if it is the one that was planned with."""
    from search.data import load

    try:
        found = load(DataSet.of(dict(data))).fingerprint
    except InputError as error:
        return f"{error}; or put it in a folder that all nodes share, and pass that as --data-root"
    if found != fingerprint:
        return f"data set {data['name']!r} has other contents there (fingerprint {found}, and {fingerprint} here)"
    return ""


def check_node_kernels(nets: Sequence[Mapping[str, Any]], conditions: Mapping[str, Any]) -> list[str]:
    """Run on a node: return a line for each kernel of these networks that is wrong there and cannot be avoided.

    Networks and conditions are plain data, as `model_dump` and `asdict` give them.
    """
    from search.kernels.layers import Conditions
    from search.kernels.soundness import unavoidable_faults

    return unavoidable_faults(map(Architecture.of, nets), Conditions(**conditions))


def compare_versions(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return (versions that differ too much for one run, versions that differ a little).

    Too much is another minor version of Python or torch, or any other code of this package. An entry reads "torch
    2.9.0, and 2.8.1 is here".
    """
    refused: list[str] = []
    noted: list[str] = []
    for name, own in here.items():
        other = there.get(name, "none")
        if other != own:
            small = name != PACKAGE and _minor(own) == _minor(other)
            (noted if small else refused).append(f"{name} {other}, and {own} is here")
    return refused, noted


@cache
def versions() -> dict[str, str]:
    """Return the versions that change a trial's numbers: Python, torch, and this package with a hash of its code."""
    return {
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        PACKAGE: f"{_own_version()} (code {_code()})",
    }


def _own_version() -> str:
    """Return the installed version, or "not installed" for a checkout that is only on the import path."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "not installed"


def _code() -> str:
    """Return 8 hex digits of the SHA-256 of the modules that describe and train networks.

    The version alone does not identify a checkout.
    """
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for room in ("resnet_space", "search") for path in (root / room).rglob("*.py")):
        # Lines, not bytes: a checkout on another system can have other line ends.
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + b"\n".join(path.read_bytes().splitlines()))
    return digest.hexdigest()[:8]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _wait_for(path: Path) -> None:
    end = time.monotonic() + GRACE_SECONDS
    while not path.exists() and time.monotonic() < end:
        # A network file system can cache for a while that a folder does not exist; listing its parent refreshes that.
        if path.parent.parent.is_dir():
            os.listdir(path.parent.parent)
        time.sleep(0.1)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
