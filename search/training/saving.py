"""When the checkpoints of members are written, and by which thread."""

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


class Saving:
    """Writes members' checkpoints, all of them at one epoch.

    On a CPU the thread that trains writes them. On a GPU a thread of its own does, from copies, while the next steps
    are computed; those of one epoch are written before copies are made for the next.
    """

    def __init__(self, device: str, every: float, *, aside: bool | None = None) -> None:
        """`every` is the least number of seconds between two checkpoints that nothing else asks for. `aside` is whether
        they are written by a thread of their own, by default on a GPU."""
        self.device, self.every = device, every
        aside = device.startswith("cuda") if aside is None else aside
        self.thread = ThreadPoolExecutor(1, "checkpoints") if aside else None
        self.writing: list[tuple[Member, int, Future[None]]] = []
        self.last = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self.last >= self.every

    def save(self, members: Sequence[Member], gone: Mapping[str, int] | None = None) -> list[Notice]:
        """Write a checkpoint of each member that has gone on since its newest one, and return what there is to report.

        `gone` are the steps, by key, of those that have just left.
        """
        notices = self.wait()
        level = {member.spec.key: member.state.step for member in members} | dict(gone or {})
        for member in members:
            if member.folder is None or member.state.step == member.saved:
                continue
            member.state.before, member.state.level = member.saved, level
            state = (member.model, member.optimizer, member.state, self.device, member.rng)
            if self.thread:
                written = self.thread.submit(checkpoint.write, member.folder, checkpoint.snapshot(*state))
                self.writing.append((member, member.state.step, written))
            else:
                notices += _outcome(member, member.state.step, partial(checkpoint.save, member.folder, *state))
        self.last = time.monotonic()
        return notices

    def news(self) -> list[Notice]:
        """What there is to report of checkpoints that have been written since, without waiting."""
        return self.wait() if all(future.done() for _, _, future in self.writing) else []

    def wait(self) -> list[Notice]:
        """Wait until what is being written is written, and return what there is to report."""
        writing, self.writing = self.writing, []
        return [notice for member, step, future in writing for notice in _outcome(member, step, future.result)]

    def leave(self, members: Sequence[Member]) -> None:
        """The same as `save` at an end after which nothing is reported: what there is goes to the log."""
        for notice in [*self.save(members), *self.wait()]:
            log.warning("%s", notice.text)

    def close(self) -> None:
        """Wait for what is being written."""
        if self.thread:
            self.thread.shutdown()


def _outcome(member: Member, step: int, write: Callable[[], None]) -> list[Notice]:
    """A checkpoint that cannot be written is reported, once: a trial that could go on must not end of it."""
    try:
        write()
    except OSError as error:
        first, member.unsaved = not member.unsaved, True
        text = f"{checkpoint.NAME}: {error.strerror or error}; goes on without a new one"
        return [Notice(member.spec.key, text)] if first else []
    member.saved, member.unsaved = step, False
    return []
