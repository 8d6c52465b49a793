"""The network that someone chose in a run: by its key, the beginning of it, or its arm's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablations import library
from ablations.study import Ablation
from resnet_space import Architecture, documents
from resnet_space.errors import InputError, unknown
from search.bucket import Place
from search.export import weights_of
from search.folder import RunFolder
from search.plan import stored
from search.store import Store
from search.study import Study


@dataclass(frozen=True)
class Choice:
    """A network, the weights of its best trial, and what is known of that; no weights where none is complete."""

    net: Architecture
    weights: Place | None
    facts: Mapping[str, str | int | float]


def choose(path: Path, arm: str, storage: str | None = None, checkpoints: str | None = None) -> Choice:
    """Find a network of a run. Its best trial is that of least validation error.

    A bucket is asked for weights only where it is named here: who sent the folder must not choose whom this machine
    calls.

    Raises:
        InputError: no run's folder, or no network of it, or more than one, goes by that name.
    """
    folder = RunFolder.existing(path, checkpoints)
    study = library.of(documents.read(folder.study), source=str(folder.study))
    store = stored(folder, storage)
    try:
        frame = store.frame()
        key = _key(arm, study, store, sorted(set(frame["architecture"])))
        net = Architecture.of(store.architectures([key])[key])
    finally:
        store.close()
    mine = frame[(frame["architecture"] == key) & (frame["status"] == "complete")].sort_values("validation_error")
    facts: dict[str, str | int | float] = {"study": study.name, "data": study.data.name}
    weights = weights_of(folder.checkpoints, list(mine["key"]))
    if weights:
        (best,) = mine[mine["key"] == weights.parent.name].to_dict("records")
        facts |= {"trial": weights.parent.name, "seed": int(best["seed"])}
        facts |= {name: float(best[name]) for name in ("validation_error", "test_error")}
    return Choice(net, weights, facts)


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
