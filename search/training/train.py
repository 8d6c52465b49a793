"""Train: reads from top to bottom. Same spec, same numbers, whoever runs it."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from resnet_space.fused import Unfusable, refusal
from search.data import Images, Split, batches, steps_per_epoch
from search.files.bucket import Place
from search.kernels.gpu import near
from search.training import checkpoint, propagation
from search.training.execution import Execution
from search.training.members import Group, Member, furthest_behind, level
from search.training.saving import Saving
from search.training.step import Eager, autocast, stepping
from search.trials.events import Epoch, Event, Finished, Probe, Started
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

LOOK = 512
"""Images that are evaluated side by side to measure errors, over all networks."""

LOOK_ON_GPU = 4096
"""The same on a GPU, for images of up to 32x32; fewer of larger ones, at least `LOOK`."""

PASSES = 11
"""Forward passes that a latency is the median of."""

CPU = Execution()


def train(
    spec: TrialSpec,
    images: Images,
    *,
    folder: Place | None = None,
    probes: Collection[int] = (),
    execution: Execution = CPU,
) -> Iterator[Event]:
    """Train, and report what happens: `Started`, an `Epoch` each, `Finished`; a `Probe` after each epoch in `probes`.

    With a `folder`, an epoch ends in a checkpoint there if the last one was `checkpoint_seconds` ago, and so does the
    last epoch; who stops asking, and closes this, leaves one of the last epoch that was reported. A trial that was
    killed goes on after its last one, on the CPU with the same bits as if it had never stopped; epochs reported before
    are reported again. A checkpoint that is damaged or cannot be written is reported as a `Notice`. At the end the
    weights stay as `weights.safetensors`.

    The validation split is measured every epoch. The test split is measured once, at the end of a complete trial.
    A loss or weights that are NaN or infinite end the trial as `diverged`.
    """
    return train_together([spec], images, folders=[folder], probes=probes, execution=execution)


def train_together(
    specs: Sequence[TrialSpec],
    images: Images,
    *,
    folders: Sequence[Place | None],
    probes: Collection[int] = (),
    execution: Execution = CPU,
) -> Iterator[Event]:
    """`train` for trials of one recipe and shape, a folder each, their networks fused into one for the steps.

    Each has its own images, loss, statistics and end: its numbers are those it has alone, but for rounding. One that
    diverges leaves; the others do not notice. A trial's `seconds` are its share of the clock's.

    Raises:
        Unfusable: the networks cannot be fused.
    """
    with closing(Saving(execution.device, execution.checkpoint_seconds)) as saving:
        yield from _train(specs, images, saving, folders, probes, execution)


def _train(
    specs: Sequence[TrialSpec],
    images: Images,
    saving: Saving,
    folders: Sequence[Place | None],
    probes: Collection[int],
    execution: Execution,
) -> Iterator[Event]:
    """The events of `train_together`: all begin, epoch after epoch is taken and judged, and those that are left end."""
    recipe, device = specs[0].recipe, execution.device
    members = begun(specs, folders, execution)
    for member in members:
        yield Started(member.spec.key, platform.node(), device, member.state.step, together=len(members))
        yield from member.notices
        yield from member.state.history
    split, validation = near(images.train, device), near(images.validation, device)
    total = recipe.total_steps(steps_per_epoch(len(split), recipe.batch_size))
    if 0 in probes:
        for member in members:
            if not member.state.history:
                yield probe(member.spec.key, 0, member.model, split, images)

    take: Eager | None = None
    while behind := furthest_behind(members, total):
        if take is None or take.group.members != behind:
            if take is not None:
                take.group.hand_back()
            # First the group before is released, with its graph: there may be no room for both.
            take = None
            take = stepping(Group(behind, execution.detours), device, recorded=execution.recorded)
        done = epoch(take, split, images, total)
        take.group.note_generators()
        # With whoever leaves, since the others go on in another group: after a kill, none of them begins with them.
        save = saving.due or done.step == total or not all(done.sound)
        if save or done.number in probes:
            take.group.hand_back()
        seconds = (time.monotonic() - done.began) / len(behind)

        told: list[Event] = [*take.reported(), *saving.news()]
        gone = dict[str, int]()
        measured = errors(take.group.model, validation, images, recipe, device, networks=len(behind))
        for member, event in zip(behind, judged(behind, done, measured, seconds), strict=True):
            told.append(event)
            if isinstance(event, Finished):
                members.remove(member)
                gone[event.key] = done.step
            elif done.number in probes:
                # Before the checkpoint: a trial that is killed in between does the epoch again, and this.
                yield probe(event.key, done.number, member.model, split, images)
        # All checkpoints before all that is reported, so that a kill finds them level.
        if save:
            told += saving.save(members, gone)
        try:
            yield from told
        except GeneratorExit:
            # Nobody asks for more, as after a signal: what was learned since is not to be learned again.
            take.group.hand_back()
            saving.leave(members)
            raise

    yield from saving.wait()
    latencies: dict[str, float] = {}
    for member in members:
        yield from ended(member, images, device, latencies)


def begun(specs: Sequence[TrialSpec], folders: Sequence[Place | None], execution: Execution) -> list[Member]:
    """The trials at their beginning, or where their checkpoints left them.

    Raises:
        Unfusable: their networks cannot be fused.
    """
    device, recompute, detours = execution.device, execution.recompute, execution.detours
    members = [
        Member.of(spec, folder, device, recompute=recompute, detours=detours)
        for spec, folder in zip(specs, folders, strict=True)
    ]
    if len(members) > 1 and (why := refusal(copy.deepcopy(members[0].model))):
        raise Unfusable(why)
    return level(members, device, recompute=recompute, detours=detours)


@dataclass(frozen=True)
class Done:
    """An epoch's steps: what they gave for each of the networks that took them together."""

    number: int
    """Of the epoch, from 1."""
    began: float
    """By the monotonic clock."""
    first: int
    """Steps before this epoch."""
    step: int
    """Steps now."""
    lr: float
    """Of the last step."""
    losses: Tensor
    """(steps, networks)."""
    sound: Sequence[bool]
    """Whether all of a network's losses are finite."""
    wrong: Tensor
    """Images of `seen` that were classified wrongly, before each step."""
    seen: int


