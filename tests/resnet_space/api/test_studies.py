"""Studies that include others."""

from pathlib import Path
from typing import Any

import pytest

from ablations.study import Ablation
from resnet_space import documents
from resnet_space.api.studies import load, load_data
from resnet_space.errors import InputError


def write(path: Path, **fields: Any) -> str:
    path.write_text(documents.write(fields))
    return str(path)


def test_a_study_that_includes_another_has_its_fields_but_for_its_own(tmp_path: Path) -> None:
    more = {"four": {"set": {"unit.shortcut": "none"}}}
    path = write(tmp_path / "mine.yaml", include="shortcuts", name="mine", question="?", arms=more)
    mine, base = load(path), load("shortcuts")
    assert isinstance(mine, Ablation)
    assert isinstance(base, Ablation)
    assert (mine.name, mine.question, mine.source) == ("mine", "?", base.source)
    assert mine.arms.keys() == {*base.arms, "four"}
    assert mine.planned == base.planned


def test_profiles_are_those_of_both(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", include="shortcuts", name="mine", profiles={"tiny": {"seeds": 1}})
    assert load(path, profile="tiny").to_dict()["seeds"] == 1
    assert load(path, profile="laptop").dataset.name == "digits"


def test_a_file_is_found_beside_the_one_that_includes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    base = documents.read(Path(write(tmp_path / "sub" / "base.yaml", include="shortcuts", name="base")))
    assert base["name"] == "base"
    write(tmp_path / "sub" / "mine.yaml", include="base.yaml", name="mine")
    monkeypatch.chdir(tmp_path)
    assert load("sub/mine.yaml").name == "mine"


def test_fields_in_python_can_include_a_study() -> None:
    assert load_data({"include": "shortcuts", "name": "mine"}).name == "mine"


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ("shortcut", "include: unknown study 'shortcut'; did you mean 'shortcuts'?"),
        ("mine.yaml", "include: mine.yaml includes this study again"),
        ("other.yaml", "include: mine.yaml includes this study again"),
        ("none.yaml", "none.yaml"),
        (3, "include: must be the name of a shipped study or a file, not 3"),
    ],
)
def test_what_cannot_be_included_is_refused(tmp_path: Path, include: Any, says: str) -> None:
    write(tmp_path / "other.yaml", include="mine.yaml", name="other")
    with pytest.raises(InputError) as error:
        load(write(tmp_path / "mine.yaml", include=include, name="mine"))
    assert says in str(error.value)
