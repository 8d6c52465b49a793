"""The catalogues: presets, studies, kinds, published results, as tables for people and JSON Schemas for editors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import resources as files
from typing import Any

from resnet_space.errors import InputError, unknown

Listing = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""The headings of a table, and its rows."""

STORED_FILE = "listed.json"
STORED_LISTS = ("presets", "studies", "published")
"""Lists that are shipped in `STORED_FILE`, since making them takes long: they need the descriptions of many networks,
and a dozen files. `python -m resnet_space.api.shipped` writes them."""


def presets() -> Listing:
    from resnet_space.presets import PRESETS

    rows = []
    for name, row in PRESETS.items():
        units = [stage.unit.over(row.net.unit) if stage.unit else row.net.unit for stage in row.net.stage_list]
        kinds = (
            (unit.shortcut.kind for unit in units),
            (unit.order for unit in units),
            (unit.branch.kind for unit in units),
        )
        distinct = (", ".join(dict.fromkeys(each)) for each in kinds)
        rows.append((name, str(row.net.depth), *distinct, row.source))
    return ("preset", "depth", "shortcut", "order", "branch", "source"), rows


def studies() -> Listing:
    from resnet_space.api.studies import load, shipped

    loaded = [load(name) for name in shipped()]
    return ("study", "size", "question", "source"), [
        (study.name, study.extent, study.question, study.source) for study in loaded
    ]


def datasets() -> Listing:
    from search.data import DATASETS

    return ("data set", "description", "from"), [(name, row.text, row.origin) for name, row in DATASETS.items()]


def recipes() -> Listing:
    from search.trials.named_recipes import NAMED
    from search.trials.recipe import RECIPES

    rows = []
    for name, recipe in RECIPES.items():
        length = f"{recipe.epochs} epochs" if recipe.epochs else f"{recipe.steps} steps"
        warm_up = f"warm-up {recipe.warm_up.kind}, " if recipe.warm_up else ""
        rows.append(
            (
                name,
                length,
                str(recipe.batch_size),
                recipe.optimizer.kind,
                f"{recipe.lr:g}",
                f"{recipe.weight_decay:g}",
                f"{warm_up}{recipe.schedule.kind}",
                ", ".join(_changed(recipe.augmentation)) or "-",
                NAMED[name].source,
            )
        )
    headings = ("recipe", "length", "batch", "optimiser", "peak rate", "decay", "schedule", "augmentation", "source")
    return headings, rows


def _changed(described: Any) -> Iterator[str]:
    """Yield each field that has not its default, with a number or a kind: `pad 4`, `flip`, `policy rand_augment`."""
    for name, info in type(described).model_fields.items():
        value = getattr(described, name)
        if value != info.default:
            number = f"{value:g}" if isinstance(value, int | float) and value is not True else ""
            yield f"{name} {getattr(value, 'kind', number)}".strip()


def shortcuts() -> Listing:
    from resnet_space.shortcuts import SHORTCUTS

    return ("shortcut", "fields", "formula and source"), [_kind(name, cls) for name, cls in SHORTCUTS.items()]


def branches() -> Listing:
    from resnet_space.branches import BRANCHES

    return ("branch", "fields", "formula and source"), [_kind(name, cls) for name, cls in BRANCHES.items()]


def attentions() -> Listing:
    from resnet_space.attentions import ATTENTIONS

    return ("attention", "fields", "formula and source"), [_kind(name, cls) for name, cls in ATTENTIONS.items()]


def normalisations() -> Listing:
    from resnet_space.normalisations import NORMALISATIONS

    rows = [_kind(name, cls) for name, cls in NORMALISATIONS.items()]
    return ("normalisation", "fields", "over what, and source"), rows


def activations() -> Listing:
    from resnet_space.activations import ACTIVATIONS

    rows = [(name, row.formula, row.source or "-") for name, row in ACTIVATIONS.items()]
    return ("activation", "formula", "source"), rows


def stems() -> Listing:
    from resnet_space.stems import STEMS

    return ("stem", "fields", "layers and source"), [_kind(name, cls) for name, cls in STEMS.items()]


def heads() -> Listing:
    from resnet_space.heads import HEADS

    return ("head", "fields", "layers and source"), [_kind(name, cls) for name, cls in HEADS.items()]


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