def epoch(take: Eager, split: Split, images: Images, total: int) -> Done:
    """One epoch of a group, or less where `total` steps end in it."""
    members, recipe, device = take.group.members, take.group.recipe, take.device
    state = members[0].state
    step, warming_up, number = state.step, state.warming_up, len(state.history)
    began, lr = time.monotonic(), recipe.lr
    take.group.model.train()
    take.group.ahead = True
    losses, wrong, seen = [], torch.zeros(len(members), device=device), 0
    orders = [
        batches(
            split,
            batch_size=recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=member.spec.seed,
            epoch=number,
            augmentation=recipe.augmentation,
            device=device,
        )
        for member in members
    ]
    for own in zip(*orders, strict=True):
        if step == total:
            break
        xs, ys = zip(*own, strict=True)
        lr = learning_rate(recipe, step, total, warming_up=warming_up)
        loss, mistakes = take(xs, ys, lr)
        losses.append(loss)
        wrong += mistakes
        seen += len(ys[0])
        step += 1
    # The losses are read once an epoch: reading them after each step would make the device wait.
    curves = torch.stack(losses).float()
    sound = curves.isfinite().all(0).tolist()
    return Done(number + 1, began, state.step, step, lr, curves, sound, wrong, seen)


def judged(
    members: Sequence[Member], done: Done, validation_errors: Sequence[float], seconds: float
) -> Iterator[Epoch | Finished]:
    """Of each member what its epoch gave, which its state then has; or its end, if its loss is not finite."""
    for member, curve, sound, missed, validation_error in zip(
        members, done.losses.unbind(1), done.sound, done.wrong, validation_errors, strict=True
    ):
        key, state = member.spec.key, member.state
        if not sound:
            bad = int((~curve.isfinite()).nonzero()[0])
            reason = f"loss is {float(curve[bad])} at step {done.first + bad + 1}"
            yield Finished(key, "diverged", reason, seconds=spent(member) + seconds)
            continue
        train_error = float(missed) / done.seen
        measured = Epoch(
            key=key,
            epoch=done.number,
            step=done.step,
            lr=done.lr,
            loss=float(curve.mean()),
            train_error=train_error,
            validation_error=validation_error,
            seconds=seconds,
            images_per_second=done.seen / seconds,
        )
        state.step = done.step
        state.warming_up = still_warming_up(member.spec.recipe, state.warming_up, train_error)
        state.history.append(measured)
        yield measured


