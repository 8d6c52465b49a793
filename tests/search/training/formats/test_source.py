"""Written as Python, a network needs only torch, keeps the names of its weights, and computes the same."""

from __future__ import annotations

import copy
import re
from itertools import cycle
from typing import Any

import pytest
import torch
from nets import FUSABLE
from torch import Tensor, nn
from torch.nn import functional

from resnet_space import Architecture, preset
from resnet_space.branches import BRANCHES
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS
from resnet_space.testing.networks import stirred
from search.training.formats.source import Unwritable, written
from search.training.formats.taken import Ensemble

STAGE = {"units": 2, "channels": 8, "stride": 2}
SMALL = Architecture.of({"input_shape": [3, 8, 9], "stem": {"channels": 8}, "stages": [STAGE]})

NETS: dict[str, Architecture] = {
    **{
        name: preset("resnet20", input_shape=(3, 8, 8)).assign({"stages.*.units": 1} | changes)
        for name, changes in FUSABLE.items()
    },
    **{
        f"{order}, {branch}, {transition}, every shortcut": Architecture.of(
            {
                "input_shape": [3, 8, 9],
                "stem": {"channels": 8},
                "stages": [{"units": 1, "channels": 8, "stride": 1, "unit": {"shortcut": kind}} for kind in SHORTCUTS]
                + [{"units": 1, "channels": 16, "stride": 2}],
                "unit": {"order": order, "branch": {"kind": "bottleneck", "width": 4, "cardinality": 2}}
                if branch == "bottleneck"
                else {"order": order, "branch": branch},
                "transition": transition,
            }
        )
        for order, branch, transition in zip(
            ORDERS, cycle(name for name in BRANCHES if name != "written"), cycle("ABC"), strict=False
        )
    },
    "stochastic depth": SMALL.replace(survival=0.5),
    "average pooling": SMALL.assign({"unit.branch": {"kind": "written", "layers": "avg 3x3/s, 1x1 c"}}),
}


def classes(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "functional": functional, "Tensor": Tensor}
    exec(compile(text, "written", "exec"), names)
    return names


def rebuilt(text: str, model: nn.Module) -> nn.Module:
    network: nn.Module = classes(text)["Network"]()
    network.load_state_dict(model.state_dict(), strict=True)
    return network.eval()


@pytest.mark.parametrize("name", NETS)
def test_a_written_network_computes_the_same(name: str) -> None:
    model = stirred(NETS[name]).eval()
    x = torch.randn(3, *NETS[name].input_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = model(x), rebuilt(written(model, "Network"), model)(x)
    assert wanted.std() > 1e-4
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", ["resnet110", "preresnet164", "densenet40_k12", "highway1", "inception_resnet_v2"])
def test_the_written_weights_of_a_paper_have_the_names_of_the_built_network(name: str) -> None:
    with torch.device("meta"):
        model = nn.Module.eval(stirred_on_meta(preset(name)))
        network = classes(written(model, "Network"))["Network"]()
    assert {key: each.shape for key, each in network.state_dict().items()} == {
        key: each.shape for key, each in model.state_dict().items()
    }


def stirred_on_meta(net: Architecture) -> nn.Module:
    from resnet_space import build

    return build(net)


def test_units_of_one_shape_are_one_class_and_formulas_are_readable() -> None:
    text = written(stirred(preset("resnet56")).eval(), "Network")
    assert len(re.findall(r"^class Unit\d+\(nn\.Module\):$", text, flags=re.MULTILINE)) == 5
    assert "*(Unit1() for _ in range(9))" in text
    assert "        return self.f(x + self.F(x))" in text
    assert len(text.splitlines()) < 150


def test_a_shortcut_of_option_a_is_written_with_slices() -> None:
    text = written(stirred(preset("resnet20")).eval(), "Network")
    assert "functional.pad(x.permute(0, 2, 3, 1)[:, ::2, ::2], (0, 16)" in text


def test_a_gate_is_written_as_its_formula() -> None:
    text = written(stirred(preset("resnet20", shortcut="exclusive_gate")).eval(), "Network")
    assert "gate = self.gate(x)\n        return ((1 - gate) * x) + (gate * f)" in text


def test_an_ensemble_is_written_too() -> None:
    members: list[nn.Module] = [stirred(SMALL, seed).eval() for seed in (0, 1, 2)]
    model, x = Ensemble(members).eval(), torch.randn(2, *SMALL.input_shape)
    network = rebuilt(written(model, "Network"), model)
    with torch.no_grad():
        torch.testing.assert_close(network(x), model(x))
        torch.testing.assert_close(network(x).sum(1), torch.ones(2))


class Standardised(nn.Conv2d):
    """A convolution with standardised weights: a module that is not torch's, with weights of its own."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Blur(nn.Module):
    """A fixed filter, which is no weight."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.tensor([[1.0, 2.0, 1.0]]) / 4, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return functional.conv2d(x.reshape(n * c, 1, h, w), self.kernel[None, None], padding=(0, 1)).reshape(n, c, h, w)


class PixelProduct(nn.Module):
    """Shapes unpacked into a call, an ellipsis, and a decision about gradients."""

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        apart = last.reshape(*last.shape[:3], 2, -1)
        deviation, mean = torch.std_mean(apart, 4)
        scaled = (apart * mean[..., None]) if not x.requires_grad else apart
        return (scaled - deviation[:, :, :, :, None]).flatten(3).permute(0, 3, 1, 2)


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def with_layer(layer: nn.Module) -> nn.Module:
    model = copy.deepcopy(stirred(SMALL).eval())
    model.stem.append(layer)
    return model.eval()


@pytest.mark.parametrize(
    "layer", [Standardised(8, 8, 3, padding=1), Blur(), nn.GELU("tanh"), nn.GroupNorm(2, 8), nn.PReLU(), PixelProduct()]
)
def test_a_module_of_somebody_elses_is_written_without_an_entry_for_it(layer: nn.Module) -> None:
    model, x = with_layer(layer), torch.randn(2, *SMALL.input_shape)
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(written(model, "Network"), model)(x), model(x))


def test_a_module_that_decides_by_values_is_refused_by_name() -> None:
    with pytest.raises(Unwritable, match=r"^Deciding: its forward cannot be traced: "):
        written(with_layer(nn.Sequential(nn.ReLU(), Deciding())), "Network")
