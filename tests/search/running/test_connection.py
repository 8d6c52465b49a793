"""A worker's end of the exchange: few messages, in order, and nothing is done before the driver's answer is there."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search.running.ray.connection import LEAVE_SIGNAL, Connection
from search.running.ray.messages import Joined, Message, Reply, Report
from search.trials.events import Epoch, Event, Finished, Started

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow]

START, END = Started("k", "h", "cpu"), Finished("k", "complete")


def epoch(number: int, key: str = "k") -> Epoch:
    return Epoch(key, number, number, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)


class Driver:
    """The driver's end: fetches messages and answers them."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange

    def turn(self, seconds: float = 30, orders: dict[str, Reply] | None = None, **replies: Reply) -> list[Message]:
        from search.running.ray.cluster import ray

        found: list[Message] = ray.get(self.exchange.turn.remote(replies, orders or {}, seconds))
        return found


@pytest.fixture
def driver() -> Iterator[Driver]:
    from search.running.ray import runner
    from search.running.ray.cluster import ray

    exchange = runner.start_exchange()
    yield Driver(exchange)
    ray.kill(exchange)


@pytest.fixture
def connection(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A worker's connection, in this process. Epochs alone are never sent."""
    monkeypatch.setattr("search.running.ray.connection.SECONDS_BETWEEN_REPORTS", 100_000)
    before = signal.getsignal(LEAVE_SIGNAL)
    yield Connection(driver.exchange, "w")
    signal.signal(LEAVE_SIGNAL, before)


class Call:
    """A call of the connection that waits, in a thread."""

    def __init__(self, function: Callable[..., Any], *given: Any, **named: Any) -> None:
        self.result: Any = "none yet"

        def run() -> None:
            try:
                self.result = function(*given, **named)
            except BaseException as error:
                self.result = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def returned(self) -> Any:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.result


def first_job(driver: Driver, connection: Connection) -> None:
    asked = Call(connection.next_job)
    assert driver.turn() == [Report("w", needs_job=True)]
    driver.turn(0, w=Reply(job="{}"))
    assert asked.returned() == "{}"


def test_a_worker_joins_and_gets_jobs_until_it_is_to_leave(driver: Driver, connection: Connection) -> None:
    joining = Call(connection.join, "n", {"torch": "3"})
    assert driver.turn() == [Joined("w", "n", {"torch": "3"})]
    driver.turn(0, w=Reply())
    assert joining.returned() is True
    first_job(driver, connection)
    asked = Call(connection.next_job)
    driver.turn()
    driver.turn(0, w=Reply(leave=True))
    assert asked.returned() is None


def test_all_events_that_are_ready_are_one_message(driver: Driver, connection: Connection) -> None:
    first_job(driver, connection)
    connection.report(START)
    assert driver.turn() == [Report("w", (START,))]
    events: list[Event] = [epoch(number, key) for number in range(5) for key in "kl"]
    for event in events:
        connection.report(event)
    # One message is on its way until it is answered. Without an end nothing is urgent.
    assert driver.turn(0.2, w=Reply()) == []
    ended = Call(connection.report, END, wait=True)
    assert driver.turn() == [Report("w", (*events, END))]
    assert ended.thread.is_alive(), "an end waits until it is stored"
    driver.turn(0, w=Reply())
    assert ended.returned() is None


def test_where_a_trial_is_judged_the_worker_has_the_verdict_before_it_continues(
    driver: Driver, connection: Connection
) -> None:
    first_job(driver, connection)
    judged = Call(connection.report, epoch(1), wait=True)
    assert driver.turn() == [Report("w", (epoch(1),))]
    assert judged.thread.is_alive()
    driver.turn(0, w=Reply(stop=frozenset("k")))
    judged.returned()
    assert connection.stopped("k")
    assert not connection.stopped("l")


def test_an_order_reaches_a_worker_that_reports_nothing(driver: Driver, connection: Connection) -> None:
    first_job(driver, connection)
    driver.turn(0, orders={"w": Reply(stop=frozenset("k"))})
    end = time.monotonic() + 30
    while not connection.stopped("k"):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_epoch_that_nobody_waits_for_is_sent_when_the_last_report_is_old_enough(
    driver: Driver, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_job(driver, connection)
    monkeypatch.setattr("search.running.ray.connection.SECONDS_BETWEEN_REPORTS", 0.1)
    connection.report(epoch(1))
    assert driver.turn() == [Report("w", (epoch(1),))]


def test_without_the_exchange_a_worker_does_not_wait_for_ever(driver: Driver, connection: Connection) -> None:
    from ray.exceptions import RayActorError

    from search.running.ray.cluster import ray

    first_job(driver, connection)
    asked = Call(connection.next_job)
    driver.turn()
    ray.kill(driver.exchange)
    assert isinstance(asked.returned(), RayActorError)
