"""The front door: `resnet-space VERB`. Results on stdout, progress and errors on stderr; exit status 0, 1 or 2.

Each verb parses its options, calls a function of `resnet_space.api`, and prints what that returns. It imports what it
needs when it is called: `--help` needs neither torch nor ray.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import typer

from resnet_space.cli import folders, machine, networks, studies
from resnet_space.errors import InputError, plain, text

VERBS: dict[str, Callable[..., None]] = {
    "list": networks.list_,
    "show": networks.show,
    "schema": networks.schema,
    "plan": studies.plan,
    "run": studies.run,
    "status": folders.status,
    "front": folders.front,
    "dashboard": folders.dashboard,
    "export": folders.export,
    "report": folders.report,
    "doctor": machine.doctor,
    "repair": folders.repair,
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ablate and search residual networks: describe a space or a question, run it, read the answer.",
)
for name, verb in VERBS.items():
    app.command(name)(verb)


def main() -> None:
    """Run the command line; wrong input gets its message and status 2, never a traceback."""
    try:
        app()
    except InputError as error:
        _refuse(str(error))
    except UnicodeEncodeError as error:
        # The name of a folder or file, where it becomes part of a text. With other causes it is a fault of ours.
        try:
            text(error.object)
        except InputError as refused:
            _refuse(str(refused))
        raise
    except OSError as error:
        # A full disk, or a folder that may not be written to.
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _refuse(message: str) -> NoReturn:
    with suppress(OSError):  # nobody reads it, and the status is the same
        for line in plain(message).splitlines():
            typer.echo(f"error: {line}", err=True)
    sys.exit(2)
