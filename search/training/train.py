"""Train trials. Read from top to bottom. The same spec gives the same numbers with every runner."""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_space.fused import Unfusable, refusal
from search.data import Images, Split, batches, steps_per_epoch
from search.files.bucket import Place
from search.kernels.gpu import on_device
from search.training import checkpoint, propagation
from search.training.evaluation import errors, latency_ms, on_test_split
from search.training.execution import Execution
from search.training.members import Group, Member, level, next_to_train
from search.training.saving import CheckpointWriter
from search.training.step import EagerStepper, make_stepper
from search.trials.events import Epoch, Event, Finished, Probe, Started
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

CPU = Execution()


def train(
    spec: TrialSpec,
    images: Images,
    *,
    folder: Place | None = None,
    probes: Collection[int] = (),
    execution: Execution = CPU,
) -> Iterator[Event]:
    """Train a trial and yield `Started`, one `Epoch` per epoch, `Finished`, and a `Probe` after each epoch in `probes`.

    With a `folder`, a checkpoint is written there after an epoch if the last one is `checkpoint_seconds` old, and after
    the last epoch. Closing the generator early writes a checkpoint of the last reported epoch. A killed trial resumes
    from its last checkpoint; on the CPU the results are bit-identical to an uninterrupted trial. Epochs reported before
    are reported again. A damaged checkpoint, or one that cannot be written, is reported as a `Notice`. At the end the
    weights are kept as `weights.safetensors`.

    Errors are measured on the validation split after every epoch and on the test split once, at the end of a complete
    trial. A loss or weights that are NaN or infinite finish the trial as `diverged`.
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
    """Do what `train` does for several trials of one recipe, with their networks fused for the steps.

    Each trial has its own folder, images, loss and statistics; its numbers are those it has alone, up to rounding. A
    trial that diverges leaves the group without affecting the others. A trial's `seconds` are its share of the elapsed
    time.

    Raises:
        Unfusable: the networks cannot be fused.
    """
    with closing(CheckpointWriter(execution.device, execution.checkpoint_seconds)) as saving:
        yield from _train(specs, images, saving, folders, probes, execution)


def _train(
    specs: Sequence[TrialSpec],
    images: Images,
    saving: CheckpointWriter,
    folders: Sequence[Place | None],
    probes: Collection[int],
    execution: Execution,
) -> Iterator[Event]:
    """Yield the events of `train_together`: start all trials, train and judge each epoch, finish those that remain."""
    recipe, device = specs[0].recipe, execution.device
    members = begun(specs, folders, execution)
    for member in members:
        yield Started(member.spec.key, platform.node(), device, member.state.step, together=len(members))
        yield from member.notices
        yield from member.state.history
    split, validation = on_device(images.train, device), on_device(images.validation, device)
    total = recipe.total_steps(steps_per_epoch(len(split), recipe.batch_size))
    if 0 in probes:
        for member in members:
            if not member.state.history:
                yield probe(member.spec.key, 0, member.model, split, images)

    take: EagerStepper | None = None
    side = None
    while chosen := next_to_train(members, total):
        before, side = side, recipe.augmentation.side(chosen[0].state.step / total, images.shape[1])
        # A graph, and compiled code, are for images of one size.
        if take is None or take.group.members != chosen or side != before:
            if take is not None:
                take.group.hand_back()
            # The previous group is released first, with its graph: memory can be too small for both.
            take = None
            take = make_stepper(Group(chosen, execution.detours), device, recorded=execution.recorded)
        done = epoch(take, split, images, total)
        take.group.note_generators()
        # Also when a trial leaves, since the others continue in another group: after a kill, they resume without it.
        save = saving.due or done.step == total or not all(done.sound)
        if save or done.number in probes:
            take.group.hand_back()
        seconds = (time.monotonic() - done.began) / len(chosen)

        reported: list[Event] = [*take.reported(), *saving.finished_notices()]
        gone = dict[str, int]()
        model = take.group.measured(done.step, total)
        measured = errors(model, validation, images, recipe, device, networks=len(chosen))
        for member, event in zip(chosen, judged(chosen, done, measured, seconds), strict=True):
            reported.append(event)
            if isinstance(event, Finished):
                members.remove(member)
                gone[event.key] = done.step
            elif done.number in probes:
                # Before the checkpoint: a trial killed in between repeats the epoch and the probe.
                yield probe(event.key, done.number, member.model, split, images)
        # All checkpoints before all reports, so that after a kill all are at the same epoch.
        if save:
            reported += saving.save(members, gone)
        try:
            yield from reported
        except GeneratorExit:
            # The generator was closed, as after a signal: save the work done since the last checkpoint.
            take.group.hand_back()
            saving.save_at_exit(members)
            raise

    yield from saving.wait()
    latencies: dict[str, float] = {}
    for member in members:
        yield from ended(member, member.measured(total), images, device, latencies)


def begun(specs: Sequence[TrialSpec], folders: Sequence[Place | None], execution: Execution) -> list[Member]:
    """Return the trials at their start, or restored from their checkpoints.

    Raises:
        Unfusable: their networks cannot be fused.
    """
    device, recompute, detours = execution.device, execution.recompute, execution.detours
    members = [
        Member.of(spec, folder, device, recompute=recompute, detours=detours)
        for spec, folder in zip(specs, folders, strict=True)
    ]
    models, optimizer = [member.model for member in members], specs[0].recipe.optimizer
    if len(members) > 1 and (why := optimizer.why_apart or refusal(*models)):
        raise Unfusable(why)
    return level(members, device, recompute=recompute, detours=detours)


@dataclass(frozen=True)
class Done:
    """The results of an epoch's steps, for each of the networks trained together."""

    number: int
    """Number of the epoch, from 1."""
    began: float
    """Start time on the monotonic clock."""
    first: int
    """Steps before this epoch."""
    step: int
    """Steps after this epoch."""
    lr: float
    """Learning rate of the last step."""
    losses: Tensor
    """(steps, networks)."""
    sound: Sequence[bool]
    """Whether all of a network's losses are finite."""
    wrong: Tensor
    """Number of images, out of `seen`, that were classified wrongly in the forward passes of the steps."""
    seen: int


