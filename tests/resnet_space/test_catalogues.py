"""A catalogue is a dict of classes or rows, and a field that takes one of them is told by the dict alone."""

import json
from types import MappingProxyType
from typing import Annotated, Literal

import pytest

from resnet_space.catalogues import NameOf, OneOf, alternatives
from resnet_space.description import Description, Kind, kinds
from resnet_space.errors import InputError


class Shape(Kind):
    """A family."""


class Round(Shape):
    """A part of the family, and no kind."""

    radius: float = 1.0


class Sphere(Round):
    kind: Literal["sphere"] = "sphere"


class Cube(Shape):
    kind: Literal["cube"] = "cube"
    side: float = 1.0


class Circle(Round):
    kind: Literal["circle"] = "circle"


SHAPES = kinds(Shape, globals())
COLOURS = MappingProxyType({"red": 1, "green": 2})


class Drawn(Description):
    shape: Annotated[Shape, OneOf(SHAPES)] = Cube()
    second: Annotated[Shape, OneOf(SHAPES)] | None = None
    colour: Annotated[str, NameOf(COLOURS)] = "red"


def test_a_catalogue_has_the_kinds_of_its_module_in_their_order():
    assert list(SHAPES.items()) == [("sphere", Sphere), ("cube", Cube), ("circle", Circle)]


def test_two_classes_of_one_kind_are_refused():
    class Ball(Shape):
        kind: Literal["sphere"] = "sphere"

    with pytest.raises(TypeError, match="Sphere and Ball are both of kind 'sphere'"):
        kinds(Shape, {"Sphere": Sphere, "Ball": Ball})


@pytest.mark.parametrize("name", SHAPES)
def test_each_kind_may_be_written_by_its_name_or_with_its_fields(name):
    expected = SHAPES[name]()
    assert Drawn.of({"shape": name}).shape == Drawn.of({"shape": {"kind": name}}).shape == expected
    assert Drawn.of({"second": name}).second == expected
    assert Drawn.of(Drawn(shape=expected).to_dict()).shape == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"shape": "torus"}, "shape.kind: unknown shape 'torus'; allowed: sphere, cube, circle"),
        ({"shape": {"side": 2.0}}, "shape: needs a 'kind', not {'side': 2.0}; allowed: sphere, cube, circle"),
        ({"shape": {"kind": "sphere", "side": 2.0}}, "shape.side: sphere has no 'side'; it belongs to: cube"),
        ({"second": {"kind": "cube", "side": "a"}}, "second.side: must be a number, not 'a'"),
        ({"colour": "blue"}, "colour: unknown colour 'blue'; allowed: red, green"),
    ],
)
def test_an_error_names_what_the_catalogue_has(data, message):
    with pytest.raises(InputError) as caught:
        Drawn.of(data)
    assert str(caught.value) == message


def test_the_schema_for_editors_has_every_row():
    properties = Drawn.model_json_schema()["properties"]
    assert properties["shape"]["anyOf"][1] == {"enum": list(SHAPES)}
    assert properties["colour"]["enum"] == list(COLOURS)
    assert all(f"#/$defs/{cls.__name__}" in json.dumps(properties["second"]) for cls in SHAPES.values())


def test_a_row_more_is_taken_by_descriptions_that_are_built_after_it():
    catalogue = dict(SHAPES)

    class Cone(Shape):
        kind: Literal["cone"] = "cone"

    catalogue["cone"] = Cone

    class Later(Description):
        shape: Annotated[Shape, OneOf(catalogue)]

    assert Later.of({"shape": "cone"}).shape == Cone()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("shape", [*SHAPES.values()]),
        ("second", [*SHAPES.values(), type(None)]),
        ("colour", [Literal["red", "green"]]),
    ],
)
def test_what_a_field_allows_can_be_asked(field, expected):
    info = Drawn.model_fields[field]
    assert list(alternatives(info.annotation, info.metadata)) == expected
