"""Who trains: members, a seed's network and how far it is, and groups of them that take their steps as one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from resnet_space import build
from resnet_space.fused import Parted, copy_all, divided, draw_from, fuse, join, parted, unfuse
from search.files.bucket import Place
from search.kernels.workarounds import NO_DETOURS, Detours, apply_detours
from search.training import checkpoint
from search.training.launches import BatchedLaunches
from search.trials.events import Notice
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec


@dataclass(eq=False)
class Member:
    """One trial under way."""

    spec: TrialSpec
    folder: Place | None
    model: nn.Module
    optimizer: torch.optim.Optimizer
    state: checkpoint.State

    notices: list[Notice] = field(default_factory=list)
    """What was found on the way here."""
    saved: int = 0
    """The step of its newest checkpoint."""
    unsaved: bool = False
    """Whether its last checkpoint could not be written."""
    rng: Tensor = field(default_factory=torch.get_rng_state)
    """Where the generator of what it draws in training stands, on the CPU."""

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
        """The trial where the first of its checkpoints that can be read left it, or at its beginning."""
        begin = partial(beginning, spec, device, recompute=recompute, detours=detours)
        member = cls(spec, folder, *begin(), checkpoint.State())
        found = []
        for path in [folder / name for name in generations] if folder else []:
            try:
                member.state = checkpoint.load(path, member.model, member.optimizer, device)
                break
            except FileNotFoundError:
                continue
            except checkpoint.DamagedCheckpoint as why:
                found.append(f"{path.name} is damaged ({why})")
                member.model, member.optimizer = begin()
        member.rng, member.saved = torch.get_rng_state(), member.state.step
        if found:
            after = f"goes on behind step {member.state.step}" if member.state.step else "begins anew"
            member.notices.append(Notice(spec.key, f"{' and '.join(found)}; {after}"))
        return member

    @property
    def place(self) -> tuple[int, bool]:
        """How far it is, and whether its learning rate is the warm-up's: those of one place may train together."""
        return self.state.step, self.state.warming_up


