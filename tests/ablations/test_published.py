"""The catalogue of published results: every row has a network, a source and costs."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pytest

from ablations.published import Published, catalogue, rows
from ablations.published_costs import ERROR_METRICS, Cost, cost, cost_and_error, network
from resnet_space import PRESETS, InputError, complexity, preset

SOURCE = re.compile(r"\d{4}\.\d{4,5} (table \d+|section [\d.]+)|Krizhevsky 2012 (table \d|abstract)")
ALL = catalogue()


def row(**wanted: str) -> Published:
    [found] = [each for each in ALL if all(getattr(each, name) == value for name, value in wanted.items())]
    return found


def test_no_row_is_given_twice() -> None:
    counts = Counter(tuple(value for column, value in each.items() if column != "error_percent") for each in rows())
    assert max(counts.values()) == 1


@pytest.mark.parametrize("each", ALL, ids=lambda each: f"{each.table}-{each.name}-{each.dataset}-{each.metric}")
def test_every_row_has_a_number_with_its_source(each: Published) -> None:
    assert SOURCE.fullmatch(each.paper)
    assert (each.error is not None) + each.fails <= 1
    assert each.error is not None or each.fails or each.macs, "an error, a failure, or only a cost"
    assert each.error is None or 0.03 < each.error < 0.5
    assert bool(each.costs) == bool(each.params or each.macs)
    assert all(SOURCE.fullmatch(source) for source in each.costs.split(", ") if source)


@pytest.mark.parametrize("name", sorted({each.preset for each in ALL if each.preset}))
def test_every_preset_that_a_row_names_exists(name: str) -> None:
    assert name in PRESETS


@pytest.mark.parametrize(
    "each", [each for each in ALL if each.preset], ids=lambda each: f"{each.table}-{each.name}-{each.metric}"
)
def test_a_row_s_network_takes_its_changes_and_costs_what_the_paper_prints(each: Published) -> None:
    net = network(each)
    assert net is not None
    assert net.classes == {"cifar10": 10, "cifar100": 100, "imagenet": 1000}[each.dataset]
    counts = complexity(net)
    if each.macs is not None:
        # Papers count convolutions and the classifier, and round or truncate.
        ours = counts.by_operator["conv"] + counts.by_operator["linear"]
        assert ours == pytest.approx(each.macs, rel=0.03)
    if each.params is not None:
        # One digit after the decimal point, and in some papers one number for both 10 and 100 classes.
        assert counts.params == pytest.approx(each.params, rel=0.07)


def test_each_arm_of_table_1_is_a_different_network() -> None:
    nets = [network(each) for each in ALL if each.table == "shortcuts"]
    assert len({net.key for net in nets if net}) == len(nets) == 11


def test_the_rows_of_a_table_have_different_names() -> None:
    for table in {each.table for each in ALL}:
        names = Counter(
            (each.name, each.remark, each.dataset, each.metric, each.paper) for each in ALL if each.table == table
        )
        assert max(names.values()) == 1, table


def test_a_cost_is_printed_in_the_paper_or_else_counted() -> None:
    depth = row(table="depth", model="resnet56")
    assert cost(depth, "params") == Cost(0.85e6, counted=False)
    assert cost(depth, "macs") == Cost(complexity(preset("resnet56")).macs, counted=True)
    assert cost(row(model="nin"), "params") is None


def test_failures_and_top_5_errors_have_no_point() -> None:
    assert cost_and_error(row(table="shortcuts", variant="dropout"), "macs") is None
    assert cost_and_error(row(table="top5", model="vgg16"), "macs") is None
    assert cost_and_error(row(table="references", model="vgg16"), "macs") == (15.3e9, 0.2807)
    assert ERROR_METRICS == ("test_error", "top1")


@pytest.mark.parametrize("each", ALL, ids=lambda each: f"{each.table}-{each.name}-{each.dataset}-{each.metric}")
def test_a_statistic_over_runs_has_their_number_and_a_spread_has_a_mean(each: Published) -> None:
    if each.statistic in ("mean", "median"):
        assert each.runs is not None
        assert each.runs > 1
    assert (each.statistic == "single") == (each.runs == 1)
    if each.mean is not None:
        assert each.statistic in ("median", "best")
        assert each.spread is not None
    if each.spread is not None:
        assert each.mean is not None or each.statistic == "mean"
        assert 0 < each.spread < 0.005


def test_the_same_network_has_a_best_of_five_and_their_mean() -> None:
    best, mean = row(table="depth", model="resnet110"), row(table="shortcuts", variant="identity")
    assert network(best) == network(mean)
    assert (best.error, best.statistic, best.runs) == (0.0643, "best", 5)
    assert (mean.error, mean.statistic, mean.runs) == (0.0661, "mean", 5)
    assert (best.mean, best.spread) == (mean.error, mean.spread) == (0.0661, 0.0016)


def test_results_of_1603_05027_are_medians_of_five_except_the_one_that_it_takes_from_1512_03385() -> None:
    own = [each for each in ALL if each.paper.startswith("1603.05027")]
    assert {(each.statistic, each.runs) for each in own if each.error != 0.0661} == {("median", 5)}
    assert {each.statistic for each in own if each.error == 0.0661} == {"mean"}


def test_a_data_set_has_its_own_rows_and_an_unknown_one_names_the_nearest() -> None:
    assert {each.dataset for each in catalogue("cifar100")} == {"cifar100"}
    with pytest.raises(InputError, match="unknown data set 'cifar-10'; did you mean 'cifar10'"):
        catalogue("cifar-10")


def test_errors_are_the_printed_ones_without_rounding() -> None:
    printed = [each["error_percent"] for each in rows() if each["error_percent"]]
    errors = [each.error for each in ALL if each.error is not None]
    assert [Decimal(text) for text in printed] == [Decimal(str(error)) * 100 for error in errors]
