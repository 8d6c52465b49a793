"""The caches of the packages: those that one test could leave to the next, and those that are safe to keep."""

from __future__ import annotations

import sys

AFTER_A_TEST = {
    # An S3 client reads its credentials from the environment when it is made.
    "search.files.bucket": ("_files",),
    # Whether there is a GPU, and its abilities: tests simulate one.
    "search.kernels.gpu": ("has_bf16",),
    # Streams of a simulated GPU.
    "search.training.step": ("side_stream",),
    # Depends on environment variables.
    "search.kernels.soundness": ("machine_id",),
    # Depends on installed packages and on this package's code, which tests replace.
    "search.running.preflight": ("versions",),
}
"""By module, caches that depend on the environment or on functions that tests replace. Refilling them takes
milliseconds."""

AFTER_A_MODULE = {
    # Read from files, which can be rewritten under the same name.
    "search.training.work": ("_images",),
    # Verdicts are in a file, whose folder is in the cache's key; tests replace the checks.
    "search.kernels.soundness": ("_check_kernels",),
}
"""By module, caches that depend on files or on functions that tests replace and take longer to refill."""

KEPT = {
    # Functions of a network, of numbers or of the package's own files, which no test changes.
    "ablations.fractional": ("by_resolution",),
    "ablations.published_costs": ("_network",),
    "ablations.power": ("_normal",),
    "ablations.published": ("rows",),
    "reports.figures.embedding": ("key",),
    "reports.figures.style": ("_drawable",),
    "reports.html": ("_templates",),
    "resnet_space.axes": ("_exact",),
    "resnet_space.blueprint": ("_unit_json",),
    "search.data.augmentations.choices": ("_table",),
    "resnet_space.counter": ("_representative", "_stem_and_head", "_unit"),
    "resnet_space.counts": ("stored_counts",),
    "resnet_space.orders": ("applied", "canonical"),
    "resnet_space.unit_plans": ("plan_unit",),
    "search.kernels.layers": ("kernels",),
    "search.training.jobs": ("shape_of",),
    "search.training.unit_times": ("_unit_seconds",),
    # The networks that torch compiled last: cleared by the test that compiles.
    "search.training.members": ("_forget_others",),
    # A process that imports torch when it starts, and computes what it is asked to.
    "search.kernels.soundness": ("fork_server",),
}


def forget(caches: dict[str, tuple[str, ...]]) -> None:
    """Clear these caches in all modules that were imported."""
    for module, names in caches.items():
        for name in names if module in sys.modules else ():
            # A test can have replaced it by something without a cache, which is undone after the test.
            clear = getattr(getattr(sys.modules[module], name), "cache_clear", None)
            if clear:
                clear()
    if step := sys.modules.get("search.training.step"):
        step.RECORDING.clear()
