"""The table of benchmarks is made from stored results, and every benchmark is a script."""

import json
import sys
from pathlib import Path

import headline
import pandas as pd
import pytest
import run
import verdicts
from epochs_gpu import floors, floors_of_card
from measuring import Goal, Measured, each_round, in_turns, main, median_of, ratio, result_facts
from sizes import SIZES

from resnet_space import preset

HERE = Path(run.HERE)


def test_the_table_matches_the_stored_results():
    page = (HERE / "README.md").read_text(encoding="utf-8")
    assert run.readme(page, run.stored_results()) == page, "python benchmarks/run.py --table writes it"


def test_the_table_of_verdicts_matches_the_stored_results():
    text = verdicts.PAGE.read_text(encoding="utf-8")
    assert verdicts.page(text, run.stored_results()["verdicts"]) == text, (
        "python benchmarks/verdicts.py --table writes it"
    )


def test_the_cells_of_verdicts_are_all_different_and_described():
    cells = [cell for group in verdicts.GROUPS for cell in group.cells]
    assert len({repr(cell) for cell in cells}) == len(cells)
    assert verdicts.described(vars(verdicts.GROUPS[0].cells[0])) == "2 seeds, 10 arms, 359 images, error 1 to 30 %"


def test_a_cell_falls_short_only_beyond_the_error_of_the_simulation():
    group = verdicts.Group("name", [], power=0.5)
    found = {"false_alarms_low": 0.049, "power": 0.5, "coverage": 0.93, "coverage_error": 0.01, "confidence": 0.95}
    assert not any(verdicts.shortfalls(found, group).values())
    worse = found | {"false_alarms_low": 0.051, "power": 0.49, "coverage": 0.91}
    assert all(verdicts.shortfalls(worse, group).values())


def test_every_benchmark_is_a_script():
    assert all((HERE / f"{benchmark.script}.py").is_file() for benchmark in run.BENCHMARKS)
    assert run.stored_results().keys() <= {benchmark.script for benchmark in run.BENCHMARKS}


def test_sides_alternate_and_none_always_follows_the_other():
    asked = []

    def side(name):
        asked.append(name)
        return float(len(asked))

    rounds = in_turns(lambda: side("a"), lambda: side("b"), rounds=3, warm_up=1)
    assert asked == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert rounds == [(4.0, 3.0), (5.0, 6.0), (8.0, 7.0)]


def test_a_ratio_is_the_median_over_rounds_with_a_spread():
    found = ratio("case", Goal("least", 2), [(2, 1), (9, 3), (4, 1)], names=("slow", "fast"), size=8)
    assert (found.value, found.least, found.most) == (3, 2, 4)
    assert found.details == {"slow": 4, "fast": 1, "rounds": 3, "size": 8}
    assert str(found) == "case: 3x (2x to 4x); goal at least 2x: met"


@pytest.mark.parametrize(("at", "value", "met"), [("least", 2, True), ("least", 1.9, False), ("most", 2.1, False)])
def test_a_goal_is_met_at_its_bound_and_on_the_right_side_of_it(at, value, met):
    assert Goal(at, 2).met(value) is met


def test_the_table_shows_missed_goals_and_missing_measurements():
    found = [median_of("long", Goal("most", 1, "s"), [2.0, 3.0, 4.0]), Measured("fact", None, 5, 5, 5, "s")]
    facts = result_facts(found, 8, "How long?\n\nMore.", "fronts", gpu=False)
    facts["cases"] = [vars_of(each) for each in found]
    text = run.table({"fronts": facts}, [run.Benchmark("fronts", 8), run.Benchmark("epochs_gpu", 4, gpu=True)])
    assert "| 8 | `fronts.py` | long | 3 s | 2 s to 4 s | 3 | at most 1 s | **no** |" in text
    assert "| 8 | `fronts.py` | fact | 5 s |  |  |  |  |" in text
    assert "| 4 | `epochs_gpu.py` | needs a GPU: not measured | | | | | |" in text
    assert "host" not in facts["machine"]


