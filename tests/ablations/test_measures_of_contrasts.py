"""Contrasts by other measures than the test error: each compares its own values, and all of them are one family."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sql
from pages import table

from ablations.comparisons import TESTS
from ablations.contrasts import Planned
from ablations.feed import AblationFeed
from ablations.plan import AblationPlan
from ablations.run import AblationRun
from reports import markdown
from reports.document.answer import answer
from reports.document.arm_notes import by_other_measures, footnotes
from resnet_space import InputError, api
from resnet_space.api import document, report
from resnet_space.api.studies import load
from search.data import Images
from search.measures.catalogue import MEASURES
from search.running.progress import Progress
from search.store.store import Store
from search.store.tables import ADDED
from search.trials.events import Epoch, Finished

Make = Callable[..., AblationRun]

TO_20 = {"kind": "epochs_to", "error": 0.2}
FAST, SLOW, NEVER = [0.5, 0.15, 0.1], [0.5, 0.3, 0.12], [0.5, 0.4, 0.13]
"""Validation errors by epoch: 20 % is reached after two epochs, after three, and never."""


def curve(last: float, *, epochs: int = 3) -> list[float]:
    """Errors that fall to `last` in the last epoch."""
    return [last + (epochs - number) / 10 for number in range(1, epochs + 1)]


CLEAR: dict[str, list[Any]] = {
    "base": [curve(0.040), curve(0.044), curve(0.042)],
    "other": [curve(0.180), curve(0.184), curve(0.183)],
}


def test_a_contrast_is_compared_by_its_own_measure(ablation: Make) -> None:
    plan = {"compare": [{"arm": "other", "measure": "train_error"}, "other"]}
    train, test = ablation(CLEAR, planned=plan).findings
    assert (train.measure.name, test.measure.name) == ("train_error", "test_error")
    assert train.difference.delta == pytest.approx((test.difference.delta or 0) / 2)
    assert (train.verdict, test.verdict) == ("worse by 7.02 points", "worse by 14.03 points")


def test_contrasts_of_all_measures_are_one_family(ablation: Make) -> None:
    both = {"compare": [{"arm": "other", "measure": "train_error"}, "other"]}
    found = ablation(CLEAR, planned=both).findings
    (alone,) = ablation(CLEAR, folder="alone", planned={"compare": ["other"]}).findings
    assert found[1].p == alone.p
    assert max(each.p_adjusted or 0 for each in found) > (alone.p_adjusted or 1)


def test_the_measure_of_the_plan_is_that_of_contrasts_without_their_own(ablation: Make) -> None:
    plan = {"measure": "train_error", "compare": ["other", {"arm": "other", "measure": "test_error"}]}
    run = ablation(CLEAR, planned=plan)
    assert [found.measure.name for found in run.findings] == ["train_error", "test_error"]
    assert [measure.name for measure in run.study.shown_measures] == ["test_error", "train_error"]
    assert run.finding_of("other") == run.findings[0]


def test_an_arm_that_is_planned_by_another_measure_is_still_compared_by_that_of_the_study(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": [{"arm": "other", "measure": "train_error"}]})
    assert [(found.measure.name, found.planned) for found in run.findings] == [
        ("train_error", True),
        ("test_error", False),
    ]
    assert run.finding_of("other") == run.findings[1]
    assert by_other_measures(run) == ["other against base, training error: worse by 7.02 points."]


def test_an_answer_names_the_measure_unless_it_is_the_test_error(ablation: Make) -> None:
    one = ablation(CLEAR, planned={"compare": [{"arm": "other", "measure": "train_error"}]})
    assert answer(one) == "By training error: other is worse than base, by 7.02 points."
    two = ablation(CLEAR, folder="two", planned={"compare": ["other", {"arm": "other", "measure": "train_error"}]})
    assert answer(two) == (
        "Of 2 planned comparisons with base: 2 worse (other by 14.03 points in test error; "
        "other by 7.02 points in training error)."
    )


def test_speed_is_compared_in_epochs(ablation: Make) -> None:
    errors = {"base": [FAST, FAST, FAST, FAST], "slow": [SLOW, SLOW, FAST, SLOW]}
    (found,) = ablation(errors, planned={"measure": TO_20, "compare": ["slow"]}).findings
    assert found.difference.delta == pytest.approx(0.75)
    assert found.measure.text(2.75) == "2.8"
    assert not found.censored
    assert found.verdict == "worse by 0.8 epochs"


def test_trials_that_never_get_there_rank_worst_and_are_counted(ablation: Make) -> None:
    errors = {"base": [FAST] * 5, "stuck": [NEVER, SLOW, NEVER, NEVER, NEVER]}
    errors["stuck"] = [[*each[:2], 0.25] if each is NEVER else each for each in errors["stuck"]]
    run = ablation(errors, planned={"measure": TO_20, "compare": ["stuck"]}, fail_above=0.9)
    (found,) = run.findings
    assert found.censored == {"stuck": 4}
    assert found.difference.delta == pytest.approx((4 * 4 + 3) / 5 - 2)
    assert found.resolved
    assert found.verdict == "worse by at least 1.8 epochs; stuck: 4 of 5 seeds never get there"
    rows = table(document(run), "Arms")
    at = list(rows.headings).index("time to 20 % validation error, epochs")
    assert [(row[at].text, row[at].sort) for row in rows.rows] == [("2.0 ± 0.0", 2.0), ("3.0 in 1 of 5", None)]
    assert "difference, epochs" in rows.headings
    assert any("Seeds that never get there are in no mean" in note for note in footnotes(run))


def test_an_arm_with_trials_that_never_get_there_is_never_the_best(ablation: Make) -> None:
    slow = [0.5, 0.4, 0.3, 0.2]
    errors = {"base": [slow, slow, slow], "some": [[0.1] * 4, [0.1] * 4, [0.5] * 4]}
    assert ablation(errors, planned={"measure": TO_20}, fail_above=0.9).best is None
    errors["some"][2] = [0.1] * 4
    assert ablation(errors, folder="all", planned={"measure": TO_20}, fail_above=0.9).best == "some"


def test_training_errors_of_arms_that_both_fail_are_compared(ablation: Make) -> None:
    """1512.03385 compares training errors of plain nets, however high they are."""
    high = {"base": [curve(0.50), curve(0.51), curve(0.52)], "deep": [curve(0.70), curve(0.71), curve(0.73)]}
    compare = {"compare": ["deep", {"arm": "deep", "measure": "train_error"}]}
    test, train = ablation(high, planned=compare).findings
    assert test.verdict.startswith("both fail")
    assert train.verdict.startswith("worse by 10.17 points")


def test_an_interim_analysis_uses_the_measure_of_each_contrast(digits: Images, tmp_path: Path) -> None:
    """Test errors are far apart; training errors are not, so both arms get more seeds."""
    study = load("depth", changes={"data": {"name": "digits", "limit": 200}, "recipe.epochs": 1})
    fields = study.to_dict() | {
        "arms": {"a": {}, "b": {"set": {"unit.order": "full_preactivation"}}},
        "net": "resnet20",
        "set": {"width": 0.25, "stages.*.units": 1},
        "baseline": "a",
        "published": None,
        "diagnostics": {},
        "seeds": {"min": 3, "max": 4},
    }
    asked = {}
    for measure in ("test_error", "train_error"):
        compare = [{"arm": "b", "versus": "a", "measure": measure}]
        plan = AblationPlan.of(type(study).of(fields | {"planned": {"compare": compare}}), digits)
        (tmp_path / measure).mkdir()
        with closing(Store.at(tmp_path / measure)) as store:
            feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
            asked[measure] = 0
            while job := feed.next():
                for spec in job.trials:
                    asked[measure] += 1
                    wobble = spec.seed / 1000
                    error = (0.1 if "original" in str(spec.architecture.to_dict()["unit"]["order"]) else 0.4) + wobble
                    feed.tell([Epoch(spec.key, 1, 7, 0.1, 1.0, 0.3 + 0.1 * (spec.seed % 2), error, 1.0, 1.0)])
                    feed.tell([Finished(spec.key, "complete", "", error, error)])
    assert asked == {"test_error": 6, "train_error": 8}


def test_a_plan_without_own_measures_has_the_hash_that_earlier_versions_stored() -> None:
    """The content as version 0.1.0 hashed it: contrasts had no measure."""
    planned = Planned.of({"test": "paired_t", "compare": ["b", {"arm": "c", "versus": "b"}]})
    compare = [
        {"arm": "b", "versus": None, "no_worse_by": None},
        {"arm": "c", "versus": "b", "no_worse_by": None},
    ]
    content = {
        "measure": "test_error",
        "test": "paired_t",
        "adjust": "holm",
        "alpha": 0.05,
        "equivalent_within": None,
        "compare": compare,
        "baseline": "a",
        "seeds": 3,
    }
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    assert planned.hash(baseline="a", seeds=3) == expected
    other = Planned.of({"test": "paired_t", "compare": ["b", {"arm": "c", "versus": "b", "measure": "train_error"}]})
    assert other.hash(baseline="a", seeds=3) != expected


def test_a_run_of_an_earlier_version_opens_and_says_which_measure_is_unknown(ablation: Make, tmp_path: Path) -> None:
    ablation(CLEAR, measures=["top5_error", "train_error"])
    with closing(Store.at(tmp_path / "run")) as store, store.engine.begin() as connection:
        for name in ADDED:
            connection.execute(sql.text(f"ALTER TABLE trials DROP COLUMN {name}"))
    before = (tmp_path / "run" / "trials.db").read_bytes()
    run = api.open_run(tmp_path / "run")
    assert isinstance(run, AblationRun)
    arms = table(document(run), "Arms")
    assert "top-5 test error, %" not in arms.headings
    assert "training error, %" in arms.headings
    assert any(note.startswith("top-5 test error: unknown for 6 complete trials") for note in arms.notes)
    assert (tmp_path / "run" / "trials.db").read_bytes() == before


def test_the_table_shows_the_measures_that_the_study_asks_for(ablation: Make) -> None:
    run = ablation(CLEAR, measures=["train_loss", TO_20, "test_error"])
    arms = table(document(run), "Arms")
    assert list(arms.headings)[1:5] == [
        "test error, %",
        "training loss, nats",
        "time to 20 % validation error, epochs",
        "n",
    ]
    assert [row[2].text for row in arms.rows] == ["0.3333 ± 0.0000"] * 2
    assert [picture.stem for picture in document(run).pictures][1:3] == ["curves", "curves-train-loss"]


def test_csv_and_parquet_have_columns_for_the_measures_that_the_study_shows(ablation: Make) -> None:
    run = ablation(CLEAR, measures=[TO_20, "train_error"])
    text, binary = report(run, ["csv", "parquet"])
    rows = list(csv.DictReader(text.read_text().splitlines()))
    assert [row["measure"] for row in rows] == ["test_error"] * 2
    assert [float(row["median"]) for row in rows] == [0.042, 0.183]
    assert [float(row["train_error_mean"]) for row in rows] == pytest.approx([0.021, 0.0911667], rel=1e-4)
    assert [row["epochs_to_0.2_censored"] for row in rows] == ["0", "0"]
    assert list(pd.read_parquet(binary).columns) == list(rows[0])
    (plain,) = report(ablation(CLEAR, folder="plain"), ["csv"])
    assert not any("train_error" in column for column in plain.read_text().splitlines()[0].split(","))


def test_our_median_is_shown_where_the_paper_prints_medians(ablation: Make) -> None:
    run = ablation({"base": [0.100, 0.106, 0.102], "other": [0.2, 0.25, 0.21]})
    medians = {"resnet110": "activations", "resnet56": "depth"}
    shown, notes = {}, {}
    for model, tables in medians.items():
        rows = [row for row in api.published("cifar10") if (row.table, row.preset) == (tables, model)]
        summaries = [replace(arm, published=rows[1 if model == "resnet110" else 0]) for arm in run.summaries]
        arms = table(document(replace(run, summaries=summaries)), "Arms")
        notes[model] = arms.notes
        shown[model] = {heading: [row[place].text for row in arms.rows] for place, heading in enumerate(arms.headings)}
    assert shown["resnet110"]["median, %"] == ["10.20", "21.00"]
    assert any(note.startswith("median: ") for note in notes["resnet110"])
    assert not any(note.startswith("median: ") for note in notes["resnet56"])
    assert shown["resnet110"]["published, %"] == ["8.17 (median of 5)"] * 2
    assert "median, %" not in shown["resnet56"]
    assert shown["resnet56"]["published, %"] == ["6.97 (1 run)"] * 2


def test_the_study_of_depth_tests_the_claim_of_the_paper_about_training_errors() -> None:
    study = load("depth")
    claims = [
        (each.arm, each.versus) for each in study.planned.compare if study.measure_of(each) is MEASURES["train_error"]
    ]
    assert claims == [("plain, 56 layers", "plain, 20 layers"), ("residual, 56 layers", "residual, 20 layers")]


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("measure", ["train_loss", "top5_error", "latency_ms", TO_20], ids=str)
def test_every_test_compares_every_kind_of_measure_also_of_an_unfinished_run(
    ablation: Make, measure: Any, test: str
) -> None:
    errors = {"base": [FAST, SLOW, FAST], "lost": ["diverged"] * 3, "open": [SLOW, None, None], "slow": [NEVER] * 3}
    plan = {"measure": measure, "test": test, "compare": ["lost", "open", "slow"]}
    run = ablation(errors, planned=plan, fail_above=0.9)
    page = markdown.render(document(run))
    assert (run.study.measure.heading in page) == (measure != "top5_error"), "none of these trials has a top-5 error"
    lost = {"base": ["diverged"] * 3, "lost": ["diverged"] * 3}
    nothing = ablation(lost, folder="none", planned={"measure": measure, "test": test})
    assert "diverged" in markdown.render(document(nothing))


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_can_be_planned(name: str) -> None:
    assert Planned.of({"measure": name}).measures == (MEASURES[name],)


def test_a_contrast_with_the_plan_s_measure_written_out_is_the_same_contrast() -> None:
    with pytest.raises(InputError, match="a contrast is given twice"):
        Planned.of({"compare": ["b", {"arm": "b", "measure": "test_error"}]})
    assert len(Planned.of({"compare": ["b", {"arm": "b", "measure": "train_error"}]}).compare) == 2


def test_a_target_without_its_error_is_refused_with_an_example() -> None:
    with pytest.raises(InputError, match=r"epochs_to needs the error to reach: \{kind: epochs_to, error: 0.05\}"):
        Planned.of({"measure": "epochs_to"})
