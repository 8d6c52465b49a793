"""A run on several data sets: comparisons within each and over all of them, ranks, and whose trials count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from ablations.across.findings import FindingAcross, standard_error
from ablations.across.run import RunAcross
from resnet_space import api
from search.store.store import Store

Make = Callable[..., RunAcross]


def errors(base: float, *gaps: float) -> dict[str, list[float]]:
    """Three seeds of a baseline, and of arms that are worse by these gaps."""
    wobble = (0.001, -0.001, 0.0)
    found = {"base": [base + each for each in wobble]}
    for at, gap in enumerate(gaps):
        found[f"arm {at}"] = [base + gap - (1 + at) * each for each in wobble]
    return found


def finding(run: RunAcross, arm: str) -> FindingAcross:
    (found,) = [each for each in run.findings if each.arm == arm]
    return found


def test_a_comparison_over_data_sets_is_a_t_test_of_its_differences(across: Make) -> None:
    gaps = (0.03, 0.04, 0.05)
    run = across([errors(0.1, gaps[0]), errors(0.3, gaps[1]), errors(0.5, gaps[2])], planned={"compare": ["arm 0"]})
    found = finding(run, "arm 0")
    mean, std = sum(gaps) / 3, stats.tstd(gaps)
    half = stats.t.isf(0.025, 2) * std / sqrt(3)
    assert (found.difference.n, found.difference.confidence) == (3, 0.95)
    assert found.difference.delta == pytest.approx(mean)
    assert (found.difference.low, found.difference.high) == pytest.approx((mean - half, mean + half))
    assert found.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    assert found.resolved
    assert found.verdict == "worse by 4.00 points on average"
    assert [each.difference.delta for each in found.by_set.values()] == pytest.approx(list(gaps))


def test_planned_comparisons_are_one_family_and_the_others_another(across: Make) -> None:
    run = across(
        [errors(0.1, gap, gap / 2, 0.01) for gap in (0.02, 0.03, 0.05)], planned={"compare": ["arm 0", "arm 1"]}
    )
    planned = [found for found in run.findings if found.planned]
    assert [found.arm for found in planned] == ["arm 0", "arm 1"]
    assert [found.arm for found in run.findings if not found.planned] == ["arm 2"]
    first = min(found.p for found in planned if found.p is not None)
    assert min(found.p_adjusted for found in planned if found.p_adjusted is not None) == pytest.approx(2 * first)


def test_differences_that_vary_more_than_seeds_explain_are_heterogeneous(across: Make) -> None:
    test = {"test": "paired_t"}
    alike = finding(across([errors(0.1, g) for g in (0.03, 0.0301, 0.0299)], folder="alike", planned=test), "arm 0")
    apart = finding(across([errors(0.1, g) for g in (0.01, 0.03, 0.09)], folder="apart", planned=test), "arm 0")
    assert alike.heterogeneity is not None
    assert apart.heterogeneity is not None
    assert (alike.heterogeneity.tau, alike.heterogeneity.i2) == (0, 0)
    assert apart.heterogeneity.tau == pytest.approx(stats.tstd([0.01, 0.03, 0.09]), rel=0.05)
    assert apart.heterogeneity.i2 > 0.9
    assert apart.heterogeneity.p < 0.001


def test_two_data_sets_give_an_interval_and_no_p_value(across: Make) -> None:
    found = finding(across([errors(0.1, 0.02), errors(0.3, 0.03)]), "arm 0")
    assert found.difference.low is not None
    assert (found.p, found.prediction, found.resolved) == (None, None, False)
    assert found.verdict == "not resolved over 2 data sets"


def test_one_seed_on_each_data_set_is_enough_to_compare_over_data_sets(across: Make) -> None:
    run = across([{"base": [0.1], "worse": [0.1 + gap]} for gap in (0.02, 0.021, 0.022)])
    found = finding(run, "worse")
    assert all(each.p is None for each in found.by_set.values())
    assert found.resolved
    assert found.heterogeneity is None


def test_a_data_set_without_a_difference_is_named(across: Make) -> None:
    lost = {"base": [0.1, 0.1, 0.1], "arm 0": ["failed"] * 3}
    run = across([errors(0.1, 0.02), errors(0.3, 0.03), lost])
    found = finding(run, "arm 0")
    assert found.difference.n == 2
    assert found.lacking == {"fake (classes=4)": "no results"}
    assert found.verdict == "not resolved over 2 data sets; no results on fake (classes=4)"
    only = finding(across([errors(0.1, 0.02), lost], folder="only"), "arm 0")
    assert only.verdict == "needs differences on 2 data sets or more; no results on fake (classes=3)"


def test_two_arms_that_both_diverge_on_a_data_set_are_not_compared_on_it(across: Make) -> None:
    failing = {"base": ["diverged"] * 3, "arm 0": ["diverged"] * 3}
    found = finding(across([errors(0.1, 0.02), errors(0.12, 0.03), failing]), "arm 0")
    assert found.difference.n == 2
    assert found.lacking == {"fake (classes=4)": "both diverge"}
    assert finding(across([failing, failing], folder="all"), "arm 0").both_fail


def test_failures_at_some_seeds_are_in_the_mean_over_data_sets_as_errors_of_a_guess(across: Make) -> None:
    often = {"base": [0.10, 0.11, 0.12], "arm 0": [0.09, "diverged", 0.10]}
    run = across([often, errors(0.1, -0.02), errors(0.12, -0.03)])
    found = finding(run, "arm 0")
    # A guess among two classes is wrong half of the time.
    delta = (0.09 + 0.5 + 0.10) / 3 - 0.11
    assert found.difference.delta == pytest.approx((delta - 0.02 - 0.03) / 3)
    assert found.without_error == ("fake (classes=2)",)
    assert found.heterogeneity is None


def test_an_arm_that_fails_more_often_is_never_better(across: Make) -> None:
    lucky = {"base": [0.45, 0.46, 0.47], "arm 0": [0.05, 0.06, "diverged"]}
    run = across([lucky, *(errors(0.1 * at, -0.02 - 0.001 * at) for at in (1, 2, 3))])
    found = finding(run, "arm 0")
    assert not found.worse
    assert not found.resolved


def test_no_worse_and_equivalence_are_asked_over_data_sets_too(across: Make) -> None:
    plan = {"compare": [{"arm": "arm 0", "no_worse_by": 0.02}, "arm 1"], "equivalent_within": 0.01}
    run = across([errors(0.1 * at, 0.001 * at, -0.0005 * at) for at in (1, 2, 3)], planned=plan)
    assert finding(run, "arm 0").verdict == "no worse than 2 points"
    assert finding(run, "arm 1").verdict == "equivalent over 3 data sets"
    worse = across(
        [errors(0.1 * at, 0.02 * at) for at in (1, 2, 3)], folder="worse", planned={"compare": plan["compare"][:1]}
    )  # type: ignore[index]
    assert finding(worse, "arm 0").verdict == "not shown to be no worse than 2 points over 3 data sets"


def test_the_standard_error_follows_from_the_interval_at_its_confidence(across: Make) -> None:
    run = across([errors(0.1, 0.02, 0.01), errors(0.3, 0.03, 0.02)], planned={"test": "paired_t"})
    for own in run.parts["fake (classes=2)"].findings:
        seen = own.difference
        assert seen.std is not None
        tail = (1 - seen.confidence) / 2
        factor = stats.t.isf(tail, 2) / stats.norm.isf(tail)
        assert standard_error(own) == pytest.approx(factor * seen.std / sqrt(3))


def test_arms_are_ranked_on_each_data_set_and_lost_ones_last(across: Make) -> None:
    run = across(
        [
            {"base": [0.1], "better": [0.05], "lost": [0.01]},
            {"base": [0.3], "better": [0.2], "lost": ["diverged"]},
            {"base": [0.2], "better": [0.2], "lost": [0.4]},
        ]
    )
    assert run.ranks is not None
    assert list(run.ranks.by_set.values()) == [(3, 2, 1), (2, 1, 3), (1.5, 1.5, 3)]


def test_an_arm_that_waits_on_one_data_set_is_not_ranked(across: Make) -> None:
    four = {"base": [0.1], "a": [0.2], "b": [0.3], "c": [0.4]}
    run = across([four, {**four, "c": [None]}])
    assert run.ranks is not None
    assert run.ranks.arms == ("base", "a", "b")
    two = across([{"base": [0.1], "a": [0.2]}] * 2, folder="two")
    assert two.ranks is None


def test_arms_that_are_the_same_network_are_ranked_once(across: Make) -> None:
    arms: dict[str, Any] = {
        "base": {},
        "twin": {"set": {"unit.shortcut": "identity"}},
        "a": {"set": {"unit.shortcut": "none"}},
        "b": {"set": {"unit.shortcut": "conv1x1"}},
    }
    row = {"base": [0.1], "twin": [0.1], "a": [0.2], "b": [0.3]}
    run = across([row, row], arms=arms)
    assert run.ranks is not None
    assert run.ranks.arms == ("base", "a", "b")


def test_each_data_sets_trials_count_for_it_alone_and_no_trial_is_foreign(across: Make, tmp_path: Path) -> None:
    run = across([errors(0.1, 0.02), errors(0.3, 0.03)])
    assert [len(part.records) for part in run.parts.values()] == [6, 6]
    assert len(run.records) == run.counts["complete"] == 12
    assert (run.others, [part.others for part in run.parts.values()]) == (0, [0, 0])
    state = api.status(tmp_path / "run")
    assert state.left_out == 0
    assert {label: counts["complete"] for label, counts in state.by_data_set.items()} == dict.fromkeys(run.parts, 6)
    with closing(Store.at(tmp_path / "run", new=False)) as store:
        assert len(store.records()) == 12


def test_data_sets_with_the_same_test_images_are_not_independent(tmp_path: Path) -> None:
    study = api.study(write(tmp_path, ["digits", {"name": "digits", "limit": 200}]))
    run = api.run(study, tmp_path / "run", inline=True, say=lambda _: None)
    assert isinstance(run, RunAcross)
    assert run.shared_test_images == ["digits", "digits (limit=200)"]


def write(folder: Path, data: Any) -> Path:
    from resnet_space import documents

    path = folder / "study.yaml"
    fields = {
        "name": "brief",
        "net": "resnet20",
        "set": {"width": 0.25, "stages.*.units": 1},
        "arms": {"a": {}, "b": {"set": {"unit.shortcut": "none"}}},
        "baseline": "a",
        "seeds": 1,
        "data": data,
        "recipe": {"base": "digits", "epochs": 1},
    }
    path.write_text(documents.write(fields))
    return path
