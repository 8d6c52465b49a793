"""Every wrong study in this folder gets exactly the messages that stand on top of it, and status 2.

A file begins with its command, `# $ resnet-space plan FILE ...`, and with what is said on stderr, a line each; `...` at
the end of a line means more text, and `<orders>` for all names of a catalogue: see `NAMES`. To add a case, add a file.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from ablations.adjustments import ADJUSTMENTS
from ablations.comparisons import TESTS
from ablations.designs import DESIGNS
from ablations.study import Ablation
from resnet_space import cli
from resnet_space.architecture import DERIVED, Architecture
from resnet_space.description import Description, descendants
from resnet_space.fields import FIELDS
from resnet_space.orders import ORDERS
from resnet_space.presets import PRESETS
from resnet_space.shortcuts import SHORTCUTS
from search.data import DATASETS
from search.data.augmentations.policies import POLICIES
from search.exploring.study import Search
from search.fronts.objectives import OBJECTIVES
from search.measures.catalogue import MEASURES
from search.measures.targets import TARGETS
from search.samplers.kinds import SAMPLERS
from search.samplers.stopping import STOPPING
from search.trials.averaging import AVERAGES
from search.trials.joint_space import OF_TRAINING
from search.trials.losses import LOSSES
from search.trials.optimizers import OPTIMIZERS
from search.trials.recipe import RECIPES
from search.trials.schedules import SCHEDULES, WARM_UPS
from search.trials.study import Study

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.yaml"))
JARGON = re.compile(r"pydantic|http|type=|input_value|validation error|union|literal|discriminat|serializ|Traceback")
NAMES: dict[str, Iterable[str]] = {
    "adjustments": ADJUSTMENTS,
    "axes": [*FIELDS, *OF_TRAINING, *DERIVED],
    "data sets": DATASETS,
    "designs": DESIGNS,
    "measures": [*MEASURES, *TARGETS],
    "shares": [name for name, measure in MEASURES.items() if measure.split],
    "targets": TARGETS,
    "objectives": OBJECTIVES,
    "orders": ORDERS,
    "policies": POLICIES,
    "presets": PRESETS,
    "averages": AVERAGES,
    "losses": LOSSES,
    "optimizers": OPTIMIZERS,
    "recipes": RECIPES,
    "samplers": SAMPLERS,
    "schedules": SCHEDULES,
    "shortcuts": SHORTCUTS,
    "stopping rules": STOPPING,
    "tests": TESTS,
    "warm-ups": WARM_UPS,
    **{f"fields of {kind.__name__}": kind.model_fields for kind in descendants(Description)},
}
"""What a message lists, by the words that stand for it in a case: a new row or field touches no case."""
PLACEHOLDER = re.compile(f"<({'|'.join(map(re.escape, NAMES))})>")


def head(path: Path) -> list[str]:
    """The comment on top of a file: the command, then what it says."""
    return [PLACEHOLDER.sub(lambda found: listed(found[1]), line) for line in written(path)]


def written(path: Path) -> list[str]:
    """The same, unchanged."""
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    return [line.removeprefix("# ") for line in lines if line.startswith(("# $ ", "# error: "))]


def listed(what: str) -> str:
    return ", ".join(NAMES[what])


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines on stderr, of a command that ends with status 2 and says nothing on stdout."""
    monkeypatch.setattr(sys, "argv", ["resnet-space", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert not JARGON.search(err), err
    return err.splitlines()


def agree(said: list[str], expected: list[str]) -> bool:
    return len(said) == len(expected) and all(
        line.startswith(wanted.removesuffix("...")) if wanted.endswith("...") else line == wanted
        for line, wanted in zip(said, expected, strict=True)
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_wrong_study_is_refused_with_the_words_on_top_of_it(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    command, *expected = head(path)
    said = refused(shlex.split(command.removeprefix("$ resnet-space ")), capsys, monkeypatch)
    assert agree(said, expected), "\n".join(said)
    assert [left.name for left in tmp_path.iterdir()] == [path.name], "and nothing else is left"


@pytest.mark.parametrize("case", ["name_leads_out", "yaml_tag_of_python", "flag_set_alias"])
def test_the_command_itself_refuses_it_without_a_traceback(case: str, tmp_path: Path) -> None:
    shutil.copy(HERE / f"{case}.yaml", tmp_path)
    command, *expected = head(HERE / f"{case}.yaml")
    arguments = shlex.split(command.removeprefix("$ resnet-space "))
    script = [sys.executable, "-m", "resnet_space", *arguments]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert agree(done.stderr.splitlines(), expected), done.stderr


def test_no_case_copies_the_names_of_a_catalogue() -> None:
    lists = {what: listed(what) for what, names in NAMES.items() if len(list(names)) > 1}
    copied = [
        f"{path.name}: write <{what}>"
        for path in CASES
        for line in written(path)
        for what, names in lists.items()
        if f"allowed: {names}" in line
    ]
    assert copied == []


INSIDE = {"options"}
"""Fields that no file names: what a list of values is made into."""


def fields(kind: type[Description], seen: set[Any]) -> Iterator[str]:
    """The names of all fields of a description, and of those that it is made of; a network's own are told elsewhere."""
    if kind in seen or issubclass(kind, Architecture):
        return
    seen.add(kind)
    for name, info in kind.model_fields.items():
        yield name
        for part in parts(info.annotation):
            yield from fields(part, seen)


def parts(annotation: Any) -> Iterator[type[Description]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, Description):
            yield from descendants(annotation)
        return
    for part in get_args(annotation):
        yield from parts(part)


@pytest.mark.parametrize("kind", [Ablation, Search])
def test_every_field_of_a_study_has_a_case(kind: type[Study]) -> None:
    said = "\n".join(line.partition("allowed:")[0] for path in CASES for line in head(path)[1:])
    assert sorted(set(fields(kind, set())) - INSIDE - set(re.findall(r"\w+", said))) == []


def test_a_large_file_is_refused_before_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("large.yaml").open("wb") as file:
        file.truncate(100_000_000)
    said = refused(["plan", "large.yaml"], capsys, monkeypatch)
    assert said == ["error: large.yaml: 100000000 bytes; at most 1000000 are read"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
def test_text_of_another_encoding_is_refused(
    codec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text("name: mine\n", encoding=codec)
    assert refused(["plan", "study.yaml"], capsys, monkeypatch) == ["error: study.yaml: not UTF-8 text (byte 0)"]


def test_a_number_of_thousands_of_digits_is_refused_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = "9" * 5000
    value = ["plan", "shortcuts", "--set", f"width={digits}"]
    assert refused(value, capsys, monkeypatch) == ["error: value: a whole number of thousands of digits"]
    index = ["show", "resnet20", "--set", f"stages.{digits}.units=1"]
    assert "is not an index of a list of 3" in refused(index, capsys, monkeypatch)[0]
