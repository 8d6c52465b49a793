"""When members' checkpoints are written, and by which thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from search.training import checkpoint
from search.training.members import Member
from search.trials.events import Notice

log = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes the checkpoints of all members after an epoch.

    On a CPU the training thread writes them. On a GPU a separate thread writes them from copies, while the next steps
    are computed. All checkpoints of one epoch are written before copies for another one are made.
    """

    def __init__(self, device: str, every: float, *, aside: bool | None = None) -> None:
        """`every` is the number of seconds between two regular checkpoints. `aside` is whether a separate thread writes
        them; default: only on a GPU."""
        self.device, self.every = device, every
        aside = device.startswith("cuda") if aside is None else aside
        self.thread = ThreadPoolExecutor(1, "checkpoints") if aside else None
        self.writing: list[tuple[Member, int, Future[None]]] = []
        self.last = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self.last >= self.every

    def save(self, members: Sequence[Member], gone: Mapping[str, int] | None = None) -> list[Notice]:
        """Write a checkpoint of each member that has trained since its newest one, and return notices of failures.

        `gone` has the steps, by key, of members that have just left the group.
        """
        notices = self.wait()
        level = {member.spec.key: member.state.step for member in members} | dict(gone or {})
        for member in members:
            if member.folder is None or member.state.step == member.saved:
                continue
            member.state.before, member.state.level = member.saved, level
            state = (member.model, member.optimizer, member.state, self.device, member.rng, member.average)
            if self.thread:
                written = self.thread.submit(checkpoint.write, member.folder, checkpoint.snapshot(*state))
                self.writing.append((member, member.state.step, written))
            else:
                notices += _outcome(member, member.state.step, partial(checkpoint.save, member.folder, *state))
        self.last = time.monotonic()
        return notices

    def finished_notices(self) -> list[Notice]:
        """Return notices about checkpoints that have been written since the last call, without waiting."""
        return self.wait() if all(future.done() for _, _, future in self.writing) else []

    def wait(self) -> list[Notice]:
        """Wait until all checkpoints are written, and return notices of failures."""
        writing, self.writing = self.writing, []
        return [notice for member, step, future in writing for notice in _outcome(member, step, future.result)]

    def save_at_exit(self, members: Sequence[Member]) -> None:
        """Do the same as `save` when nothing can be reported any more: notices go to the log."""
        for notice in [*self.save(members), *self.wait()]:
            log.warning("%s", notice.text)

    def close(self) -> None:
        """Wait until all checkpoints are written, and end the thread."""
        if self.thread:
            self.thread.shutdown()


def _outcome(member: Member, step: int, write: Callable[[], None]) -> list[Notice]:
    """Write a checkpoint, and return a notice if that fails the first time: the trial must continue without it."""
    try:
        write()
    except OSError as error:
        first, member.unsaved = not member.unsaved, True
        text = f"{checkpoint.NAME}: {error.strerror or error}; training continues without a new checkpoint"
        return [Notice(member.spec.key, text)] if first else []
    member.saved, member.unsaved = step, False
    return []
