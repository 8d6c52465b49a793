"""The command line: the output of each verb; wrong input gives one line, status 2, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from verbs import Cli

from resnet_space import Architecture
from resnet_space.api.catalogue import LISTS, SCHEMAS
from resnet_space.api.studies import shipped
from resnet_space.presets import PRESETS

TINY = ("--set", "width=0.125", "--set", "stages.*.units=1", "--epochs", "1", "--inline")


@pytest.mark.parametrize("what", LISTS)
def test_every_list_prints_its_names(resnet_space: Cli, what: str) -> None:
    result = resnet_space("list", what)
    assert result.status == 0
    _, rows = LISTS[what]()
    assert all(row[0] in result.out for row in rows)


@pytest.mark.parametrize("what", LISTS)
def test_every_list_is_json_too(resnet_space: Cli, what: str) -> None:
    printed = json.loads(resnet_space("list", what, "--json").out)
    _, rows = LISTS[what]()
    assert len(printed) == len(rows)


def test_published_results_are_listed_by_data_set(resnet_space: Cli) -> None:
    table = resnet_space("list", "published", "--dataset", "cifar10").out
    assert "resnet110 dropout" in table
    assert "fail" in table
    assert "imagenet" not in table
    printed = json.loads(resnet_space("list", "published", "--dataset", "cifar10", "--json").out)
    assert {row["dataset"] for row in printed} == {"cifar10"}


def test_a_reference_is_shown_without_key_and_depth(resnet_space: Cli) -> None:
    printed = json.loads(resnet_space("show", "alexnet", "--json").out)
    assert (printed["reference"], printed["params"]) == ("alexnet", 61_100_840)
    assert "61,100,840 parameters" in resnet_space("show", "alexnet").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("list", "published", "--dataset", "cifar-10"), "unknown data set 'cifar-10'; did you mean 'cifar10'?"),
        (("list", "presets", "--dataset", "cifar10"), "can only be used with the list published, not with presets"),
        (("show", "alexnet", "--set", "width=2"), "is a network of torchvision and cannot be changed"),
        (("report", "a", "b", "--published", "cifar10"), "can only be used with one run, not with 2"),
        (("report", "a", "--published", "imagenett"), "did you mean 'imagenet'?"),
    ],
)
def test_wrong_requests_for_published_results_are_refused(
    resnet_space: Cli, arguments: tuple[str, ...], says: str
) -> None:
    result = resnet_space(*arguments)
    assert result.status == 2
    assert says in result.err


def test_show_prints_json_with_the_required_fields(resnet_space: Cli) -> None:
    printed = json.loads(resnet_space("show", "resnet110", "--json").out)
    assert {"key", "depth", "params", "macs", "activations", "uncounted", "architecture"} <= printed.keys()
    assert (printed["depth"], printed["params"]) == (110, 1_727_962)


def test_an_architecture_that_show_printed_is_read_back_from_a_file(resnet_space: Cli, tmp_path: Path) -> None:
    printed = json.loads(resnet_space("show", "preresnet20", "--set", "unit.shortcut=dropout", "--json").out)
    (tmp_path / "net.json").write_text(json.dumps(printed["architecture"]))
    assert json.loads(resnet_space("show", "net.json", "--json").out) == printed


def test_show_prints_stages_and_totals(resnet_space: Cli) -> None:
    result = resnet_space("show", "resnext50_32x4d")
    assert "in 32 groups" in result.out
    assert "25,028,904 parameters" in result.out
    assert "not counted: max_pool2d, relu" in result.out


@pytest.mark.parametrize("what", SCHEMAS)
def test_every_schema_is_a_valid_json_schema(resnet_space: Cli, what: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(resnet_space("schema", what).out))


def test_a_run_prints_results_on_stdout_and_progress_on_stderr(resnet_space: Cli, tmp_path: Path) -> None:
    result = resnet_space("run", "transitions", "--seeds", 1, "--out", "here", *TINY)
    assert result.status == 0, result.err
    assert "A, zero padding" in result.out
    assert "report: " in result.out
    assert result.err.count("complete, test error") == 3
    assert (tmp_path / "here" / "report" / "report.md").read_text().startswith("# Does the shortcut need a projection")

    again = resnet_space("run", "transitions", "--seeds", 1, "--out", "here", *TINY)
    assert again.out == result.out
    assert again.err == "3 of 3 trials are stored; 0 to do\n"

    more = resnet_space("run", "transitions", "--seeds", 2, "--out", "here", *TINY)
    assert more.err.count("complete, test error") == 3

    status = json.loads(resnet_space("status", "here", "--json").out)
    counts = dict.fromkeys(("waiting", "running", "pruned", "diverged", "failed", "infeasible"), 0)
    driver = status.pop("driver")
    assert (driver["alive"], driver["process"]) == (False, os.getpid())
    ends = {"reasons": [], "killed": [], "traceback": None}
    assert status == {"complete": 6, **counts, "interrupted": 0, **ends, "left_out": 0}
    assert resnet_space("report", "here").out == "here/report/report.md\n"


def test_a_run_is_reported_in_every_format_and_compared_with_another(resnet_space: Cli, tmp_path: Path) -> None:
    for folder, epochs in (("short", 1), ("long", 2)):
        done = resnet_space("run", "transitions", "--seeds", 2, *TINY, "--epochs", epochs, "--out", folder)
        assert done.status == 0, done.err
    printed = resnet_space("report", "short", "--format", "html,md,tex,csv,parquet")
    assert [Path(line).name for line in printed.out.split()] == [
        f"report.{f}" for f in ("html", "md", "tex", "csv", "parquet")
    ]
    both = resnet_space("report", "short", "long", "--format", "html,md")
    assert both.status == 0, both.err
    assert (tmp_path / "short" / "report" / "compare-long.html").stat().st_size > 1000
    assert "the 3 networks in both runs" in (tmp_path / "short" / "report" / "compare-long.md").read_text()


def test_a_report_on_a_run_without_trials_says_so(resnet_space: Cli, tmp_path: Path) -> None:
    assert resnet_space("run", "transitions", "--seeds", 1, *TINY, "--out", "empty").status == 0
    (tmp_path / "empty" / "trials.db").unlink()
    (tmp_path / "empty" / "trials.db-wal").unlink(missing_ok=True)
    assert "there is no trials.db" in resnet_space("report", "empty").err
    from search.store.store import Store

    Store.at(tmp_path / "empty").close()
    assert "empty: no trials yet" in resnet_space("report", "empty").err


def test_arms_that_are_one_network_are_trained_once(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "same.yaml").write_text(
        "{name: same, net: resnet20, baseline: a, data: digits, recipe: digits, seeds: 1, arms: {"
        "a: {}, b: {set: {unit.shortcut: {kind: dropout, p: 0}}}, c: {set: {unit.order: full_preactivation}}}}"
    )
    result = resnet_space("run", "same.yaml", *TINY)
    assert "the same network, trained once: a = b" in result.err
    assert result.err.count("complete, test error") == 2


def test_a_trial_that_diverges_is_a_result(resnet_space: Cli) -> None:
    result = resnet_space("run", "transitions", "--seeds", 1, *TINY, "--set", "recipe.lr=1e30")
    assert result.status == 0, result.err
    assert result.out.count("1 of 1 diverged") == 3
    assert json.loads(resnet_space("status", "runs/transitions", "--json").out)["diverged"] == 3


def test_a_failed_trial_is_reported_and_gives_status_1(resnet_space: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the device is on fire")

    with monkeypatch.context() as patch:
        patch.setattr("search.training.work.train", broken)
        result = resnet_space("run", "transitions", "--seeds", 1, *TINY)
    assert result.status == 1
    assert result.out.count("1 of 1 lost") == 3
    assert resnet_space("run", "transitions", "--seeds", 1, *TINY).status == 1, "a failed trial is not retried"
    printed = json.loads(resnet_space("status", "runs/transitions", "--json").out)
    assert printed["reasons"] == [{"status": "failed", "reason": "RuntimeError: the device is on fire", "trials": 3}]
    assert resnet_space("run", "transitions", "--seeds", 1, *TINY, "--retry-failed").status == 0


DESIGNED = (
    "name: mine\nnet: resnet20\ndata: digits\nrecipe: digits\n"
    "factors: {transition: {path: transition, levels: [A, B]}}\n"
)
STUDY = "name: mine\nnet: resnet20\nbaseline: a\ndata: digits\nrecipe: digits\narms: {a: {}}\n"

WRONG: list[tuple[tuple[str, ...], str]] = [
    (
        ("run", "shortcut"),
        "unknown study 'shortcut'; did you mean 'shortcuts'? allowed: activations, activations164, bottleneck",
    ),
    (("run", "nosuch.yaml"), "nosuch.yaml: No such file or directory"),
    (("run", "shortcuts", "--profile", "lapto"), "unknown profile 'lapto'; did you mean 'laptop'?"),
    (("run", "shortcuts", "--dataset", "cifar11"), "data.name: unknown data set 'cifar11'; did you mean 'cifar10'?"),
    (("run", "shortcuts", "--seeds", "0"), "seeds: must be at least 1, not 0"),
    (("run", "shortcuts", "--epochs", "0"), "recipe.epochs: must be at least 1, not 0"),
    (("run", "shortcuts", "--set", "recipe.lrr=1"), "recipe.lrr: unknown field 'lrr'; did you mean 'lr'?"),
    (("run", "shortcuts", "--set", "recipe=paper_cifar"), "unknown recipe 'paper_cifar'; did you mean 'paper-cifar'?"),
    (("run", "shortcuts", "--set", "unitt.order=original"), "unknown field 'unitt.order'; did you mean"),
    (("run", "shortcuts", "--set", "unit.order=orignal"), "unknown order 'orignal'; did you mean 'original'?"),
    (("run", "shortcuts", "--set", "seeds"), "--set seeds: must be PATH=VALUE"),
    (("run", "shortcuts", "--set", "width=0"), "width: must be a positive number"),
    (("run", "shortcuts", "--set", "stages.0.stride=16"), "16 would shrink a map of 8x8 to nothing"),
    (("run", "shortcuts", "--inline", "--set", "resources.cpus=1000"), "resources.cpus: a trial asks for 1000"),
    (("run", "shortcuts", "--inline", "--set", "resources.gpus=99"), "resources.gpus: a trial asks for 99"),
    (("run", "shortcuts", "--dataset", "cifar10"), "cifar10"),
    (("run", "shortcuts", "--address", "127.0.0.1:1"), "--address 127.0.0.1:1: no Ray cluster listens there"),
    (("run", "shortcuts", "--storage", "nosuch://x"), "storage 'nosuch://x'"),
    (("show", "resnet21"), "unknown preset 'resnet21'; did you mean"),
    (("show", "resnet20", "--set", "unit.shortcut.gate_bias=-6"), "identity has no 'gate_bias'; it belongs to: excl"),
    (("show", "resnet50", "--set", "unit.branch.cardinality=7"), "7 does not divide the width 64; nearest"),
    (("show", "resnet50", "--set", "unit.branch.width=0"), "unit.branch.width: must be at least 1, not 0"),
    (
        ("show", "resnet20", "--set", "transition=E"),
        "transition: unknown transition 'E'; allowed: A, B, C, D, none, separate",
    ),
    (("show", "resnet20", "--set", "unit.shortcut=no"), "unknown shortcut 'no'"),
    (("show", "resnet50", "--set", "input_shape=[3,8,8]"), "would shrink a map of 1x1 to nothing"),
    (("show", "nosuch.yaml"), "nosuch.yaml: No such file or directory"),
    (("list", "preset"), "unknown list 'preset'; did you mean 'presets'?"),
    (("schema", "studdy"), "unknown description 'studdy'; did you mean 'study'?"),
    (("status", "nowhere"), "nowhere: not a run's folder"),
    (("report", "nowhere"), "nowhere: not a run's folder"),
    (("repair", "nowhere"), "nowhere: not a run's folder"),
    (("report", "nowhere", "nowhere"), "nowhere: not a run's folder"),
    (("report", "a", "b", "c"), "a: not a run's folder"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_wrong_arguments_get_one_line_and_status_2(resnet_space: Cli, arguments: tuple[str, ...], message: str) -> None:
    result = resnet_space(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert message in result.err
    assert "Traceback" not in result.err


WRONG_FILES: list[tuple[str, str]] = [
    ("", "study.yaml: a study is a mapping of fields"),
    ("- a\n", "study.yaml: a study is a mapping of fields"),
    (STUDY + "name: twice\n", 'study.yaml:7: found duplicate key "name"'),
    (STUDY + "lr: &a 1\nb: *a\n", "aliases are not allowed"),
    (STUDY + "notes: !!python/name:os.getcwd\n", "tag"),
    (STUDY + "question: [a\n", "study.yaml:"),
    (STUDY.replace("baseline: a", "baseline: b"), "study.yaml: baseline: unknown arm 'b'; "),
    (STUDY.replace("{a: {}}", "{}"), "study.yaml: give arms or factors"),
    (STUDY.replace("{a: {}}", "{a: {nett: resnet20}}"), "arms.a.nett: unknown field 'nett'; did you mean 'net'?"),
    (STUDY.replace("{a: {}}", "{a: {set: {unit.order: no}}}"), "arms.a: unit.order: unknown order 'no'"),
    (STUDY.replace("resnet20", "resnet-20"), "arms.a: unknown preset 'resnet-20'; did you mean 'resnet20'?"),
    (STUDY.replace("name: mine", "name: ../mine"), "study.yaml: name: "),
    (STUDY + "seeds: true\n", "study.yaml: seeds: must be a whole number, not True"),
    (STUDY + "seeds: 2.5\n", "study.yaml: seeds: must be a whole number, not 2.5"),
    (STUDY + "fail_above: .nan\n", "study.yaml: fail_above: must be a finite number, not nan"),
    (STUDY + "kind: ablatoin\n", "study.yaml: kind: unknown kind 'ablatoin'; did you mean 'ablation'?"),
    (STUDY.replace("recipe: digits", "recipe: {base: digits, lr: -1}"), "recipe.lr: must be greater than 0, not -1"),
    (STUDY.replace("recipe: digits", "recipe: {lr: 0.1}"), "recipe: give either epochs or steps"),
    (STUDY.replace("data: digits", "data: {name: npz, root: no.npz}"), "no.npz"),
    (STUDY + "published: {table: shortcutz}\n", "unknown table 'shortcutz'; did you mean 'shortcuts'?"),
    (STUDY + "published: {table: shortcuts, rows: {b: {}}}\n", "published.rows: unknown arm 'b'; allowed: a"),
    (STUDY + "planned: {compare: [b]}\n", "planned.compare: unknown arm 'b'; allowed: a"),
    (STUDY + "planned: {measure: error}\n", "planned.measure: unknown measure 'error'; "),
    (STUDY + "seeds: {min: 1, max: 5}\n", "seeds.min: must be at least 2, not 1"),
    (STUDY + "seeds: {min: 5, max: 4}\n", "seeds: max: 4 is less than min, 5"),
    (STUDY + "match: {macs: 1e3}\n", "arms.a: cannot be matched to 1,000 macs within 2 %: the nearest has "),
    (STUDY + "match: {by: width}\n", "match: give exactly one of macs and params"),
    (STUDY + "diagnostics: propagtion\n", "diagnostics: must be a mapping of fields, not 'propagtion'"),
    (DESIGNED.replace("[A, B]", "[A]"), "a factor with one level cannot have an effect; give at least two"),
    (DESIGNED + "baseline: {transition: D}\n", "baseline.transition: unknown level 'D'; allowed: A, B"),
    (DESIGNED + "baseline: {trans: A}\n", "baseline: unknown factor 'trans'; did you mean 'transition'?"),
    (DESIGNED + "design: factorials\n", "did you mean 'factorial'?"),
    (DESIGNED + "design: factorial\n", "a factorial needs at least 2 of them, not 1"),
    (DESIGNED + "arms: {a: {}}\n", "give arms, or factors and a design; not both"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES, ids=[message for _, message in WRONG_FILES])
def test_a_wrong_study_gets_its_path_value_and_remedy(
    resnet_space: Cli, tmp_path: Path, text: str, message: str
) -> None:
    if "published" in text:
        text = text.replace("{a: {}}", "{a: {published: {variant: identity}}}")
    (tmp_path / "study.yaml").write_text(text)
    result = resnet_space("run", "study.yaml", "--inline", "--set", "stages.*.units=1")
    assert result.status == 2
    assert result.out == ""
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_number_can_have_an_exponent_without_a_decimal_point(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("recipe: digits", "recipe: {base: digits, weight_decay: 1e-3}"))
    assert resnet_space("run", "study.yaml", "--seeds", 1, *TINY).status == 0


def test_the_folder_of_another_study_is_refused_with_the_differences(resnet_space: Cli) -> None:
    resnet_space("run", "transitions", "--seeds", 1, "--out", "here", *TINY)
    result = resnet_space("run", "transitions", "--seeds", 1, "--out", "here", *TINY, "--set", "recipe.lr=0.01")
    assert result.status == 2
    assert "here: holds another study; it differs in recipe.lr (stored 0.1, now 0.01)" in result.err


def test_a_folder_with_other_files_is_refused(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").touch()
    result = resnet_space("run", "transitions", "--seeds", 1, "--out", "here", *TINY)
    assert result.status == 2
    assert "here: not empty, and not a run's folder" in result.err


def test_the_console_script_gives_the_exit_status_and_no_traceback() -> None:
    script = [sys.executable, "-m", "resnet_space", "show", "resnet21"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: unknown preset 'resnet21'")
    assert len(result.stderr.splitlines()) == 1


ENDS = """
import atexit, sys, threading, time
from resnet_space import __main__ as door, cli

def late():
    time.sleep(0.1)
    sys.stdout.write("late\\n")

def main():
    sys.stdout.write("said\\n")
    threading.Thread(target=late).start()
    sys.exit(3)

atexit.register(sys.stdout.write, "tidied\\n")
cli.main = main
door.process()
"""


def test_a_command_exits_at_once_with_its_status_and_loses_no_output() -> None:
    result = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (3, "said\nlate\ntidied\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here that is always full")
def test_output_that_cannot_be_written_is_not_a_success() -> None:
    # Buffered until the end; without a buffer, the first write would fail.
    held = os.environ | {"PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([sys.executable, "-c", ENDS], stdout=full, env=held, check=False)
    assert result.returncode == 120


def test_all_required_presets_and_studies_exist() -> None:
    assert {"shortcuts", "activations", "transitions", "depth", "cardinality"} <= set(shipped())
    assert all(isinstance(row.net, Architecture) for row in PRESETS.values())