def measures() -> Listing:
    from search.fronts.objectives import OBJECTIVES
    from search.measures.catalogue import MEASURES
    from search.measures.targets import TARGETS

    objectives = {row.name: name for name, row in OBJECTIVES.items()}
    rows = [
        (row.name, row.words, row.unit or "-", row.split or "-", objectives.get(row.name, "-"))
        for row in MEASURES.values()
    ]
    rows += [
        (f"{{kind: {kind}, error: 0.05}}", "time to 5 % validation error", unit, "-", "-")
        for kind, (_, unit, _) in TARGETS.items()
    ]
    return ("measure", "meaning", "unit", "share of images of", "objective"), rows


def references() -> Listing:
    from reports.numbers import engineering
    from resnet_space.references import REFERENCES, reference_complexity

    rows = []
    for name, row in REFERENCES.items():
        counts, shape = reference_complexity(name), "x".join(map(str, row.input_shape))
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
    "attentions": attentions,
    "activations": activations,
    "normalisations": normalisations,
    "stems": stems,
    "heads": heads,
    "recipes": recipes,
    "samplers": samplers,
    "stopping": stopping,
    "designs": designs,
    "measures": measures,
    "references": references,
    "published": published,
}


def _published_records(dataset: str | None = None) -> list[dict[str, Any]]:
    from ablations.published import catalogue
    from reports.published import records

    return records(catalogue(dataset))


def _recipes_records() -> list[dict[str, Any]]:
    from search.trials.named_recipes import NAMED
    from search.trials.recipe import RECIPES

    return [
        {
            "recipe": name,
            "source": row.source,
            "expected": row.expected,
            "cost": row.cost,
            "differs": row.differs,
            "fields": RECIPES[name].to_dict(),
        }
        for name, row in NAMED.items()
    ]


def _references_records() -> list[dict[str, Any]]:
    from resnet_space.references import REFERENCES, facts

    return [facts(name) for name in REFERENCES]


RECORDS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "recipes": _recipes_records,
    "references": _references_records,
    "published": _published_records,
}
"""Lists whose JSON has more fields than the table, or numbers instead of texts."""


NOTES: dict[str, Sequence[str]] = {
    "published": ["costs are printed in the paper, or else counted by resnet-space if the network is a preset"],
}
"""Lines printed below a table."""


def listing(what: str, dataset: str | None = None) -> Listing:
    """Return a list by name; with `dataset`, only the published results on that data set.

    Raises:
        InputError: no such list, no such data set, or `dataset` with a list other than `published`.
    """
    made, given = _list_function(what), _dataset_argument(what, dataset)
    if what not in STORED_LISTS or given:
        return made(**given)
    headings, rows = json.loads((files.files("resnet_space.api") / STORED_FILE).read_text(encoding="utf-8"))[what]
    return tuple(headings), [tuple(row) for row in rows]


def records(what: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """Return the same list for programs: one mapping per row.

    Raises:
        InputError: as `listing`.
    """
    _list_function(what)
    if what in RECORDS:
        return RECORDS[what](**_dataset_argument(what, dataset))
    headings, rows = listing(what, dataset)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def _list_function(what: str) -> Callable[..., Listing]:
    if what not in LISTS:
        raise unknown("list", what, LISTS)
    return LISTS[what]


def _dataset_argument(what: str, dataset: str | None) -> dict[str, str]:
    if dataset is None:
        return {}
    if what != "published":
        raise InputError(f"--dataset {dataset}: can only be used with the list published, not with {what}")
    return {"dataset": dataset}


def _study_schema() -> dict[str, Any]:
    """The schema of a study's file: one of the kinds of studies, selected by `kind`."""
    from resnet_space.api.kinds import KINDS

    studies = {name: kind.study.load() for name, kind in KINDS.items()}
    schemas = {}
    for name, study in studies.items():
        schema = study.model_json_schema(ref_template=f"#/$defs/{study.__name__}/$defs/{{model}}")
        # The file has two fields more than the study: each profile holds fields that replace the study's fields.
        schema["properties"]["include"] = {"type": "string", "description": "A shipped study or a file."}
        schema["properties"]["profiles"] = {
            "type": "object",
            "additionalProperties": {"type": "object", "propertyNames": {"enum": list(study.model_fields)}},
        }
        # What a file lacks can be in the study that it includes.
        schema["anyOf"] = [{"required": ["include"]}, {"required": schema.pop("required")}]
        schemas[name] = schema
    first, *others = studies
    chosen: dict[str, Any] = {"$ref": f"#/$defs/{studies[first].__name__}"}
    for name in others:
        # With `if`, an editor shows only the mistakes for the selected kind.
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
