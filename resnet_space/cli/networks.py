"""Verbs about what there is: catalogues, networks, schemas."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_space.cli.options import Json, Set, as_paths
from resnet_space.cli.printing import print_json, print_table
from resnet_space.errors import unknown


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="presets, studies, datasets, shortcuts, orders, branches, recipes, samplers, stopping, designs, "
            "references, published"
        ),
    ] = "presets",
    dataset: Annotated[str | None, typer.Option(help="With `published`: the results on one data set.")] = None,
    json: Json = False,
) -> None:
    """List what there is."""
    from resnet_space.api import catalogue

    if json:
        print_json(catalogue.records(what, dataset))
    else:
        print_table(*catalogue.listing(what, dataset))
        for line in catalogue.NOTES.get(what, ()):
            typer.echo(line)


def show(
    net: Annotated[str, typer.Argument(help="A preset's name, a file with an architecture, or a reference.")],
    changes: Set = None,
    json: Json = False,
) -> None:
    """Show a network: stages, depth, parameters, MACs, and what was not counted."""
    from resnet_space import inspection, references

    if net in references.REFERENCES:
        facts = references.facts(net, as_paths(changes))
        print_json(facts) if json else typer.echo("\n".join(references.lines(facts)))
        return
    architecture = inspection.read(net, as_paths(changes))
    if json:
        print_json(inspection.facts(architecture))
    else:
        print_table(*inspection.stages(architecture))
        for line in inspection.lines(architecture):
            typer.echo(line)


def schema(what: Annotated[str, typer.Argument(help="architecture, space or study")]) -> None:
    """Print the JSON Schema of a description, for editors."""
    from resnet_space.api import catalogue

    if what not in catalogue.SCHEMAS:
        raise unknown("description", what, catalogue.SCHEMAS)
    print_json(catalogue.SCHEMAS[what]())
