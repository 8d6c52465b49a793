"""How tests are divided among parallel processes: the longest groups first, so that all processes finish together."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent

SECONDS = {
    "search/running/test_cluster.py": (380, 0),
    "search/running/test_soak.py": (142, 0),
    "test_contributing.py": (150, 0),
    "search/running/test_signals.py": (100, 2),
    "test_first_gpu.py": (80, 7),
    "search/training/test_fidelity.py": (100, 0),
    "search/running/test_ray.py": (76, 49),
    "test_terminal.py": (70, 31),
    "search/running/test_disk_full.py": (66, 0),
    "search/kernels/test_kernels.py": (65, 30),
    "test_names.py": (64, 2),
    "test_cluster_guide.py": (61, 4),
    "search/running/test_doctor.py": (60, 0),
    "test_docs.py": (56, 0),
    "search/training/test_neighbours_learn.py": (43, 0),
    "faults/test_driver_killed.py": (42, 16),
    "test_main_job.py": (42, 0),
    "search/samplers/test_samplers.py": (40, 40),
    "test_search_job.py": (35, 10),
    "test_front_door.py": (34, 34),
    "faults/test_killed_on_ray.py": (33, 0),
    "test_storage.py": (32, 7),
    "faults/test_lost_workers.py": (27, 2),
    "search/training/test_exports_alone.py": (60, 0),
    "search/training/formats/test_library_names.py": (50, 12),
    "search/training/formats/test_as_onnx.py": (45, 45),
    "search/training/test_export.py": (26, 26),
    "test_data_changed.py": (25, 25),
    "resnet_space/test_contracts.py": (60, 25),
    "bad_input/test_bad_input.py": (23, 23),
    "faults/test_killed_by_signal.py": (22, 22),
    "search/training/test_train_together.py": (22, 22),
    "search/training/test_options_together.py": (31, 31),
    "search/training/test_export_inputs.py": (18, 18),
    "search/training/test_saving_together.py": (18, 18),
    "test_house.py": (17, 17),
    "gpu/test_trials.py": (16, 16),
    "search/exploring/test_feed.py": (15, 5),
    "search/files/test_bucket.py": (10, 10),
}
"""Duration of a file's tests with and without `RESNET_SPACE_ALL`, measured by --durations=0 with two processes on two
cores. Only the order depends on it, so new or changed files can be added later."""


def arrange(items: list[pytest.Item]) -> None:
    """Assign every test to a group and sort the groups.

    A group is one file, because of its fixtures, or all files that share a Ray cluster.
    """
    with_ray = {item.path for item in items if "ray_cluster" in getattr(item, "fixturenames", ())}
    seconds = defaultdict[str, float](float)
    pieces = {path: "ray" if path in with_ray else _name(path) for path in {item.path for item in items}}
    for path, piece in pieces.items():
        seconds[piece] += SECONDS.get(_name(path), (0, 0))[not os.environ.get("RESNET_SPACE_ALL")]
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("long")}
    items.sort(key=lambda item: (-seconds[pieces[item.path]], item.path not in slow, pieces[item.path]))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(pieces[item.path]))


def _name(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()
