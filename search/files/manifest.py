"""What stands in `manifest.json`: one entry a session, of when, where and with what it ran."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import Field, TypeAdapter, ValidationError

from resnet_space.errors import InputError
from search.data.facts import DataFacts


@dataclass(frozen=True)
class Processor:
    name: str
    isa: list[str]


@dataclass(frozen=True)
class Machine:
    host: str
    system: str
    python: str
    cpus: int | None
    gpus: list[str]
    processor: Processor | None = None


@dataclass(frozen=True)
class Session:
    """What every session has, and what a run's adds; more facts are welcome, and earlier versions stored fewer."""

    began: str
    machine: Machine
    versions: dict[str, str]
    commit: str | None
    fingerprint: str = ""
    data: DataFacts | None = None
    device: str = ""
    storage: str | None = None
    checkpoints: str | None = None
    planned: str = ""
    kernels: list[str] = field(default_factory=list)
    """Lines on kernels that were wrong on a machine, and were avoided."""
    joules: Annotated[float, Field(allow_inf_nan=False)] | None = None


@dataclass(frozen=True)
class Manifest:
    sessions: list[Session]


def read(path: Path) -> dict[str, Any]:
    """The manifest, as plain data; one without sessions where there is no file.

    Raises:
        InputError: the file is no manifest: what is wrong, and where.
    """
    if not path.exists():
        return {"sessions": []}
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
        # Not made: it must stay as it is, with facts that are not known here.
        TypeAdapter(Manifest).validate_json(json.dumps(data), strict=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: no manifest: {place}: {first['msg']}, not {first['input']!r:.40}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no manifest: {error}") from None
    return dict(data)


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
