"""How much the club does at once, made small, so that a small club's life has second chunks, pages and transactions.

These are bounds that the code states for cost alone; what it does must be right for any. Each seed draws its own.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from local.swapping import swapped

DUE_SHARDS = "DUE_SHARDS"

CHOICES: Mapping[str, tuple[int, ...]] = {
    "club_ledger.sweeping.CHUNK": (1, 2, 25),
    "club_ledger.alerting.CHUNK": (1, 2, 100),
    "club_ledger.store.SETTLED_AT_ONCE": (2, 5, 40),
    "club_rules.account.JOURNAL_PAGE": (2, 5, 25),
    "club_rules.account.MARKS_PAGE": (2, 8, 64),
    "club_rules.posting.PARKED_AT_ONCE": (1, 3, 20),
    DUE_SHARDS: (1, 2, 8),
}
"""By the module and name that states a bound: what a seed draws from. The last are as deployed."""

SHARED = ("SETTLED_AT_ONCE", "JOURNAL_PAGE", "MARKS_PAGE")
"""What other modules import by name: it is changed wherever it is."""

Sizes = Mapping[str, int]
AS_DEPLOYED: Sizes = {name: choices[-1] for name, choices in CHOICES.items()}


def draw(dice: random.Random) -> Sizes:
    """The sizes of a seed; in every third as deployed."""
    if dice.random() < 1 / 3:
        return AS_DEPLOYED
    return {name: dice.choice(choices) for name, choices in CHOICES.items()}


@cache
def _load_all() -> None:
    """Loads all of the club: what a function imported only later would keep the size that it found then."""
    for package in ("club_rules", "club_ledger"):
        for module in iter_modules(import_module(package).__path__):
            import_module(f"{package}.{module.name}")


@contextmanager
def sized(sizes: Sizes) -> Iterator[None]:
    """Gives the code these sizes as long as the context lasts."""
    _load_all()
    changes: list[tuple[Any, str, int]] = []
    for place, size in sizes.items():
        module_name, _, name = place.rpartition(".")
        if not module_name or size == AS_DEPLOYED[place]:
            continue
        owner = import_module(module_name)
        before = getattr(owner, name)
        assert before == AS_DEPLOYED[place], f"{place} is {before}, which sizes.py does not know"
        modules = [each for key, each in sys.modules.items() if key.startswith(("club_", "local."))]
        for module in modules if name in SHARED else [owner]:
            if vars(module).get(name) == before:
                changes.append((module, name, size))
    with swapped(changes):
        yield
