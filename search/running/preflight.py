"""What a run needs of the machines it goes on, looked at before its first trial: folder, disk, data, versions,
kernels."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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

MARGIN = 100_000_000
"""Bytes that are to stay free beside what is reckoned: the store, reports, logs."""

GRACE_SECONDS = 5.0
"""How long a network file system may take to show a node what another wrote."""

TOKEN = ".preflight-"
"""What the folder's name begins with that every node must find in the run's."""

PACKAGE = "resnet-space"


@dataclass(frozen=True)
class Preflight:
    """What is asked. `each` and `kept` are bytes: of one trial's checkpoint, and of all weights there will be."""

    checkpoints: Place
    data: DataSet
    fingerprint: str
    each: int = 0
    kept: int = 0
    patience: float = 60.0
    """Seconds that a node may take to answer."""
    data_patience: float = 900.0
    """Seconds that a node may take to read the data set, which it does once, and trials then find it there."""
    say: Callable[[str], None] = print
    nets: tuple[Architecture, ...] = ()
    """Networks that will be trained, as far as they are known."""
    conditions: Conditions | None = None
    """What their kernels are chosen by."""

    @classmethod
    def of(cls, plan: Plan, store: Store, checkpoints: Place, say: Callable[[str], None]) -> Preflight:
        """For what the store has on its list and has not finished; a search's networks are not known beforehand."""
        from search.kernels.soundness import conditions_of
        from search.trials.events import FINISHED

        trials = store.frame()
        left = trials.loc[~trials["status"].isin(FINISHED), "params"]
        # Weights and momenta in float32.
        each = 8 * int(left.max()) if len(left) else 0
        described = store.architectures(trials.loc[left.index, "architecture"].unique().tolist())
        return cls(
            checkpoints,
            plan.study.data,
            plan.images.fingerprint,
            each,
            4 * int(left.sum()),
            say=say,
            nets=tuple(map(Architecture.of, described.values())),
            conditions=conditions_of(plan.study.recipe, plan.study.resources),
        )

    def here(self, workers: int) -> None:
        """Look at this machine, which has loaded the data and is the only one.

        Raises:
            InputError: the folder cannot be written, the disk is too full, torch cannot use the GPU that trials ask
                for, or a kernel is wrong.
        """
        with self.token() as asked:
            self.judge({"this machine": answer(asked)}, workers)
        if self.conditions and self.conditions.device != "cpu":
            from search.kernels.gpu import unusable

            if why := unusable():
                self.refuse({"this machine": [f"resources.gpus: torch can use no GPU here: {why}"]}, 1)
        if self.conditions:
            from search.kernels.soundness import refused

            self.refuse({"this machine": found} if (found := refused(self.nets, self.conditions)) else {}, 1)

    @contextmanager
    def token(self) -> Iterator[dict[str, Any]]:
        """What every node is asked: to find in the run's folder what was written here just now.

        Raises:
            InputError: the folder cannot be written here.
        """
        for left in self.checkpoints.glob(f"{TOKEN}*"):
            # By a driver that was killed here; of those that live, this is the folder's only one.
            clear(left)
        folder, word = self.checkpoints / f"{TOKEN}{secrets.token_hex(8)}", secrets.token_hex(16)
        try:
            try:
                write_file(folder / "driver", word.encode())
            except OSError as error:
                raise InputError(
                    f"{self.checkpoints}: cannot be written here ({error.strerror or error}); {self._other}"
                ) from None
            yield {"folder": folder, "word": word}
        finally:
            clear(folder)

    @property
    def _other(self) -> str:
        return f"choose another {'--out' if isinstance(self.checkpoints, Path) else '--checkpoints'}"

    def judge(self, answers: Mapping[str, Mapping[str, Any]], workers: int) -> None:
        """Say what differs a little, and raise for what will not do; `answers` by the nodes' names.

        Raises:
            InputError: a line for each node that is not ready, with all that is wrong there.
        """
        own = versions()
        wrong: dict[str, list[str]] = {}
        for name, found in answers.items():
            refused, noted = compared(own, found["versions"])
            for note in noted:
                self.say(f"{name} has {note}: numbers may differ in their last digits")
            lines = [f"has {each}" for each in refused] + ([found["folder"]] if found["folder"] else [])
            if not found["folder"] and (full := self._too_full(found["free"], workers)):
                lines.append(full)
            if lines:
                wrong[name] = lines
        self.refuse(wrong, len(answers))

    def refuse(self, wrong: Mapping[str, Sequence[str]], nodes: int) -> None:
        """Raise, if anything is wrong anywhere."""
        if wrong:
            lines = [f"{name}: {line}" for name, some in wrong.items() for line in some]
            head = [f"{len(wrong)} of {nodes} nodes cannot take trials:"] if nodes > 1 else []
            raise InputError("\n".join([*head, *lines]))

    def _too_full(self, free: int | None, workers: int) -> str:
        # The last two, and a new one until it is whole.
        needed = workers * 3 * self.each + self.kept + MARGIN
        if free is None or free >= needed:
            return ""
        return (
            f"{_size(free)} are free at {self.checkpoints}, and the run may take {_size(needed)} ({workers} trials at "
            f"a time with three checkpoints of {_size(self.each)}, and {_size(self.kept)} of weights that "
            "stay); make room, or choose another --out"
        )


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """On a node: its versions, its free disk, and what is wrong with the run's folder there, if anything is.

    A bucket has room for all.
    """
    folder: Place = asked["folder"]
    wrong, free = "", None
    try:
        if isinstance(folder, Path):
            _awaited(folder / "driver")
        if (folder / "driver").read_bytes() != asked["word"].encode():
            wrong = "is another folder than where the run was begun"
        (folder / f"{platform.node()}-{os.getpid()}").write_text(asked["word"])
        if isinstance(folder, Path):
            free = shutil.disk_usage(folder).free
    except FileNotFoundError:
        wrong = "is not there, or not the folder in which the run was begun"
    except OSError as error:
        wrong = f"cannot be written ({error.strerror or error})"
    told = f"{folder.parent} {wrong}; checkpoints need a folder that all nodes share: choose another --out"
    return {"versions": versions(), "free": free, "folder": told if wrong else ""}


