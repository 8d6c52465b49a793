"""Can a step be recorded, and is the recorded step the same? Does stopped training resume?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import Measured
from sizes import Size

from gpu_stages.record import Failure
from search.data import Images, batches
from search.training.execution import Execution
from search.training.members import Group, Member
from search.training.step import stepping
from search.training.train import train_together
from search.trials.events import Epoch, Finished
from search.trials.trial import TrialSpec

NETS: dict[str, dict[str, Any]] = {
    "identity": {},
    "exclusive gate": {"unit.shortcut": "exclusive_gate"},
    "1x1 convolution": {"unit.shortcut": "conv1x1"},
    "rezero": {"unit.shortcut": "rezero"},
    "dropout": {"unit.shortcut": "dropout"},
    "full pre-activation": {"unit.order": "full_preactivation"},
}
APART = ("dropout",)
"""Networks that train one by one on a GPU."""
SEEDS = 3
STEPS = 8


def measure(size: Size) -> Iterator[Measured | Failure]:
    images = size.images(STEPS)
    for name, changes in NETS.items():
        for seeds in (1,) if name in APART else (1, SEEDS):
            for autocast in ("none", "bf16"):
                case = f"{name}, {seeds} seeds, {'float32' if autocast == 'none' else 'bf16'}"
                specs = size.specs(size.net("resnet20", **changes), seeds, images, autocast=autocast)
                try:
                    yield compared(case, specs, images, size)
                except Exception as error:
                    yield Failure.of(case, error)
    for seeds in (1, SEEDS):
        case = f"trained, stopped and resumed, {seeds} seeds"
        try:
            yield stop_and_resume(case, size.specs(size.net("resnet20"), seeds, images, epochs=3), images, size)
        except Exception as error:
            yield Failure.of(case, error)


def compared(case: str, specs: list[TrialSpec], images: Images, size: Size) -> Measured:
    """Return the largest difference of a loss between recorded and eager steps, with that between two eager runs."""
    eager, recorded, again = (losses(specs, images, size.device, recorded=each) for each in (False, True, False))
    value = float((recorded - eager).abs().max())
    details = {"eager_minus_eager": float((again - eager).abs().max()), "last_losses": eager[-1].tolist()}
    return Measured(f"recorded minus eager: {case}", None, value, value, value, "nats", details)


def losses(specs: list[TrialSpec], images: Images, device: str, *, recorded: bool) -> torch.Tensor:
    """Return the losses of every step and member, with a falling learning rate."""
    group = Group([Member.of(spec, None, device) for spec in specs])
    group.model.train()
    take = stepping(group, device, recorded=recorded)
    split = images.train.to(device)
    orders = [
        batches(
            split,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            augmentation=spec.recipe.augmentation,
            device=device,
        )
        for spec in specs
    ]
    found = []
    for number, own in enumerate(zip(*orders, strict=True)):
        xs, ys = zip(*own, strict=True)
        found.append(take(xs, ys, 0.05 / (1 + number))[0])
    if recorded and device != "cpu" and (why := [notice.text for notice in take.reported()]):
        # It would continue kernel by kernel, and look correct.
        raise RuntimeError("; ".join(why))
    return torch.stack(found).float().cpu()


def stop_and_resume(case: str, specs: list[TrialSpec], images: Images, size: Size) -> Measured:
    """Stop training after the second epoch, as a kill does, and resume; return the share of complete trials."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "folders": [Path(folder) / spec.key for spec in specs],
            "execution": Execution(size.device, recorded=True),
        }
        events = train_together(specs, images, **settings)
        epochs = 0
        while epochs < 2 * len(specs):
            epochs += isinstance(next(events), Epoch)
        events.close()  # type: ignore[attr-defined]
        ends = [event for event in train_together(specs, images, **settings) if isinstance(event, Finished)]
    value = sum(end.status == "complete" for end in ends) / len(specs)
    details = {"ends": [f"{end.status} {end.reason}".strip() for end in ends], "errors": [e.test_error for e in ends]}
    return Measured(case, None, value, value, value, "x", details)
