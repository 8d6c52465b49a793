"""Describe a network: a table and lines for people, and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_space.architecture import Architecture
from resnet_space.counts import known_complexity
from resnet_space.description import kind_of
from resnet_space.layers import chain_text
from resnet_space.orders import Words
from resnet_space.presets import preset
from resnet_space.shortcuts import ShortcutKind


def load_network(net: str, changes: Mapping[str, Any]) -> Architecture:
    """Return a preset by name, or an architecture from a file, with changes by path.

    Raises:
        InputError: unknown name, no such file, wrong value.
    """
    is_file = net.endswith((".yaml", ".yml", ".json"))
    base = Architecture.from_yaml(Path(net)) if is_file else preset(net)
    return base.assign(changes) if changes else base


def facts(net: Architecture) -> dict[str, Any]:
    """Return the JSON that `show --json` prints."""
    found = known_complexity(net)
    return {
        "key": net.key,
        "depth": net.depth,
        "depth_with_projections": net.blueprint.depth_with_projections,
        "params": found.params,
        "macs": found.macs,
        "activations": found.activations,
        "elementwise": found.elementwise,
        "by_operator": found.by_operator,
        "uncounted": list(found.uncounted),
        "architecture": net.model_dump(mode="json"),
    }


def stages(net: Architecture) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows of a table: stem, one row per stage, head."""
    plan = net.blueprint
    first = plan.units[0]
    rows: list[tuple[str, ...]] = [
        (
            "stem",
            "1",
            _size(first.size, first.in_channels),
            chain_text(plan.stem.chain),
            "",
            words_text(plan.stem.words),
        )
    ]
    first_unit = 0
    for index, stage in enumerate(net.stage_list):
        unit, last = plan.units[first_unit], plan.units[first_unit + stage.units - 1]
        first_unit += stage.units
        words = words_text(unit.words)
        rows.append(
            (
                f"stage {index + 1}",
                str(stage.units),
                _size(last.out_size, last.out_channels),
                chain_text((*unit.down, *unit.entry, *unit.chain)),
                _shortcut_text(last.shortcut) + (f", survival {last.survival:g}" if last.survival < 1 else ""),
                f"{unit.order}, {words}" if words else unit.order,
            )
        )
    end = [chain_text(plan.head.chain), "global average pool", "norm" if plan.head.last else "", "linear"]
    rows.append(("head", "1", f"{net.classes}", ", ".join(filter(None, end)), "", words_text(plan.head.words)))
    return ("part", "units", "output", "first unit", "shortcut", "order"), rows


def words_text(words: Words) -> str:
    """What the words of an order mean, as far as it is not batch normalisation and ReLU."""
    kind, default = words.normalisation, Words()
    fields = kind.model_dump(exclude_defaults=True)
    normalisation = " ".join([kind_of(type(kind)), *(f"{name} {value:g}" for name, value in fields.items())])
    shown = [
        "" if kind == default.normalisation else f"{normalisation} norm" if kind.normalises else "no BN",
        "" if words.activation == default.activation else words.activation.replace("none", "no activation"),
        "standardised weights" if words.standardised else "",
    ]
    return ", ".join(filter(None, shown))


def _shortcut_text(shortcut: ShortcutKind) -> str:
    """A shortcut's kind and its numbers; numbers whose default is 1 are left out if they are 1."""
    fields = shortcut.model_dump(exclude={"kind"})
    defaults = {name: field.default for name, field in type(shortcut).model_fields.items()}
    shown = [f"{name} {value:g}" for name, value in fields.items() if value != 1 or defaults[name] != 1]
    return kind_of(type(shortcut)) + (f" ({', '.join(shown)})" if shown else "")


def lines(net: Architecture) -> list[str]:
    """Return the totals as lines of text."""
    found = known_complexity(net)
    return [
        f"key {net.key}, depth {_depths(net)}, transition {net.transition}",
        f"{found.params:,} parameters, {found.macs:,} MACs, {found.activations:,} activations",
        f"{found.elementwise:,} elementwise operations in addition to the MACs (additions, gates, scales)",
        f"not counted: {', '.join(found.uncounted)}",
    ]


def _depths(net: Architecture) -> str:
    """The depth; also as papers count it that include projections and not the classifier, if there are projections."""
    other = net.blueprint.depth_with_projections
    return (
        f"{net.depth} ({other} with projections and without the classifier)" if other >= net.depth else f"{net.depth}"
    )


def _size(size: tuple[int, int], channels: int) -> str:
    return f"{channels} x {size[0]}x{size[1]}"
