"""What there is to choose from, as tables for people and schemas for editors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources as files
from typing import Any

from resnet_space.errors import InputError, unknown

Listing = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""Headings and rows."""

FILE = "listed.json"
KEPT = ("presets", "studies", "published")
"""Lists that come with the package in `FILE`: to make them, descriptions of many networks are built, and a dozen files
read. `python -m resnet_space.api.shipped` writes them."""


def presets() -> Listing:
    from resnet_space.presets import PRESETS

    rows = []
    for name, row in PRESETS.items():
        units = [stage.unit.over(row.net.unit) if stage.unit else row.net.unit for stage in row.net.stages]
        kinds = (
            (unit.shortcut.kind for unit in units),
            (unit.order for unit in units),
            (unit.branch.kind for unit in units),
        )
        shown = (", ".join(dict.fromkeys(each)) for each in kinds)
        rows.append((name, str(row.net.depth), *shown, row.source))
    return ("preset", "depth", "shortcut", "order", "branch", "source"), rows


def studies() -> Listing:
    from resnet_space.api.studies import load, shipped

    loaded = [load(name) for name in shipped()]
    return ("study", "asks of", "question", "source"), [
        (study.name, study.extent, study.question, study.source) for study in loaded
    ]


def datasets() -> Listing:
    from search.data import DATASETS

    return ("data set", "what it is", "from"), [(name, row.text, row.origin) for name, row in DATASETS.items()]


def recipes() -> Listing:
    from search.trials.recipe import RECIPES

    rows = []
    for name, recipe in RECIPES.items():
        length = f"{recipe.epochs} epochs" if recipe.epochs else f"{recipe.steps} steps"
        rows.append((name, length, str(recipe.batch_size), f"{recipe.lr:g}", recipe.schedule.kind))
    return ("recipe", "length", "batch", "peak rate", "schedule"), rows


def shortcuts() -> Listing:
    from resnet_space.shortcuts import SHORTCUTS

    return ("shortcut", "fields", "formula and source"), [_kind(name, cls) for name, cls in SHORTCUTS.items()]


def branches() -> Listing:
    from resnet_space.branches import BRANCHES

    return ("branch", "fields", "formula and source"), [_kind(name, cls) for name, cls in BRANCHES.items()]


def orders() -> Listing:
    from resnet_space.orders import ORDERS

    rows = [
        (name, f"{order.first} conv {order.between} conv {order.last}".strip(), order.after or "-", order.tail or "-")
        for name, order in ORDERS.items()
    ]
    return ("order", "branch (two convolutions)", "after the addition", "end of the net"), rows


def samplers() -> Listing:
    from search.samplers.kinds import SAMPLERS

    return ("sampler", "fields", "what it does, and source"), [_kind(name, cls) for name, cls in SAMPLERS.items()]


def stopping() -> Listing:
    from search.samplers.stopping import STOPPING

    return ("stopping", "fields", "what it does, and source"), [_kind(name, cls) for name, cls in STOPPING.items()]


def designs() -> Listing:
    from ablations.designs import DESIGNS

    return ("design", "fields", "what it compares"), [_kind(name, cls) for name, cls in DESIGNS.items()]


def references() -> Listing:
    from reports.numbers import engineering
    from resnet_space.references import REFERENCES, counted

    rows = []
    for name, row in REFERENCES.items():
        counts, shape = counted(name), "x".join(map(str, row.input_shape))
        costs = tuple(map(engineering, (counts.params, counts.macs, counts.activations)))
        rows.append((name, shape, *costs, ", ".join(counts.uncounted), row.source, row.text))
    headings = ("reference", "image", "parameters", "MACs", "activations", "not counted", "source", "remark")
    return headings, rows


def published(dataset: str | None = None) -> Listing:
    from ablations.published import catalogue
    from reports.published import HEADINGS, cells

    return HEADINGS, cells(catalogue(dataset))


def _kind(name: str, cls: Any) -> tuple[str, str, str]:
    fields = ", ".join(field for field in cls.model_fields if field != "kind")
    return name, fields or "-", (cls.__doc__ or "").strip().splitlines()[0]


LISTS: dict[str, Callable[..., Listing]] = {
    "presets": presets,
    "studies": studies,
    "datasets": datasets,
    "shortcuts": shortcuts,
    "orders": orders,
    "branches": branches,
    "recipes": recipes,
    "samplers": samplers,
    "stopping": stopping,
    "designs": designs,
    "references": references,
    "published": published,
}


def _published_records(dataset: str | None = None) -> list[dict[str, Any]]:
    from ablations.published import catalogue
    from reports.published import records

    return records(catalogue(dataset))


def _references_records() -> list[dict[str, Any]]:
    from resnet_space.references import REFERENCES, facts

    return [facts(name) for name in REFERENCES]


RECORDS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "references": _references_records,
    "published": _published_records,
}
"""Lists that hold more for programs than the texts of their table."""


NOTES: dict[str, Sequence[str]] = {
    "published": ["costs are the papers' own figures, or counted by our counter where the network is a preset"],
}
"""What is said below a list."""


def listing(what: str, dataset: str | None = None) -> Listing:
    """A list by name; of published results those on a data set.

    Raises:
        InputError: no such list, no such data set, or a list that has none.
    """
    made, given = _named(what), _on(what, dataset)
    if what not in KEPT or given:
        return made(**given)
    headings, rows = json.loads((files.files("resnet_space.api") / FILE).read_text(encoding="utf-8"))[what]
    return tuple(headings), [tuple(row) for row in rows]


def records(what: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """The same for programs: one mapping a row.

    Raises:
        InputError: as `listing`.
    """
    _named(what)
    if what in RECORDS:
        return RECORDS[what](**_on(what, dataset))
    headings, rows = listing(what, dataset)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def _named(what: str) -> Callable[..., Listing]:
    if what not in LISTS:
        raise unknown("list", what, LISTS)
    return LISTS[what]


def _on(what: str, dataset: str | None) -> dict[str, str]:
    if dataset is None:
        return {}
    if what != "published":
        raise InputError(f"--dataset {dataset}: only what is published stands by data set, not the list of {what}")
    return {"dataset": dataset}


def _study_schema() -> dict[str, Any]:
    """Of a study's file: one of the kinds, by its field `kind`."""
    from resnet_space.api.kinds import KINDS

    studies = {name: kind.study.load() for name, kind in KINDS.items()}
    schemas = {}
    for name, study in studies.items():
        schema = study.model_json_schema(ref_template=f"#/$defs/{study.__name__}/$defs/{{model}}")
        # Not of a study, but of its file: each profile holds fields that replace the study's.
        schema["properties"]["profiles"] = {
            "type": "object",
            "additionalProperties": {"type": "object", "propertyNames": {"enum": list(study.model_fields)}},
        }
        schemas[name] = schema
    first, *others = studies
    chosen: dict[str, Any] = {"$ref": f"#/$defs/{studies[first].__name__}"}
    for name in others:
        # By `if`: an editor then shows the mistakes of that kind alone.
        chosen = {
            "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
            "then": {"$ref": f"#/$defs/{studies[name].__name__}"},
            "else": chosen,
        }
    return {"$defs": {schema["title"]: schema for schema in schemas.values()}, **chosen}


def _architecture_schema() -> dict[str, Any]:
    from resnet_space import Architecture

    return Architecture.model_json_schema()


def _space_schema() -> dict[str, Any]:
    from resnet_space import Space

    return Space.model_json_schema()


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "architecture": _architecture_schema,
    "space": _space_schema,
    "study": _study_schema,
}
