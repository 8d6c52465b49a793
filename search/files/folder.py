"""A run's folder: `study.yaml`, `manifest.json`, `trials.db`, `checkpoints/<trial key>/`, `report/`."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resnet_space import documents
from resnet_space.errors import InputError
from search.data.facts import data_differences
from search.files import manifest
from search.files.atomic import write_text
from search.files.bucket import Bucket, Place
from search.machine.session import commit, machine, versions

VARIANTS = "variants"
"""The entry of a session in the manifest with the data that arms set: {place, data, facts} of each."""


class RunFolder:
    """The files of a run: its study, manifest, checkpoints and report."""

    def __init__(self, path: Path, checkpoints: str | None = None) -> None:
        """With `checkpoints`, a bucket's URL, checkpoints are there. Raises `InputError` if it is not such a URL."""
        self.path = path
        self.study = path / "study.yaml"
        self.manifest = path / "manifest.json"
        self.checkpoints: Place = Bucket.of(checkpoints) if checkpoints else path / "checkpoints"
        self.report = path / "report"
        self.place = 0
        """The data set that `fingerprints`, `data` and `check_data` are about, by its place in the study."""
        self.changes: list[tuple[str, Any, Any]] = []
        """(path, before, now) of what changed: in the study since the run began, and in the session since the last."""

    @classmethod
    def existing(cls, path: Path, checkpoints: str | None = None) -> RunFolder:
        """Return the folder of an existing run.

        Raises:
            InputError: the folder has no study, or a link that leads out of it.
        """
        folder = cls(path, checkpoints)
        if not folder.study.is_file():
            raise InputError(f"{path}: not a run's folder (it has no study.yaml); `resnet-space run STUDY` creates one")
        folder.check_links()
        return folder

    def at(self, place: int) -> RunFolder:
        """Return the same folder, for another data set of the study."""
        other = copy.copy(self)
        other.place = place
        return other

    def check(self, study: dict[str, Any], *, changeable: tuple[str, ...]) -> None:
        """Create the folder if it is missing; check that it is empty or this study's, except `changeable` fields.

        Raises:
            InputError: the folder is another study's, has other files, or cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self.study.exists():
                self._check_same_study(study, changeable)
            elif any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise InputError(f"{self.path}: not empty, and not a run's folder; choose another --out")
            self.check_links()
        except OSError as error:
            raise InputError(f"{error.filename or self.path}: {error.strerror}; choose another --out") from None

    def claim(self, study: dict[str, Any], *, changeable: tuple[str, ...]) -> None:
        """Check the folder as `check` does, and write the study to it.

        Raises:
            InputError: see `check`.
        """
        self.check(study, changeable=changeable)
        try:
            write_text(self.study, documents.write(study))
        except OSError as error:
            raise InputError(f"{error.filename or self.path}: {error.strerror}; choose another --out") from None

    def check_data(self, data: Mapping[str, Any], name: str = "") -> None:
        """Check that the data, given as `Images.facts`, are the same as when the run began.

        Args:
            name: the data set, for the message, if the run has several.

        Raises:
            InputError: they differ, and in what. Trials of other data are other trials.
        """
        stored = self.fingerprints
        if not stored or stored[0] == data["fingerprint"]:
            return
        known = self.data
        what = ", ".join(data_differences(known, data)) if known else ""
        of = f" ({name})" if name else ""
        raise InputError(
            f"{self.path}: its trials are of other data{of}: fingerprint {stored[0]} stored, "
            f"{data['fingerprint']} now; "
            f"{f'they differ in {what}' if what else 'the manifest does not say in what they differ'}; "
            "put the old data back, or choose another --out"
        )

    def check_variant(self, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Check in the same way the data that an arm sets.

        Args:
            data: `DataSet.identifying`.

        Raises:
            InputError: they differ, and in what.
        """
        known = self.facts_of(data)
        if known and known["fingerprint"] != facts["fingerprint"]:
            raise InputError(
                f"{self.path}: trials with the data {dict(data)} are of other data: they differ in "
                f"{', '.join(data_differences(known, facts))}; put the old data back, or choose another --out"
            )

    def facts_of(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `Images.facts` of the data that an arm sets, given as `DataSet.identifying`; None if not stored."""
        found = (each for each in self.variants if each["data"] == dict(data))
        return next((dict(each["facts"]) for each in found), None)

    @property
    def variants(self) -> list[dict[str, Any]]:
        """The data that arms set, as {place, data, facts}; each once, as they were at first."""
        found: list[dict[str, Any]] = []
        for each in self._every_variant:
            if each["place"] == self.place and all(each["data"] != known["data"] for known in found):
                found.append(each)
        return found

    @property
    def _every_variant(self) -> list[dict[str, Any]]:
        return [each for session in self.read_manifest()["sessions"] for each in session.get(VARIANTS, ())]

    @property
    def every_fingerprint(self) -> list[str]:
        """The fingerprints of all data of the run: its data sets, and what arms set of them."""
        return [*self.own_fingerprints, *(each["facts"]["fingerprint"] for each in self._every_variant)]

    @property
    def fingerprints(self) -> list[str]:
        """The distinct fingerprints of the data set in the run's sessions, in order; empty if none is stored.

        The first is the run's. More than one means that an earlier version resumed the run with other data.
        """
        found = (self.fingerprint_in(session) for session in self.read_manifest()["sessions"])
        return list(dict.fromkeys(each for each in found if each))

    def fingerprint_in(self, session: Mapping[str, Any]) -> str:
        """Return the fingerprint of the data set in a session; empty if it is not stored."""
        return str(manifest.of_data_set(session.get("fingerprint"), self.place) or "")

    @property
    def own_fingerprints(self) -> list[str]:
        """The fingerprint of each data set of the run, as far as they are stored."""
        stored = [session.get("fingerprint") for session in self.read_manifest()["sessions"]]
        number = max((len(each) for each in stored if isinstance(each, list)), default=1)
        return [first for place in range(number) for first in self.at(place).fingerprints[:1]]

    @property
    def data(self) -> dict[str, Any] | None:
        """`Images.facts` of the data that the run began with; None if an earlier version did not store them."""
        first = self.fingerprints[:1]
        sessions = self.read_manifest()["sessions"]
        found = (manifest.of_data_set(session.get("data"), self.place) for session in sessions)
        return next((dict(facts) for facts in found if facts and [facts["fingerprint"]] == first), None)

    def add_session(self, **facts: Any) -> None:
        """Add this session to the manifest: time, machine, versions, commit, and the given facts."""
        sessions = self.read_manifest()["sessions"]
        session = {
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
            "commit": commit(),
            **facts,
        }
        if sessions:
            self.changes += changed_conditions(sessions[-1], session)
        sessions.append(session)
        write_text(self.manifest, json.dumps({"sessions": sessions}, indent=2, allow_nan=False) + "\n")

    def update_session(self, **facts: Any) -> None:
        """Add facts to this session's entry, at its end."""
        manifest = self.read_manifest()
        manifest["sessions"][-1].update(facts)
        write_text(self.manifest, json.dumps(manifest, indent=2, allow_nan=False) + "\n")

    def read_manifest(self) -> dict[str, Any]:
        """Return the manifest, `{"sessions": [...]}`; the list is empty before the first session.

        Raises:
            InputError: the file is not a manifest.
        """
        return manifest.read(self.manifest)

    def check_links(self) -> None:
        """Check that no link leads out of the folder: a run writes to its files and deletes them.

        Raises:
            InputError: a link leads out of the folder.
        """
        root = self.path.resolve()
        for folder in (self.path, self.path / "checkpoints"):
            with os.scandir(folder) if folder.is_dir() else nullcontext(()) as entries:
                for entry in entries:
                    if entry.is_symlink() and not (target := Path(entry.path).resolve()).is_relative_to(root):
                        raise InputError(
                            f"{entry.path}: leads out of the run's folder, to {target}; move the target inside"
                        )

    def _check_same_study(self, study: dict[str, Any], changeable: tuple[str, ...]) -> None:
        stored = documents.read(self.study)
        self.changes = list(differences(stored, study))
        found = [
            f"{path} (stored {before!r}, now {now!r})"
            for path, before, now in self.changes
            if not any(_is_within(path, name) for name in changeable)
        ]
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise InputError(
                f"{self.path}: holds another study; it differs in {'; '.join(found[:3])}{more}; choose another --out"
            )


def differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, before, now) wherever two pieces of plain data differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from differences(before.get(name), now.get(name), f"{path}.{name}".lstrip("."))
    elif _are_mappings(before) and _are_mappings(now) and len(before) == len(now):
        for place, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{path}.{place}")
    elif before != now:
        yield path, before, now


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _is_within(path: str, field: str) -> bool:
    """Whether a path is that of a field, or of a part of it; `data.root` is also the `root` of each data set."""
    plain = ".".join(part for part in path.split(".") if not part.isdecimal())
    return plain == field or plain.startswith(f"{field}.")


