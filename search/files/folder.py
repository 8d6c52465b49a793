"""A run's folder: `study.yaml`, `manifest.json`, `trials.db`, `checkpoints/<trial key>/`, `report/`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resnet_space import documents
from resnet_space.errors import InputError
from search.data.facts import differing
from search.files import manifest
from search.files.atomic import write_text
from search.files.bucket import Bucket, Place
from search.machine import session as here


class RunFolder:
    """Where a run keeps what it is and what it found."""

    def __init__(self, path: Path, checkpoints: str | None = None) -> None:
        """Raises `InputError` for `checkpoints`, a bucket's URL, that are in none."""
        self.path = path
        self.study = path / "study.yaml"
        self.manifest = path / "manifest.json"
        self.checkpoints: Place = Bucket.of(checkpoints) if checkpoints else path / "checkpoints"
        self.report = path / "report"
        self.changes: list[tuple[str, Any, Any]] = []
        """(path, before, now) of what the study that goes on has otherwise than the one that was begun, or this session
        than the last one."""

    @classmethod
    def existing(cls, path: Path, checkpoints: str | None = None) -> RunFolder:
        """The folder of a run that was begun.

        Raises:
            InputError: it is none.
        """
        folder = cls(path, checkpoints)
        if not folder.study.is_file():
            raise InputError(f"{path}: no run's folder (there is no study.yaml); `resnet-space run STUDY` makes one")
        folder.check_links()
        return folder

    def check(self, study: dict[str, Any], *, free: tuple[str, ...]) -> None:
        """Make the folder if there is none, and see that it is this study's or nobody's; fields in `free` may differ.

        Raises:
            InputError: the folder is another study's, or holds other things, or cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self.study.exists():
                self._same(study, free)
            elif any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise InputError(f"{self.path}: not empty, and no run's folder; choose another --out")
            self.check_links()
        except OSError as error:
            raise InputError(f"{error.filename or self.path}: {error.strerror}; choose another --out") from None

    def claim(self, study: dict[str, Any], *, free: tuple[str, ...]) -> None:
        """Make the folder this study's, as far as `check` allows.

        Raises:
            InputError: as there.
        """
        self.check(study, free=free)
        try:
            write_text(self.study, documents.write(study))
        except OSError as error:
            raise InputError(f"{error.filename or self.path}: {error.strerror}; choose another --out") from None

    def check_data(self, data: Mapping[str, Any]) -> None:
        """See that the data, as `Images.facts` has them, are those that the run began with.

        Raises:
            InputError: they are others, in what, and what to do. Their trials would be others too.
        """
        there = self.fingerprints
        if not there or there[0] == data["fingerprint"]:
            return
        known = self.data
        what = ", ".join(differing(known, data)) if known else ""
        raise InputError(
            f"{self.path}: its trials are of other data: fingerprint {there[0]} there, {data['fingerprint']} here; "
            f"{f'they differ in {what}' if what else 'what they differ in is not stored there'}; "
            "put the old data back, or choose another --out"
        )

    @property
    def fingerprints(self) -> list[str]:
        """Of the data of a run's sessions, each once, in order; none where that is not stored.

        The first is the run's. Where there are more, an earlier version went on with other data.
        """
        found = (session.get("fingerprint") for session in self.read_manifest()["sessions"])
        return list(dict.fromkeys(each for each in found if each))

    @property
    def data(self) -> dict[str, Any] | None:
        """`Images.facts` of the data that the run began with; None where an earlier version did not store them."""
        first = self.fingerprints[:1]
        found = (session.get("data") for session in self.read_manifest()["sessions"])
        return next((dict(facts) for facts in found if facts and [facts["fingerprint"]] == first), None)

    def note(self, **facts: Any) -> None:
        """Add this session to the manifest: when, where, with which versions, and the given facts."""
        sessions = self.read_manifest()["sessions"]
        session = {
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": here.machine(),
            "versions": here.versions(),
            "commit": here.commit(),
            **facts,
        }
        if sessions:
            self.changes += moved(sessions[-1], session)
        sessions.append(session)
        write_text(self.manifest, json.dumps({"sessions": sessions}, indent=2, allow_nan=False) + "\n")

    def amend(self, **facts: Any) -> None:
        """Add to this session's entry what is known at its end."""
        manifest = self.read_manifest()
        manifest["sessions"][-1].update(facts)
        write_text(self.manifest, json.dumps(manifest, indent=2, allow_nan=False) + "\n")

    def read_manifest(self) -> dict[str, Any]:
        """`{"sessions": [...]}`, without sessions before the first.

        Raises:
            InputError: it is no manifest.
        """
        return manifest.read(self.manifest)

    def check_links(self) -> None:
        """See that nothing in the folder is a link to elsewhere: what goes on here writes to it, and removes it.

        Raises:
            InputError: a link leads out of the folder.
        """
        root = self.path.resolve()
        for folder in (self.path, self.path / "checkpoints"):
            with os.scandir(folder) if folder.is_dir() else nullcontext(()) as entries:
                for entry in entries:
                    if entry.is_symlink() and not (target := Path(entry.path).resolve()).is_relative_to(root):
                        raise InputError(f"{entry.path}: leads out of the run's folder, to {target}; put it inside")

    def _same(self, study: dict[str, Any], free: tuple[str, ...]) -> None:
        there = documents.read(self.study)
        self.changes = list(differences(there, study))
        found = [
            f"{path} ({before!r} there, {now!r} here)"
            for path, before, now in self.changes
            if not any(path == name or path.startswith(f"{name}.") for name in free)
        ]
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise InputError(
                f"{self.path}: holds another study; it differs in {'; '.join(found[:3])}{more}; choose another --out"
            )


def differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, before, now) wherever two pieces of plain data differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from differences(before.get(name), now.get(name), f"{path}.{name}".lstrip("."))
    elif before != now:
        yield path, before, now


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(what, before, now) of what one session has otherwise than another, of that by which numbers may come to differ,
    and of where checkpoints are. What an earlier version did not store is no change."""
    processors = [session["machine"].get("processor") for session in (before, now)]
    pairs = [
        ("torch", *(session["versions"].get("torch") for session in (before, now))),
        ("processor", *(_apart(*processors) if all(processors) else (None, None))),
        # Of a run on the CPU they are of no matter.
        ("GPUs", *(None if each.get("device") == "cpu" else each["machine"]["gpus"] for each in (before, now))),
        ("device", *(session.get("device") for session in (before, now))),
    ]
    found = [(name, was, value) for name, was, value in pairs if was != value and None not in (was, value)]
    places = [session.get("checkpoints") for session in (before, now)]
    return [*found, *([("checkpoints", *places)] if places[0] != places[1] else [])]


def _apart(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """Two processors' names; of two of one name, as virtual ones often are, also the instruction sets of one alone."""
    lost, gained = (sorted(set(a["isa"]) - set(b["isa"])) for a, b in ((before, now), (now, before)))

    def named(processor: Mapping[str, Any], more: list[str], less: list[str]) -> str:
        parts = [f" {word} {', '.join(sets)}" for word, sets in (("with", more), ("without", less)) if sets]
        return f"{processor['name']}{''.join(parts)}" if before["name"] == now["name"] else str(processor["name"])

    return named(before, lost, gained), named(now, gained, lost)
