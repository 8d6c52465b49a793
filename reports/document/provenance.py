"""Notes on the origin of a run's trials: which ones are excluded, and whether all ran in the same setup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reports.runs import Run
from search.store.membership import foreign_note


def provenance(run: Run) -> list[str]:
    """Return notes on a run's trials; empty if all stored trials belong to the run and ran in the same setup."""
    return [*_others(run), *_changed_data(run), *_setups(run), *_devices(run)]


def _others(run: Run) -> list[str]:
    return [f"{line}."] if (line := foreign_note(run.others)) else []


def _changed_data(run: Run) -> list[str]:
    """Return a note if an earlier version of the program continued the run with other data."""
    first, *later = run.folder.fingerprints or [""]
    if not later:
        return []
    return [
        f"the data changed between sessions: fingerprint {first} first, {', '.join(later)} later; only trials with the "
        "first fingerprint are counted."
    ]


def _setups(run: Run) -> list[str]:
    """Return a note on the setups of the sessions that trained trials, if they differ."""
    sessions = _that_trained(run)
    known = {_torch(session) for session in sessions if "processor" in session["machine"]}
    # Earlier versions did not store the processor: assume it is unchanged if the torch version is known.
    sessions = [each for each in sessions if "processor" in each["machine"] or _torch(each) not in known]
    setups = Counter(map(_setup, sessions))
    if len(setups) < 2:
        return []
    shown = list(dict.fromkeys(text for text, _ in setups))
    more = "" if len(shown) == len(setups) else ", with different instruction sets"
    return [f"{len(sessions)} sessions: {', '.join(shown)}{more}; results are means over {_all(len(setups))}."]


def _that_trained(run: Run) -> list[Mapping[str, Any]]:
    """Return the sessions on the run's data that trained at least one trial.

    A session lasts until the next one starts. A trial that was started more than once can have run in any session
    before it finished.
    """
    own = run.folder.fingerprints[:1]
    sessions = [
        session
        for session in run.folder.read_manifest()["sessions"]
        if not own or run.folder.fingerprint_in(session) in ("", *own)
    ]
    begins = [_time(datetime.fromisoformat(session["began"])) for session in sessions]
    # Stored in whole seconds.
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
    """Return the time in UTC: SQLite drops the time zone, and stored times are in UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _torch(session: Mapping[str, Any]) -> str:
    return str(session["versions"].get("torch", "unknown"))


def _setup(session: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return torch version, hardware and device in words, and the processor's instruction sets for runs on a CPU."""
    machine, device = session["machine"], session.get("device", "")
    on_gpu = device == "cuda" or (not device and machine["gpus"])
    processor = machine.get("processor") or {"name": "an unknown processor", "isa": []}
    gpus = ", ".join(dict.fromkeys(machine["gpus"]))
    hardware = gpus if on_gpu and gpus else processor["name"]
    text = f"torch {_torch(session)} on {hardware}{f' ({device})' if device else ''}"
    return text, () if on_gpu else tuple(processor["isa"])


def _devices(run: Run) -> list[str]:
    """Return a note on the kinds of device that complete trials ran on, if there are several."""
    kinds = Counter(
        record.device.split(":")[0] for record in run.records if record.status == "complete" and record.device
    )
    if len(kinds) < 2:
        return []
    shown = ", ".join(f"{number} on {kind}" for kind, number in sorted(kinds.items()))
    return [f"complete trials by device: {shown}; results are means over {_all(len(kinds))}."]


def _all(number: int) -> str:
    return "both" if number == 2 else f"all {number}"
