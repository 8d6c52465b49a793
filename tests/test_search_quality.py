"""Searches are replayed on tables of networks: every method, what it is charged, and how its front is scored."""

import json
import os
import pickle
import sys
from random import Random

import numpy as np
import pytest
import replay
import train_table
from hypothesis import given
from hypothesis import strategies as st
from search_quality import page, public
from search_quality.method import Request
from search_quality.methods import METHODS, peers_folder, peers_versions
from search_quality.scores import Trained, steps, summary, trace, unpacked
from search_quality.table import TABLES, Plan, Table, names

from resnet_space import Space, complexity

SPACE = Space.of(
    {
        "base": "resnet20",
        "set": {"input_shape": [1, 8, 8]},
        "axes": {"width": [0.25, 0.5, 1], "stages.*.units": [1, 2], "unit.shortcut.kind": ["identity", "none"]},
    }
)
EPOCHS = 4
NETS = {net.key: net for net in SPACE.enumerate()}
MACS = {key: float(complexity(net).macs) for key, net in NETS.items()}
ORDER = sorted(MACS, key=MACS.__getitem__)


def table(*, has_curves: bool = True) -> Table:
    """Larger networks are better, and errors fall with the epochs: 0.8, ... at the end from 0.42 to 0.2; two seeds."""
    errors = {
        key: np.array([[0.8 - (0.38 + 0.02 * ORDER.index(key)) * epoch / EPOCHS for epoch in range(1, 5)]] * 2)
        for key in NETS
    }
    return Table("tiny", SPACE, errors, MACS, has_curves)


class Listed:
    """A method that requests these networks in turn, and stops each after the epoch given with it."""

    every_epoch = True

    def __init__(self, *requests: tuple[str, int]) -> None:
        self.left, self.received, self.last = list(requests), [], EPOCHS

    def ask(self) -> Request | None:
        if not self.left:
            return None
        key, self.last = self.left.pop(0)
        return Request(key, SPACE.networks[key], EPOCHS)

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        self.received.append((request.trial, epoch, values))
        return epoch < self.last


def played(method: object, trials: int = 12) -> list[Trained]:
    return replay.play(method, table(), Random(0), trials, float)


class TestAReplay:
    def test_reports_each_epoch_with_the_error_of_one_seed_and_the_cost(self):
        method = Listed((ORDER[0], 2))
        assert played(method) == []
        assert method.received == [
            (ORDER[0], 1, (pytest.approx(0.705), MACS[ORDER[0]])),
            (ORDER[0], 2, (pytest.approx(0.61), MACS[ORDER[0]])),
        ]

    def test_charges_the_epochs_that_were_trained(self):
        method = Listed((ORDER[0], 1), (ORDER[1], 4), (ORDER[2], 2), (ORDER[3], 4))
        assert played(method) == [Trained(ORDER[1], 5), Trained(ORDER[3], 11)]

    def test_charges_no_epoch_twice(self):
        method = Listed((ORDER[0], 1), (ORDER[0], 4), (ORDER[0], 4), (ORDER[1], 4))
        assert played(method) == [Trained(ORDER[0], 4), Trained(ORDER[1], 8)]

    def test_ends_when_the_epochs_are_used(self):
        assert played(Listed(*((key, 4) for key in ORDER)), trials=3) == [
            Trained(key, 4 * n) for n, key in enumerate(ORDER[:3], 1)
        ]

    def test_ends_if_only_known_networks_are_proposed(self):
        assert played(Listed(*[(ORDER[0], 4)] * 1000), trials=3) == [Trained(ORDER[0], 4)]

    def test_answers_an_assignment_without_a_network_by_the_worst_result(self):
        method = Listed()
        bad = iter([Request("bad", {"width": 7}, 4)])
        method.ask = lambda: next(bad, None)
        assert played(method) == []
        assert method.received == [("bad", 4, (0.9, max(MACS.values())))]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if entry.package else []) for name, entry in METHODS.items()]
)
def test_every_method_trains_networks_of_the_table(name):
    if METHODS[name].package and METHODS[name].package not in peers_versions():
        pytest.skip(f"{METHODS[name].package} is not installed in the environment of the peers")
    jobs = list(replay.jobs(table(), name, repetitions=1, trials=3))
    assert {job.scale for job in jobs} == ({"any"} if METHODS[name].ours else {"log", "linear"})
    method = METHODS[name].make(table(), 0)
    try:
        found = played(method, trials=4)
    finally:
        if METHODS[name].package:
            method.close()
    assert found
    assert {each.key for each in found} <= NETS.keys()
    assert all(each.epochs <= 4 * EPOCHS for each in found)


