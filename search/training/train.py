"""Train: reads from top to bottom. Same spec, same numbers, whoever runs it."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from statistics import median

import torch
from torch import Tensor, nn

from resnet_space.fused import Unfusable, refusal
from search.data import Images, Split, batches, steps_per_epoch
from search.files.bucket import Place
from search.kernels.gpu import on_device
from search.kernels.workarounds import NO_DETOURS, Detours
from search.training import checkpoint, propagation
from search.training.members import Group, Member, furthest_behind, level
from search.training.saving import CheckpointWriter
from search.training.step import EagerStepper, autocast, make_stepper
from search.trials.events import Epoch, Event, Finished, Probe, Started
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

LOOK = 512
"""Images that are evaluated side by side to measure errors, over all networks."""

LOOK_ON_GPU = 4096
"""The same on a GPU, for images of up to 32x32; fewer of larger ones, at least `LOOK`."""

PASSES = 11
"""Forward passes that a latency is the median of."""


def train(
    spec: TrialSpec,
    images: Images,
    *,
    device: str = "cpu",
    folder: Place | None = None,
    probes: Collection[int] = (),
    recompute: bool = False,
    recorded: bool = False,
    detours: Detours = NO_DETOURS,
    checkpoint_seconds: float = 0,
) -> Iterator[Event]:
    """Train, and tell what happens: `Started`, an `Epoch` each, `Finished`; a `Probe` behind each epoch in `probes`.

    With a `folder`, an epoch ends in a checkpoint there if the last one was `checkpoint_seconds` ago, and so does the
    last epoch; who stops asking, and closes this, leaves one of the last epoch that was reported. A trial that was
    killed goes on after its last one, on the CPU with the same bits as if it had never stopped; epochs reported before
    are reported again. A checkpoint that is damaged or cannot be written is reported as a `Notice`. At the end the
    weights stay as `weights.safetensors`.

    The validation split is measured every epoch. The test split is measured once, at the end of a complete trial.
    A loss or weights that are NaN or infinite end the trial as `diverged`. With `recompute` the activations of branches
    are not kept (see `build`); with `recorded` a step on CUDA is launched as one graph, if it can be recorded; why not
    is a `Notice`. `detours` are for layers whose kernels are wrong on this machine (see `soundness`).
    """
    return train_together(
        [spec],
        images,
        device=device,
        folders=[folder],
        probes=probes,
        recompute=recompute,
        recorded=recorded,
        detours=detours,
        checkpoint_seconds=checkpoint_seconds,
    )


def train_together(
    specs: Sequence[TrialSpec],
    images: Images,
    *,
    device: str = "cpu",
    folders: Sequence[Place | None],
    probes: Collection[int] = (),
    recompute: bool = False,
    recorded: bool = False,
    detours: Detours = NO_DETOURS,
    checkpoint_seconds: float = 0,
) -> Iterator[Event]:
    """`train` for trials of one recipe and shape, a folder each, their networks fused into one for the steps.

    Each has its own images, loss, statistics and end: its numbers are those it has alone, but for rounding. One that
    diverges leaves; the others do not notice. A trial's `seconds` are its share of the clock's.

    Raises:
        Unfusable: the networks cannot be fused.
    """
    with closing(CheckpointWriter(device, checkpoint_seconds)) as saving:
        yield from _train(
            specs,
            images,
            saving,
            device=device,
            folders=folders,
            probes=probes,
            recompute=recompute,
            recorded=recorded,
            detours=detours,
        )


def _train(
    specs: Sequence[TrialSpec],
    images: Images,
    saving: CheckpointWriter,
    *,
    device: str,
    folders: Sequence[Place | None],
    probes: Collection[int],
    recompute: bool,
    recorded: bool,
    detours: Detours,
) -> Iterator[Event]:
    """The events of `train_together`."""
    recipe = specs[0].recipe
    members = [
        Member.of(spec, folder, device, recompute=recompute, detours=detours)
        for spec, folder in zip(specs, folders, strict=True)
    ]
    if len(members) > 1 and (why := refusal(copy.deepcopy(members[0].model))):
        raise Unfusable(why)
    members = level(members, device, recompute=recompute, detours=detours)
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
    group: Group | None = None
    while behind := furthest_behind(members, total):
        if take is None or take.group.members != behind:
            if take is not None:
                take.group.hand_back()
            # First the group before is let go, with its graph: there may be no room for both.
            take = group = None
            take = make_stepper(Group(behind, detours), device, recorded=recorded)
        group = take.group
        state = behind[0].state
        first, warming_up, number = state.step, state.warming_up, len(state.history)
        taken, epoch_began, lr = first, time.monotonic(), recipe.lr
        group.model.train()
        group.ahead = True
        losses, wrong, seen = [], torch.zeros(len(behind), device=device), 0
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
            for member in behind
        ]
        for own in zip(*orders, strict=True):
            if taken == total:
                break
            xs, ys = zip(*own, strict=True)
            lr = learning_rate(recipe, taken, total, warming_up=warming_up)
            loss, mistakes = take(xs, ys, lr)
            losses.append(loss)
            wrong += mistakes
            seen += len(ys[0])
            taken += 1
        # One look at the losses an epoch: a look a step would make the device wait.
        curves = torch.stack(losses).float()
        finite = curves.isfinite().all(0).tolist()
        group.note_generators()
        # With whoever leaves, since the others go on in another group: after a kill, none of them begins with them.
        save = saving.due or taken == total or not all(finite)
        if save or number + 1 in probes:
            group.hand_back()
        seconds = (time.monotonic() - epoch_began) / len(behind)

        told: list[Event] = [*take.reported(), *saving.finished_notices()]
        gone = dict[str, int]()
        looked_at = errors(group.model, validation, images, recipe, device, networks=len(behind))
        for member, curve, sound, missed, validation_error in zip(
            behind, curves.unbind(1), finite, wrong, looked_at, strict=True
        ):
            key = member.spec.key
            if not sound:
                bad = int((~curve.isfinite()).nonzero()[0])
                reason = f"loss is {float(curve[bad])} at step {first + bad + 1}"
                members.remove(member)
                gone[key] = taken
                told.append(Finished(key, "diverged", reason, seconds=spent(member) + seconds))
                continue
            train_error = float(missed) / seen
            measured = Epoch(
                key=key,
                epoch=number + 1,
                step=taken,
                lr=lr,
                loss=float(curve.mean()),
                train_error=train_error,
                validation_error=validation_error,
                seconds=seconds,
                images_per_second=seen / seconds,
            )
            member.state.step = taken
            member.state.warming_up = still_warming_up(recipe, warming_up, train_error)
            member.state.history.append(measured)
            told.append(measured)
            if measured.epoch in probes:
                # Ahead of the checkpoint: a trial that is killed in between does the epoch again, and this.
                yield probe(key, measured.epoch, member.model, split, images)
        # All checkpoints before all that is reported, so that a kill finds them level.
        if save:
            told += saving.save(members, gone)
        try:
            yield from told
        except GeneratorExit:
            # Nobody asks for more, as after a signal: what was learned since is not to be learned again.
            group.hand_back()
            saving.save_at_exit(members)
            raise

    yield from saving.wait()
    latencies: dict[str, float] = {}
    for member in members:
        yield from ended(member, images, device, latencies)


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
            checkpoint.save_weights(member.folder, model)
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
        checkpoint.remove_checkpoints(member.folder)


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
