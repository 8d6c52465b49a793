"""Kinds of studies: the parts of every row exist, and its name is the `kind` in a study's file."""

from __future__ import annotations

from dataclasses import fields

import pytest

from resnet_space.api.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_every_part_of_every_kind_can_be_imported(name: str) -> None:
    parts = {field.name: getattr(KINDS[name], field.name) for field in fields(KINDS[name])}
    exports = parts.pop("exports")
    assert all(callable(part.load()) for part in [*parts.values(), *exports.values()])


@pytest.mark.parametrize("name", KINDS)
def test_the_name_of_a_kind_is_that_in_its_file(name: str) -> None:
    assert KINDS[name].study.load().model_fields["kind"].default == name
