"""Simulated time, and invocations as greenlets that take turns.

Everything that happens is an event in one queue, ordered by its moment. Who waits (for an answer, for a while, for
the next delivery) is continued by an event; how long each wait is, the seed says. So the seed alone decides who comes
first, and two runs of one seed are the same to the last byte.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

from greenlet import greenlet  # type: ignore[import-untyped]


class Killed(BaseException):
    """The invocation's process dies at this place. Nothing that handles errors handles this."""


class Stopped(BaseException):
    """The simulation itself is over: something was found, or has gone wrong in it."""


class Scheduler:
    """The clock and what is to come.

    ``now``: seconds since the epoch. Events of one moment happen in the order in which they were asked for.
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self.running: Task | None = None
        self.failure: BaseException | None = None
        """What an event or a task could not go on from; ``run`` raises it."""
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.hub = greenlet.getcurrent()
        """Where events happen; every task goes back to it."""

    def __len__(self) -> int:
        return len(self._queue)

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Has ``act`` called at a moment; one that has gone by already comes as soon as may be."""
        self._count += 1
        heapq.heappush(self._queue, (max(moment, self.now), self._count, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Has ``act`` called so many seconds from now."""
        self.at(self.now + seconds, act)

    def step(self) -> None:
        """Lets the next event happen. Raises ``failure``; ``IndexError`` where nothing is to come."""
        moment, _, act = heapq.heappop(self._queue)
        self.now = moment
        self.hub = greenlet.getcurrent()
        act()
        if self.failure is not None:
            raise self.failure

    def wait(self, seconds: float) -> None:
        """Lets the running task wait: others go on meanwhile. Raises ``Killed`` where its time is over by then."""
        task = self.running
        assert task is not None, "only a task can wait"
        task.check()
        until = self.now + seconds
        self.at(min(until, task.deadline), task.resume)
        self.hub.switch()
        if self.now < until:
            task.dead = True
        task.check()

    def stop(self, failure: BaseException) -> None:
        """Ends the simulation from within a task or an event: ``step`` raises ``failure``."""
        if self.failure is None:
            self.failure = failure
        raise Stopped


class Task:
    """One invocation that runs until it is done, dies, or its ``deadline`` has come.

    ``work`` is what it does; ``ended(answer, error)`` is told how it ended, where ``error`` is a ``Killed`` for one
    that died. ``about`` says what it is, and ``environment`` what it finds in its environment.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        about: Any,
        deadline: float,
        work: Callable[[], Any],
        ended: Callable[[Any, BaseException | None], None],
    ) -> None:
        self.about = about
        self.environment: Mapping[str, str] = {}
        self.deadline = deadline
        self.dead = False
        self.unheard = False  # the way to the table is lost for the rest of a call's attempts
        self._scheduler = scheduler
        self._work = work
        self._ended = ended
        self._greenlet = greenlet(self._run, parent=scheduler.hub)

    def resume(self) -> None:
        """Runs it, from the hub, up to its next wait."""
        self._scheduler.running = self
        try:
            self._greenlet.switch()
        finally:
            self._scheduler.running = None

    def check(self) -> None:
        """Raises ``Killed`` where it is dead: a process that died asks for nothing more."""
        if self.dead:
            raise Killed

    def die(self) -> None:
        """Kills it here and now, from within. Raises ``Killed``."""
        self.dead = True
        raise Killed

    def _run(self) -> None:
        answer: Any = None
        error: BaseException | None = None
        try:
            answer = self._work()
        except Killed as killed:
            error = killed
        except Stopped:
            return
        except Exception as raised:  # noqa: BLE001 - what a function raises is for its caller to see
            error = raised
        if self.dead and not isinstance(error, Killed):
            self._scheduler.failure = self._scheduler.failure or AssertionError(f"{self.about} outlived its death")
            return
        if self._scheduler.failure is None:
            try:
                self._ended(answer, error)
            except Stopped:
                return
            except BaseException as raised:  # noqa: BLE001 - whoever runs the scheduler has to know
                self._scheduler.failure = raised
