"""The trials in training (members), and groups of members that are trained as one fused network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from resnet_space import build
from resnet_space.chains import Dropout
from resnet_space.fused import draw_from, fuse, parameter_origins, tensor_pairs, unfuse
from resnet_space.modules import ResidualNet
from search.files.bucket import Place
from search.kernels.workarounds import NO_DETOURS, Detours, apply_detours
from search.training import checkpoint
from search.training.averages import Average, average_of
from search.training.clipping import Clipping
from search.training.launches import BatchedLaunches
from search.training.losses import loss_function
from search.training.optimizers import Origins, copy_settings, divide_state, join_state, make_optimizer
from search.trials.events import Notice
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec


@dataclass(eq=False)
class Member:
    """One trial in training: its network, optimiser and progress."""

    spec: TrialSpec
    folder: Place | None
    model: nn.Module
    optimizer: torch.optim.Optimizer
    state: checkpoint.State

    average: nn.Module | None = None
    """The network with the averaged weights, if the recipe has `averaging`."""
    notices: list[Notice] = field(default_factory=list)
    """Notices from restoring its checkpoints."""
    saved: int = 0
    """The step of its newest checkpoint."""
    unsaved: bool = False
    """Whether its last checkpoint could not be written."""
    rng: Tensor = field(default_factory=torch.get_rng_state)
    """The state of the CPU generator for its random numbers in training."""

    @classmethod
    def of(
        cls,
        spec: TrialSpec,
        folder: Place | None,
        device: str,
        *,
        recompute: bool = False,
        detours: Detours = NO_DETOURS,
        generations: Sequence[str] = checkpoint.GENERATIONS,
    ) -> Member:
        """Return the trial restored from the first of its checkpoints that can be read, or at its start."""
        begin = partial(beginning, spec, device, recompute=recompute, detours=detours)
        member = cls(spec, folder, *begin(), checkpoint.State())
        if spec.recipe.averaging:
            member.average = average_of(member.model)
        found = []
        for path in [folder / name for name in generations] if folder else []:
            try:
                member.state = checkpoint.load(path, member.model, member.optimizer, device, member.average)
                break
            except FileNotFoundError:
                continue
            except checkpoint.DamagedCheckpoint as why:
                found.append(f"{path.name} is damaged ({why})")
                member.model, member.optimizer = begin()
        member.rng, member.saved = torch.get_rng_state(), member.state.step
        if found:
            after = f"resumes after step {member.state.step}" if member.state.step else "starts again"
            member.notices.append(Notice(spec.key, f"{' and '.join(found)}; {after}"))
        return member

    @property
    def place(self) -> tuple[int, bool]:
        """Its step, and whether it is warming up: members with the same place can train together."""
        return self.state.step, self.state.warming_up

    def measured(self, total: int) -> nn.Module:
        """Return the network that is measured and kept, of a training of `total` steps: the average, once it began."""
        return _measured(self.spec.recipe, self.model, self.average, self.state.step, total)


def _measured(recipe: Recipe, model: nn.Module, average: nn.Module | None, step: int, total: int) -> nn.Module:
    began = recipe.averaging is not None and step >= recipe.averaging.first(total)
    return average if average is not None and began else model


def beginning(
    spec: TrialSpec, device: str, *, recompute: bool = False, detours: Detours = NO_DETOURS
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return the seed's network and its optimiser before the first step.

    Layers whose kernels are wrong on this machine use their workarounds.
    """
    # Dropout draws from the global generator in training; the initial weights use generators of their own.
    torch.manual_seed(spec.seed)
    model = build(spec.architecture, spec.seed, recompute=recompute).to(memory_format=torch.channels_last).to(device)
    if spec.recipe.dropout:
        drop_features(model, spec.recipe.dropout)
    apply_detours(model, detours)
    return model, make_optimizer(model, spec.recipe)


def drop_features(model: ResidualNet, p: float) -> None:
    """Add dropout before the classifier. The names of weights do not change.

    It is applied to the last map, (N, C, 1, 1), whose dropout has a fused form.
    """
    head = model.head
    [last] = [place for place, part in enumerate(head) if isinstance(part, nn.Flatten)]
    head[last] = nn.Sequential(Dropout(p), head[last])


def next_to_train(members: Sequence[Member], total: int) -> list[Member]:
    """Return the members to train next: the unfinished ones with the fewest steps done and the same learning rate.

    Members can be at different steps, because they started separately or their warm-ups ended at different epochs. The
    ones with the fewest steps are trained first until all are at the same step.
    """
    going = [member for member in members if member.state.step < total]
    if not going:
        return []
    first = min(going, key=lambda member: member.state.step)
    return [member for member in going if member.place == first.place]


def level(
    members: Sequence[Member], device: str, *, recompute: bool = False, detours: Detours = NO_DETOURS
) -> list[Member]:
    """Return the members, with some restored from their previous checkpoint so that all can resume together.

    A member goes back if its newest checkpoint was written together with another member's that is missing. This happens
    after a kill between the two. The members then repeat the epochs since that checkpoint together, and the results are
    bit-identical to a run without the kill. Trained separately, they would round differently.
    """
    newest = {member.spec.key: member.state.step for member in members}
    found = []
    for member in members:
        if member.folder and not _reached(member.state.level, newest):
            back = Member.of(
                member.spec,
                member.folder,
                device,
                recompute=recompute,
                detours=detours,
                generations=[checkpoint.BEFORE],
            )
            # Otherwise the previous checkpoint is lost, and this would be the trial's start.
            known = back.state.step == member.state.before
            if known and _reached(back.state.level, newest):
                checkpoint.restore_previous(member.folder)
                back.notices = member.notices
                member = back
        found.append(member)
    return found


