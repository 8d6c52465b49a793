"""A pre-registration: a file that `plan --register` writes, and of which a run keeps a copy in its folder.

It is Markdown: a head in YAML with the date and the hash of the planned comparisons, the forecast of the plan, and last
the study as it was resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ablations.study import Ablation
from resnet_space import documents
from resnet_space.errors import InputError, printable
from search.files.atomic import write_bytes
from search.files.folder import RunFolder, differences
from search.trials.study import Study

KEPT = "registration.md"
"""The name of the copy in a run's folder."""
RULE, RESOLVED, END = "---\n", "\n## Study\n\n```yaml\n", "```\n"
UNRELATED: Mapping[str, Any] = {"resources": True, "notes": True, "source": True, "data": {"root"}}
"""Fields that say nothing about what is compared and how."""
MAX_SHOWN = 5
"""The most differences between two studies in a sentence."""


def text(head: Mapping[str, Any], forecast: str, study: Ablation) -> str:
    """Return the text of a registration; `forecast` is Markdown."""
    return f"{RULE}{documents.write(head)}{RULE}\n{forecast}{RESOLVED}{documents.write(study.to_dict())}{END}"


@dataclass(frozen=True)
class Registration:
    """A registration as it was read from a file."""

    study: Ablation
    date: str
    """When it was written, as the file says."""
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the registration in a file.

        Raises:
            InputError: no such file, or not a registration of an ablation.
        """
        try:
            if path.stat().st_size > documents.MAX_BYTES:
                raise InputError(f"{path}: {path.stat().st_size} bytes; at most {documents.MAX_BYTES} are read")
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        written = content.decode(errors="replace").replace("\r\n", "\n")
        before, head, rest = [*written.split(RULE, 2), "", ""][:3]
        _, found, study = rest.rpartition(RESOLVED)
        if before or not found or not study.endswith(END):
            raise InputError(f"{path}: not a registration; `resnet-space plan STUDY --register FILE` writes one")
        # With more than one line, so that text is never taken for the name of a file.
        facts, described = (documents.read(f"{each}\n") for each in (head, study.removesuffix(END)))
        date = printable(str(facts.get("date", "unknown"))) if isinstance(facts, dict) else "unknown"
        return cls(Ablation.of(described, source=str(path)), date, content)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self.content).hexdigest()

    def keep(self, folder: RunFolder) -> None:
        """Copy the file to a run's folder, and add its hash to the session.

        Raises:
            InputError: the folder has another registration.
        """
        self.check(folder.path)
        write_bytes(folder.path / KEPT, self.content)
        folder.update_session(registration=self.sha256)

    def check(self, folder: Path) -> None:
        """Raise `InputError` if a folder has another registration."""
        kept = folder / KEPT
        if kept.exists() and kept.read_bytes() != self.content:
            raise InputError(f"{kept}: another registration; a run has one, choose another --out")

    def compared(self, study: Study) -> str:
        """Return whether a study is the registered one, in words."""
        registered, now = (each.model_dump(mode="json", exclude=UNRELATED) for each in (self.study, study))
        found = [f"{path} (registered {one!r}, now {other!r})" for path, one, other in differences(registered, now)]
        if not found:
            return "the study is the registered one"
        more = f"; and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        return f"the study differs from the registered one in {'; '.join(found[:MAX_SHOWN])}{more}"


def of_run(folder: RunFolder, study: Study) -> str:
    """Return in words whether a run was registered, when it was given the registration, and what differs from it."""
    hashes = [session.get("registration") for session in folder.read_manifest()["sessions"]]
    given = next((place for place, each in enumerate(hashes) if each), None)
    if given is None:
        return "none"
    try:
        found = Registration.read(folder.path / KEPT)
    except InputError as error:
        return f"SHA-256 {hashes[given]}, cannot be read: {error}"
    if found.sha256 != hashes[given]:
        return f"changed during the run: SHA-256 {hashes[given]} when it was given, {found.sha256} now"
    when = "before its first trial" if given == 0 else f"in session {given + 1}, not before its first trial"
    return f"dated {found.date}, SHA-256 {found.sha256}, given to the run {when}; {found.compared(study)}"