def beginning(
    spec: TrialSpec, device: str, *, recompute: bool = False, detours: Detours = NO_DETOURS
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The seed's network, with layers whose kernels are wrong here on their detours, and its optimiser, before the
    first step."""
    # Dropout draws from the global generator as it trains; the weights have generators of their own.
    torch.manual_seed(spec.seed)
    model = build(spec.architecture, spec.seed, recompute=recompute).to(memory_format=torch.channels_last).to(device)
    apply_detours(model, detours)
    return model, sgd(model, spec.recipe)


def sgd(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; every step sets the rate anew."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def furthest_behind(members: Sequence[Member], total: int) -> list[Member]:
    """Who trains next: of those that have steps to do, the ones with the fewest done, and with one learning rate.

    Members stand apart where they were begun apart, or where the warm-up ends earlier for one than for another; those
    behind go first, so that all are level again.
    """
    going = [member for member in members if member.state.step < total]
    if not going:
        return []
    first = min(going, key=lambda member: member.state.step)
    return [member for member in going if member.place == first.place]


def level(
    members: Sequence[Member], device: str, *, recompute: bool = False, detours: Detours = NO_DETOURS
) -> list[Member]:
    """The members, each one checkpoint back whose newest was written together with another's that is not there.

    So it is after a kill between two members' checkpoints. They take the epochs since then together again, as they
    began them: the same bits as without the kill. Alone, those of an earlier step would have other roundings.
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
            # Or else it is lost, and this would be the trial's beginning in its place.
            known = back.state.step == member.state.before
            if known and _reached(back.state.level, newest):
                checkpoint.restore_previous(member.folder)
                back.notices = member.notices
                member = back
        found.append(member)
    return found


@lru_cache(maxsize=1)
def _forget_others(net: str, recipe: Recipe) -> None:
    """Have torch forget what it compiled before, unless it was for trials like these.

    It compiles a function for 8 networks in a process, and runs it as it is, without a word, for any that come after.
    """
    torch.compiler.reset()


def _reached(level: Mapping[str, int], newest: Mapping[str, int]) -> bool:
    """Whether all that are here have come as far as they were."""
    return all(newest.get(key, step) >= step for key, step in level.items())


class Group:
    """Members of one recipe that stand at one step. One is its own network and optimiser; several are fused.

    What they learn is theirs when `hand_back` is called, and not before.
    """

    layout = torch.channels_last
    """How images lie in memory as they come in, and so in all layers behind. `beginning` lays weights the same way."""

    def __init__(self, members: Sequence[Member], detours: Detours = NO_DETOURS) -> None:
        """Raises `fused.Unfusable` for several that cannot be."""
        self.members = list(members)
        self.recipe = members[0].spec.recipe
        self.alone = len(members) == 1
        self.ahead = False
        """Whether it has learned what was not handed back."""
        self.model, self.optimizer = members[0].model, members[0].optimizer
        if not self.alone:
            self.model = fuse([member.model for member in members])
            apply_detours(self.model, detours)
            self.optimizer = sgd(self.model, self.recipe)
            self.generators = [torch.Generator() for _ in members]
            draw_from(self.model, self.generators)
        # Listed once: to ask a network of hundreds of modules for them takes as long as some of its layers.
        self.weights = list(self.model.parameters())
        self.for_all = BatchedLaunches(self.model)
        if not self.alone:
            owned = zip(*(member.model.parameters() for member in members), strict=True)
            self.learned: Parted = list(zip(self.weights, owned, strict=True))
            self.state = parted(self.model, [member.model for member in members])
            self._take_momenta()
        self.draw_on()
        self.whole: torch.Size | None = None
        """Of the first batch: the shape that is compiled for."""
        self.compiled: Callable[[Tensor], Tensor] = self.model
        if self.recipe.compile:
            _forget_others(members[0].spec.architecture.key, self.recipe)
            self.compiled = torch.compile(self.model, dynamic=False)

    def logits(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """(n, classes) of each member for its own images (n, C, H, W)."""
        x = torch.cat(list(images), 1).contiguous(memory_format=self.layout)
        self.whole = self.whole or x.shape
        # Not for an epoch's smaller last batch: to compile once more takes longer, and code for any size is slower.
        forward = self.compiled if x.shape == self.whole else self.model
        with self.for_all.forward(x.device):
            logits = forward(x)
        return logits.chunk(len(self.members), dim=1)

    def draw_on(self) -> None:
        """Go on where the members' random numbers stand. Alone they are drawn from torch's own generator."""
        if self.alone:
            torch.set_rng_state(self.members[0].rng)
            return
        for generator, member in zip(self.generators, self.members, strict=True):
            generator.set_state(member.rng)

    def note_generators(self) -> None:
        """Let the members know where their random numbers stand."""
        if self.alone:
            self.members[0].rng = torch.get_rng_state()
            return
        for generator, member in zip(self.generators, self.members, strict=True):
            member.rng = generator.get_state()

    def hand_back(self) -> None:
        """Give the members their weights, statistics and momenta, if they have not got them yet."""
        ahead, self.ahead = self.ahead, False
        if self.alone or not ahead:
            return
        unfuse(self.state)
        momenta = []
        for mine, theirs in self.learned:
            momentum = self.optimizer.state[mine].get("momentum_buffer")
            if momentum is not None:
                parts = divided(momentum, theirs)
                for member, parameter, part in zip(self.members, theirs, parts, strict=True):
                    own = member.optimizer.state[parameter]
                    if own.get("momentum_buffer") is None:
                        own["momentum_buffer"] = torch.empty_like(parameter)
                    momenta.append((own["momentum_buffer"], part))
        copy_all(momenta)
        for member in self.members:
            for settings, common in zip(member.optimizer.param_groups, self.optimizer.param_groups, strict=True):
                settings["lr"] = common["lr"]

    def _take_momenta(self) -> None:
        for mine, theirs in self.learned:
            momenta = [
                member.optimizer.state[parameter].get("momentum_buffer")
                for member, parameter in zip(self.members, theirs, strict=True)
            ]
            if None not in momenta:
                self.optimizer.state[mine]["momentum_buffer"] = join(momenta)
