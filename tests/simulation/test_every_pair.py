"""Every pair of works on one member, in every order of their calls (``every_pair``).

Here a share of the pairs; all of them by `make simulate EVERY=1`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tests.simulation.every_all import in_share
from tests.simulation.every_pair import (
    ALL,
    BEGIN,
    COMMIT,
    READ,
    SEND,
    WRITE,
    Pair,
    can_tell,
    meet,
    orders_of,
    try_pair,
)
from tests.simulation.every_works import PAIRED, PAIRED_SETTLED, Paired

SHARES = 8
"""One pair in so many is run here; which, the sources of the club say (``every_all.share``)."""
MINE = [pair for number, pair in enumerate(ALL) if in_share(SHARES)(number)]


@pytest.mark.parametrize("pair", MINE, ids=lambda pair: pair.name)
def test_in_every_order_it_ends_as_one_after_the_other(pair: Pair) -> None:
    figures = try_pair(pair)

    sys.stdout.write(f"{figures.name}: {figures.orders} orders, which stand for {figures.stands_for}\n")
    assert not figures.found, "\n".join(figures.found[:5])
    assert figures.orders > 1


def named(one: str, other: str, *, same: bool = False) -> Pair:
    """A pair by the names of its works."""
    return next(p for p in ALL if (p.one.work.name, p.other.work.name, p.same) == (one, other, same))


def test_every_work_meets_every_other_and_itself() -> None:
    def wanted(paired: Sequence[Paired]) -> int:
        writers = [each for each in paired if not each.reads]
        others = sum(each.again is not None for each in writers)
        return len(writers) * (len(writers) + 1) // 2 + len(writers) * (len(paired) - len(writers)) + others

    assert len({pair.name for pair in ALL}) == len(ALL)
    assert len(ALL) == wanted(PAIRED) + wanted(PAIRED_SETTLED)


@pytest.mark.parametrize(("one", "other"), [("a dispute", "a wish")])
def test_what_orders_stand_for_ends_as_they_do(one: str, other: str) -> None:
    pair = next(p for p in ALL if {p.one.work.name, p.other.work.name} == {one, other})
    serial = [met.drained for met in (meet(pair, (), whole=which) for which in (0, 1)) if met.drained]

    def ends(*, reduced: bool) -> set[str]:
        found = set()
        for _, met in orders_of(pair, serial, reduced=reduced):
            if not met.blocked:
                assert met.drained is not None
                found.add(" | ".join(each.end.differs_from(met.drained.end) for each in serial))
        return found

    assert ends(reduced=True) == ends(reduced=False)


def test_only_steps_that_nobody_can_tell_apart_are_left_out() -> None:
    blind = {(READ, READ), (READ, BEGIN), *((SEND, step) for step in (READ, BEGIN, COMMIT, WRITE))}
    steps = (READ, BEGIN, COMMIT, WRITE, SEND)

    for one in steps:
        for other in steps:
            assert can_tell(one, other) == ((one, other) not in blind and (other, one) not in blind)


def test_a_transaction_in_progress_is_in_the_way_of_another() -> None:
    pair = named("an adjustment", "an adjustment", same=True)
    serial = [met.drained for met in (meet(pair, (), whole=which) for which in (0, 1)) if met.drained]

    traces = ["\n".join(meet(pair, order, known=serial, tracing=True).trace) for order, _ in orders_of(pair, serial)]

    assert any("TransactionConflict" in trace for trace in traces)
    assert any("ConditionalCheckFailed" in trace for trace in traces)