def test_our_stopping_rule_trains_more_networks_by_the_same_epochs():
    def networks(name):
        seen = set()
        method = METHODS[name].make(table(), 0)
        tell = method.tell
        method.tell = lambda request, *result: seen.add(request.trial) or tell(request, *result)
        played(method, trials=5)
        return len(seen)

    assert networks("random+mo_asha") > networks("random") == 5


def test_methods_that_cannot_be_replayed_are_named_with_the_reason():
    absent = replay.left_out(table(has_curves=False), ["local", "local+mo_asha", "neps bo"], installed=[])
    assert absent == {
        "local+mo_asha": "needs the error after each epoch",
        "neps bo": "needs neural-pipeline-search",
    }


def test_a_hypervolume_is_a_share_of_the_tables_own():
    every = [Trained(key, EPOCHS * n) for n, key in enumerate(ORDER, 1)]
    assert trace(table(), every, "log", 12)[-1] == pytest.approx(1)
    first = trace(table(), every[:1], "linear", 2)
    most = max(MACS.values()) * 1.01
    errors = [0.42 - 0.02 * place for place in range(12)]
    # Each network's strip reaches from its cost to the next one's.
    ends = [*(MACS[key] for key in ORDER[1:]), most]
    whole = sum((end - MACS[key]) * (0.9 - error) for key, end, error in zip(ORDER, ends, errors, strict=True))
    assert first == pytest.approx([(most - MACS[ORDER[0]]) * (0.9 - 0.42) / whole] * 2)


def test_costs_of_a_scale_go_from_0_to_1():
    found = table()
    for scale in ("log", "linear"):
        assert [found.counted(MACS[key], scale) for key in (ORDER[0], ORDER[-1])] == [0, 1]
    assert found.counted(MACS[ORDER[5]], "log") > found.counted(MACS[ORDER[5]], "linear")


@given(st.lists(st.lists(st.integers(0, 1000), min_size=5, max_size=5), min_size=1))
def test_steps_hold_a_trace(rows):
    traces = np.maximum.accumulate(np.array(rows) / 1000, axis=1)
    assert np.allclose(unpacked([steps(row) for row in traces], 5), traces)


def test_the_score_says_when_random_search_is_reached_and_where_ours_is_worse():
    rows = {
        "random": np.array([[0.1 * n for n in range(1, 11)]] * 5),
        "local": np.array([[0.5] * 9 + [0.9]] * 5),
        "other": np.array([[0.0, 0.0, *[1.0] * 8]] * 5),
    }
    found = summary(rows)
    assert found["random"]["reaches"] == [10, 10, 10]
    assert found["local"]["reaches"] == [None, None, None]
    assert found["other"]["reaches"] == [3, 3, 3]
    assert found["other"]["after"] == {"10": [1, 1, 1]}
    assert found["other"]["worse"] == {"local": [10]}


def test_a_difference_within_its_band_is_not_called_worse():
    values = np.linspace(0.8, 1, 10)
    found = summary({"local": values[:, None] * np.ones(10), "other": 1.005 * values[:, None] * np.ones(10)})
    assert found["other"]["worse"] == {"local": []}


def test_results_and_page_show_every_method_that_was_replayed():
    facts = {"versions": {"optuna": "5.0"}, "machine": {"cpus": 2, "python": "3.11"}, "commit": "abcdef0123456789"}

    def row(*at):
        """All networks, one more after each of these evaluations."""
        trained = [Trained(key, EPOCHS * n) for n, key in zip(at, ORDER, strict=True)]
        return facts | {
            "steps": {scale: [steps(trace(table(), trained, scale, 24))] * 3 for scale in ("log", "linear")}
        }

    methods = {"random": row(*range(13, 25)), "local": row(*range(1, 13))}
    content = replay.results(table(), 24, methods, {"local": "not now", "neps bo": "needs a package"})
    assert content["missing"] == {"neps bo": "needs a package"}
    assert content["summary"]["log"]["local"]["reaches"] == [12, 12, 12]
    origin = {"what": "12 networks"}
    text = page.rewritten(f"before\n{page.BEGIN}\n{page.END}\nafter\n", {"tiny": content | {"table": origin}})
    assert "| `tiny`, log10 of the MACs | evaluations to random's last | 10 | 20 | better than `local` |" in text
    assert "| `tiny`, the MACs as they are | " in text
    assert "\n| `local` | 12 | 0." in text
    assert "\n| random search | 24 | 0.000 | 0." in text
    assert "`local`: 12 evaluations, goal at most 8: **missed**." in text
    assert "- `tiny`: 12 networks; 3 repetitions. On 2 CPUs, Python 3.11, optuna 5.0, commit abcdef0123." in text
    assert "Not replayed: neps bo (needs a package)." in text
    assert page.rewritten(text, {"tiny": content | {"table": origin}}) == text


