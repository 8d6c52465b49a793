"""Which axes of a space are active, given the values of other axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_space import paths
from resnet_space.axes import Axis, Choices
from resnet_space.errors import InputError
from resnet_space.fields import Field, governs, has_field

Assignment = dict[str, Any]
"""A value for every active axis, by path."""


class Dependence:
    """Decides which axes are active: an axis is active if its conditions hold and the network has its field.

    For example, `unit.shortcut.gate_bias` is active only if `unit.shortcut.kind` is a kind with a gate.

    Raises:
        InputError: axes depend on each other in a circle.
    """

    def __init__(
        self,
        axes: Mapping[str, Axis],
        when: Mapping[str, Mapping[str, Choices]],
        start: dict[str, Any],
        table: Mapping[str, Field] | None = None,
    ) -> None:
        """`start` is what axes change, as plain data, and `table` has its fields by path."""
        self._start, self._table = start, table
        self._conditions = {
            path: [
                (other, [axes[other].member(value) for value in values.options])
                for other, values in when.get(path, {}).items()
            ]
            for path in axes
        }
        self.order = self._ordered(list(axes))
        """The axes in the order given, but each after those that it depends on."""
        self._governors = {path: [other for other in self.order if governs(other, path)] for path in axes}
        self._existing: dict[str, bool] = {}

    def is_active(self, path: str, chosen: Assignment) -> bool:
        """Whether an axis is active, given the values of the active axes before it in `order`."""
        for other, values in self._conditions[path]:
            if other not in chosen or chosen[other] not in values:
                return False
        # As text, since True, 1 and 1.0 are different values but the same key of a dictionary.
        case = f"{path} {[chosen.get(other, ...) for other in self._governors[path]]}"
        if case not in self._existing:
            deciding = {other: chosen[other] for other in self._governors[path] if other in chosen}
            self._existing[case] = has_field(path, paths.assign(self._start, deciding), self._table)
        return self._existing[case]

    def _ordered(self, left: list[str]) -> tuple[str, ...]:
        order: list[str] = []
        while left:
            ready = [path for path in left if not any(self._depends(path, other) for other in left)]
            if not ready:
                raise InputError(f"when: {', '.join(left)} depend on each other in a circle; remove one condition")
            order.append(ready[0])
            left.remove(ready[0])
        return tuple(order)

    def _depends(self, path: str, other: str) -> bool:
        return any(other == condition for condition, _ in self._conditions[path]) or governs(other, path)
