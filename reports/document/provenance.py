"""What a reader must know about a run's trials: which are left out, and whether all ran alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reports.runs import Run
from search.store.membership import foreign_note


def provenance(run: Run) -> list[str]:
    """Lines for the reader of a run's numbers; none where all stored trials are the run's, and ran alike."""
    return [*_others(run), *_changed_data(run), *_setups(run), *_devices(run)]


def _others(run: Run) -> list[str]:
    return [f"{line}."] if (line := foreign_note(run.others)) else []


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
    """What the sessions ran with in which trials were trained, where that is not the same in all."""
    sessions = _that_trained(run)
    known = {_torch(session) for session in sessions if "processor" in session["machine"]}
    # What an earlier version did not store is taken to be the same, as far as it is known.
    sessions = [each for each in sessions if "processor" in each["machine"] or _torch(each) not in known]
    setups = Counter(map(_setup, sessions))
    if len(setups) < 2:
        return []
    shown = list(dict.fromkeys(text for text, _ in setups))
    more = "" if len(shown) == len(setups) else ", whose instruction sets differ"
    return [f"{len(sessions)} sessions: {', '.join(shown)}{more}; results are means over {_all(len(setups))}."]


def _that_trained(run: Run) -> list[Mapping[str, Any]]:
    """The sessions on the run's data, without those that had nothing to do.

    A session lasts to the beginning of the next one. A trial that was begun more than once may have been in any session
    before its end.
    """
    own = run.folder.fingerprints[:1]
    sessions = [
        session
        for session in run.folder.read_manifest()["sessions"]
        if not own or session.get("fingerprint", "") in ("", *own)
    ]
    begins = [_time(datetime.fromisoformat(session["began"])) for session in sessions]
    # In whole seconds.
    ends = [begin + timedelta(seconds=1) for begin in begins[1:]] + [datetime.max.replace(tzinfo=UTC)]
    trained = [
        (None if record.attempts > 1 or record.started is None else _time(record.started), _time(record.finished))
        for record in run.records
        if record.status == "complete" and record.finished
    ]
    return [
        session
        for session, begin, end in zip(sessions, begins, ends, strict=True)
        if any(finished >= begin and (started is None or started <= end) for started, finished in trained)
    ]


def _time(time: datetime) -> datetime:
    """SQLite forgets the zone; what is stored is UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _torch(session: Mapping[str, Any]) -> str:
    return str(session["versions"].get("torch", "unknown"))


def _setup(session: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """torch, hardware and kind of device in words, and the processor's instruction sets where those matter."""
    machine, device = session["machine"], session.get("device", "")
    on_gpu = device == "cuda" or (not device and machine["gpus"])
    processor = machine.get("processor") or {"name": "a processor that is not stored", "isa": []}
    gpus = ", ".join(dict.fromkeys(machine["gpus"]))
    hardware = gpus if on_gpu and gpus else processor["name"]
    text = f"torch {_torch(session)} on {hardware}{f' ({device})' if device else ''}"
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
