"""What a function's environment says, read when it is first needed (architecture 3.1).

The names and values are stated in `template.yaml`. One place makes what the use cases depend on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from club_ledger.client import client
from club_ledger.store import Store, connect

__all__ = ["client", "setting", "store", "time_left"]


@cache
def store() -> Store:
    """The table of this deployment. Raises ``KeyError`` where the environment lacks a name.

    A function that only reads has no ``DUE_SHARDS``: it is read by who writes an account, or looks for what is due.
    """
    return connect(os.environ["TABLE_NAME"], lambda: int(os.environ["DUE_SHARDS"]))


def setting(name: str) -> str:
    """One value of the environment. Raises ``KeyError`` where it is missing."""
    return os.environ[name]


def time_left(context: Any, at_most: float) -> Callable[[], float]:
    """The seconds that a piece of work may still take: those of the invocation, and no more than ``at_most`` in all."""
    until = time.monotonic() + at_most

    def left() -> float:
        of_invocation: float = context.get_remaining_time_in_millis() / 1000
        return min(until - time.monotonic(), of_invocation)

    return left