def clear(folder: Place) -> None:
    """Remove a folder with all that is in it, as far as that can be done."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        folder.remove()


def data_there(data: Mapping[str, Any], fingerprint: str) -> str:
    """On a node: what is wrong with the data set there; "" if it is the one that the trials were planned with."""
    from search.data import load

    try:
        found = load(DataSet.of(dict(data))).fingerprint
    except InputError as error:
        return f"{error}; or have it in a folder that all nodes share, and name that with --data-root"
    if found != fingerprint:
        return f"data set {data['name']!r} is another one there (fingerprint {found}, and {fingerprint} here)"
    return ""


def kernels_there(nets: Sequence[Mapping[str, Any]], conditions: Mapping[str, Any]) -> list[str]:
    """On a node: lines on kernels of these networks that are wrong there and cannot be avoided. Both are plain data."""
    from search.kernels.layers import Conditions
    from search.kernels.soundness import refused

    return refused(map(Architecture.of, nets), Conditions(**conditions))


def compared(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Versions that differ too much for one run, and those that differ a little: "torch 2.9.0, and 2.8.1 is here".

    Too much is another minor version of Python or torch, and any other code of this package.
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
    """Of what makes a trial's numbers: Python, torch and this package, the last with a hash of its code."""
    return {
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        PACKAGE: f"{_own_version()} (code {_code()})",
    }


def _own_version() -> str:
    """The installed version; of a checkout that is only on the import path, that is what it says."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "not installed"


def _code() -> str:
    """8 hex digits of SHA-256 over the modules that describe and train networks: a checkout's version says little."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for room in ("resnet_space", "search") for path in (root / room).rglob("*.py")):
        # Not the bytes as they are: a checkout on another system may end its lines otherwise.
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + b"\n".join(path.read_bytes().splitlines()))
    return digest.hexdigest()[:8]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _awaited(path: Path) -> None:
    end = time.monotonic() + GRACE_SECONDS
    while not path.exists() and time.monotonic() < end:
        # A network file system may remember for a while that a folder was not there; listing makes it look again.
        if path.parent.parent.is_dir():
            os.listdir(path.parent.parent)
        time.sleep(0.1)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
