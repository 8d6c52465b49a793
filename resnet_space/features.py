"""The maps inside a network, and its classifier, by the names that timm gives them: for transfer and detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from resnet_space.conv_layers import draw_weights
from resnet_space.errors import InputError
from resnet_space.recomputing import joined

if TYPE_CHECKING:
    from resnet_space.blueprint import Blueprint


class NamedParts(nn.Module):
    """What every built network offers besides its forward. `stem`, `units` and `head` are its parts.

    >>> from resnet_space import build, preset
    >>> net = build(preset("resnet20"))
    >>> net.num_classes, net.num_features, [each["num_chs"] for each in net.feature_info]
    (10, 64, [16, 32, 64])
    """

    stem: nn.Sequential
    units: nn.Sequential
    head: nn.Sequential
    feature_info: list[dict[str, Any]]
    """For each map of `features_only`: its channels `num_chs`, the `reduction` of the image's height, its `module`."""

    def describe_maps(self, plan: Blueprint) -> None:
        """Set `feature_info`: the last map of each size, from the stem's to the last unit's."""
        height = plan.input_shape[1]
        maps = [(plan.units[0].in_channels, plan.units[0].size, "stem")]
        maps += [(unit.out_channels, unit.out_size, f"units.{at}") for at, unit in enumerate(plan.units)]
        last = [each for at, each in enumerate(maps) if at + 1 == len(maps) or maps[at + 1][1] != each[1]]
        self.feature_info = [
            {"num_chs": channels, "reduction": round(height / size[0]), "module": module}
            for channels, size, module in last
        ]

    @property
    def num_classes(self) -> int:
        return int(self.get_classifier().out_features)

    @property
    def num_features(self) -> int:
        """The channels of the last map."""
        return int(self.get_classifier().in_features)

    def get_classifier(self) -> nn.Linear:
        """Return the last layer, from pooled features (N, num_features) to logits (N, num_classes)."""
        return cast(nn.Linear, self.head[-1])

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a new one, with random weights, to train the network on other classes.

        Raises:
            InputError: fewer than one class.
        """
        if num_classes < 1:
            raise InputError(f"num_classes: must be at least 1, not {num_classes}")
        before = self.get_classifier()
        new = nn.Linear(before.in_features, num_classes, device=before.weight.device, dtype=before.weight.dtype)
        draw_weights(new)
        self.head[-1] = new

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last map, (N, num_features, H, W), after BN and ReLU at the end of a pre-activated network."""
        maps: Tensor = self.head[: self._pooling](joined(self.units(self.stem(x))))
        return maps

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of a map from `forward_features`; with `pre_logits`, the pooled features (N, C)."""
        output: Tensor = self.head[self._pooling : -1 if pre_logits else None](x)
        return output

    @property
    def _pooling(self) -> int:
        """The index of the global pooling in the head."""
        return next(at for at, layer in enumerate(self.head) if isinstance(layer, nn.AdaptiveAvgPool2d))

    def features_only(self, out_indices: Sequence[int] | None = None) -> FeatureMaps:
        """Return a network that shares these weights and returns the maps of `feature_info`, those with these indices.

        Raises:
            InputError: there is no map with an index.
        """
        count = len(self.feature_info)
        wanted = range(count) if out_indices is None else out_indices
        for index in wanted:
            if not -count <= index < count:
                raise InputError(f"out_indices: there is no map {index}; the maps are 0 to {count - 1}")
        return FeatureMaps(self, [index % count for index in wanted])


class FeatureMaps(nn.Module):
    """The maps of a network, a list of (N, C, H, W), for a decoder or a detector: the last map of each size."""

    def __init__(self, network: NamedParts, indices: Sequence[int]) -> None:
        super().__init__()
        self.stem, self.units = network.stem, network.units
        self.feature_info = [network.feature_info[index] for index in indices]

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = {"stem": self.stem(x)}
        x = maps["stem"]
        for name, unit in self.units.named_children():
            x = maps[f"units.{name}"] = joined(unit(x))
        return [maps[each["module"]] for each in self.feature_info]
