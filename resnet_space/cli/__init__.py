"""The command line: `resnet-space VERB`. Results go to stdout, progress and errors to stderr; exit status 0, 1 or 2.

Each verb parses its options, calls a function of `resnet_space.api`, and prints the result. It imports what it needs
when it is called, so that `--help` loads neither torch nor ray.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import typer

from resnet_space.cli import folders, machine, networks, studies
from resnet_space.errors import InputError, check_utf8, printable

VERBS: dict[str, Callable[..., None]] = {
    "list": networks.list_,
    "show": networks.show,
    "schema": networks.schema,
    "plan": studies.plan,
    "images": studies.images,
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
    help="Ablate and search residual networks: describe a search space or a comparison, run it, and read the report.",
)
for name, verb in VERBS.items():
    app.command(name)(verb)


def main() -> None:
    """Run the command line; wrong input ends with a message and status 2, never with a traceback."""
    try:
        app()
    except InputError as error:
        _exit_with_error(str(error))
    except UnicodeEncodeError as error:
        # The name of a folder or file that is not UTF-8 was put in a text. Any other cause is a bug, and is raised.
        try:
            check_utf8(error.object)
        except InputError as refused:
            _exit_with_error(str(refused))
        raise
    except OSError as error:
        # A full disk, or a folder without write permission.
        _exit_with_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _exit_with_error(message: str) -> NoReturn:
    with suppress(OSError):  # stderr is closed; the status still tells
        for line in printable(message).splitlines():
            typer.echo(f"error: {line}", err=True)
    sys.exit(2)
