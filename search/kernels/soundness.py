"""Whether this machine's kernels are right. Each kernel is checked once per machine and torch, and cached."""

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
from search.kernels.gpu import uses_bf16
from search.kernels.layers import Conditions, Kernel, kernels
from search.kernels.workarounds import ROUTES, Detours
from search.machine.processor import KERNEL_VARIABLES, processor
from search.trials.recipe import Recipe
from search.trials.resources import Resources

FORMAT = 1
"""Increase it if the meaning of a check changes: cached verdicts are then no longer used."""

log = logging.getLogger(__name__)


class FaultyKernel(InputError):
    """A kernel is wrong on this machine, and there is no way around it."""


@dataclass(frozen=True)
class KernelReport:
    """What the checks found about the kernels of some networks."""

    detours: Detours = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    """One line for people per wrong kernel."""

    def __or__(self, other: KernelReport) -> KernelReport:
        return KernelReport({**self.detours, **other.detours}, tuple(dict.fromkeys([*self.lines, *other.lines])))


def check_kernels(conditions: Conditions, *nets: Architecture) -> KernelReport:
    """Check the kernels that a network, or several fused ones, train with. Cached verdicts are not checked again.

    A layer whose kernel is wrong or kills its process gets a route on which all kernels of the layer are right.

    Raises:
        FaultyKernel: a layer has no such route.
        Unfusable: the networks cannot be fused.
    """
    return _check_kernels(nets, conditions, cache_folder())


def unavoidable_faults(nets: Iterable[Architecture], conditions: Conditions) -> list[str]:
    """Check the kernels of networks that train alone, and return a line for each fault that cannot be avoided.

    Nothing is checked for a GPU if this process sees none, as in a Ray task without GPUs: the worker checks it later.
    """
    if conditions.device != "cpu" and not torch.cuda.is_available():
        return []
    found: dict[str, None] = {}
    for net in nets:
        try:
            check_kernels(conditions, net)
        except FaultyKernel as error:
            found |= dict.fromkeys(str(error).splitlines())
    return [*found]


def conditions_of(recipe: Recipe, resources: Resources) -> Conditions:
    """Return the conditions of a trial's kernels."""
    device = resources.device
    precision = "bf16" if uses_bf16(recipe, device) else "float32"
    return Conditions(recipe.part_size, device, resources.threads, precision)


# The folder is an argument because it holds the cached verdicts.
@lru_cache(maxsize=4096)
def _check_kernels(nets: tuple[Architecture, ...], conditions: Conditions, folder: Path) -> KernelReport:
    check = _Checker(nets, conditions, VerdictCache(folder / "kernels" / f"{machine_id(conditions.device)}.jsonl"))
    own = kernels(*nets)
    bad = {verdict.kernel: verdict for verdict in check(own) if not verdict.sound(conditions.tolerance)}
    detours: dict[str, str] = {}
    lines: list[str] = []
    unavoidable: list[str] = []
    for layer in dict.fromkeys(kernel.layer_text for kernel in own if kernel.name in bad):
        alike = [kernel for kernel in own if kernel.layer_text == layer]
        for route in ROUTES:
            verdicts = check(alike, route)
            # A route counts only if every kernel could be checked.
            if len(verdicts) == len(alike) and all(verdict.sound(conditions.tolerance) for verdict in verdicts):
                detours[layer] = route
                break
        found = [fault_line(bad[kernel.name], conditions) for kernel in alike if kernel.name in bad]
        if layer in detours:
            lines += [f"{line}; avoided: computed {detours[layer]}" for line in found]
        else:
            unavoidable += [f"{line}; {' and '.join(ROUTES)} are not right either" for line in found]
    if unavoidable:
        raise FaultyKernel("\n".join([*unavoidable, "run `resnet-space doctor`; try another torch version or machine"]))
    return KernelReport(detours, tuple(lines))


def fault_line(verdict: Verdict, conditions: Conditions) -> str:
    """Return a line for people about a kernel that is not sound."""
    kernel = f"kernel {verdict.kernel} ({conditions})"
    if verdict.died == "SIGALRM":
        return f"{kernel} hangs"
    if verdict.died:
        return f"{kernel} kills its process by {verdict.died}"
    return (
        f"{kernel} is wrong: {verdict.place} has a relative error of {verdict.error:.2g}, "
        f"and {conditions.tolerance:g} is allowed"
    )


class _Checker:
    """Gives verdicts on kernels of networks: from the cache, or else from the fork server."""

    def __init__(self, nets: Iterable[Architecture], conditions: Conditions, cached: VerdictCache) -> None:
        self.nets, self.conditions, self.cached = nets, conditions, cached

    def __call__(self, some: Collection[Kernel], route: str = "") -> list[Verdict]:
        """Return the verdicts on those kernels that could be checked."""
        full = {kernel.name: self._full_name(kernel, route) for kernel in some}
        found = self.cached.read(full.values())
        unknown = [name for name in full if full[name] not in found]
        if unknown:
            request = {
                "nets": [net.model_dump(mode="json") for net in self.nets],
                "kernels": unknown,
                "conditions": asdict(self.conditions),
                "route": route,
            }
            fresh = {full[verdict.kernel]: verdict for verdict in fork_server().ask(request)}
            problems = {verdict.problem for verdict in fresh.values()} - {""}
            if len(fresh) < len(unknown):
                problems.add("the process that checks them ended")
            if problems:
                log.warning("some kernels could not be checked on this machine: %s", "; ".join(sorted(problems)))
            fresh = {name: verdict for name, verdict in fresh.items() if not verdict.problem}
            self.cached.add(fresh)
            found |= fresh
        return [found[name] for name in full.values() if name in found]

    def _full_name(self, kernel: Kernel, route: str) -> str:
        number = kernel.images(self.conditions.batch)
        return f"{kernel.name}, {number} images, {self.conditions}{', ' if route else ''}{route}"


class VerdictCache:
    """A file of verdicts on this machine's kernels, one line of JSON each. Several processes append to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, wanted: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts among those wanted, by name. Incomplete lines are skipped."""
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
        """Add verdicts to the file; if it cannot be written, log a warning."""
        text = "".join(json.dumps([name, asdict(verdict)]) + "\n" for name, verdict in verdicts.items())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            log.warning("%s: cannot be written (%s); kernels are checked again next time", self.path, error.strerror)


@cache
def fork_server() -> ForkServer:
    """Return this process's fork server, which ends with it."""
    made = ForkServer()
    atexit.register(made.close)
    return made


@cache
def machine_id(device: str) -> str:
    """Return 16 hex digits that identify what kernels depend on: processor or GPU, torch, libraries, environment."""
    parts = [str(FORMAT), torch.__version__, torch.__config__.show(), torch.backends.cpu.get_cpu_capability()]
    parts += sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(KERNEL_VARIABLES))
    if device == "cpu":
        own = processor()
        parts += [own["name"], *own["isa"]]
    else:
        parts += [torch.cuda.get_device_name(), str(torch.cuda.get_device_capability()), str(torch.version.cuda)]
        parts += [str(torch.backends.cudnn.version()), "benchmark"]  # type: ignore[no-untyped-call]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
