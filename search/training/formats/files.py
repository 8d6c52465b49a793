"""Write the files of an export: weights, companions that the user did not name, and comments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_space.errors import InputError
from search.files.atomic import replace
from search.training.formats.taken import Facts


def write_weights(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not `save_file`: its errors hide the system's message.
    replace(path, lambda temporary: temporary.write_bytes(save(plain, dict(facts))))


def write_companion_weights(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> Path:
    from safetensors import SafetensorError
    from safetensors.torch import load

    def same() -> bool:
        try:
            existing = load(path.read_bytes())
        except SafetensorError:
            return False
        return existing.keys() == tensors.keys() and all(torch.equal(existing[name], tensors[name]) for name in tensors)

    return write_companion(path, same, lambda: write_weights(path, tensors, facts))


def write_companion(path: Path, same: Callable[[], bool], write: Callable[[], Any]) -> Path:
    """Write a file that the user did not name, unless it exists with the `same` content.

    Raises:
        InputError: it exists with another content.
    """
    if not path.exists():
        write()
        return path
    try:
        kept = same()
    except InputError:
        kept = False
    if not kept:
        raise InputError(f"{path}: exists already with other contents; move it away, or choose another name")
    return path


def one_line(text: str) -> str:
    """Return the text itself, or its Python literal if a character is not printable, such as a line end."""
    return text if text.isprintable() else ascii(text)
