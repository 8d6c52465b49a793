"""How many times faster are two trials in parallel, with one thread each, than one after another with all threads?

The first is the default of a study: a trial has one CPU, and torch one thread per CPU. The trials are those of an arm
of the demo, each in its own warm process, on two cores.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from fused import DEMO
from measuring import ROUNDS, Goal, Measured, in_turns, main, ratio

CORES = 2
FASTER = Goal("least", 1.6)


def measure(quick: bool) -> Iterator[Measured]:
    steps = 20 if quick else 60
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(CORES)]
    processes = [context.Process(target=trial, args=(theirs,), daemon=True) for _, theirs in ends]
    for process in processes:
        process.start()
    pipes = [ours for ours, _ in ends]

    def side_by_side() -> float:
        return _timed(pipes, steps, threads=1, at_once=True)

    def one_after_another() -> float:
        return _timed(pipes, steps, threads=CORES, at_once=False)

    rounds = in_turns(one_after_another, side_by_side, rounds=3 if quick else ROUNDS + 2)
    names = ("one_after_another_s", "side_by_side_s")
    yield ratio("two trials of the demo's arm", FASTER, rounds, names=names, steps=steps)
    for pipe in pipes:
        pipe.send(None)
    for process in processes:
        process.join()


def _timed(pipes: list[Connection], steps: int, *, threads: int, at_once: bool) -> float:
    began = time.perf_counter()
    if at_once:
        for pipe in pipes:
            pipe.send((steps, threads))
        for pipe in pipes:
            pipe.recv()
    else:
        for pipe in pipes:
            pipe.send((steps, threads))
            pipe.recv()
    return time.perf_counter() - began


def trial(pipe: Connection) -> None:
    """Take optimiser steps on request: each message is a number of steps and a number of threads."""
    import torch

    from search.data import DataSet, batches, load
    from search.training.members import Group, Member
    from search.training.step import stepping
    from search.trials.recipe import Recipe
    from search.trials.trial import TrialSpec

    settings: dict[str, Any] = {"size": 8, "channels": 1, "classes": 10, "samples": 640}
    data = DataSet(name="fake", validation=0.1, **settings)
    images = load(data)
    recipe = Recipe.of({"epochs": 1, "batch_size": 64, "lr": 0.01})
    spec = TrialSpec(architecture=DEMO, recipe=recipe, data=data, fingerprint=images.fingerprint, seed=0)
    group = Group([Member.of(spec, None, "cpu")])
    group.model.train()
    take = stepping(group, "cpu")
    x, y = next(batches(images.train, batch_size=64, mean=images.mean, std=images.std, seed=0))
    while asked := pipe.recv():
        steps, threads = asked
        torch.set_num_threads(threads)
        for _ in range(steps):
            take([x], [y], recipe.lr)
        pipe.send(steps)


if __name__ == "__main__":
    main(measure, number=10, about=__doc__ or "")