def test_the_page_says_whether_the_goals_are_met():
    rows = {"local": {"reaches": [30, 40, 50]}, "optuna gp": {"worse": {"local": []}}}
    assert page.verdict(rows, 120) == (
        "`local`: 40 evaluations, goal at most 40: met. No method is better, beyond its band: met."
    )
    rows = {"local": {"reaches": [30, None, None]}, "optuna gp": {"worse": {"local": [10]}}}
    assert page.verdict(rows, 120) == (
        "`local`: over 120 evaluations, goal at most 40: **missed**. "
        "No method is better, beyond its band: **missed**: Optuna, GP."
    )


@pytest.mark.slow
def test_a_trained_table_has_curves_and_can_be_replayed(tmp_path, monkeypatch):
    arguments = ["digits", "--networks", "2", "--out", str(tmp_path / "stores"), "--into", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["train_table.py", *arguments])
    train_table.main()
    found = Table.of(tmp_path / "digits")
    assert found.has_curves
    assert {errors.shape for errors in found.errors.values()} == {(2, 4)}
    cheap, dear = sorted(found.costs.values())
    assert 0 < cheap < dear
    assert trace(found, [Trained(key, 4) for key in found.errors], "log", 1) == pytest.approx([1])


@pytest.mark.parametrize("name", names())
def test_a_table_has_every_network_of_its_space_with_todays_costs(name):
    found = Table.of(TABLES / name)
    assert found.costs == {net.key: complexity(net).macs for net in found.space.enumerate()}
    assert {errors.shape for errors in found.errors.values()} == {(Plan.of(TABLES / name).seeds, found.epochs)}
    assert all(((each[:, -1] >= 0) & (each[:, -1] <= 1)).all() for each in found.errors.values())


@pytest.mark.parametrize("name", sorted(path.parent.name for path in TABLES.glob("*/table.yaml")))
def test_a_space_has_at_least_twice_the_networks_that_a_search_tries(name):
    assert len(Plan.of(TABLES / name).space.networks) > 240


def test_the_page_shows_the_stored_results():
    text = page.README.read_text(encoding="utf-8")
    assert page.rewritten(text, page.stored()) == text, "python benchmarks/replay.py --page writes it"


def test_results_hold_short_lists_on_one_line():
    text = replay.written({"a": [[1, 0.5], [2, 0.75]], "b": {"c": [1, 2]}})
    assert json.loads(text) == {"a": [[1, 0.5], [2, 0.75]], "b": {"c": [1, 2]}}
    assert "[1, 0.5]" in text.splitlines()[2]


class TestThePublicTable:
    def test_has_a_space_whose_moves_change_one_operation(self):
        cells = public.Cells()
        start = cells.draw(Random(0))
        moved = list(cells.moves(start))
        assert len(moved) == 6 * 4
        assert all(sum(start[path] != each[path] for path in start) == 1 for each in moved)
        assert cells.architecture(start).key in cells.networks
        assert len(cells.networks) == 5**6

    @pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.ours and not entry.stops])
    def test_can_be_searched(self, name):
        count = {key: 1 + len(key.replace("0", "")) for key in public.Cells().networks}
        errors = {key: np.array([[1 / cost]]) for key, cost in count.items()}

        def complexity_of(cell):
            return public.Complexity(count[cell.key], 1, 1, 0, (), {})

        cells = Table("cells", public.Cells(), errors, count, False, cost="params", count=complexity_of)
        found = replay.play(METHODS[name].make(cells, 0), cells, Random(0), 12, float)
        assert len({each.key for each in found}) == 12

    def test_is_read_without_running_anything(self, tmp_path):
        file = tmp_path / public.FILE
        file.parent.mkdir(parents=True)
        file.write_bytes(pickle.dumps({"000000": os.getcwd}))
        with pytest.raises(pickle.UnpicklingError, match="a table of numbers has no posix"):
            public.nasbench201(tmp_path)

    def test_is_that_of_the_paper(self):
        folder = peers_folder(public.PACKAGE)
        if folder is None:
            pytest.skip(f"{public.PACKAGE} is not installed in the environment of the peers")
        found = public.nasbench201(folder)
        assert found.errors.keys() == found.space.networks.keys()
        # The cell of six 3x3 convolutions is the largest, with 1.53 million parameters.
        assert max(found.costs, key=found.costs.__getitem__) == "333333"
        assert found.most == 1_531_546
        # Table 5 of 2001.00326: the best validation accuracy is 91.61 %.
        assert min(found.truth.values()) == pytest.approx(0.0839, abs=5e-4)
