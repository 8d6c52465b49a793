"""A network, told: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_space.architecture import Architecture
from resnet_space.counter import complexity
from resnet_space.presets import preset


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
    counts = complexity(net)
    return {
        "key": net.key,
        "depth": net.depth,
        "params": counts.params,
        "macs": counts.macs,
        "activations": counts.activations,
        "elementwise": counts.elementwise,
        "by_operator": counts.by_operator,
        "uncounted": list(counts.uncounted),
        "architecture": net.model_dump(mode="json"),
    }


def stages(net: Architecture) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows: stem, one row a stage, head."""
    plan = net.blueprint
    stem = net.stem
    size = plan.units[0].size
    pool = ", 3x3 max pool, stride 2" if stem.max_pool else ""
    rows: list[tuple[str, ...]] = [
        (
            "stem",
            "1",
            _size(size, stem.channels),
            f"{stem.kernel}x{stem.kernel} conv, stride {stem.stride}{pool}",
            "",
            "",
        )
    ]
    first = 0
    for index, stage in enumerate(net.stages):
        unit = plan.units[first]
        first += stage.units
        chain = ", ".join(
            f"{c.kernel}x{c.kernel} {c.channels}{f' in {c.groups} groups' if c.groups > 1 else ''}" for c in unit.chain
        )
        inner = plan.units[first - 1].shortcut
        fields = ", ".join(f"{name} {value:g}" for name, value in inner.model_dump().items() if name != "kind")
        shortcut = f"{inner.kind}{f' ({fields})' if fields else ''}"  # type: ignore[attr-defined]
        rows.append(
            (f"stage {index + 1}", str(stage.units), _size(unit.out_size, stage.channels), chain, shortcut, unit.order)
        )
    rows.append(("head", "1", f"{net.classes}", "global average pool, linear", "", ""))
    return ("part", "units", "output", "what", "shortcut", "order"), rows


def lines(net: Architecture) -> list[str]:
    """The totals, a line each."""
    counts = complexity(net)
    return [
        f"key {net.key}, depth {net.depth}, transition {net.transition}",
        f"{counts.params:,} parameters, {counts.macs:,} MACs, {counts.activations:,} activations",
        f"{counts.elementwise:,} elementwise operations beside the MACs (additions, gates, scales)",
        f"not counted: {', '.join(counts.uncounted)}",
    ]


def _size(size: tuple[int, int], channels: int) -> str:
    return f"{channels} x {size[0]}x{size[1]}"
