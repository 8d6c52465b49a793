"""What the packages keep between calls: caches that one test could leave to the next, and those that none can."""

from __future__ import annotations

import sys

AFTER_A_TEST = {
    # An S3 client reads its credentials from the environment when it is made.
    "search.files.bucket": ("_files",),
    # Whether there is a GPU, and what it can: tests pretend that there is one.
    "search.kernels.gpu": ("has_bf16",),
    # Streams of a GPU that was pretended.
    "search.training.step": ("side_stream",),
    # Goes by environment variables.
    "search.kernels.soundness": ("machine_id",),
    # Of installed packages and of this package's code, in whose place tests put others.
    "search.running.preflight": ("versions",),
}
"""By module, caches that go by the environment, or by what tests put in the place of a function. Filling them again
takes milliseconds."""

AFTER_A_MODULE = {
    # Read from files, which may have been written anew under the same name.
    "search.training.work": ("_images",),
    # Verdicts are in a file, whose folder is in the cache's key; tests have the checks say otherwise.
    "search.kernels.soundness": ("_check_kernels",),
}
"""Caches that go by files or by what tests put in a function's place, which take longer to fill."""

KEPT = {
    # Functions of a network, of numbers or of the package's own files, which no test changes.
    "ablations.fractional": ("by_resolution",),
    "ablations.published_costs": ("_network",),
    "ablations.published": ("rows",),
    "reports.figures.style": ("_drawable",),
    "reports.html": ("_templates",),
    "resnet_space.axes": ("_exact",),
    "resnet_space.blueprint": ("_unit_json", "_unit"),
    "resnet_space.counter": ("_representative", "_stem_and_head", "_unit"),
    "resnet_space.counts": ("stored_counts",),
    "resnet_space.orders": ("applied", "canonical"),
    "search.kernels.layers": ("kernels",),
    "search.training.jobs": ("fusion_shape",),
    # For which networks torch has compiled last: cleared by the test that compiles.
    "search.training.members": ("_forget_others",),
    # A process, which imports torch when it begins, and computes what it is asked to.
    "search.kernels.soundness": ("fork_server",),
}


def forget(caches: dict[str, tuple[str, ...]]) -> None:
    """Empty them, in modules that were imported."""
    for module, names in caches.items():
        for name in names if module in sys.modules else ():
            # A test may have put something in its place, which is gone with the test.
            clear = getattr(getattr(sys.modules[module], name), "cache_clear", None)
            if clear:
                clear()
    if step := sys.modules.get("search.training.step"):
        step.RECORDING.clear()
