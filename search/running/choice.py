"""The network that someone chose in a run: by its key, the beginning of it, or its arm's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resnet_space import Architecture
from resnet_space.errors import InputError, unknown
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.files.folder import RunFolder
from search.store import membership
from search.store.stored import StoredRun
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


def choose(stored: StoredRun, name: str) -> Choice:
    """Find a network of a run. Its best trial is that of least validation error.

    A bucket is asked for weights only where the caller named it: the sender of a folder must not choose whom this
    machine calls.

    Raises:
        InputError: no network of it, or more than one, goes by that name; a manifest whose data are not the network's.
    """
    folder, study, store = stored
    frame, own = store.frame(), membership.identity(study.recipe, folder, store)
    rows = zip(frame["key"], frame["architecture"], frame["seed"], strict=True)
    mine = [key == own.key(architecture, int(seed)) for key, architecture, seed in rows]
    left_out, frame = membership.foreign_note(len(frame) - sum(mine)), frame[mine]
    if frame.empty and left_out:
        raise InputError(f"{folder.path}: no trials yet; {left_out}")
    keys = sorted(set(frame["architecture"]))
    key = _key(name, stored.arms(keys), keys)
    net = Architecture.of(store.architectures([key])[key])
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


def _key(name: str, arms: Mapping[str, str], keys: list[str]) -> str:
    if name in arms:
        return arms[name]
    found = [key for key in keys if key.startswith(name)] if name else []
    if len(found) > 1:
        raise InputError(f"--arm {name}: {len(found)} networks begin so: {', '.join(found[:5])}; give more of the key")
    if not found:
        raise unknown("network", name, [*arms, *keys], path="--arm")
    return found[0]
