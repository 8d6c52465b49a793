"""Train one trial: reads from top to bottom. Same spec, same numbers, whoever runs it."""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space import build
from search import checkpoint, propagation
from search.data import Images, Split, batches, steps_per_epoch
from search.recipe import Recipe
from search.trial import Epoch, Event, Finished, Probe, Started, TrialSpec

PASSES = 11
"""Forward passes that a latency is the median of."""


def train(
    spec: TrialSpec,
    images: Images,
    *,
    device: str = "cpu",
    folder: Path | None = None,
    probes: Collection[int] = (),
) -> Iterator[Event]:
    """Train, and tell what happens: `Started`, an `Epoch` each, `Finished`; a `Probe` behind each epoch in `probes`.

    With a `folder`, every epoch ends in a checkpoint there and a trial that was killed goes on behind its last one, on
    the CPU with the same bits as if it had never stopped; epochs told before are told again. At the end the weights
    stay as `weights.safetensors`.

    The validation split is measured every epoch. The test split is measured once, at the end of a complete trial.
    A loss or weights that are NaN or infinite end the trial as `diverged`.
    """
    began = time.monotonic()
    recipe = spec.recipe
    model, optimizer = beginning(spec, device)
    state = checkpoint.load(folder, model, optimizer, device) if folder else checkpoint.State()
    if state is None:
        (model, optimizer), state = beginning(spec, device), checkpoint.State()
    yield Started(spec.key, platform.node(), device, state.step)
    yield from state.history
    forward = torch.compile(model) if recipe.compile else model
    split = images.train.to(device)
    an_epoch = steps_per_epoch(len(split), recipe.batch_size)
    total = recipe.total_steps(an_epoch)
    if 0 in probes and not state.history:
        yield probe(spec.key, 0, model, split, images)

    while state.step < total:
        number, first = len(state.history), state.step
        epoch_began = time.monotonic()
        model.train()
        losses, wrong, seen = [], torch.zeros((), device=device), 0
        lr = recipe.lr
        for x, y in batches(
            split,
            batch_size=recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            epoch=number,
            augmentation=recipe.augmentation,
            device=device,
        ):
            if state.step == total:
                break
            lr = learning_rate(recipe, state.step, total, warming_up=state.warming_up)
            for group in optimizer.param_groups:
                group["lr"] = lr
            with autocast(recipe, device):
                logits = forward(x.contiguous(memory_format=torch.channels_last))
                loss = functional.cross_entropy(logits, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
            wrong += (logits.detach().argmax(1) != y).sum()
            seen += len(y)
            state.step += 1
        # One look at the losses an epoch: a look a step would make the device wait.
        curve = torch.stack(losses).float()
        if not bool(curve.isfinite().all()):
            step = first + int((~curve.isfinite()).nonzero()[0]) + 1
            bad = float(curve[step - first - 1])
            yield Finished(spec.key, "diverged", f"loss is {bad} at step {step}", seconds=time.monotonic() - began)
            return
        seconds = time.monotonic() - epoch_began
        train_error = float(wrong) / seen
        measured = Epoch(
            key=spec.key,
            epoch=number + 1,
            step=state.step,
            lr=lr,
            loss=float(curve.mean()),
            train_error=train_error,
            validation_error=error(model, images.validation, images, recipe, device),
            seconds=seconds,
            images_per_second=seen / seconds,
        )
        state.warming_up = still_warming_up(recipe, state.warming_up, train_error)
        state.history.append(measured)
        if measured.epoch in probes:
            # Ahead of the checkpoint: a trial that is killed in between does the epoch again, and this.
            yield probe(spec.key, measured.epoch, model, split, images)
        if folder:
            checkpoint.save(folder, model, optimizer, state, device)
        yield measured

    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        # The last step's doing: no loss was left to show it.
        reason = f"weights are not finite behind step {state.step}"
        yield Finished(spec.key, "diverged", reason, seconds=time.monotonic() - began)
        return
    test_error = error(model, images.test, images, recipe, device)
    measured_latency = latency_ms(model, images.shape, recipe, device)
    if folder:
        checkpoint.keep_weights(folder, model)
    yield Finished(
        spec.key,
        "complete",
        test_error=test_error,
        validation_error=state.history[-1].validation_error,
        latency_ms=measured_latency,
        seconds=sum(epoch.seconds for epoch in state.history),
    )
    if folder:
        # Asked for more, so the end was taken; a kill before that costs another look at the test split, no training.
        checkpoint.drop(folder)


def probe(key: str, epoch: int, model: nn.Module, split: Split, images: Images) -> Probe:
    """How signals propagate now, in float32, over the first images of the training split as they are."""
    some = Split(split.x[: propagation.IMAGES], split.y[: propagation.IMAGES])
    [(x, y)] = batches(some, batch_size=len(some), mean=images.mean, std=images.std, device=some.x.device)
    return Probe(key, epoch, **vars(propagation.measure(model, x, y)))


def beginning(spec: TrialSpec, device: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The seed's network and its optimiser, before the first step."""
    # Dropout draws from the global generator as it trains; the weights have generators of their own.
    torch.manual_seed(spec.seed)
    model = build(spec.architecture, spec.seed).to(memory_format=torch.channels_last).to(device)
    recipe = spec.recipe
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    return model, optimizer


def learning_rate(recipe: Recipe, step: int, total: int, *, warming_up: bool) -> float:
    """The rate of one step: the schedule's, or the warm-up's as long as that lasts."""
    if warming_up and recipe.warm_up:
        return recipe.warm_up.lr
    return recipe.lr * recipe.schedule.factor(step / total)


def still_warming_up(recipe: Recipe, warming_up: bool, train_error: float) -> bool:
    """Whether the warm-up goes on behind an epoch with this training error."""
    return bool(warming_up and recipe.warm_up and train_error >= recipe.warm_up.until_error)


@torch.no_grad()
def error(model: nn.Module, split: Split, images: Images, recipe: Recipe, device: str) -> float:
    """Fraction of a split that is classified wrongly, in evaluation mode."""
    model.eval()
    wrong = torch.zeros((), dtype=torch.long, device=device)
    for x, y in batches(split, batch_size=512, mean=images.mean, std=images.std, device=device):
        with autocast(recipe, device):
            logits: Tensor = model(x.contiguous(memory_format=torch.channels_last))
        wrong += (logits.argmax(1) != y).sum()
    return float(wrong) / len(split)


@torch.no_grad()
def latency_ms(model: nn.Module, shape: tuple[int, int, int], recipe: Recipe, device: str) -> float:
    """Milliseconds for one image to go through, in evaluation mode: the median of `PASSES` after as many to warm up."""
    model.eval()
    image = torch.zeros(1, *shape, device=device).contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(2 * PASSES):
        began = time.perf_counter()
        with autocast(recipe, device):
            model(image)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return 1000 * median(taken[PASSES:])


def autocast(recipe: Recipe, device: str) -> torch.autocast:
    """bf16 where the recipe asks for it and the device is CUDA; else float32."""
    on = recipe.autocast == "bf16" and device.startswith("cuda")
    return torch.autocast("cuda" if on else "cpu", dtype=torch.bfloat16, enabled=on)
