"""Verbs on catalogues, networks and schemas."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_space.cli.options import Json, Set, parse_changes
from resnet_space.cli.printing import print_json, print_table
from resnet_space.errors import unknown


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="The list: presets, studies, datasets, shortcuts, orders, branches, attentions, activations, "
            "normalisations, stems, heads, recipes, samplers, stopping, designs, measures, references or published."
        ),
    ] = "presets",
    dataset: Annotated[str | None, typer.Option(help="For `published`: only results on this data set.")] = None,
    json: Json = False,
) -> None:
    """Print a list: presets, studies, data sets, shortcuts, published results, ..."""
    from resnet_space.api import catalogue

    if json:
        print_json(catalogue.records(what, dataset))
    else:
        print_table(*catalogue.listing(what, dataset))
        for line in catalogue.NOTES.get(what, ()):
            typer.echo(line)


def show(
    net: Annotated[str, typer.Argument(help="A preset, a file with an architecture, or a reference network.")],
    changes: Set = None,
    json: Json = False,
) -> None:
    """Print a network's stages, depth, parameters and MACs, and the operators that are not counted."""
    from resnet_space import inspection, references

    if net in references.REFERENCES:
        facts = references.facts(net, parse_changes(changes))
        print_json(facts) if json else typer.echo("\n".join(references.lines(facts)))
        return
    architecture = inspection.load_network(net, parse_changes(changes))
    if json:
        print_json(inspection.facts(architecture))
    else:
        print_table(*inspection.stages(architecture))
        for line in inspection.lines(architecture):
            typer.echo(line)


def schema(what: Annotated[str, typer.Argument(help="architecture, space or study.")]) -> None:
    """Print the JSON Schema of a file format, for editors."""
    from resnet_space.api import catalogue

    if what not in catalogue.SCHEMAS:
        raise unknown("description", what, catalogue.SCHEMAS)
    print_json(catalogue.SCHEMAS[what]())
