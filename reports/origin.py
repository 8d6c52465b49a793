"""What a reader must know of where a run's trials come from: what is left out, and that not all ran alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ablations.kinds import Run
from search.membership import left_out


def origin(run: Run) -> list[str]:
    """Lines for the reader of a run's numbers; none where all stored trials are the run's, and ran alike."""
    return [*_others(run), *_changed_data(run), *_setups(run), *_devices(run)]


def _others(run: Run) -> list[str]:
    return [f"{line}."] if (line := left_out(run.others)) else []


def _changed_data(run: Run) -> list[str]:
    """Of a folder in which an earlier version went on with other data."""
    first, *later = run.folder.fingerprints or [""]
    if not later:
        return []
    return [
        f"the data were changed between sessions: fingerprint {first} first, {', '.join(later)} later; only trials of "
        "the first, with which the run was begun, are counted."
    ]


def _setups(run: Run) -> list[str]:
    """What the sessions ran with, where that is not the same in all."""
    sessions = run.folder.read_manifest()["sessions"]
    setups = Counter(map(_setup, sessions))
    if len(setups) < 2:
        return []
    shown = ", ".join(text for text, _ in setups)
    sets = {isa for _, isa in setups if isa}
    more = (
        "; their instruction sets differ" if len({text for text, _ in setups}) < len(setups) and len(sets) > 1 else ""
    )
    return [f"{len(sessions)} sessions: {shown}{more}; results are means over {_all(len(setups))}."]


def _setup(session: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """torch, hardware and kind of device in words, and the processor's instruction sets where those matter."""
    machine, device = session["machine"], session.get("device", "")
    on_gpu = device == "cuda" or (not device and machine["gpus"])
    processor = machine.get("processor") or {"name": "a processor that is not stored", "isa": []}
    gpus = ", ".join(dict.fromkeys(machine["gpus"]))
    hardware = gpus if on_gpu and gpus else processor["name"]
    text = f"torch {session['versions'].get('torch', 'unknown')} on {hardware}{f' ({device})' if device else ''}"
    return text, () if on_gpu else tuple(processor["isa"])


def _devices(run: Run) -> list[str]:
    """Kinds of device that complete trials ran on, where there are several."""
    kinds = Counter(
        record.device.split(":")[0] for record in run.records if record.status == "complete" and record.device
    )
    if len(kinds) < 2:
        return []
    shown = ", ".join(f"{number} on {kind}" for kind, number in sorted(kinds.items()))
    return [f"complete trials by device: {shown}; results are means over {_all(len(kinds))}."]


def _all(number: int) -> str:
    return "both" if number == 2 else f"all {number}"
