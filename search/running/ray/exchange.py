"""The exchange: a Ray actor through which workers report events and get jobs. It imports little, to start fast."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from search.running.ray.messages import Joined, Message, Reply, Report

LEAVE = Reply(leave=True)


class Exchange:
    """Collects the workers' messages until the driver fetches them, and holds each report until the driver replies.

    So a worker has one report on its way at a time: if the driver is slow, reports get larger and not more numerous. A
    reply means that the report's events are stored. All calls wait without using a processor.
    """

    def __init__(self) -> None:
        self._arrived: list[Message] = []
        self._news = asyncio.Event()
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        """The reply that each worker waits for."""
        self._orders: dict[str, Reply] = {}
        """Orders that workers have not fetched yet."""
        self._ordered: dict[str, asyncio.Event] = {}
        """Set while a worker has an order to fetch."""
        self._closed = False

    async def post(self, message: Message) -> None:
        """Receive a message that needs no reply."""
        self._arrived.append(message)
        self._news.set()

    async def report(self, report: Joined | Report) -> Reply:
        """Receive a worker's report, and return the driver's reply."""
        if self._closed:
            return LEAVE
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[report.worker] = reply
        await self.post(report)
        return await reply

    async def order(self, worker: str) -> Reply:
        """Return what the driver sends to a worker that has reported nothing."""
        ordered = self._ordered.setdefault(worker, asyncio.Event())
        await ordered.wait()
        ordered.clear()
        return self._orders.pop(worker)

    async def turn(self, replies: Mapping[str, Reply], orders: Mapping[str, Reply], seconds: float) -> list[Message]:
        """Send replies and orders to workers, and return the messages that have arrived, or arrive first.

        If none arrives within `seconds`, return none.
        """
        for worker, reply in replies.items():
            if (waiting := self._replies.pop(worker, None)) is not None:
                waiting.set_result(reply)
        for worker, order in orders.items():
            self._send_order(worker, order)
        if not self._arrived:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        self._news.clear()
        arrived, self._arrived = self._arrived, []
        return arrived

    async def close(self, *, at_once: bool) -> None:
        """Let workers leave that wait for a job, now or later; `at_once` also those that are busy."""
        self._closed = True
        while self._replies:
            self._replies.popitem()[1].set_result(LEAVE)
        if at_once:
            for worker in self._ordered:
                self._send_order(worker, LEAVE)

    def _send_order(self, worker: str, order: Reply) -> None:
        earlier = self._orders.get(worker, Reply())
        self._orders[worker] = Reply(earlier.stop | order.stop, leave=earlier.leave or order.leave)
        self._ordered.setdefault(worker, asyncio.Event()).set()
