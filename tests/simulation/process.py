"""What functions find in their process, as the simulation has it: time, chance, the environment, and AWS.

Only a task sees it, and only in the thread that runs it; everything else in this process sees what is really there.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from botocore.client import BaseClient

from local.swapping import swapped
from tests.simulation.scheduler import Scheduler


class Environment(MutableMapping[str, str]):
    """`os.environ` for many functions at once: each finds its own variables, and none of another's."""

    def __init__(self, scheduler: Scheduler, real: MutableMapping[str, str], names: frozenset[str]) -> None:
        self._scheduler = scheduler
        self._real = real
        self._names = names

    def __getitem__(self, name: str) -> str:
        task = self._scheduler.running
        if task is not None:
            if name in task.environment:
                return task.environment[name]
            if name in self._names:
                raise KeyError(name)
        return self._real[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._real[name] = value

    def __delitem__(self, name: str) -> None:
        del self._real[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def copy(self) -> dict[str, str]:
        """What is there, by itself."""
        return dict(self)


@contextmanager
def simulated(
    scheduler: Scheduler,
    dice: random.Random,
    names: frozenset[str],
    call: Callable[[Any, str, dict[str, Any]], Mapping[str, Any]],
) -> Iterator[None]:
    """Puts the simulation in place of the machine as long as the context lasts.

    ``names``: of the variables that some function has; ``call`` answers a boto client's call.
    """
    thread = threading.get_ident()
    sleep, monotonic, clock, urandom = time.sleep, time.monotonic, time.time, os.urandom

    def inside() -> bool:
        return scheduler.running is not None and threading.get_ident() == thread

    def simulated_sleep(seconds: float, /) -> None:
        if inside():
            scheduler.wait(seconds)
        else:
            sleep(seconds)

    def simulated_urandom(size: int, /) -> bytes:
        return dice.randbytes(size) if threading.get_ident() == thread else urandom(size)

    def make_api_call(client: BaseClient, operation: str, params: dict[str, Any]) -> Mapping[str, Any]:
        return call(client, operation, params)

    changes: list[tuple[Any, str, Any]] = [
        (time, "sleep", simulated_sleep),
        (time, "monotonic", lambda: scheduler.now if inside() else monotonic()),
        (time, "time", lambda: scheduler.now if inside() else clock()),
        (os, "environ", Environment(scheduler, os.environ, names)),
        (os, "urandom", simulated_urandom),
        (random, "_urandom", simulated_urandom),  # of SystemRandom, and so of `secrets`
        (BaseClient, "_make_api_call", make_api_call),
    ]
    state = random.getstate()
    random.seed(dice.getrandbits(64))
    try:
        with swapped(changes):
            yield
    finally:
        random.setstate(state)
