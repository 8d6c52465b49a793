"""The network that someone chose in a run: by its key, the beginning of it, or its arm's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations import library
from ablations.study import Ablation
from resnet_space import Architecture, documents
from resnet_space.errors import InputError, unknown
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.files.folder import RunFolder
from search.store import membership
from search.store.store import Store
from search.training.export import weights_of
from search.trials.study import Study

UNKNOWN = (
    "mean and deviation of the images, by which the input is normalised, and the names of the classes are not known: "
    "an earlier version ran all sessions, and did not store them; the same `resnet-space run` again stores them"
)


@dataclass(frozen=True)
class Choice:
    """A network, the weights of its best trial, and what is known of that; no weights where none is complete.

    `inputs` are None where an earlier version did not store what its images were; `notes` are for whoever takes it.
    """

    net: Architecture
    weights: Place | None
    facts: Mapping[str, str | int | float]
    inputs: Inputs | None
    notes: Sequence[str]


def choose(path: Path, arm: str, storage: str | None = None, checkpoints: str | None = None) -> Choice:
    """Find a network of a run. Its best trial is that of least validation error.

    A bucket is asked for weights only where it is named here: who sent the folder must not choose whom this machine
    calls.

    Raises:
        InputError: no run's folder, or no network of it, or more than one, goes by that name; a manifest whose data
            are not the network's.
    """
    folder = RunFolder.existing(path, checkpoints)
    study = library.of(documents.read(folder.study), source=str(folder.study))
    store = Store.of(folder, storage)
    try:
        frame, own = store.frame(), membership.identity(study.recipe, folder, store)
        rows = zip(frame["key"], frame["architecture"], frame["seed"], strict=True)
        mine = [key == own.key(architecture, int(seed)) for key, architecture, seed in rows]
        left_out, frame = membership.left_out(len(frame) - sum(mine)), frame[mine]
        if frame.empty and left_out:
            raise InputError(f"{path}: no trials yet; {left_out}")
        key = _key(arm, study, store, sorted(set(frame["architecture"])))
        net = Architecture.of(store.architectures([key])[key])
    finally:
        store.close()
    trials = frame[(frame["architecture"] == key) & (frame["status"] == "complete")].sort_values("validation_error")
    inputs = _inputs(folder, study, net)
    facts: dict[str, str | int | float] = {"study": study.name, "data": study.data.name}
    weights = weights_of(folder.checkpoints, list(trials["key"]))
    if weights:
        (best,) = trials[trials["key"] == weights.parent.name].to_dict("records")
        facts |= {"trial": weights.parent.name, "seed": int(best["seed"])}
        facts |= {name: float(best[name]) for name in ("validation_error", "test_error")}
    return Choice(net, weights, facts, inputs, [note for note in (left_out, "" if inputs else UNKNOWN) if note])


def _inputs(folder: RunFolder, study: Study, net: Architecture) -> Inputs | None:
    data = folder.data
    try:
        return Inputs.of(data, study.data, net) if data else None
    except InputError as error:
        raise InputError(f"{folder.manifest}: {error}") from None


def _key(name: str, study: Study, store: Store, keys: list[str]) -> str:
    arms = arms_of(study, store, keys)
    if name in arms:
        return arms[name]
    found = [key for key in keys if key.startswith(name)] if name else []
    if len(found) > 1:
        raise InputError(f"--arm {name}: {len(found)} networks begin so: {', '.join(found[:5])}; give more of the key")
    if not found:
        raise unknown("network", name, [*arms, *keys], path="--arm")
    return found[0]


def arms_of(study: Study, store: Store, keys: list[str]) -> dict[str, str]:
    """Keys of stored networks by the names that an ablation gave them; none for another kind of study."""
    if not isinstance(study, Ablation) or not keys:
        return {}
    some = Architecture.of(store.architectures(keys[:1])[keys[0]])
    nets = study.architectures(some.input_shape, some.classes)
    return {name: net.key for name, net in nets.items() if net.key in keys}
