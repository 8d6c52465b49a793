"""YAML 1.2 and JSON in, YAML out: safe, duplicate keys refused, `1e-3` a number, `no` a word."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

from resnet_space.errors import InputError

MAX_BYTES = 4_000_000
"""Larger documents are refused: no description comes near, and parsing costs memory many times over."""


def read(source: str | Path) -> Any:
    """Parse YAML (of which JSON is a part) from text, or from a path.

    A `Path`, or a string of one line that ends in .yaml, .yml or .json, is a file; any other string is text.

    Raises:
        InputError: no such file, not UTF-8, too large, not YAML, a duplicate key, or a tag that asks for an object.
    """
    if isinstance(source, str) and not ("\n" not in source and source.endswith((".yaml", ".yml", ".json"))):
        return _parse(source, "text")
    path = Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


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

    try:
        data = YAML(typ="safe", pure=True).load(text)
        # A document that contains itself through an alias, or dates and sets, is no description.
        json.dumps(data)
        return data
    except DuplicateKeyError as error:
        problem = (error.problem or "").split(" (original")[0]
        raise InputError(f"{name}:{_line(error)} {problem}; each key may stand once") from None
    except MarkedYAMLError as error:
        raise InputError(f"{name}:{_line(error)} {error.problem or error.context}") from None
    except YAMLError as error:
        raise InputError(f"{name}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply, or an alias that contains itself") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {error}") from None


def _line(error: Any) -> str:
    return f"{error.problem_mark.line + 1}:" if error.problem_mark else ""
