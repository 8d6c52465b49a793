"""Which driver works on a run, seen by readers: from the folder's lock, or from the drivers of a shared store."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from runs import Run, write
from verbs import Cli

from search.files import lock
from search.files.folder import RunFolder
from search.files.lock import driver_state, lock_folder
from search.running.liveness import Liveness
from search.store.store import Store
from search.trials.events import Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

HOLDS = """
import sys
from pathlib import Path
from search.files.lock import lock_folder
with lock_folder(Path(sys.argv[1]), "the driver"):
    print("held", flush=True)
    sys.stdin.read()
"""

NFS = "server:/runs / nfs4 rw 0 0\n"


@contextmanager
def driver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder's lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files of a folder with their times and contents, except the -shm file, in which SQLite counts readers while
    a process writes."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.endswith("-shm")]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def presence(folder: Path, store: Store) -> Liveness:
    return Liveness.of(RunFolder(folder), store.run_status())


@pytest.fixture
def store(tmp_path: Path, trial: Trial) -> Iterator[Store]:
    """A folder's own store, with one running and one waiting trial."""
    specs = [trial(seed=seed) for seed in range(2)]
    with closing(Store.at(tmp_path)) as opened:
        opened.add(specs)
        opened.claim([specs[0].key])
        opened.write([Started(specs[0].key, "here", "cpu")])
        yield opened


def test_a_driver_is_seen_as_alive_until_it_is_killed(tmp_path: Path, store: Store) -> None:
    with driver(tmp_path) as process:
        before = state(tmp_path)
        found = presence(tmp_path, store)
        assert found.seen.alive
        assert (found.counts["running"], found.counts["waiting"], found.interrupted) == (1, 1, [])
        assert found.lines == [f"process {process.pid} on {socket.gethostname()}, {since(found)}, is at work here"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        found = presence(tmp_path, store)
        assert found.seen.alive is False
        assert (found.counts["running"], found.counts["waiting"], len(found.interrupted)) == (0, 2, 1)
        assert found.lines == [
            f"no driver is at work here (process {process.pid} on {socket.gethostname()}, {since(found)}, is gone); "
            "1 trial was interrupted: the same `resnet-space run` command resumes the run"
        ]
        assert state(tmp_path) == before


def since(found: Liveness) -> str:
    assert found.seen.driver
    return f"since {found.seen.driver.began}"


def test_reading_the_status_creates_no_file(tmp_path: Path) -> None:
    assert driver_state(tmp_path).alive is None
    (tmp_path / ".driver.json").write_text(json.dumps({"host": "a", "process": 1, "began": "then", "name": "a:1:x"}))
    assert driver_state(tmp_path).alive is False, "copied, without its lock"
    assert [path.name for path in tmp_path.iterdir()] == [".driver.json"]


def test_another_process_with_the_same_number_is_not_the_driver(tmp_path: Path) -> None:
    """For example after a restart of the machine."""
    with lock_folder(tmp_path, "first"):
        pass
    found = driver_state(tmp_path)
    assert found.driver
    assert found.driver.process == os.getpid()
    assert found.alive is False


@pytest.mark.parametrize(("host", "alive"), [("elsewhere", None), (socket.gethostname(), False)])
def test_a_lock_of_another_machine_can_be_invisible_on_a_network_file_system(
    host: str, alive: bool | None, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock_folder(tmp_path, "first"):
        pass
    data = json.loads((tmp_path / ".driver.json").read_text())
    (tmp_path / ".driver.json").write_text(json.dumps(data | {"host": host}))
    monkeypatch.setattr(lock, "mounts", lambda: NFS)
    found = presence(tmp_path, store)
    assert found.seen.alive is alive
    assert (found.counts["running"], len(found.interrupted)) == ((1, 0) if alive is None else (0, 1))
    if alive is None:
        [line] = found.lines
        assert line.startswith("running, as far as is known: this machine cannot see whether process ")
        assert line.endswith(" is alive")


def test_a_driver_that_starts_while_the_status_is_read_gets_the_lock(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "first"):
        pass
    file = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, [file]).start()
    with lock_folder(tmp_path, "second"):
        assert driver_state(tmp_path).alive


@pytest.mark.parametrize("name", ["\x1b[31mevil", "plain"])
def test_the_contents_of_the_file_are_shown_without_escape_sequences(name: str, tmp_path: Path, store: Store) -> None:
    (tmp_path / ".driver.json").write_text(json.dumps({"host": name, "process": 1, "began": "then", "name": "x"}))
    assert "\x1b" not in "".join(presence(tmp_path, store).lines)


def test_on_a_shared_store_the_list_of_drivers_shows_which_trials_run(tmp_path: Path, trial: Trial) -> None:
    specs = {name: trial(seed=seed) for seed, name in enumerate(["mine", "other", "buried"])}
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    (tmp_path / "run").mkdir()
    with closing(Store(url)) as store:
        store.add(specs.values())
        for name, spec in specs.items():
            store.claims.driver = f"host:1:{name}"
            store.claim([spec.key])
            store.write([Started(spec.key, "host", "cpu")])
        store.claims.driver = "host:1:buried"
        with store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM drivers WHERE name = 'host:1:buried'")
        with lock_folder(tmp_path / "run", "host:1:mine"):
            found = presence(tmp_path / "run", store)
            assert [key for key, _ in found.interrupted] == [specs["buried"].key]
        found = presence(tmp_path / "run", store)
        assert sorted(key for key, _ in found.interrupted) == sorted([specs["buried"].key, specs["mine"].key])
        assert found.counts["running"] == 1
        assert found.lines[-1].startswith("1 trial is run by drivers of other folders; a driver that waits for them ")


@pytest.mark.slow
def test_status_of_a_run_whose_driver_is_alive_and_then_killed(resnet_space: Cli, tmp_path: Path) -> None:
    with Run(write(tmp_path), tmp_path / "out", "--inline") as run:
        run.until(run.epochs)
        found = json.loads(resnet_space("status", "out", "--json").out)
        assert found["driver"]["alive"] is True
        assert found["driver"]["process"] == run.process.pid
        assert (found["running"], found["interrupted"]) == (1, 0)
        run.process.kill()
        run.process.wait()
        before = state(tmp_path / "out")
        found = json.loads(resnet_space("status", "out", "--json").out)
        assert (found["driver"]["alive"], found["running"], found["interrupted"]) == (False, 0, 1)
        assert found["waiting"] == 4 - found["complete"]
        assert found["killed"] == [], "SIGKILL leaves no word"
        assert "1 trial was interrupted" in resnet_space("status", "out").out
        assert state(tmp_path / "out") == before