@lru_cache(maxsize=1)
def _forget_others(nets: frozenset[str], recipe: Recipe) -> None:
    """Clear torch's compiled code unless it was compiled for trials like these.

    torch compiles a function at most 8 times per process, and silently runs it uncompiled for any further network.
    """
    torch.compiler.reset()


def _reached(level: Mapping[str, int], newest: Mapping[str, int]) -> bool:
    """Whether all members in both mappings are at least as far as `level` says."""
    return all(newest.get(key, step) >= step for key, step in level.items())


class Group:
    """Members with the same recipe and step. A single member uses its own network and optimiser; several are fused.

    The members' own weights are updated only when `hand_back` is called.
    """

    layout = torch.channels_last
    """The memory layout of the input images and so of all later layers. `beginning` uses the same for the weights."""

    def __init__(self, members: Sequence[Member], detours: Detours = NO_DETOURS) -> None:
        """Fuse the members.

        Raises:
            Unfusable: several members cannot be fused.
        """
        self.members = list(members)
        self.recipe = members[0].spec.recipe
        self.alone = len(members) == 1
        self.ahead = False
        """Whether it was trained since the last `hand_back`."""
        self.model, self.optimizer = members[0].model, members[0].optimizer
        averages = [member.average for member in members if member.average is not None]
        self.average = averages[0] if averages else None
        if not self.alone:
            self.model = fuse([member.model for member in members])
            apply_detours(self.model, detours)
            self.optimizer = make_optimizer(self.model, self.recipe)
            self.generators = [torch.Generator() for _ in members]
            draw_from(self.model, self.generators)
            if averages:
                self.average = fuse(averages)
                apply_detours(self.average, detours)
        # Listed once: collecting them from a network of hundreds of modules takes as long as some of its layers.
        self.weights = list(self.model.parameters())
        self.for_all = BatchedLaunches(self.model)
        self.loss = loss_function(self.recipe.loss)
        owners: Sequence[Sequence[int]] = [[0]] * len(self.weights)
        if not self.alone:
            origins = parameter_origins(self.model, len(members))
            owners = [[number for number, _ in origins[name]] for name, _ in self.model.named_parameters()]
            self.learned = _learned(self.model, members, origins)
            self.state = [*tensor_pairs(self.model, [member.model for member in members])]
            if self.average is not None:
                self.state += tensor_pairs(self.average, averages)
            copy_settings(members[0].optimizer, self.optimizer)
            join_state(self.optimizer, self.learned)
        self.clip = Clipping(self.recipe.clip_norm, self.weights, owners) if self.recipe.clip_norm else None
        self.averages = None if self.average is None else Average(self.average, self.model)
        self.draw_on()
        self.whole: torch.Size | None = None
        """The shape of the first batch, for which the model is compiled."""
        self.compiled: Callable[[Tensor], Tensor] = self.model
        if self.recipe.compile:
            _forget_others(frozenset(member.spec.architecture.key for member in members), self.recipe)
            self.compiled = torch.compile(self.model, dynamic=False)

    def logits(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return each member's logits (n, classes) for its own images (n, C, H, W)."""
        x = (images[0] if self.alone else torch.cat(list(images), 1)).contiguous(memory_format=self.layout)
        self.whole = self.whole or x.shape
        # Not for the smaller last batch of an epoch: compiling again takes longer, and code for any size is slower.
        forward = self.compiled if x.shape == self.whole else self.model
        with self.for_all.forward(x.device):
            logits = forward(x)
        return [logits] if self.alone else logits.chunk(len(self.members), dim=1)

    def draw_on(self) -> None:
        """Restore the members' generator states. A single member draws from torch's global generator."""
        if self.alone:
            torch.set_rng_state(self.members[0].rng)
            return
        for generator, member in zip(self.generators, self.members, strict=True):
            generator.set_state(member.rng)

    def note_generators(self) -> None:
        """Store the generator states in the members."""
        if self.alone:
            self.members[0].rng = torch.get_rng_state()
            return
        for generator, member in zip(self.generators, self.members, strict=True):
            member.rng = generator.get_state()

    def hand_back(self) -> None:
        """Copy weights, statistics and the optimiser's state to the members, if it was trained since the last time."""
        ahead, self.ahead = self.ahead, False
        if self.alone or not ahead:
            return
        unfuse(self.state)
        divide_state(self.optimizer, self.learned)
        for member in self.members:
            copy_settings(self.optimizer, member.optimizer)

    def update_average(self, step: int, total: int) -> None:
        """Update the average of the weights after a step, if it is due."""
        if self.averages and self.recipe.averaging:
            number = self.recipe.averaging.number(step, total)
            if number is not None:
                self.averages.update(self.recipe.averaging.weight(number))

    def measured(self, step: int, total: int) -> nn.Module:
        """Return the network that is measured after a step: with averaged weights, once the average has begun."""
        return _measured(self.recipe, self.model, self.average, step, total)


def _learned(fused: nn.Module, members: Sequence[Member], origins: Mapping[str, Sequence[tuple[int, str]]]) -> Origins:
    """Return each parameter of a fused network, with the parameters that it is made of and their optimisers."""
    inside = dict(fused.named_parameters())
    owned = [dict(member.model.named_parameters()) for member in members]
    return [
        (inside[to], [(members[number].optimizer, owned[number][name]) for number, name in own])
        for to, own in origins.items()
    ]
