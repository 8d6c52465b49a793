"""Read YAML 1.2 and JSON, write YAML. Safe: no tags, no aliases, no duplicate keys; `1e-3` is a number, `no` a word."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from resnet_space.errors import InputError

MAX_BYTES = 1_000_000
"""Larger documents are refused: no description is nearly as large, and parsing needs many times the memory."""
MAX_INTEGER = 10**300
"""Larger whole numbers are refused: they cannot be converted to floats."""
MAX_DEPTH = 50
"""The maximum nesting of lists and mappings; parsing time grows with its square."""


def read(source: str | Path) -> Any:
    """Parse YAML, or JSON, which is a subset of it, from text or from a file.

    A `Path`, or a one-line string that ends in .yaml, .yml or .json, is a file; any other string is text.

    Raises:
        InputError: no such file, not UTF-8, too large, not YAML, a duplicate key, or a tag that would create an object.
    """
    if not is_file(source):
        return _parse(str(source), "text")
    path = Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def is_file(source: str | Path) -> bool:
    """Whether `read` treats this as a path rather than text."""
    return isinstance(source, Path) or ("\n" not in source and source.endswith((".yaml", ".yml", ".json")))


def scalar(text: str) -> Any:
    """Parse the value of `PATH=VALUE` on the command line as YAML: `-6`, `1e-3`, `{kind: dropout, p: 0.5}`."""
    return _parse(text, "value")


def write(data: Any) -> str:
    """Return plain data as YAML text; keys keep their order."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _parse(text: str, name: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    try:
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise InputError(f"{name}:{event.start_mark.line + 1}: nested too deeply; at most {MAX_DEPTH} levels")
            # A few hundred bytes of nested aliases can expand to gigabytes of data.
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                raise InputError(f"{name}:{line}: alias *{event.anchor}: aliases are not allowed; write the value out")
        return _plain_data(YAML(typ="safe", pure=True).load(text), name)
    except DuplicateKeyError as error:
        problem = (error.problem or "").split(" (original")[0]
        raise InputError(f"{name}:{_line(error)} {problem}; give each key once") from None
    except MarkedYAMLError as error:
        raise InputError(f"{name}:{_line(error)} {error.problem or error.context}") from None
    except YAMLError as error:
        raise InputError(f"{name}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        too_long = "integer string conversion" in str(error)
        raise InputError(f"{name}: {'a whole number of thousands of digits' if too_long else error}") from None


def _plain_data(data: Any, path: str) -> Any:
    """Return the data if it has only mappings with text keys, lists, text, numbers, true, false and null."""
    if isinstance(data, dict):
        for key in data:
            if not isinstance(key, str):
                raise InputError(f"{path}: the key {key!r} must be text; put it in quotes")
        return {_text(key): _plain_data(value, f"{path}: {key}") for key, value in data.items()}
    if isinstance(data, list):
        return [_plain_data(value, path) for value in data]
    if isinstance(data, str):
        return _text(data)
    if isinstance(data, int) and abs(data) > MAX_INTEGER:
        raise InputError(f"{path}: a whole number of {len(str(abs(data)))} digits")
    if data is None or isinstance(data, bool | int | float):
        return data
    raise InputError(f"{path}: {data!s} is read as a {type(data).__name__}, which is not allowed; put it in quotes")


def _text(text: str) -> str:
    """The text with each of JSON's surrogate pairs joined into one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _line(error: Any) -> str:
    return f"{error.problem_mark.line + 1}:" if error.problem_mark else ""
