"""YAML 1.2 and JSON in, YAML out: safe, duplicate keys refused, `1e-3` a number, `no` a word."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from resnet_space.errors import InputError

MAX_BYTES = 1_000_000
"""Larger documents are refused: no description comes near, and parsing costs memory many times over."""
MOST = 10**300
"""Larger whole numbers are refused: they are no floats."""
DEEPEST = 50
"""Lists and mappings inside each other; parsing takes the square of it."""


def read(source: str | Path) -> Any:
    """Parse YAML (of which JSON is a part) from text, or from a path.

    A `Path`, or a string of one line that ends in .yaml, .yml or .json, is a file; any other string is text.

    Raises:
        InputError: no such file, not UTF-8, too large, not YAML, a duplicate key, or a tag that asks for an object.
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
    """Whether `read` takes this for a path, and not for text."""
    return isinstance(source, Path) or ("\n" not in source and source.endswith((".yaml", ".yml", ".json")))


def scalar(text: str) -> Any:
    """The value of `PATH=VALUE` on the command line, read as YAML would: `-6`, `1e-3`, `{kind: dropout, p: 0.5}`."""
    return _parse(text, "value")


def write(data: Any) -> str:
    """YAML text of plain data, in the given order of keys."""
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
            if depth > DEEPEST:
                raise InputError(f"{name}:{event.start_mark.line + 1}: nested too deeply; at most {DEEPEST} levels")
            # A few hundred bytes of aliases to aliases are gigabytes of data.
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                raise InputError(f"{name}:{line}: alias *{event.anchor}: aliases are not taken; write the value out")
        return _plain(YAML(typ="safe", pure=True).load(text), name)
    except DuplicateKeyError as error:
        problem = (error.problem or "").split(" (original")[0]
        raise InputError(f"{name}:{_line(error)} {problem}; each key may stand once") from None
    except MarkedYAMLError as error:
        raise InputError(f"{name}:{_line(error)} {error.problem or error.context}") from None
    except YAMLError as error:
        raise InputError(f"{name}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        many = "integer string conversion" in str(error)
        raise InputError(f"{name}: {'a whole number of thousands of digits' if many else error}") from None


def _plain(data: Any, path: str) -> Any:
    """The data, if it is made of mappings by text, lists, text, numbers, true, false and null alone."""
    if isinstance(data, dict):
        for key in data:
            if not isinstance(key, str):
                raise InputError(f"{path}: the key {key!r} must be text; put it in quotes")
        return {_text(key): _plain(value, f"{path}: {key}") for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value, path) for value in data]
    if isinstance(data, str):
        return _text(data)
    if isinstance(data, int) and abs(data) > MOST:
        raise InputError(f"{path}: a whole number of {len(str(abs(data)))} digits")
    if data is None or isinstance(data, bool | int | float):
        return data
    raise InputError(f"{path}: {data!s} is read as a {type(data).__name__}, which nothing here takes; put it in quotes")


def _text(text: str) -> str:
    """With JSON's pairs of escapes for one character joined."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _line(error: Any) -> str:
    return f"{error.problem_mark.line + 1}:" if error.problem_mark else ""