def ended(member: Member, images: Images, device: str, latencies: dict[str, float]) -> Iterator[Finished]:
    """The end of a trial that took all of its steps. A network's latency is measured once, whatever its seeds learned:
    `latencies` are those that are known, by the network's key."""
    key, recipe, model = member.spec.key, member.spec.recipe, member.model
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        # The last step's doing: no loss was left to show it.
        reason = f"weights are not finite behind step {member.state.step}"
        yield Finished(key, "diverged", reason, seconds=spent(member))
        return
    [test_error] = errors(model, images.test, images, recipe, device)
    net = member.spec.architecture.key
    if net not in latencies:
        latencies[net] = latency_ms(model, images.shape, recipe, device)
    try:
        if member.folder:
            checkpoint.keep_weights(member.folder, model)
    except OSError as problem:
        # Its checkpoint stays, so that trying again is no training.
        reason = f"its weights could not be kept: {problem.strerror or problem}"
        yield Finished(key, "failed", reason, seconds=spent(member))
        return
    yield Finished(
        key,
        "complete",
        test_error=test_error,
        validation_error=member.state.history[-1].validation_error,
        latency_ms=latencies[net],
        seconds=spent(member),
    )
    if member.folder:
        # Asked for more, so the end was taken; a kill before that costs another look at the test split, no training.
        checkpoint.drop(member.folder)


def spent(member: Member) -> float:
    """Seconds of all of a trial's epochs."""
    return sum(epoch.seconds for epoch in member.state.history)


def probe(key: str, epoch: int, model: nn.Module, split: Split, images: Images) -> Probe:
    """How signals propagate now, in float32, over the first images of the training split as they are."""
    some = Split(split.x[: propagation.IMAGES], split.y[: propagation.IMAGES])
    # The split may be too large for the device.
    device = next(model.parameters()).device
    [(x, y)] = batches(some, batch_size=len(some), mean=images.mean, std=images.std, device=device)
    return Probe(key, epoch, **vars(propagation.measure(model, x, y)))


def learning_rate(recipe: Recipe, step: int, total: int, *, warming_up: bool) -> float:
    """The rate of one step: the schedule's, or the warm-up's as long as that lasts."""
    if warming_up and recipe.warm_up:
        return recipe.warm_up.lr
    return recipe.lr * recipe.schedule.factor(step / total)


def still_warming_up(recipe: Recipe, warming_up: bool, train_error: float) -> bool:
    """Whether the warm-up goes on behind an epoch with this training error."""
    return bool(warming_up and recipe.warm_up and train_error >= recipe.warm_up.until_error)


@torch.no_grad()
def errors(
    model: nn.Module, split: Split, images: Images, recipe: Recipe, device: str, *, networks: int = 1
) -> list[float]:
    """Fraction of a split that each of the networks fused in a model classifies wrongly, in evaluation mode."""
    model.eval()
    wrong = torch.zeros(networks, dtype=torch.long, device=device)
    size = -(-side_by_side(images.shape, device) // networks)
    # One context for all batches: it casts weights to bf16 once.
    with autocast(recipe, device):
        for x, y in batches(split, batch_size=size, mean=images.mean, std=images.std, device=device):
            logits: Tensor = model(x.repeat(1, networks, 1, 1).contiguous(memory_format=torch.channels_last))
            wrong += (logits.reshape(len(y), networks, -1).argmax(2) != y[:, None]).sum(0)
    return [number / len(split) for number in wrong.tolist()]


def side_by_side(shape: tuple[int, int, int], device: str) -> int:
    """Images (C, H, W) that are evaluated side by side: more on a GPU, where the launches of kernels count."""
    _, height, width = shape
    as_many = LOOK_ON_GPU * 32 * 32 // (height * width)
    return min(max(LOOK, as_many), LOOK_ON_GPU) if device.startswith("cuda") else LOOK


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
