"""Whether this machine's kernels are right: checked once for each machine, torch and kernel, and kept in the cache."""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import torch

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data.places import cache_folder
from search.kernels.fork_server import ForkServer, Verdict
from search.kernels.gpu import bf16
from search.kernels.layers import Conditions, Kernel, kernels
from search.kernels.workarounds import ROUTES, Detours
from search.machine.processor import KERNEL_VARIABLES, processor
from search.trials.recipe import Recipe
from search.trials.resources import Resources

FORMAT = 1
"""Raise it when checks come to mean something else."""

log = logging.getLogger(__name__)


class Faulty(InputError):
    """A kernel is wrong on this machine, and there is no way around it."""


@dataclass(frozen=True)
class Found:
    """What checks found of the kernels of some networks."""

    detours: Detours = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    """A line for people for each kernel that is wrong here."""

    def __or__(self, other: Found) -> Found:
        return Found({**self.detours, **other.detours}, tuple(dict.fromkeys([*self.lines, *other.lines])))


def sound(net: Architecture, conditions: Conditions, networks: int = 1) -> Found:
    """Check the kernels that a network, or several fused, train with, those that are not known yet.

    A layer with a kernel that is wrong or kills its process gets a route on which all of its kernels are right.

    Raises:
        Faulty: a layer has none.
        Unfusable: the networks have no fused form.
    """
    return _sound(net, conditions, networks, cache_folder())


def refused(nets: Iterable[Architecture], conditions: Conditions) -> list[str]:
    """Check the kernels of networks, each trained alone: lines on those that are wrong and cannot be avoided.

    None where this process sees no GPU, as a task of Ray that asks for none: who trains there checks them.
    """
    if conditions.device != "cpu" and not torch.cuda.is_available():
        return []
    found: dict[str, None] = {}
    for net in nets:
        try:
            sound(net, conditions)
        except Faulty as error:
            found |= dict.fromkeys(str(error).splitlines())
    return [*found]


def conditions_of(recipe: Recipe, resources: Resources) -> Conditions:
    """Those that a trial trains under."""
    device = resources.device
    precision = "bf16" if bf16(recipe, device) else "float32"
    return Conditions(recipe.batch_size, device, resources.threads, precision)


# By the folder, since what is known of a machine is kept there.
@lru_cache(maxsize=4096)
def _sound(net: Architecture, conditions: Conditions, networks: int, folder: Path) -> Found:
    check = _Check(net, networks, conditions, Kept(folder / "kernels" / f"{machine(conditions.device)}.jsonl"))
    own = kernels(net, networks)
    bad = {verdict.kernel: verdict for verdict in check(own) if not verdict.sound(conditions.tolerance)}
    detours: dict[str, str] = {}
    lines: list[str] = []
    unavoidable: list[str] = []
    for layer in dict.fromkeys(kernel.written for kernel in own if kernel.name in bad):
        alike = [kernel for kernel in own if kernel.written == layer]
        for route in ROUTES:
            verdicts = check(alike, route)
            # A route that could not be checked is none.
            if len(verdicts) == len(alike) and all(verdict.sound(conditions.tolerance) for verdict in verdicts):
                detours[layer] = route
                break
        found = [said(bad[kernel.name], conditions) for kernel in alike if kernel.name in bad]
        if layer in detours:
            lines += [f"{line}; avoided: computed {detours[layer]}" for line in found]
        else:
            unavoidable += [f"{line}; {' and '.join(ROUTES)} are no better" for line in found]
    if unavoidable:
        raise Faulty("\n".join([*unavoidable, "run `resnet-space doctor`; another torch or machine may be right"]))
    return Found(detours, tuple(lines))


def said(verdict: Verdict, conditions: Conditions) -> str:
    """A bad verdict as a line for people."""
    kernel = f"kernel {verdict.kernel} ({conditions})"
    if verdict.died == "SIGALRM":
        return f"{kernel} hangs"
    if verdict.died:
        return f"{kernel} kills its process by {verdict.died}"
    return (
        f"{kernel} is wrong: {verdict.place} has a relative error of {verdict.error:.2g}, "
        f"and {conditions.tolerance:g} is allowed"
    )


class _Check:
    """Verdicts on kernels of a network: those that are kept, and the others by the fork server."""

    def __init__(self, net: Architecture, networks: int, conditions: Conditions, kept: Kept) -> None:
        self.net, self.networks, self.conditions, self.kept = net, networks, conditions, kept

    def __call__(self, some: Collection[Kernel], route: str = "") -> list[Verdict]:
        """On those of them that could be checked."""
        full = {kernel.name: self._full_name(kernel, route) for kernel in some}
        found = self.kept.read(full.values())
        unknown = [name for name in full if full[name] not in found]
        if unknown:
            request = {
                "net": self.net.model_dump(mode="json"),
                "networks": self.networks,
                "kernels": unknown,
                "conditions": asdict(self.conditions),
                "route": route,
            }
            fresh = {full[verdict.kernel]: verdict for verdict in server().ask(request)}
            problems = {verdict.problem for verdict in fresh.values()} - {""}
            if len(fresh) < len(unknown):
                problems.add("the process that checks them ended")
            if problems:
                log.warning("some kernels could not be checked on this machine: %s", "; ".join(sorted(problems)))
            fresh = {name: verdict for name, verdict in fresh.items() if not verdict.problem}
            self.kept.add(fresh)
            found |= fresh
        return [found[name] for name in full.values() if name in found]

    def _full_name(self, kernel: Kernel, route: str) -> str:
        number = kernel.images(self.conditions.batch)
        return f"{kernel.name}, {number} images, {self.conditions}{', ' if route else ''}{route}"


class Kept:
    """Verdicts on this machine, a line of JSON each; a file that several processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, wanted: Iterable[str]) -> dict[str, Verdict]:
        """Those of them that are known. Lines that are not whole are passed over."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        names, found = set(wanted), {}
        for line in lines:
            try:
                name, fields = json.loads(line)
                if name in names:
                    found[name] = Verdict(**fields)
            except (ValueError, TypeError):
                continue
        return found

    def add(self, verdicts: Mapping[str, Verdict]) -> None:
        """Keep more of them, as far as the file can be written."""
        text = "".join(json.dumps([name, asdict(verdict)]) + "\n" for name, verdict in verdicts.items())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            log.warning("%s: cannot be written (%s); kernels are checked again next time", self.path, error.strerror)


@cache
def server() -> ForkServer:
    """This process's own, which ends with it."""
    made = ForkServer()
    atexit.register(made.close)
    return made


@cache
def machine(device: str) -> str:
    """16 hex digits of what kernels depend on: processor or GPU, torch and its libraries, environment variables."""
    parts = [str(FORMAT), torch.__version__, torch.__config__.show(), torch.backends.cpu.get_cpu_capability()]
    parts += sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(KERNEL_VARIABLES))
    if device == "cpu":
        own = processor()
        parts += [own["name"], *own["isa"]]
    else:
        parts += [torch.cuda.get_device_name(), str(torch.cuda.get_device_capability()), str(torch.version.cuda)]
        parts += [str(torch.backends.cudnn.version()), "benchmark"]  # type: ignore[no-untyped-call]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
