"""Messages between workers and the driver: none is lost, none is waited for in vain, and busy workers hear orders."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from search.running.ray.exchange import LEAVE, Exchange
from search.running.ray.messages import Lost, Message, Reply, Report

A, B = Report("a"), Report("b", needs_job=True)


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 30))


async def at_rest() -> None:
    """Let all tasks run until each waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def turn(exchange: Exchange, seconds: float = 30, **replies: Reply) -> list[Message]:
    return await exchange.turn(replies, {}, seconds)


def test_a_turn_returns_all_that_has_arrived_in_order_and_a_report_returns_its_reply() -> None:
    async def steps() -> None:
        exchange = Exchange()
        reports = [asyncio.create_task(exchange.report(report)) for report in (A, B)]
        await at_rest()
        await exchange.post(lost := Lost("c", ("gone",)))
        assert await turn(exchange) == [A, B, lost]
        assert not any(report.done() for report in reports)
        assert await turn(exchange, 0, b=Reply(job="{}")) == []
        assert await reports[1] == Reply(job="{}")
        assert not reports[0].done(), "only the worker that got a reply continues"
        await turn(exchange, 0, a=Reply())
        assert await reports[0] == Reply()

    run(steps())


def test_a_turn_waits_for_the_first_message_and_no_longer() -> None:
    async def steps() -> None:
        exchange = Exchange()
        waiting = asyncio.create_task(turn(exchange))
        await at_rest()
        assert not waiting.done()
        report = asyncio.create_task(exchange.report(A))
        assert await waiting == [A]
        report.cancel()

    run(steps())


def test_an_order_reaches_a_worker_that_has_reported_nothing() -> None:
    async def steps() -> None:
        exchange = Exchange()
        waiting = asyncio.create_task(exchange.order("a"))
        await at_rest()
        await exchange.turn({}, {"a": Reply(stop=frozenset({"x"}))}, 0)
        assert await waiting == Reply(stop=frozenset({"x"}))
        # Sent while the worker deals with the first one: both are in the next.
        for key in "yz":
            await exchange.turn({}, {"a": Reply(stop=frozenset(key))}, 0)
        assert await exchange.order("a") == Reply(stop=frozenset("yz"))

    run(steps())


def test_when_it_is_closed_workers_without_a_job_leave_and_busy_ones_only_if_at_once() -> None:
    async def steps() -> None:
        exchange = Exchange()
        idle = asyncio.create_task(exchange.report(B))
        busy = asyncio.create_task(exchange.order("a"))
        await at_rest()
        await exchange.close(at_once=False)
        assert await idle == LEAVE
        assert await exchange.report(A) == LEAVE, "also those that come later"
        await at_rest()
        assert not busy.done()
        await exchange.close(at_once=True)
        assert await busy == LEAVE

    run(steps())
