"""The table of benchmarks is made of what was measured, and each of them can be run."""

from pathlib import Path

import pytest
import run
from measuring import Goal, Measured, in_turns, ratio, several, written

HERE = Path(run.HERE)


def test_the_table_is_that_of_the_results():
    page = (HERE / "README.md").read_text(encoding="utf-8")
    assert run.readme(page, run.kept()) == page, "python benchmarks/run.py --table writes it"


def test_every_benchmark_is_a_script():
    assert all((HERE / f"{benchmark.script}.py").is_file() for benchmark in run.BENCHMARKS)
    assert run.kept().keys() <= {benchmark.script for benchmark in run.BENCHMARKS}


def test_sides_are_measured_in_turns_and_none_always_follows_the_other():
    asked = []

    def side(name):
        asked.append(name)
        return float(len(asked))

    rounds = in_turns(lambda: side("a"), lambda: side("b"), rounds=3, warm_up=1)
    assert asked == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert rounds == [(4.0, 3.0), (5.0, 6.0), (8.0, 7.0)]


def test_a_ratio_is_the_median_over_rounds_with_its_spread():
    found = ratio("case", Goal("least", 2), [(2, 1), (9, 3), (4, 1)], names=("slow", "fast"), size=8)
    assert (found.value, found.least, found.most) == (3, 2, 4)
    assert found.details == {"slow": 4, "fast": 1, "rounds": 3, "size": 8}
    assert str(found) == "case: 3x (2x to 4x); goal at least 2x: met"


@pytest.mark.parametrize(("at", "value", "met"), [("least", 2, True), ("least", 1.9, False), ("most", 2.1, False)])
def test_a_goal_is_met_on_its_own_side(at, value, met):
    assert Goal(at, 2).met(value) is met


def test_the_table_says_what_was_missed_and_what_was_not_measured():
    found = [several("long", Goal("most", 1, "s"), [2.0, 3.0, 4.0]), Measured("fact", None, 5, 5, 5, "s")]
    facts = written(found, 8, "How long?\n\nMore.", "fronts", gpu=False) | {"cases": [vars_of(each) for each in found]}
    text = run.table({"fronts": facts}, [run.Benchmark("fronts", 8), run.Benchmark("epochs_gpu", 4, gpu=True)])
    assert "| 8 | `fronts.py` | long | 3 s | 2 s to 4 s | at most 1 s | **no** |" in text
    assert "| 8 | `fronts.py` | fact | 5 s |  |  |  |" in text
    assert "| 4 | `epochs_gpu.py` | needs a GPU: not measured | | | | |" in text
    assert "host" not in facts["machine"]


def vars_of(measured):
    return {**vars(measured), "goal": measured.goal and vars(measured.goal)}
