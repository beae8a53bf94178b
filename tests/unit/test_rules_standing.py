"""Standing: the share of all members below a tier, with one decimal, also while the counts lag (rules 1.9)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from club_rules.standing import Counts, standing
from tests.unit.member import PROGRAMS

CLUB = PROGRAMS.versions("club")[-1]
CODES = ("A0", "A1", "A2", "A3", "A4")


def counts(members: int, *above: int) -> Counts:
    """Counts of `club`; ``above``: of A1, A2, …"""
    return Counts(members, {"club": dict(zip(CODES[1:], above, strict=False))})


@pytest.mark.parametrize(
    ("counted", "tier", "below", "members"),
    [
        # the contract's example: 1,961 of 2,357 hold a lower tier than A3
        (counts(2357, 500, 461, 390, 6), "A3", 83.2, 2357),
        (counts(2357, 500, 461, 390, 6), "A0", 0.0, 2357),
        (counts(2357, 500, 461, 390, 6), "A4", 99.7, 2357),
        # half up: 1/16 is 6.25 %, 3/16 is 18.75 %, 1/2000 is 0.05 %
        (counts(16, 15), "A1", 6.3, 16),
        (counts(16, 13), "A1", 18.8, 16),
        (counts(2000, 1999), "A1", 0.1, 2000),
        (counts(2001, 2000), "A1", 0.0, 2001),
        (counts(3, 1), "A1", 66.7, 3),
        (counts(3, 2), "A1", 33.3, 3),
        # those in between count, those beside and above don't
        (counts(10, 2, 3, 1, 1), "A2", 50.0, 10),
        (counts(10, 0, 0, 0, 1), "A4", 90.0, 10),
        # alone
        (counts(1), "A0", 0.0, 1),
        (counts(1, 1), "A1", 0.0, 1),
        # nobody has been counted yet: the member is there
        (counts(0), "A0", 0.0, 1),
        (counts(0), "A4", 0.0, 1),
        (Counts(0, {}), "A2", 0.0, 1),
        # the member's own tier has not been counted yet: never below themselves
        (counts(1), "A3", 0.0, 1),
        (counts(5), "A1", 80.0, 5),
        # some has been read before the rest was
        (counts(2, 5), "A0", 0.0, 2),
        (counts(2, 5), "A1", 0.0, 2),
        (counts(2, 5), "A2", 50.0, 2),
        (counts(4, -1, 2), "A2", 50.0, 4),
        (counts(-1), "A1", 0.0, 1),
    ],
)
def test_the_share_of_members_below(counted: Counts, tier: str, below: float, members: int) -> None:
    found = standing(counted, CLUB, CLUB.tier_index(tier))

    assert found == {"below_percent": below, "members": members}
    assert type(found["below_percent"]) is float


def test_each_program_has_its_own_counts() -> None:
    counted = Counts(4, {"club": {"A1": 4}, "vip": {"Gold": 1}})

    assert standing(counted, CLUB, 1)["below_percent"] == 0.0
    assert standing(counted, PROGRAMS.versions("vip")[-1], 2)["below_percent"] == 75.0
    assert standing(counted, PROGRAMS.versions("crowns")[-1], 1)["below_percent"] == 75.0


def test_how_many_hold_a_tier() -> None:
    counted = counts(20, 3, 0, 2)

    assert [counted.holding(CLUB, tier) for tier in range(5)] == [15, 3, 0, 2, 0]
    assert [counts(1, -1, 3).holding(CLUB, tier) for tier in range(3)] == [0, 0, 3]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_exact_counts_give_the_exact_share(held: list[int], data: st.DataObject) -> None:
    tier = data.draw(st.sampled_from(held))
    counted = counts(len(held), *(held.count(each) for each in range(1, 5)))

    found = standing(counted, CLUB, tier)

    share = Decimal(100 * sum(each < tier for each in held)) / len(held)
    assert Decimal(str(found["below_percent"])) == share.quantize(Decimal("0.1"), ROUND_HALF_UP)
    assert found["members"] == len(held)


@given(st.integers(-5, 10**7), st.lists(st.integers(-5, 10**7), max_size=4))
@example(0, [])
def test_however_the_counts_lag_the_share_makes_sense(members: int, above: list[int]) -> None:
    shares = [standing(counts(members, *above), CLUB, tier) for tier in range(5)]

    assert all(0.0 <= each["below_percent"] <= 100.0 and each["members"] >= 1 for each in shares)
    assert shares == sorted(shares, key=lambda each: each["below_percent"]), "a higher tier never stands lower"
    assert shares[0]["below_percent"] == 0.0
