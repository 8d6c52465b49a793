"""A run's folder has one driver: a second one is refused with the name of the first; a dead one does not block it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_space.errors import InputError
from search.files.lock import lock_folder
from search.running.plan import start_run
from search.store.store import Store
from search.trials.events import Started
from search.trials.trial import TrialSpec


def test_a_second_driver_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    who = rf"process {os.getpid()} on {re.escape(socket.gethostname())}, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00,"
    with lock_folder(tmp_path, "first"):
        remedy = "wait for its end or stop it, or choose another --out"
        with (
            pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path))}: {who} is running here; {remedy}$"),
            lock_folder(tmp_path, "second"),
        ):
            pytest.fail("two drivers")
        assert json.loads((tmp_path / ".driver.json").read_text())["name"] == "first"


def test_the_lock_gives_the_name_of_the_former_driver(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "first") as former:
        assert former is None
    with lock_folder(tmp_path, "second") as former:
        assert former == "first"


@pytest.mark.parametrize("text", ["", "[]", '{"host": 3}', "\x00"])
def test_an_invalid_driver_file_names_no_driver(text: str, tmp_path: Path) -> None:
    (tmp_path / ".driver.json").write_text(text)
    with lock_folder(tmp_path, "me") as former:
        assert former is None
        (tmp_path / ".driver.json").write_text(text)
        with pytest.raises(InputError, match="another process is running here"), lock_folder(tmp_path, "you"):
            pytest.fail("two drivers")


def test_the_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from search.files.lock import lock_folder
with lock_folder(Path(sys.argv[1]), "killed"):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"process {driver.pid} on "), lock_folder(tmp_path, "too early"):
            pytest.fail("two drivers")
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        with lock_folder(tmp_path, "next") as former:
            assert former == "killed"


def test_a_refused_folder_is_not_changed(tmp_path: Path, ablation: Callable[..., object]) -> None:
    """The study in it does not change either, even if the second driver has more seeds."""
    ablation({"a": [0.5], "b": [0.25]})
    folder = tmp_path / "run"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with lock_folder(folder, "first"), pytest.raises(InputError, match="is running here"):
        ablation({"a": [0.5, None], "b": [0.25, None]})
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {name for name in after if after[name] != before.get(name)} == {".driver.json"}


def test_trials_of_a_dead_driver_are_free_at_once_for_the_next_driver_of_its_folder(
    tmp_path: Path, trial: Callable[..., TrialSpec], ablation: Callable[..., object]
) -> None:
    """The store is outside the folder, where leases apply; but the folder's lock shows that the driver is dead."""
    ablation({"a": [0.5], "b": [0.25]})
    from resnet_space import api
    from resnet_space.api import studies

    plan = api.plan(studies.load(str(tmp_path / "run" / "study.yaml")))
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    spec = trial()
    with start_run(plan, tmp_path / "run", storage=url) as (folder, store):
        dead = store.claims.driver
        store.add([spec])
        store.claim([spec.key])
        store.write([Started(spec.key, "anvil", "cpu")])
        # The state that a kill would leave.
        store.claims.driver = "anvil:7:x"
        other = Store(url)
        assert other.claim([spec.key]) == set()
        other.close()
    other = Store(url)
    other.claims.driver = dead
    other.claim([spec.key])
    other.close()
    with start_run(plan, folder.path, storage=url) as (_, store):
        assert store.claim([spec.key]) == {spec.key}
