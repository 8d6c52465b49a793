"""The content of `manifest.json`: one entry per session, with its time, machine, versions and data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError

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


OneOrSeveral = Annotated[
    # Tags in brackets are left out of the path in messages.
    Annotated[DataFacts, Tag("[one]")] | Annotated[list[DataFacts], Tag("[several]")],
    Discriminator(lambda value: "[several]" if isinstance(value, list) else "[one]"),
]


@dataclass(frozen=True)
class Variant:
    """The data that an arm sets, of the data set at a place in the study; `data` is `DataSet.identifying`."""

    place: Annotated[int, Field(ge=0)]
    data: dict[str, Any]
    facts: DataFacts


@dataclass(frozen=True)
class Session:
    """The entry of a session. Unknown fields are allowed, and earlier versions stored fewer fields.

    In a run on several data sets, `fingerprint` and `data` are lists in the order of the study.
    """

    began: str
    machine: Machine
    versions: dict[str, str]
    commit: str | None
    fingerprint: str | list[str] = ""
    data: OneOrSeveral | None = None
    device: str = ""
    storage: str | None = None
    checkpoints: str | None = None
    planned: str = ""
    kernels: list[str] = field(default_factory=list)
    """Messages about kernels that computed wrong results on a machine, and were avoided."""
    joules: Annotated[float, Field(allow_inf_nan=False)] | None = None
    variants: list[Variant] = field(default_factory=list)


@dataclass(frozen=True)
class Manifest:
    sessions: list[Session]


def read(path: Path) -> dict[str, Any]:
    """Return the manifest as plain data, without sessions if there is no file.

    Raises:
        InputError: the file is not a manifest: what is wrong, and where.
    """
    if not path.exists():
        return {"sessions": []}
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_reject_constant)
        # Only validated: the data keep fields that are unknown here.
        TypeAdapter(Manifest).validate_json(json.dumps(data), strict=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
        raise InputError(f"{path}: not a manifest: {place}: {first['msg']}, not {first['input']!r:.40}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a manifest: {error}") from None
    return dict(data)


def of_data_set(value: Any, place: int) -> Any:
    """Return the part of a session's `fingerprint` or `data` that belongs to one data set of the run; None if absent.

    Args:
        place: the place of the data set in the study, from 0.
    """
    values = value if isinstance(value, list) else [value]
    return values[place] if place < len(values) else None


def _reject_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
