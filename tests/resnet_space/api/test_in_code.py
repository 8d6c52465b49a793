"""Studies in Python: from shipped names, files, fields and code; planned and run with one call each."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import resnet_space as rs
from resnet_space import documents
from resnet_space.api.kinds import ACROSS, KINDS
from resnet_space.errors import InputError

TINY: dict[str, Any] = {
    "name": "gates",
    "question": "Does a gate help?",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "data": {"name": "digits", "limit": 200},
    "recipe": {"base": "digits", "epochs": 1, "batch_size": 32},
    "arms": {"identity": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}},
    "baseline": "identity",
    "seeds": 2,
}

SEARCH: dict[str, Any] = {
    "name": "small",
    "data": TINY["data"],
    "recipe": TINY["recipe"],
    "space": {"base": "resnet20", "set": {"stages.*.units": 1}, "axes": {"width": [0.125, 0.25, 0.375]}},
    "budget": {"trials": 2},
    "sampler": "random",
    "confirm": 1,
}


def test_every_kind_of_study_can_be_written_in_code() -> None:
    assert all(issubclass(kind.in_code.load(), kind.study.load()) for kind in [*KINDS.values(), *ACROSS.values()])


def test_a_shipped_study_takes_the_options_of_the_command_line() -> None:
    study = rs.study("shortcuts", seeds=2, epochs=3, dataset="fake", changes={"unit.order": "full_preactivation"})
    assert isinstance(study, rs.Study)
    assert (study.seeds, study.recipe.epochs, study.dataset.name) == (2, 3, "fake")
    assert study.set["unit.order"] == "full_preactivation"


def test_several_data_sets_are_a_list() -> None:
    study = rs.study("shortcuts", dataset=["digits", "fake"])
    assert list(study.on_each) == ["digits", "fake"]


def test_a_file_its_fields_and_code_are_the_same_study(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(documents.write(TINY))
    from_file, from_fields, in_code = rs.study(tmp_path / "gates.yaml"), rs.study(TINY), rs.Study(**TINY)
    assert from_file == from_fields == in_code


def test_a_profile_is_chosen_for_fields_too() -> None:
    study = rs.study({**TINY, "profiles": {"short": {"seeds": 1}, "long": {"seeds": 9}}}, profile="long")
    assert isinstance(study, rs.Study)
    assert study.seeds == 9


def test_mistakes_in_code_are_explained_as_those_in_a_file() -> None:
    wrong = {**TINY, "seed": 3}
    with pytest.raises(InputError) as in_code:
        rs.Study(**wrong)
    with pytest.raises(InputError) as in_fields:
        rs.study(wrong)
    assert str(in_code.value) == "seed: ablation has no 'seed'; it belongs to: search"
    assert str(in_fields.value) == f"study: {in_code.value}"


def test_the_fields_are_the_arguments_for_completion() -> None:
    assert {"net", "arms", "recipe", "seeds"} <= inspect.signature(rs.Study).parameters.keys()
    assert {"space", "budget", "sampler"} <= inspect.signature(rs.Search).parameters.keys()


def test_a_study_is_shown_as_a_table_in_a_notebook_and_its_text_is_escaped() -> None:
    shown = rs.Study(**{**TINY, "question": "<b>?</b>"})._repr_html_()
    assert "<td>&lt;b&gt;?&lt;/b&gt;</td>" in shown
    assert "<td>ablation, 2 arms</td>" in shown


def test_a_network_and_a_space_are_shown_as_yaml_in_a_notebook() -> None:
    net, space = rs.preset("resnet20"), rs.Space.of({"base": "resnet20", "axes": {"width": [0.5, 1]}})
    for shown in (net._repr_html_(), space._repr_html_()):
        assert shown.startswith("<pre>")
    assert "classes: 10" in net._repr_html_()


def test_a_plan_has_arms_trials_and_cost() -> None:
    plan = rs.Study(**TINY).plan()
    assert (plan.arms, plan.trials, plan.misfits) == (["identity", "gated"], 4, [])
    assert plan.hours is not None
    assert 0 < plan.hours < 1
    assert plan.table().set_index("name").loc["identity", "params"] == plan.outlook.rows[0].params
    assert "2 arms, 2 seeds: 4 trials" in repr(plan)
    assert "<td>gated</td>" in plan._repr_html_()
    assert plan.as_dict()["arms"] == 2


def test_a_plan_can_be_registered_once(tmp_path: Path) -> None:
    plan = rs.Study(**TINY, planned={"compare": ["gated"]}).plan()
    plan.register(tmp_path / "plan.md")
    assert "gated" in (tmp_path / "plan.md").read_text()
    with pytest.raises(InputError, match="exists"):
        plan.register(tmp_path / "plan.md")


def test_an_ablation_runs_from_code_and_has_results(tmp_path: Path) -> None:
    run = rs.Study(**TINY).run(tmp_path / "run", inline=True)
    assert run.table()["arm"].tolist() == ["identity", "gated"]
    assert run.trials()["status"].tolist() == ["complete"] * 4
    again = run.study.run(tmp_path / "run", inline=True)
    assert again.answer == run.answer


def test_a_search_runs_from_code_and_has_a_front(tmp_path: Path) -> None:
    run = rs.Search(**SEARCH).run(tmp_path / "run", inline=True)
    front = run.front(["error", "macs"])
    assert front["macs"].tolist() == sorted(front["macs"])
    trials = run.trials()
    assert set(trials["width"].dropna()) <= {0.125, 0.25, 0.375}
    assert len(trials["proposal"].dropna()) == 2
    assert run.table()["on_front"].sum() == len(front)
    with pytest.raises(InputError, match="findings: a search has table, trials, curves"):
        run.findings()


def test_a_running_ray_is_used_and_stays(ray_cluster: None, tmp_path: Path) -> None:
    import ray

    run = rs.study(TINY, seeds=1).run(tmp_path / "run")
    assert run.trials()["status"].tolist() == ["complete"] * 2
    assert ray.is_initialized()


SCRIPT = """
import resnet_space as rs

study = rs.study("gates.yaml", seeds=1)
print(study.plan().trials)
run = study.run("out")
print(run.trials().status.tolist())
"""


@pytest.mark.long
def test_a_script_needs_no_guard_of_its_main_module(tmp_path: Path) -> None:
    """Processes of Ray, and those that check kernels, import the main module of some libraries again."""
    (tmp_path / "gates.yaml").write_text(documents.write(TINY))
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["2", "['complete', 'complete']"]
