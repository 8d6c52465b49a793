"""A worker's connection to the driver, through the exchange: events go out in few messages, jobs and orders come in."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

import ray

from search.running.ray.messages import Joined, Reply, Report
from search.trials.events import Event, Finished, Started

SECONDS_BETWEEN_REPORTS = 2.0
"""Events that nothing waits for are collected for this time since the last report."""

LEAVE_SIGNAL = signal.SIGUSR2
"""Makes a worker's process exit, whatever it does. Its exit status is 0, so that Ray prints no error."""


class Connection:
    """Reports a worker's events and receives its jobs. Two threads do this, so that training is not interrupted.

    A report has all events that are ready. It goes out at once if it has a start or an end, or if somebody waits for
    the reply; other events wait until the last report is `SECONDS_BETWEEN_REPORTS` old. A worker that waits uses no
    processor.
    """

    def __init__(self, exchange: Any, worker: str) -> None:
        self._exchange, self._worker = exchange, worker
        self._changed = threading.Condition()
        self._events: list[Event] = []
        """Events that have not been sent."""
        self._urgent, self._needs_job = False, False
        self._reported, self._stored = 0, 0
        """The number of events that were given to `report`, and of those that the driver has stored."""
        self._job: str | None = None
        self._leaving = False
        self._stopped: set[str] = set()
        self._error: BaseException | None = None
        signal.signal(LEAVE_SIGNAL, lambda *_: sys.exit(0))
        for loop in (self._send_reports, self._receive_orders):
            threading.Thread(target=self._guarded, args=(loop,), daemon=True).start()

    def join(self, node: str, versions: dict[str, str]) -> bool:
        """Report that this worker is here, and return whether it gets jobs.

        If the driver refuses its versions, this returns at the end of the run: until then nobody else takes its place.
        """
        actor = ray.get_runtime_context().get_actor_id() or ""
        reply: Reply = ray.get(self._exchange.report.remote(Joined(self._worker, node, versions, actor)))
        return not reply.leave

    def next_job(self) -> str | None:
        """Report that the current job is over, and wait for the next one; None if there will be none."""
        with self._changed:
            self._urgent = self._needs_job = True
            self._changed.notify_all()
            self._wait(lambda: self._job is not None or self._leaving)
            job, self._job = self._job, None
        return job

    def report(self, event: Event, *, wait: bool = False) -> None:
        """Report an event. With `wait`, return when it is stored and the driver's answer has been received."""
        with self._changed:
            self._events.append(event)
            self._reported += 1
            self._urgent = self._urgent or wait or isinstance(event, Started | Finished)
            self._changed.notify_all()
            self._wait(lambda: self._stored == self._reported or not wait)

    def stopped(self, keys: Iterable[str]) -> bool:
        """Whether the driver wants the job of these trials to stop."""
        with self._changed:
            return not self._stopped.isdisjoint(keys)

    def _wait(self, true: Any) -> None:
        """Wait for a condition.

        Raises:
            BaseException: the connection is broken.
        """
        self._changed.wait_for(lambda: true() or self._error)
        if self._error:
            raise self._error

    def _send_reports(self) -> None:
        sent = -SECONDS_BETWEEN_REPORTS
        while not self._leaving:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._needs_job)
                due = sent + SECONDS_BETWEEN_REPORTS - time.monotonic()
                self._changed.wait_for(lambda: self._urgent, timeout=max(due, 0))
                events, needs_job = tuple(self._events), self._needs_job
                self._events.clear()
                self._urgent = self._needs_job = False
            sent = time.monotonic()
            reply = ray.get(self._exchange.report.remote(Report(self._worker, events, needs_job)))
            with self._changed:
                self._stored += len(events)
                self._stopped |= reply.stop
                self._job, self._leaving = reply.job, self._leaving or reply.leave
                self._changed.notify_all()

    def _receive_orders(self) -> None:
        while True:
            order = ray.get(self._exchange.order.remote(self._worker))
            with self._changed:
                self._stopped |= order.stop
                self._leaving |= order.leave
                self._changed.notify_all()
            if order.leave:
                # The run ends now. The main thread can be in the middle of an epoch.
                os.kill(os.getpid(), LEAVE_SIGNAL)
                return

    def _guarded(self, loop: Any) -> None:
        try:
            loop()
        except BaseException as error:
            # For example, the driver is gone. The worker's own thread raises it when it uses the connection next.
            with self._changed:
                self._error = error
                self._changed.notify_all()
