"""A plan reports whether trials train together, and its estimates use the speed-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ablations.plan import AblationPlan
from ablations.study import Ablation
from reports import outlook
from reports.numbers import engineering
from reports.outlook import blocks
from reports.page import Text
from search.data import Images
from search.training.forecast import memory_of_step

SKIPPING = {"set": {"unit.survival": 0.5}}
MUON = {"set": {"recipe.optimizer": "muon"}}


def planned(images: Images, arms: dict[str, Any], **resources: Any) -> AblationPlan:
    study = Ablation.of(
        {
            "name": "made",
            "net": "resnet20",
            "set": {"width": 0.25, "stages.*.units": 1},
            "arms": arms,
            "baseline": next(iter(arms)),
            "data": {"name": "digits", "limit": 200},
            "recipe": "digits",
            "seeds": 2,
            "resources": {"at_once": 1, **resources},
        }
    )
    return AblationPlan.of(study, images)


def lines(found: outlook.Outlook) -> Sequence[str]:
    return [line for block in blocks(found) if isinstance(block, Text) for line in block.lines]


def test_a_plan_reports_how_many_trials_train_together_and_the_speed_up(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = {"identity": 2.0, "skipping": None}
    plan = planned(digits, {"identity": {}, "skipping": SKIPPING}, fuse=2)
    names = {net.key: name for name, net in plan.architectures.items()}
    monkeypatch.setattr(outlook, "speedup", lambda specs, *_, **__: factors[names[specs[0].architecture.key]])
    monkeypatch.setattr(outlook, "seconds_per_trial", lambda *_: 10.0)
    found = outlook.of_ablation(plan)
    assert found.facts["together"] == {"trials": 2, "times_as_fast": {"identity": 2.0}}
    assert "up to 2 trials train as one network, 2.0 to 2.0 times as fast, for 1 of 1 networks timed" in lines(found)
    # Both networks have the same MACs, so each gets the mean of both times.
    assert found.seconds == pytest.approx(4 * (5.0 + 10.0) / 2)


def test_a_plan_reports_that_training_together_is_not_faster(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "speedup", lambda *_, **__: None)
    found = outlook.of_ablation(planned(digits, {"identity": {}}, fuse=2))
    assert "trials train one after another: training them together is not faster on this machine" in lines(found)


@pytest.mark.parametrize(
    ("arms", "number"), [({"muon": MUON}, ""), ({"sgd": {}, "muon": MUON}, "2 of 4 ")], ids=["all", "some"]
)
def test_a_plan_says_which_optimiser_keeps_trials_apart(
    arms: dict[str, Any], number: str, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "speedup", lambda *_, **__: 2.0)
    monkeypatch.setattr(outlook, "seconds_per_trial", lambda *_: 1.0)
    found = lines(outlook.of_ablation(planned(digits, arms, fuse=2)))
    why = "trials train one after another: the optimiser muon uses norms of whole weight tensors"
    assert [line for line in found if "one after another" in line] == [f"{number}{why}"]
    assert any("up to 2 trials train as one network" in line for line in found) == (len(arms) > 1)


@pytest.mark.parametrize(("arms", "fuse"), [({"identity": {}}, "off"), ({"skipping": SKIPPING}, "auto")])
def test_a_plan_is_silent_if_trials_cannot_train_together(arms: dict[str, Any], fuse: str, digits: Images) -> None:
    found = outlook.of_ablation(planned(digits, arms, fuse=fuse))
    assert found.facts["together"] == {"trials": 1, "times_as_fast": {}}
    assert not [line for line in lines(found) if "trials train" in line]


def test_arms_that_train_together_are_timed_once(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []
    monkeypatch.setattr(outlook, "speedup", lambda specs, *_, **__: float(len(specs)))
    monkeypatch.setattr(outlook, "seconds_per_trial", lambda *_: timed.append(12.0) or 12.0)
    gates = {
        f"bias {bias}": {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": bias}}} for bias in (0, -3)
    }
    found = outlook.of_ablation(planned(digits, gates, fuse=4))
    assert found.facts["together"] == {"trials": 4, "times_as_fast": {"bias 0": 4.0, "bias -3": 4.0}}
    assert found.seconds == 4 * 12.0 / 4
    assert len(timed) == 1


def test_the_gain_is_measured_on_the_seeds_of_the_study(digits: Images) -> None:
    found = outlook.of_ablation(planned(digits, {"identity": {}}, fuse=2))
    assert found.facts["together"]["times_as_fast"]["identity"] > 0


def test_a_plan_reports_the_memory_a_job_needs_and_the_memory_of_its_fraction_of_a_gpu(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "check", lambda _: None)
    monkeypatch.setattr(outlook, "speedup", lambda *_, **__: None)
    monkeypatch.setattr(outlook, "seconds_per_trial", lambda *_: 1.0)
    plan = planned(digits, {"identity": {}}, gpus=0.3)
    needed = memory_of_step(plan.architectures["identity"], plan.study.recipe).total
    monkeypatch.setattr(outlook, "total_memory", lambda device: {"cuda": 2 * needed}[device])
    room = f"{engineering(0.6 * needed)}B available"
    assert outlook.of_ablation(plan).misfits == [
        f"identity does not fit: needs {engineering(needed)}B of memory, {room}"
    ]
    monkeypatch.setattr(outlook, "total_memory", lambda _: 4 * needed)
    assert outlook.of_ablation(plan).misfits == []


@pytest.mark.parametrize(("fuse", "misfits"), [(2, 1), ("auto", 0), ("off", 0)])
def test_trials_that_must_train_as_one_network_need_the_memory_of_all(
    fuse: int | str, misfits: int, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "check", lambda _: None)
    monkeypatch.setattr(outlook, "speedup", lambda *_, **__: None)
    monkeypatch.setattr(outlook, "seconds_per_trial", lambda *_: 1.0)
    plan = planned(digits, {"identity": {}}, gpus=0.3, fuse=fuse)
    needed = memory_of_step(plan.architectures["identity"], plan.study.recipe).total
    monkeypatch.setattr(outlook, "total_memory", lambda _: 5 * needed)
    line = (
        f"identity, 2 trials as one network, does not fit: needs {engineering(2 * needed)}B of memory, "
        f"{engineering(1.5 * needed)}B available"
    )
    assert outlook.of_ablation(plan).misfits == [line] * misfits
