"""A network, told: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_space.architecture import Architecture
from resnet_space.counts import counts
from resnet_space.description import kind_of
from resnet_space.layers import spelt
from resnet_space.presets import preset
from resnet_space.shortcuts import ShortcutKind


def read(net: str, changes: Mapping[str, Any]) -> Architecture:
    """A preset by name, or an architecture from a file, with changes by path.

    Raises:
        InputError: unknown name, no such file, wrong value.
    """
    is_file = net.endswith((".yaml", ".yml", ".json"))
    base = Architecture.from_yaml(Path(net)) if is_file else preset(net)
    return base.assign(changes) if changes else base


def facts(net: Architecture) -> dict[str, Any]:
    """What `show --json` prints."""
    found = counts(net)
    return {
        "key": net.key,
        "depth": net.depth,
        "params": found.params,
        "macs": found.macs,
        "activations": found.activations,
        "elementwise": found.elementwise,
        "by_operator": found.by_operator,
        "uncounted": list(found.uncounted),
        "architecture": net.model_dump(mode="json"),
    }


def stages(net: Architecture) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows: stem, one row a stage, head."""
    plan = net.blueprint
    first = plan.units[0]
    rows: list[tuple[str, ...]] = [("stem", "1", _size(first.size, first.in_channels), spelt(plan.stem), "", "")]
    begins = 0
    for index, stage in enumerate(net.stages):
        head, last = plan.units[begins], plan.units[begins + stage.units - 1]
        begins += stage.units
        what = spelt((*head.entry, *head.chain)) + (f", squeeze to {head.squeeze}" if head.squeeze else "")
        order = head.order if head.normalisation == "batch" else f"{head.order}, no BN"
        rows.append(
            (
                f"stage {index + 1}",
                str(stage.units),
                _size(last.out_size, last.out_channels),
                what,
                _told(last.shortcut) + (f", survival {last.survival:g}" if last.survival < 1 else ""),
                order,
            )
        )
    rows.append(("head", "1", f"{net.classes}", "global average pool, linear", "", ""))
    return ("part", "units", "output", "first unit", "shortcut", "order"), rows


def _told(shortcut: ShortcutKind) -> str:
    """A shortcut's kind and its numbers; those that are 1 by themselves, a kernel or a compression, change nothing."""
    fields = shortcut.model_dump(exclude={"kind"})
    usual = {name: field.default for name, field in type(shortcut).model_fields.items()}
    told = [f"{name} {value:g}" for name, value in fields.items() if value != 1 or usual[name] != 1]
    return kind_of(type(shortcut)) + (f" ({', '.join(told)})" if told else "")


def lines(net: Architecture) -> list[str]:
    """The totals, a line each."""
    found = counts(net)
    return [
        f"key {net.key}, depth {net.depth}, transition {net.transition}",
        f"{found.params:,} parameters, {found.macs:,} MACs, {found.activations:,} activations",
        f"{found.elementwise:,} elementwise operations beside the MACs (additions, gates, scales)",
        f"not counted: {', '.join(found.uncounted)}",
    ]


def _size(size: tuple[int, int], channels: int) -> str:
    return f"{channels} x {size[0]}x{size[1]}"
