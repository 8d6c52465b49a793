"""A trial that kills its own process, as a faulty library does, is tried once more and then fails; others continue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from deadly import MEASURING, doom

from search.training import killed

STUDY = """
name: mortal
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: plain
arms: {plain: {}, gated: {set: {unit.shortcut: exclusive_gate}}}
data: {name: digits, limit: 200}
recipe: {base: digits, epochs: 3}
seeds: 1
resources: {fuse: off, checkpoint_seconds: 0}
"""

TOGETHER = STUDY.replace("fuse: off", "fuse: 3").replace("seeds: 1", "seeds: 3").replace(", gated", ", drop")

SEARCH = """
kind: search
name: mortal
space:
  base: resnet20
  set: {width: 0.25, stages.*.units: 1}
  axes: {unit.shortcut.kind: [identity, exclusive_gate, conv1x1]}
objectives: [error]
sampler: grid
budget: {trials: 3}
confirm: 0
data: {name: digits, limit: 200}
recipe: {base: digits, epochs: 3}
"""

STUDIES = {"study": STUDY, "together": TOGETHER, "search": SEARCH}

DIED = f"killed by SIGSEGV, {killed.LIBRARY}"
SIGSEGV = -11


class Place:
    """Runs commands in which chosen trials kill their process."""

    def __init__(self, folder: Path, run: Commands) -> None:
        self.folder, self.run, self.deaths = folder, run, folder / "deaths"
        for name, text in STUDIES.items():
            (folder / f"{name}.yaml").write_text(text)
        for name in STUDIES:
            assert self.run(f"run {name}.yaml --inline --out whole-{name}") == 0, self.run.printed()

    def rows(self, out: str, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / out / "trials.db")) as connection:
            return connection.execute(query).fetchall()

    def keys(self, study: str) -> list[str]:
        """The keys of a run's trials in the order of their ends."""
        return [key for (key,) in self.rows(f"whole-{study}", "SELECT key FROM trials ORDER BY started, key")]

    def ends(self, out: str) -> dict[str, tuple[str, str]]:
        return {key: (status, why) for key, status, why in self.rows(out, "SELECT key, status, reason FROM trials")}

    def numbers(self, out: str) -> list[tuple[Any, ...]]:
        ends = "SELECT key, status, test_error, validation_error FROM trials ORDER BY key"
        epochs = "SELECT key, epoch, step, loss, train_error, validation_error FROM epochs ORDER BY key, epoch"
        return self.rows(out, ends) + self.rows(out, epochs)

    def left(self, out: str) -> list[str]:
        """The records of deaths that are left."""
        return sorted(path.name for path in (self.folder / out / "checkpoints").glob("*/*.txt"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("mortal")
    first = "from pathlib import Path; from deadly import deadly; around = lambda: deadly(Path('deaths'))"
    with closing(Commands(folder, first)) as run:
        yield Place(folder, run)


@pytest.mark.slow
def test_a_trial_that_kills_its_process_once_is_tried_again_and_has_the_numbers_of_an_undisturbed_one(
    place: Place,
) -> None:
    first, second = place.keys("study")
    doom(place.deaths, first)
    assert place.run("run study.yaml --inline --out once") == SIGSEGV
    assert place.left("once") == [killed.TRIAL_FILE]
    place.run.printed()
    assert place.run("run study.yaml --inline --out once") == 0
    assert f"{DIED}; tried once more" in place.run.printed()
    assert place.numbers("once") == place.numbers("whole-study")
    assert place.left("once") == []
    assert {status for status, _ in place.ends("once").values()} == {"complete"}
    assert second in place.ends("once")


@pytest.mark.slow
def test_a_trial_that_kills_it_twice_fails_with_the_reason_and_the_others_are_run(place: Place) -> None:
    first, second = place.keys("study")
    doom(place.deaths, first, times=2)
    assert [place.run("run study.yaml --inline --out twice") for _ in range(3)] == [SIGSEGV, SIGSEGV, 1]
    assert place.ends("twice") == {first: ("failed", DIED), second: ("complete", "")}
    printed = place.run.printed()
    assert f"1 of 2 trials failed: {DIED}" in printed
    traceback = (place.folder / f"twice/checkpoints/{first}/traceback.txt").read_text()
    assert f"first traceback: {place.folder}/twice/checkpoints/{first}/traceback.txt" in printed
    assert traceback.count("Fatal Python error: Segmentation fault") == 2
    assert "in strike" in traceback

    # On another machine, or with another library, it can succeed: then it is retried.
    assert place.run("run study.yaml --inline --out twice --retry-failed") == 0
    assert place.numbers("twice") == place.numbers("whole-study")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["training", "measuring"])
def test_of_trials_that_train_together_only_the_one_that_kills_fails(where: str, place: Place) -> None:
    keys, out = place.keys("together"), f"group-{where}"
    guilty = keys[1]
    if where == "measuring":
        doom(place.deaths, MEASURING)
    doom(place.deaths, guilty, times=3 - (where == "measuring"))
    place.run.printed()
    ends = [place.run(f"run together.yaml --inline --out {out}") for _ in range(4)]
    assert ends == [SIGSEGV, SIGSEGV, SIGSEGV, 1], place.run.printed()
    printed = place.run.printed()
    assert f"{DIED}; trials that trained together now train one after another" in printed
    found = place.ends(out)
    assert found.pop(guilty) == ("failed", DIED)
    assert set(found.values()) == {("complete", "")}
    assert len(found) == len(keys) - 1
    assert place.left(out) == ["traceback.txt"]


@pytest.mark.slow
def test_a_search_continues_without_the_trial_that_kills_its_process(place: Place) -> None:
    guilty, *others = place.keys("search")
    doom(place.deaths, guilty, times=2)
    assert [place.run("run search.yaml --inline --out searched") for _ in range(3)] == [SIGSEGV, SIGSEGV, 1]
    assert place.ends("searched") == {guilty: ("failed", DIED)} | dict.fromkeys(others, ("complete", ""))


@pytest.mark.slow
def test_status_says_that_no_driver_is_at_work_and_what_killed_it(place: Place) -> None:
    first, _ = place.keys("study")
    doom(place.deaths, first)
    assert place.run("run study.yaml --inline --out seen") == SIGSEGV
    place.run.printed()
    assert place.run("status seen --json") == 0
    found = json.loads(place.run.printed())
    assert (found["running"], found["waiting"], found["interrupted"]) == (0, 2, 1)
    assert found["driver"]["alive"] is False
    assert found["killed"] == [{"reason": DIED, "file": f"seen/checkpoints/{first}/{killed.TRIAL_FILE}"}]
    assert place.run("status seen") == 0
    printed = place.run.printed()
    assert "is gone); 1 trial was interrupted: the same `resnet-space run` command resumes the run" in printed
    assert f"{DIED}: seen/checkpoints/{first}/{killed.TRIAL_FILE}" in printed
    assert place.run("report seen") == 0
    assert "2 waiting" in (place.folder / "seen/report/report.md").read_text()
