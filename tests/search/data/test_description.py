"""A data set is described without torch, and a wrong description is explained."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space.errors import InputError
from search.data import DATASETS, Augmentation, DataSet
from search.data.description import labels


def test_describing_data_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, search.data; search.data.DataSet(name='digits'); "
        "print([m for m in ('torch', 'torchvision', 'sklearn', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_can_be_written_as_its_bare_name(name: str) -> None:
    assert DataSet.of(name) == DataSet(name=name)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_survives_yaml(name: str) -> None:
    data = DataSet(name=name, validation=0.25, limit=7)
    assert DataSet.from_yaml(data.to_yaml()) == data


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_is_one_line_of_text_and_names_a_loader(name: str) -> None:
    row = DATASETS[name]
    assert row.text
    assert "\n" not in row.text
    assert row.loader.startswith("search.data.")


def test_an_unknown_name_gets_the_nearest_and_all_allowed() -> None:
    with pytest.raises(InputError, match="name: unknown data set 'cifar-10'; did you mean 'cifar10'") as caught:
        DataSet.of("cifar-10")
    assert all(name in str(caught.value) for name in DATASETS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "digits", "root": "/x"}, "root: data set 'digits' is not read from files and has no root"),
        (
            {"name": "cifar10", "size": 64},
            "size: data set 'cifar10' has no such setting; only imagefolder, fake",
        ),
        ({"name": "npz", "classes": 3}, "classes: .* only fake has it"),
        ({"name": "digits", "validation": 0.6, "test": 0.4}, "leave nothing for training"),
        ({"name": "digits", "validation": 0.0}, "validation: must be greater than 0"),
        ({"name": "digits", "limit": 0}, "limit: must be at least 1"),
        ({"name": "digits", "part": 1}, "unknown field 'part'"),
    ],
)
def test_an_invalid_description_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DataSet.of(fields)


def test_the_json_schema_allows_a_name_or_a_mapping_and_lists_the_names() -> None:
    from jsonschema import Draft202012Validator

    schema = Draft202012Validator(DataSet.model_json_schema())
    assert schema.is_valid("digits")
    assert schema.is_valid({"name": "digits"})
    assert not schema.is_valid("digitz")
    assert not schema.is_valid({"name": "digitz"})


def test_a_label_is_the_name_and_what_differs_from_others_of_that_name() -> None:
    given = [
        DataSet(name="digits"),
        DataSet(name="npz", root="a.npz"),
        DataSet(name="npz", root="b.npz", limit=5),
        DataSet(name="fake"),
    ]
    assert labels(given) == ("digits", "npz (root=a.npz)", "npz (root=b.npz, limit=5)", "fake")


def test_a_label_cannot_control_a_terminal() -> None:
    (label, _) = labels([DataSet(name="npz", root="a\x1b[31m.npz"), DataSet(name="npz", root="b")])
    assert label == r"npz (root=a\x1b[31m.npz)"


SETS = st.builds(
    DataSet,
    name=st.sampled_from(["digits", "fake"]),
    validation=st.sampled_from([0.1, 0.2]),
    limit=st.sampled_from([None, 10, 20]),
)


@given(st.lists(SETS, unique=True, max_size=6))
def test_different_data_sets_have_different_labels(given: list[DataSet]) -> None:
    assert len(set(labels(given))) == len(given)


def test_settings_default_to_the_catalogues() -> None:
    assert DataSet(name="imagefolder").setting("size") == 224
    assert DataSet(name="fake", size=8).setting("size") == 8


def test_padding_is_never_negative() -> None:
    with pytest.raises(InputError, match="pad: must be at least 0"):
        Augmentation.of({"pad": -1})
