"""Every neighbour of residual networks can learn one batch exactly, and learns digits to under 10 % error."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from resnet_space import Architecture, build, preset
from resnet_space.neighbours import NEIGHBOURS
from search.data import DataSet, Images, load
from search.training.train import train
from search.trials.events import Finished
from search.trials.recipe import RECIPES
from search.trials.trial import TrialSpec

torch.set_num_threads(1)

DENSE: dict[str, object] = {"stages.*.units": 2, "stages.*.channels": 6, "stem.channels": 12}
FORMS: dict[str, dict[str, object]] = {
    "highway1": {"width": 0.5},
    "highway2": {"width": 0.25},
    "highway3": {"width": 0.25},
    "highway4": {"width": 0.5},
    "densenet40_k12": DENSE,
    "densenet_bc_100_k12": DENSE,
    "densenet_bc_250_k24": DENSE,
    "densenet121": DENSE | {"stem": {"channels": 12}},
    "densenet169": DENSE | {"stem": {"channels": 12}},
    "densenet201": DENSE | {"stem": {"channels": 12}},
    "inception_v4": {"width": 0.125, "stem": {"channels": 384}, "stages.*.units": 1},
    "inception_resnet_v1": {"width": 0.125, "stem": {"channels": 256}, "stages.*.units": 1},
    "inception_resnet_v2": {"width": 0.125, "stem": {"channels": 384}, "stages.*.units": 1},
    "wrn16_8": {"width": 0.125},
    "wrn28_10": {"width": 0.0625},
    "se_resnet50": {"stages.*.units": 1, "width": 0.125, "stem": {"channels": 64}},
}
ROWS: dict[str, dict[str, object]] = {
    "zero_init": {"unit.shortcut": "zero_init"},
    "rezero": {"unit.shortcut": "rezero"},
    "skipinit": {"unit.shortcut": "skipinit", "unit.normalisation": "none"},
    "fixup": {"unit.shortcut": "fixup", "unit.normalisation": "none"},
    "inception": {"unit.branch": "inception"},
    "stochastic depth": {"unit.survival": 0.5},
    "squeeze-and-excitation": {"unit.branch": {"kind": "basic", "squeeze": 4}},
}


@pytest.fixture(scope="module")
def images() -> Images:
    return load(DataSet(name="digits"))


def error_of(net: Architecture, images: Images) -> float:
    net = net.assign({"input_shape": list(images.shape), "classes": images.classes})
    # What has no normalisation takes its time.
    epochs = 6 if net.unit.normalisation == "batch" else 10
    recipe = RECIPES["digits"].model_copy(update={"epochs": epochs})
    spec = TrialSpec(
        architecture=net, recipe=recipe, data=DataSet(name="digits"), fingerprint=images.fingerprint, seed=0
    )
    *_, last = train(spec, images)
    assert isinstance(last, Finished)
    assert last.status == "complete", last.reason
    assert last.test_error is not None
    return last.test_error


def test_every_neighbour_has_a_laptop_form() -> None:
    assert [*FORMS] == [*NEIGHBOURS, "wrn16_8", "wrn28_10", "se_resnet50"]


NETS = {name: preset(name).assign({"input_shape": [1, 8, 8], **changes}) for name, changes in FORMS.items()}
ONCE = {net.key: name for name, net in reversed(NETS.items())}
"""Presets of dense networks differ only in numbers that their laptop forms share."""


ALL = {name: NETS[name] for name in ONCE.values()} | {
    name: preset("resnet20").assign({"width": 0.5} | changes) for name, changes in ROWS.items()
}


@pytest.mark.parametrize("name", ALL)
def test_every_neighbour_learns_one_batch_exactly(name: str, images: Images) -> None:
    net = ALL[name].assign({"input_shape": list(images.shape), "classes": images.classes})
    x, y = images.train.x[:32].float(), images.train.y[:32].long()
    x = (x - x.mean()) / x.std()
    torch.manual_seed(0)
    model = build(net, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        loss = functional.cross_entropy(model(x), y)
        if loss < 0.1:
            return
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    pytest.fail(f"after 120 steps the loss is {loss:.2f}")


@pytest.mark.long
@pytest.mark.parametrize("name", ONCE.values())
def test_preset_in_laptop_form_learns(name: str, images: Images) -> None:
    assert error_of(NETS[name], images) < 0.1


@pytest.mark.long
@pytest.mark.parametrize("name", ROWS)
def test_row_of_a_catalogue_learns(name: str, images: Images) -> None:
    assert error_of(ALL[name], images) < 0.1