def test_results_are_written_after_each_case_and_say_if_the_run_was_stopped(tmp_path, monkeypatch):
    out = tmp_path / "steps.json"
    monkeypatch.setattr(sys, "argv", ["steps.py", "--out", str(out)])

    def measure(quick):
        yield median_of("first", None, [1.0])
        assert [case["case"] for case in json.loads(out.read_text())["cases"]] == ["first"]
        yield median_of("second", None, [2.0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        main(measure, number=1, about="How long?")
    facts = json.loads(out.read_text())
    assert [case["case"] for case in facts["cases"]] == ["first", "second"]
    text = run.table({"steps": facts}, [run.Benchmark("steps", 1)])
    assert "| 1 | `steps.py` | other cases: not measured | | | | | |" in text

    monkeypatch.setattr(sys, "argv", ["steps.py", "--out", str(out)])
    main(lambda quick: [median_of("first", None, [1.0])], number=1, about="How long?")
    assert json.loads(out.read_text())["finished"] is True


def test_a_case_with_more_rounds_replaces_the_one_with_fewer(tmp_path, monkeypatch):
    out = tmp_path / "headline.json"
    monkeypatch.setattr(sys, "argv", ["headline.py", "--rounds", "2", "--out", str(out)])

    def measure(quick, rounds):
        values = []
        for value in each_round(lambda: 1.0, rounds=rounds, warm_up=0):
            values += value
            yield median_of("one", None, values)
            yield median_of("other", None, values)
            assert [case["details"]["rounds"] for case in json.loads(out.read_text())["cases"]] == [len(values)] * 2

    main(measure, number=12, about="How long?", rounds=5)
    facts = json.loads(out.read_text())
    assert [(case["case"], case["details"]["rounds"]) for case in facts["cases"]] == [("one", 2), ("other", 2)]


def test_the_sources_name_the_processor_and_its_widest_vectors():
    facts = result_facts([], 1, "How long?", "steps", gpu=False)
    facts["machine"] |= {"cpus": 2, "processor": {"name": "AMD EPYC", "isa": ["avx", "avx2", "avx512f", "fma"]}}
    text = run.sources({"steps": facts}, [run.Benchmark("steps", 1)])
    assert text.startswith("- `steps.py`: How long? On 2 CPUs (AMD EPYC with AVX-512), Python ")
    facts["machine"]["processor"] = {"name": "unknown", "isa": []}
    assert "On 2 CPUs (unknown), Python" in run.sources({"steps": facts}, [run.Benchmark("steps", 1)])
    # Earlier results have none.
    del facts["machine"]["processor"]
    assert "On 2 CPUs, Python" in run.sources({"steps": facts}, [run.Benchmark("steps", 1)])


def test_a_script_decides_by_the_interval_of_paired_differences():
    seeds = range(5)
    errors = pd.DataFrame(
        {
            headline.BASELINE: [0.02 + 0.01 * seed for seed in seeds],
            "always worse": [0.12 + 0.01 * seed for seed in seeds],
            "nearly equal": [0.02 + 0.01 * seed + 0.001 * (seed % 2) for seed in seeds],
            "noise": [0.02, 0.2, 0.01, 0.3, 0.05],
        }
    )
    assert headline.by_pairs(errors) == {
        "always worse": "worse",
        "nearly equal": "equivalent",
        "noise": headline.OPEN,
    }


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_gpu_is_measured_on_full_batches(size):
    assert len(size.images().train) == size.steps * size.batch


def test_the_floors_of_an_epoch_come_from_the_outputs_of_its_convolutions():
    # 188,416 numbers per image of 2 bytes each, moved 7.5 times; 3.0e12 and 4.3e12 bytes per second.
    found = floors(preset("resnet20"))
    assert found["floor_H100_ideally fused_s"] == pytest.approx(0.0471, abs=1e-4)
    assert found["floor_H200_ideally fused_s"] == pytest.approx(0.0329, abs=1e-4)


@pytest.mark.parametrize(("card", "floors_s"), [("NVIDIA H200", [0.0329, 0.0679]), ("NVIDIA A100-SXM4-80GB", [])])
def test_the_floors_of_this_machines_card_are_listed_with_its_epochs(card, floors_s, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: card)
    found = [*floors_of_card("resnet20", preset("resnet20"), "cuda")]
    assert [line.value for line in found] == pytest.approx(floors_s, abs=1e-4)
    assert not [*floors_of_card("resnet20", preset("resnet20"), "cpu")]


def vars_of(measured):
    return {**vars(measured), "goal": measured.goal and vars(measured.goal)}
