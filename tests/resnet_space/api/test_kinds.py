"""Kinds of studies: the parts of every row exist, and its name is the `kind` in a study's file."""

from __future__ import annotations

from dataclasses import fields

import pytest

from resnet_space.api.kinds import ACROSS, KINDS, Kind


@pytest.mark.parametrize("kind", [*KINDS.values(), *ACROSS.values()], ids=[*KINDS, *(f"{name}s" for name in ACROSS)])
def test_every_part_of_every_kind_can_be_imported(kind: Kind) -> None:
    parts = {field.name: getattr(kind, field.name) for field in fields(kind)}
    exports, frames = parts.pop("exports"), parts.pop("frames")
    tables = [part for files in [*exports.values(), frames] for part in files.values()]
    given = [part for part in [*parts.values(), *tables] if part is not None]
    assert all(callable(part.load()) for part in given)


@pytest.mark.parametrize("name", KINDS)
def test_the_name_of_a_kind_is_that_in_its_file(name: str) -> None:
    assert KINDS[name].study.load().model_fields["kind"].default == name


@pytest.mark.parametrize("name", ACROSS)
def test_a_study_on_several_data_sets_is_described_as_on_one(name: str) -> None:
    assert ACROSS[name].study == KINDS[name].study
