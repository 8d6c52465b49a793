"""Thousands of trials in one driver do not use more and more memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sweeping import sweep

from search.store.store import Store
from search.trials.events import Event, Finished, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

TRIALS = 5000


def resident() -> int:
    """The resident memory pages of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's account of memory")
def test_the_memory_of_a_driver_of_many_trials_does_not_grow(
    trial: Trial, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.running.ray import runner as ray_runner

    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    specs = [trial(seed=seed) for seed in range(TRIALS)]
    store, workers = Store.at(tmp_path), set[int]()
    seen: dict[int, tuple[int, int]] = {}
    ended = 0

    def work(job: Job, resources: Resources, checkpoints: Path) -> Generator[Event]:
        """A simulated job without training. It refers to nothing in this module, which a worker cannot import."""
        for spec in job.trials:
            # The process number is stored in place of the host, so every worker is visible.
            yield Started(spec.key, str(os.getpid()), "cpu")
            yield Finished(spec.key, "complete", "", 0.5, 0.5, 1.0, 0.0)

    def tell(event: Event) -> None:
        nonlocal ended
        if isinstance(event, Started):
            workers.add(int(event.host))
        if isinstance(event, Finished):
            ended += 1
            if ended in (TRIALS // 5, TRIALS):
                seen[ended] = (resident(), len(os.listdir("/proc/self/fd")))

    def runner(feed: object) -> None:
        ray_runner.run(feed, resources=Resources(), checkpoints=tmp_path / "checkpoints", work=work)  # type: ignore[arg-type]

    sweep([Job(trials=(spec,)) for spec in specs], store, runner, tell)
    counts = store.counts()
    store.close()
    (pages, files), (pages_then, files_then) = seen[TRIALS // 5], seen[TRIALS]
    assert counts["complete"] == TRIALS
    assert pages_then < 1.2 * pages
    assert files_then <= files + 2
    assert len(workers) <= 2, "workers are kept, one a CPU"
    assert not [*scratch.iterdir()], "Tune's own files are gone"
    assert {path.name for path in tmp_path.iterdir()} <= {"trials.db", "trials.db-wal", "trials.db-shm"}
