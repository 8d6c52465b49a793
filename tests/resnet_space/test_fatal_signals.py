"""A command that is killed by a signal reports the signal and a remedy: real processes, real signals."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from resnet_space.fatal_signals import LIBRARY, SIGNALS

COMMAND = """
import os, resource, signal, sys
from pathlib import Path
from resnet_space import __main__, cli, fatal_signals
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def a_verb():
    exec(sys.argv[1])

cli.main = a_verb
__main__.process()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and shells of Linux")


def command(what: str, folder: Path, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run a `resnet-space` process that executes this code instead of a verb."""
    return subprocess.run(
        [sys.executable, "-c", code, what],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", sorted({name for name, _ in SIGNALS.values()}))
def test_a_command_killed_by_a_signal_reports_signal_place_and_remedy(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    [helps] = {helps for each, helps in SIGNALS.values() if each == name}
    ran = command(f"os.kill(os.getpid(), {number})", tmp_path)
    assert ran.returncode == -number
    assert ran.stdout == ""
    assert "in a_verb" in ran.stderr
    assert ran.stderr.splitlines()[-1] == f"error: killed by {name}, {helps}"


@pytest.mark.parametrize(
    ("what", "status"),
    [("pass", 0), ("sys.exit(2)", 2), ("os.kill(os.getpid(), 9)", -9), ("os.kill(os.getpid(), 15)", -15)],
)
def test_any_other_end_is_not_reported(what: str, status: int, tmp_path: Path) -> None:
    ran = command(what, tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "", "")


def test_a_file_with_a_traceback_is_reported_if_it_is_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("process 1 on a\nprocess 2 on a\nFatal Python error: Aborted\n\nCurrent thread\n")
    (tmp_path / "old.txt").write_text("process 1 on a\nFatal Python error: Aborted\n\nprocess 2 on a\n")
    for file, said in (
        ("new.txt", f"error: killed by SIGABRT, {LIBRARY}; where: new.txt\n"),
        ("old.txt", ""),
        ("none.txt", ""),
    ):
        ran = command(f"fatal_signals.set_traceback_file(Path('{file}')); os.kill(os.getpid(), 9)", tmp_path)
        assert ran.stderr == said
    back = command(
        "fatal_signals.set_traceback_file(Path('old.txt')); fatal_signals.set_traceback_file(None); os.abort()",
        tmp_path,
    )
    assert back.stderr.endswith(f"error: killed by SIGABRT, {LIBRARY}\n")


def test_the_content_of_a_file_is_never_executed(tmp_path: Path) -> None:
    (tmp_path / "a$(touch evil).txt").write_text("process 1 on a\nFatal Python error: $(touch evil)`touch evil`\n")
    ran = command("fatal_signals.set_traceback_file(Path('a$(touch evil).txt')); os.kill(os.getpid(), 9)", tmp_path)
    assert ran.stderr == ""
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("what", ["pass", "os.abort()"])
def test_no_process_remains(what: str, tmp_path: Path) -> None:
    said = "print(fatal_signals._reporter, flush=True); "
    waits = int(command(said + what, tmp_path).stdout)
    end = time.monotonic() + 10
    while processes.command(waits) and time.monotonic() < end:
        time.sleep(0.01)
    assert processes.command(waits) == b""


def test_without_a_shell_there_is_only_a_traceback(tmp_path: Path) -> None:
    ran = command("os.abort()", tmp_path, COMMAND.replace("def a_verb", "del os.posix_spawn\ndef a_verb"))
    assert ran.returncode == -6
    assert ran.stderr.startswith("Fatal Python error: Aborted")


def test_without_watch_nothing_changes() -> None:
    from resnet_space import fatal_signals

    was = faulthandler.is_enabled()
    fatal_signals.set_traceback_file(Path("anywhere"))
    assert faulthandler.is_enabled() == was
    assert fatal_signals.stream == 2
