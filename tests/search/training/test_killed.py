"""Records of processes that a signal kills, and their descriptions, with real processes and real signals."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.files.bucket import Bucket
from search.training import killed
from search.training.killed import LIBRARY, DeathRecord, reason

DIES = """
import ctypes, mmap, os, resource, signal, sys, threading
from pathlib import Path
from search.training.killed import DeathRecord

def without_end(n):
    return max([n], key=without_end)

def cut_off():
    with open("mapped", "wb+") as file:
        file.write(bytes(2 * mmap.PAGESIZE))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0)
        # As where a disk has no room for the page, or the file was cut off.
        os.truncate("mapped", 0)
        print(mapped[mmap.PAGESIZE])

def overflow():
    sys.setrecursionlimit(10**9)
    without_end(0)

def elsewhere():
    # In a thread that Python knows nothing of, while its own one waits in a library.
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, libc.abort, None)
    threading.Event().wait()

with DeathRecord(Path("folder/fatal.txt")).recording():
    eval(sys.argv[1])
"""


def dies(what: str, folder: Path) -> int:
    """Return the status of a process that does this and records its deaths in `folder/fatal.txt`."""
    # No core files.
    command = [sys.executable, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)){DIES}", what]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": root}, check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize(
    ("what", "number", "name"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", 11, "SIGSEGV"),
        ("ctypes.string_at(0)", 11, "SIGSEGV"),
        ("overflow()", 11, "SIGSEGV"),
        ("os.abort()", 6, "SIGABRT"),
        ("elsewhere()", 6, "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGFPE)", 8, "SIGFPE"),
        ("os.kill(os.getpid(), signal.SIGILL)", 4, "SIGILL"),
        ("cut_off()", 7, "SIGBUS"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="numbers of signals differ")
def test_what_kills_a_process_is_known_to_the_next_one(what: str, number: int, name: str, tmp_path: Path) -> None:
    assert dies(what, tmp_path) == -number
    record = DeathRecord(tmp_path / "folder" / "fatal.txt")
    assert record.last is not None
    assert record.last.startswith(f"killed by {name}, ")
    assert record.deaths == [record.last]


def test_deaths_are_counted_and_one_without_a_record_is_not(tmp_path: Path) -> None:
    record = DeathRecord(tmp_path / "folder" / "fatal.txt")
    dies("os.abort()", tmp_path)
    assert dies("os.kill(os.getpid(), signal.SIGKILL)", tmp_path) == -9
    assert record.last is None, "what killed the last one is not known"
    dies("os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)
    assert record.deaths == [f"killed by SIGABRT, {LIBRARY}", f"killed by SIGSEGV, {LIBRARY}"]


@pytest.mark.parametrize("what", ["None", "1 / 0", "sys.exit(3)"])
def test_a_process_that_ends_normally_leaves_no_record(what: str, tmp_path: Path) -> None:
    assert dies(what, tmp_path) >= 0
    assert list(tmp_path.iterdir()) == []


IN_TORCH = """\
process 7 on host, 2026-01-01T00:00:00+00:00
Fatal Python error: Aborted

Thread 0x00007fd5c66fe6c0 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 331 in wait
  File "/x/search/running/screen.py", line 60 in _work

Current thread 0x00007fd68dea4b80 (most recent call first):
  File "/x/site-packages/torch/autograd/graph.py", line 1113 in _engine_run_backward
  File "/x/search/training/step.py", line 41 in step

Extension modules: numpy._core._multiarray_umath (total: 1)
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (IN_TORCH, f"killed by SIGABRT in torch, {LIBRARY}"),
        (IN_TORCH.replace("Current thread", "Thread"), f"killed by SIGABRT in torch, {LIBRARY}"),
        (IN_TORCH.replace("/site-packages/torch", "/search"), f"killed by SIGABRT, {LIBRARY}"),
        (
            # A thread of torch's that waits has not died.
            IN_TORCH.replace("/usr/lib/python3.11/", "/x/site-packages/torch/").replace(
                "/x/site-packages/torch/autograd", "/x/search"
            ),
            f"killed by SIGABRT, {LIBRARY}",
        ),
        (
            IN_TORCH.replace("Aborted", "Bus error"),
            "killed by SIGBUS in torch, usually because a file mapped into memory",
        ),
        (
            IN_TORCH.replace("Aborted", "Illegal instruction"),
            "killed by SIGILL in torch, usually by a library that was built",
        ),
        (IN_TORCH.replace("Aborted", "something\x1b[31m new"), f"killed by a signal in torch, {LIBRARY}"),
        ("Fatal Python error: Aborted", f"killed by SIGABRT, {LIBRARY}"),
    ],
)
def test_a_reason_names_the_signal_and_the_library_that_was_called_last(text: str, said: str) -> None:
    found = reason(text)
    assert found is not None
    assert found.startswith(said)
    assert "\n" not in found


def test_a_file_that_is_not_a_record_gives_no_reason(tmp_path: Path) -> None:
    for content in (b"", b"an essay", b"\xff\0" * 1000, b"process 7 on host, now\n"):
        (tmp_path / "fatal.txt").write_bytes(content)
        assert DeathRecord(tmp_path / "fatal.txt").deaths == []
        assert DeathRecord(tmp_path / "fatal.txt").last is None


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "fatal.txt").symlink_to(tmp_path / "precious")
    with DeathRecord(tmp_path / "folder" / "fatal.txt").recording():
        assert (tmp_path / "precious").read_text() == "as it was"


def test_if_no_record_can_be_written_work_continues(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with DeathRecord(tmp_path / "file" / "fatal.txt").recording():
        pass
    with DeathRecord(None).recording():
        pass


def test_an_earlier_fault_handler_is_enabled_again(tmp_path: Path) -> None:
    was = faulthandler.is_enabled()
    try:
        for before in (True, False):
            faulthandler.enable(file=2) if before else faulthandler.disable()
            with DeathRecord(tmp_path / "folder" / "fatal.txt").recording():
                assert faulthandler.is_enabled()
            assert faulthandler.is_enabled() == before
    finally:
        if was:
            faulthandler.enable(file=2)


def test_with_a_bucket_the_record_is_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path))
    here, there = (DeathRecord.of(Bucket.of(f"s3://mine/{name}"), "0" * 16) for name in ("a", "b"))
    assert here.path
    assert here.path.is_relative_to(tmp_path)
    assert here.path != there.path
    with here.recording():
        assert here.text.startswith(f"process {os.getpid()} on ")
    assert here.text == ""


@pytest.mark.parametrize("key", ["../../etc", "", "a/b", "."])
def test_a_key_that_is_a_path_has_no_record(key: str, tmp_path: Path) -> None:
    assert DeathRecord.of(tmp_path, key).path is None
    assert killed.TRIAL_FILE not in {path.name for path in tmp_path.rglob("*")}
