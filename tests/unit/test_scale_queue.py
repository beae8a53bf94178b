"""The event loop of the scale model gives what queueing theory gives, where that has a formula."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from benchmarks.scale.queue import Cohort, Loop, Rate, Served, Servers, Station, quantile


class Stationary:
    """Events that come one by one, by chance, at a steady rate, and what became of them."""

    def __init__(self, rate: float, servers: int, seconds: Callable[[random.Random], float], events: int) -> None:
        self.dice, self.loop = random.Random(1), Loop()
        self.rate, self.left, self.events = rate, events, events
        self.took: list[float] = []
        self.served_seconds = 0.0
        self.seen_waiting: list[int] = []
        self.seconds = seconds
        self.station = Station(self.loop, Servers(servers), 1, self.serve, self.done)
        self.loop.at(0.0, self.arrive)
        self.loop.at(0.0, self.look)
        self.loop.run()

    def arrive(self) -> None:
        self.left -= 1
        self.station.enter([Cohort(self.loop.now, 1)])
        if self.left:
            self.loop.at(self.loop.now + self.dice.expovariate(self.rate), self.arrive)

    def look(self) -> None:
        """How many wait is looked at by the clock, apart from what the events say of themselves."""
        self.seen_waiting.append(self.station.waiting)
        if self.left:
            self.loop.at(self.loop.now + 0.37, self.look)

    def serve(self, now: float, taken: list[Cohort], each: int) -> Served:
        seconds = self.seconds(self.dice)
        self.served_seconds += seconds
        return Served(seconds)

    def done(self, ended: Sequence[tuple[float, Cohort]]) -> None:
        self.took += [end - cohort.accepted for end, cohort in ended]

    @property
    def mean_wait(self) -> float:
        return (sum(self.took) - self.served_seconds) / len(self.took)


def erlang_c(servers: int, load: float) -> float:
    """The share that waits in M/M/c."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("servers", "rate"), [(1, 0.6), (5, 4.0), (20, 17.0)])
def test_exponential_service_waits_as_erlang_says(servers: int, rate: float) -> None:
    run = Stationary(rate, servers, lambda dice: dice.expovariate(1.0), 60_000)

    assert len(run.took) == run.events
    assert run.mean_wait == pytest.approx(erlang_c(servers, rate) / (servers - rate), rel=0.15)
    assert sum(run.took) / run.events == pytest.approx(1 + run.mean_wait, rel=0.03)


def test_constant_service_waits_half_as_long() -> None:
    load = 0.7
    run = Stationary(load, 1, lambda dice: 1.0, 60_000)

    assert run.mean_wait == pytest.approx(load / (2 * (1 - load)), rel=0.06)


def test_how_many_wait_is_how_many_come_in_the_time_that_they_wait() -> None:
    """Little's law: both sides are measured, one by the clock, one by the events."""
    run = Stationary(4.0, 5, lambda dice: dice.expovariate(1.0), 60_000)

    seen = sum(run.seen_waiting) / len(run.seen_waiting)
    assert seen == pytest.approx(run.events / run.loop.now * run.mean_wait, rel=0.05)
    assert run.station.busy_seconds / run.loop.now == pytest.approx(4.0, rel=0.02)


def test_who_has_waited_longest_is_served_first_and_a_batch_takes_no_more_than_it_may() -> None:
    loop, ended, sizes = Loop(), list[tuple[float, Cohort]](), list[int]()

    def serve(now: float, taken: list[Cohort], each: int) -> Served:
        sizes.append(each)
        return Served(1.0)

    station = Station(loop, Servers(1), 4, serve, ended.extend)
    station.enter([Cohort(0.0, 3)])
    station.enter([Cohort(0.25, 3), Cohort(0.5, 3)])
    loop.run()

    assert sizes == [3, 4, 2]
    assert [(cohort.accepted, cohort.number) for _, cohort in ended] == [(0.0, 3), (0.25, 3), (0.5, 1), (0.5, 2)]
    assert [end for end, _ in ended] == [1.0, 1.75, 2.0, 3.0], "one after the other, within a batch"


def test_what_is_given_back_is_not_done() -> None:
    loop, back, ended = Loop(), list[Cohort](), list[tuple[float, Cohort]]()
    station = Station(loop, Servers(1), 10, lambda *_: Served(1.0, again=2), ended.extend, back.append)
    station.enter([Cohort(0.0, 5)])
    loop.run()

    assert back == [Cohort(0.0, 2)]
    assert sum(cohort.number for _, cohort in ended) == 3


def test_servers_come_as_fast_as_they_are_said_to_and_only_while_something_waits() -> None:
    loop, began = Loop(), list[float]()

    def serve(now: float, taken: list[Cohort], each: int) -> Served:
        began.append(now)
        return Served(30.0)

    station = Station(loop, Servers(100, first=5, more=5.0), 1, serve, lambda _: None)
    station.enter([Cohort(0.0, 40)])
    loop.run()

    assert [began.count(float(second)) for second in range(9)] == [5, 5, 5, 5, 5, 5, 5, 5, 0]


def test_a_server_that_is_new_takes_longer_once() -> None:
    loop, ended = Loop(), list[float]()
    servers = Servers(2, first=1, more=1.0, cold_seconds=7.0)
    station = Station(loop, servers, 1, lambda *_: Served(2.0), lambda each: ended.append(each[0][0]))
    station.enter([Cohort(0.0, 6)])
    loop.run()

    assert ended == [2.0, 4.0, 6.0, 8.0, 10.0, 10.0], "the second one began at 1, and its first took 9"


def test_a_rate_lets_through_what_it_is_and_keeps_a_second_of_it() -> None:
    rate = Rate(100)
    assert [rate.wait(0.0, 50) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.5, 1.0])
    assert rate.would_wait(0.4) == pytest.approx(0.6)
    assert rate.wait(60.0, 100) == 0.0, "what nobody took in a minute is kept for a second alone"
    assert rate.wait(60.0, 100) == pytest.approx(1.0)


def test_a_rate_doubles_only_while_it_makes_wait() -> None:
    idle, short = Rate(100, doubling_seconds=1_800), Rate(100, doubling_seconds=1_800)
    for second in range(1_801):
        idle.wait(second, 90)
        short.wait(second, 400)

    assert idle.units == 100
    assert short.units == pytest.approx(200, rel=0.01)


def test_a_quantile_counts_each_value_as_often_as_it_was() -> None:
    assert quantile([(3.0, 1), (1.0, 98), (2.0, 1)], 0.5) == 1.0
    assert quantile([(3.0, 1), (1.0, 98), (2.0, 1)], 0.99) == 2.0
    assert quantile([(3.0, 1), (1.0, 98), (2.0, 1)], 1) == 3.0
    assert quantile([], 0.5) == 0.0
