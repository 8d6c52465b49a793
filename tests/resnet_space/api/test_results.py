"""A run in Python: answer, tables, figures, networks; read from its folder, also while it runs."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

import resnet_space as rs
from ablations.across.run import RunAcross
from ablations.run import AblationRun
from reports.arms import COLUMNS
from resnet_space import api
from resnet_space.errors import InputError

Make = Callable[..., AblationRun]

ERRORS = {"base": [0.10, 0.11, 0.12], "a, b": [0.20, 0.22, 0.21], "open": [0.10, None, None]}


@pytest.fixture
def run(ablation: Make) -> rs.Run:
    return rs.open_run(ablation(ERRORS, epochs=2, planned={"compare": ["a, b"]}).folder.path)


def test_a_folder_that_is_no_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        rs.open_run(tmp_path)


def test_the_answer_is_that_of_the_report(run: rs.Run) -> None:
    assert run.answer == api.document(run.stored).answer
    assert run.answer in repr(run)
    assert "3 arms" in run.study.extent


def test_arms_are_a_table_with_the_columns_of_the_csv(run: rs.Run) -> None:
    table = run.table().set_index("arm")
    assert table.index.tolist() == list(ERRORS)
    assert run.table().columns.tolist()[: len(COLUMNS)] == list(COLUMNS)
    assert table.loc["a, b", "error_mean"] == pytest.approx(0.21)


def test_comparisons_are_a_table_with_the_planned_ones_first(run: rs.Run) -> None:
    found = run.findings()
    assert found["arm"].tolist()[0] == "a, b"
    assert found["planned"].tolist()[0]
    assert found["delta"].tolist()[0] == pytest.approx(0.1)


def test_trials_and_their_epochs_have_the_names_of_arms(run: rs.Run) -> None:
    trials = run.trials()
    by_arm = trials[trials["status"] == "complete"].groupby("arm")["test_error"].mean()
    assert by_arm.to_dict() == pytest.approx({name: fmean(e for e in own if e) for name, own in ERRORS.items()})
    curves = run.curves()
    assert set(curves["arm"]) == set(ERRORS)
    assert curves.groupby("key")["epoch"].max().unique().tolist() == [2]
    assert set(curves["seed"]) == {0, 1, 2}


def test_arms_that_are_one_network_share_their_trials(ablation: Make) -> None:
    same = {"set": {"unit.shortcut": "exclusive_gate"}}
    made = ablation({"one": [0.1], "other": [0.1]}, arms={"one": same, "other": same}, baseline="one")
    assert rs.open_run(made.folder.path).trials()["arm"].tolist() == ["one = other"]


def test_the_front_is_that_of_the_command(run: rs.Run) -> None:
    front = run.front(["error", "macs"], where="macs > 0")
    assert front["key"].tolist() == [point.key for point in api.front(run.path, objectives="error,macs").points]
    with pytest.raises(InputError, match="unknown objective 'errror'"):
        run.front("errror")


def test_figures_are_named_and_can_be_changed(run: rs.Run) -> None:
    figure = run.figure("effects")
    assert figure.axes
    assert "curves" in run.figures
    figure.axes[0].set_title("mine")
    assert run.figure("effects").axes[0].get_title() != "mine"
    with pytest.raises(InputError, match="unknown figure 'efects'"):
        run.figure("efects")


def test_a_run_is_read_once_until_it_is_refreshed(ablation: Make) -> None:
    first = rs.open_run(ablation({"base": [0.1, None]}).folder.path)
    assert first.status()["complete"] == 1
    assert len(first.table()) == 1
    before = first.table()["n"].tolist()
    ablation({"base": [0.1, 0.2]})
    assert first.table()["n"].tolist() == before == [1]
    assert first.refresh().table()["n"].tolist() == [2]


def test_a_report_is_written_in_the_folder(run: rs.Run) -> None:
    (path,) = run.report(["md"])
    assert path.is_relative_to(run.path)
    with pytest.raises(InputError, match="unknown format"):
        run.report(["pfd"])


def test_a_notebook_shows_the_answer_and_the_table(run: rs.Run) -> None:
    shown = run._repr_html_()
    assert run.answer.replace("'", "&#39;") in shown
    assert "<td>a, b" in shown
    assert "<script" not in shown


def test_a_network_without_weights_is_refused_by_name(run: rs.Run) -> None:
    with pytest.raises(InputError, match="base: has no weights here"):
        run.model("base")
    with pytest.raises(InputError, match="unknown network 'bse'"):
        run.model("bse")


def test_a_run_on_several_data_sets_has_a_column_for_them(across: Callable[..., RunAcross]) -> None:
    made = across([{"base": [0.1, 0.2], "one": [0.2, 0.3]}] * 2)
    run = rs.open_run(made.folder.path)
    for frame in (run.table(), run.trials()):
        assert frame.columns[0] == "data"
        assert frame["data"].unique().tolist() == list(made.parts)
    assert run.findings()["arm"].tolist() == ["one"]


def test_a_trained_network_predicts_with_its_stored_error(tmp_path: Path) -> None:
    import torch

    from search.data import batches, load

    study = rs.study(
        "shortcuts",
        epochs=1,
        seeds=1,
        changes={"width": 0.125, "stages.*.units": 1, "data.limit": 200},
    )
    arms = {name: arm.to_dict() for name, arm in study.arms.items()}
    short = {"identity": arms["identity"]}
    run = rs.study({**study.to_dict(), "arms": short, "baseline": "identity", "planned": {}}).run(
        tmp_path / "run", inline=True
    )
    model, images = run.model("identity"), load(run.study.dataset)
    with torch.inference_mode():
        wrong = sum(
            int((model(x).argmax(1) != y).sum())
            for x, y in batches(images.test, batch_size=64, mean=images.mean, std=images.std)
        )
    assert wrong / len(images.test) == pytest.approx(run.trials()["test_error"].item())