def changed_conditions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (what, before, now) of differences between two sessions that can change numbers, and of where checkpoints
    are. What an earlier version did not store does not count as a change."""
    processors = [session["machine"].get("processor") for session in (before, now)]
    pairs = [
        ("torch", *(session["versions"].get("torch") for session in (before, now))),
        ("processor", *(_processor_names(*processors) if all(processors) else (None, None))),
        # GPUs do not matter for a run on the CPU.
        ("GPUs", *(None if each.get("device") == "cpu" else each["machine"]["gpus"] for each in (before, now))),
        ("device", *(session.get("device") for session in (before, now))),
    ]
    found = [(name, was, value) for name, was, value in pairs if was != value and None not in (was, value)]
    places = [session.get("checkpoints") for session in (before, now)]
    return [*found, *([("checkpoints", *places)] if places[0] != places[1] else [])]


def _processor_names(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """Return two processors' names; if the names are equal, as in virtual machines, with what differs in `isa`."""
    lost, gained = (sorted(set(a["isa"]) - set(b["isa"])) for a, b in ((before, now), (now, before)))

    def named(processor: Mapping[str, Any], more: list[str], less: list[str]) -> str:
        parts = [f" {word} {', '.join(sets)}" for word, sets in (("with", more), ("without", less)) if sets]
        return f"{processor['name']}{''.join(parts)}" if before["name"] == now["name"] else str(processor["name"])

    return named(before, lost, gained), named(now, gained, lost)
