"""A campaign of the fuzzer: so many executions by a seed, each judged, with what they reached."""

from __future__ import annotations

import random
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.hostile import grammar
from tests.hostile.judge import Broken, execute

BOTH_DOORS_EVERY = 4
"""Every so many executions are given to the queue as well."""

MEGABYTES_MAX = 400
"""So much memory a campaign may ever hold, however long it is."""


@dataclass
class Reached:
    """What a campaign has come to."""

    executions: int = 0
    made: Counter[str] = field(default_factory=Counter)  # by how it was made
    accepted: Counter[str] = field(default_factory=Counter)  # by type
    refused: Counter[str] = field(default_factory=Counter)  # by the first code
    named: Counter[str] = field(default_factory=Counter)  # by code, every field at fault
    bytes_read: int = 0


class Found(AssertionError):
    """An execution ended as none may; says which, and how to see it again."""


def made_by(seed: int, number: int) -> grammar.Made:
    """The made-up event of one execution: the same for the same seed and number, whatever went before."""
    return grammar.make(random.Random((seed << 40) + number))


def campaign(executions: int, seed: int, first: int = 0) -> Iterator[Reached]:
    """Run so many executions, numbered from ``first``; gives what was reached after each thousand and at the end.

    Raises Found for the first one that ends as none may.
    """
    reached = Reached()
    for number in range(first, first + executions):
        made = made_by(seed, number)
        try:
            verdict = execute(made, both_doors=number % BOTH_DOORS_EVERY == 0)
        except Broken as broken:
            shown = made.text if len(made.text) <= 2000 else made.text[:2000] + b" ..."
            raise Found(
                f"seed {seed}, execution {number} ({made.how}): {broken}\n{shown!r}\n"
                f"again: make fuzz-input SEED={seed} FIRST={number} EXECUTIONS=1"
            ) from broken
        reached.executions += 1
        reached.bytes_read += len(made.text)
        reached.made[made.how] += 1
        if verdict.type:
            reached.accepted[verdict.type] += 1
        else:
            reached.refused[verdict.codes[0]] += 1
            reached.named.update(verdict.codes)
        if reached.executions % 1000 == 0:
            yield reached
    yield reached


def peak_megabytes() -> float:
    """The most memory that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
