"""The runner uses Ray by its public interfaces only, so that Ray's next release does not break it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import search.running.ray

MODULES = sorted(Path(search.running.ray.__file__).parent.glob("*.py"))

OF_A_TRIAL = {"trial_id", "error_file"}
"""What a callback reads of Tune's `Trial`. These are attributes for readers in every version that we support."""

UNMARKED = {
    "ray.cloudpickle",  # documented under "Serialization", and not marked in the code
    "ray.cloudpickle.register_pickle_by_value",
    "ray.exceptions",  # modules
    "ray.tune",
    "ray.tune.search",
    "ray.util.scheduling_strategies",
}
"""Names that Ray documents, and does not mark as public in the code."""


def named(tree: ast.Module) -> Iterator[str]:
    """Return the full names of all objects of Ray that a module names."""
    roots: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    of_ray = {name: full for name, full in roots.items() if full.split(".")[0] == "ray"}
    yield from of_ray.values()
    for node in ast.walk(tree):
        chain, inner = list[str](), node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id in of_ray:
            yield ".".join([of_ray[inner.id], *chain])


def object_of(full: str) -> Any:
    """Return what a full name stands for."""
    module, *rest = full.split(".")
    found: Any = importlib.import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(module)
    return found


def names() -> list[str]:
    return sorted({name for path in MODULES for name in named(ast.parse(path.read_text())) if name != "ray"})


def test_the_names_are_found() -> None:
    assert {"ray.get", "ray.tune.Tuner", "ray.tune.Stopper", "ray.tune.search.Searcher"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_name_of_ray_is_public(name: str) -> None:
    assert not any(part.startswith("_") for part in name.split("."))
    # Ray marks its interfaces with `PublicAPI` and `DeveloperAPI`, which leave this attribute.
    assert name in UNMARKED or hasattr(object_of(name), "_annotated"), f"{name} is no documented interface of Ray"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_private_attribute_of_another_object_is_used(path: Path) -> None:
    used = [
        f"{ast.unparse(node)} in line {node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        and not node.attr.startswith("__")
    ]
    assert used == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_of_a_tune_trial_only_what_is_for_readers_is_read(path: Path) -> None:
    from ray.tune.experiment import Trial

    read = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "trial"
    }
    assert read <= OF_A_TRIAL
    assert all(hasattr(Trial, name) or name in Trial.__init__.__code__.co_names for name in OF_A_TRIAL)


@pytest.mark.parametrize("kind", ["WorkerSearcher", "LossCallback", "EndStopper"])
def test_what_tune_calls_are_methods_of_its_public_classes(kind: str) -> None:
    """A method that Tune no longer calls would silently do nothing."""
    from search.running.ray import workforce

    own = getattr(workforce, kind)
    methods = [name for name, value in vars(own).items() if callable(value) and not name.startswith("__")]
    assert methods
    assert [name for name in methods if not hasattr(own.__mro__[1], name)] == []


def test_what_tune_calls_of_a_worker_are_methods_of_its_public_class() -> None:
    from ray.tune import Trainable

    from search.running.ray.worker import Worker

    assert {name for name in vars(Worker) if not name.startswith("__")} - {"run", "save_checkpoint"} <= set(
        dir(Trainable)
    )
