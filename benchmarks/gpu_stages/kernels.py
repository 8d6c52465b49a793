"""Which kernels does a step have, fused and alone? Their number, their time, and the fourteen slowest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from measuring import Measured
from sizes import Size
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from gpu_stages.record import Failure
from search.data import Images, batches
from search.training.forecast import now
from search.training.members import Group, Member
from search.training.step import step

STEPS = 5
MAX_KERNELS = 14


def measure(size: Size) -> Iterator[Measured | Failure]:
    images = size.images(1)
    for name, seeds in (("eight seeds fused", size.seeds), ("alone", 1)):
        try:
            yield from profiled(name, seeds, images, size)
        except Exception as error:
            yield Failure.of(name, error)


def profiled(name: str, seeds: int, images: Images, size: Size) -> Iterator[Measured]:
    specs = size.specs(size.net("resnet20"), seeds, images)
    group = Group([Member.of(spec, None, size.device) for spec in specs])
    group.model.train()
    split = images.train.to(size.device)
    moments: dict[str, Any] = {"mean": images.mean, "std": images.std}
    x, y = next(batches(split, batch_size=size.batch, seed=0, device=size.device, **moments))
    for _ in range(STEPS):
        step(group, [x] * seeds, [y] * seeds, size.device)
    now(size.device)
    on_gpu = size.device == "cuda"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    with profile(activities=activities) as seen:
        for _ in range(STEPS):
            step(group, [x] * seeds, [y] * seeds, size.device)
        now(size.device)
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    kernels = [event for event in seen.key_averages() if event.device_type == wanted]
    taken = {event.key: event.self_device_time_total if on_gpu else event.self_cpu_time_total for event in kernels}
    most = sorted(kernels, key=lambda event: -taken[event.key])[:MAX_KERNELS]
    details = {
        "seeds": seeds,
        "kernels": [
            {"name": each.key, "a_step": each.count / STEPS, "us_a_step": taken[each.key] / STEPS} for each in most
        ],
    }
    count, ms = sum(each.count for each in kernels) / STEPS, sum(taken.values()) / STEPS / 1000
    yield Measured(f"{name}, kernels a step", None, count, count, count, "kernels", details)
    yield Measured(f"{name}, time in kernels a step", None, ms, ms, ms, "ms")
