"""Kinds of studies: every row names parts that are there, under the word that its study's file has."""

from __future__ import annotations

from dataclasses import fields

import pytest

from resnet_space.api.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_every_part_of_every_kind_is_there(name: str) -> None:
    parts = {field.name: getattr(KINDS[name], field.name) for field in fields(KINDS[name])}
    exports = parts.pop("exports")
    assert all(callable(part.load()) for part in [*parts.values(), *exports.values()])


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_listed_under_the_word_in_its_file(name: str) -> None:
    assert KINDS[name].study.load().model_fields["kind"].default == name
