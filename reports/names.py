"""Names of arms, runs and data sets in sentences."""

from __future__ import annotations

SEPARATORS = ",;:"
"""Marks that end a name in a sentence, and that a name can contain: `exclusive gate, bias -6`."""


def quoted(name: str) -> str:
    """Return a name as a sentence has it: in quotation marks if it contains a mark that would end it.

    >>> quoted("identity"), quoted("exclusive gate, bias -6")
    ('identity', '“exclusive gate, bias -6”')
    """
    return f"“{name}”" if set(SEPARATORS) & set(name) else name


def against(arm: str, versus: str) -> str:
    """Return `arm against versus`."""
    return f"{quoted(arm)} against {quoted(versus)}"