def epoch(take: EagerStepper, split: Split, images: Images, total: int) -> Done:
    """Train a group for one epoch, or for less if `total` steps are reached."""
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
            images=images,
            progress=step / total,
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
        take.group.update_average(step, total)
    # The losses are read once per epoch: reading them after each step would make the device wait.
    curves = torch.stack(losses).float()
    sound = curves.isfinite().all(0).tolist()
    return Done(number + 1, began, state.step, step, lr, curves, sound, wrong, seen)


def judged(
    members: Sequence[Member], done: Done, validation_errors: Sequence[float], seconds: float
) -> Iterator[Epoch | Finished]:
    """Yield each member's epoch and record it in its state; or its `Finished`, if its loss is not finite."""
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


def ended(
    member: Member, model: nn.Module, images: Images, device: str, latencies: dict[str, float]
) -> Iterator[Finished]:
    """Finish a trial that has done all its steps. `model` is the network that is tested and kept.

    A network's latency is measured once for all its seeds: `latencies` caches it by the network's key.
    """
    key, recipe = member.spec.key, member.spec.recipe
    if not all(bool(tensor.isfinite().all()) for tensor in member.model.state_dict().values()):
        # Caused by the last step: no later loss could show it.
        reason = f"weights are not finite after step {member.state.step}"
        yield Finished(key, "diverged", reason, seconds=spent(member))
        return
    predictions, top5_error = on_test_split(model, images, recipe, device)
    net = member.spec.architecture.key
    if net not in latencies:
        latencies[net] = latency_ms(model, images.shape, recipe, device)
    try:
        if member.folder:
            checkpoint.save_weights(member.folder, model)
    except OSError as problem:
        # Its checkpoint is kept, so that a retry needs no training.
        reason = f"its weights could not be kept: {problem.strerror or problem}"
        yield Finished(key, "failed", reason, seconds=spent(member))
        return
    yield Finished(
        key,
        "complete",
        test_error=predictions.error,
        validation_error=member.state.history[-1].validation_error,
        latency_ms=latencies[net],
        seconds=spent(member),
        top5_error=top5_error,
        predictions=predictions.to_bytes(),
    )
    if member.folder:
        # The consumer has the `Finished` event. A kill before this only repeats the test measurement, not the training.
        checkpoint.remove_checkpoints(member.folder)


def spent(member: Member) -> float:
    """Return the total seconds of a trial's epochs."""
    return sum(epoch.seconds for epoch in member.state.history)


def probe(key: str, epoch: int, model: nn.Module, split: Split, images: Images) -> Probe:
    """Measure signal propagation in float32 on the first images of the training split, without augmentation."""
    some = Split(split.x[: propagation.IMAGES], split.y[: propagation.IMAGES])
    # The split can be too large for the device.
    device = next(model.parameters()).device
    [(x, y)] = batches(some, batch_size=len(some), mean=images.mean, std=images.std, device=device)
    return Probe(key, epoch, **vars(propagation.measure(model, x, y)))


def learning_rate(recipe: Recipe, step: int, total: int, *, warming_up: bool) -> float:
    """Return the learning rate of one step: the warm-up's while it lasts, then the schedule's over the other steps."""
    length, warm_up = 0, recipe.warm_up
    if warm_up:
        length = warm_up.length(total, recipe.epochs)
        if warm_up.lasts(step, length, warming_up=warming_up):
            return warm_up.rate(recipe.lr, step, length)
    return recipe.lr * recipe.schedule.factor((step - length) / (total - length))


def still_warming_up(recipe: Recipe, warming_up: bool, train_error: float) -> bool:
    """Whether the warm-up continues after an epoch with this training error."""
    return bool(warming_up and recipe.warm_up and recipe.warm_up.continues(train_error))
