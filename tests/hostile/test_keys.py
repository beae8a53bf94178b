"""The key codec: a million pairs of nasty ids, and every key of the nastiest against every other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from club_ledger import items
from club_rules.fields import is_id
from tests.hostile.cases import IDS_REFUSED, IDS_TAKEN
from tests.hostile.keys import FAMILIES, INDEXED, Crossing, Family, all_of, search

PAIRS = 1_000_000


def test_a_million_pairs_of_ids_never_meet() -> None:
    assert list(search(PAIRS, seed=6))[-1] == PAIRS


def test_nor_do_they_in_the_index() -> None:
    assert list(search(PAIRS // 10, seed=7, families=INDEXED))[-1] == PAIRS // 10


@pytest.mark.parametrize("families", [FAMILIES, INDEXED], ids=["table", "index"])
def test_every_key_of_the_nastiest_ids_is_its_own(families: tuple[Family, ...]) -> None:
    assert all_of(IDS_TAKEN, families) > 10_000


@pytest.mark.parametrize("text", IDS_REFUSED.values(), ids=IDS_REFUSED)
def test_what_is_no_id_gets_no_key(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", IDS_TAKEN)
def test_what_only_looks_odd_is_an_id(text: str) -> None:
    assert is_id(text)


# Who finds nothing may be looking at nothing: each of these has to be found.
DEFECTS: dict[str, tuple[str, Any]] = {
    "members are told apart without regard to case": ("member_key", lambda member: f"M#{member.lower()}"),
    "an order lies among what is watched": ("order_key", lambda order: f"W#{order}"),
    "an order has no sign of its own": ("order_key", lambda order: order),
    "an entry has no sign of its own": ("entry_key", lambda key: key),
    "rewards lie where counts do": ("rewards_key", lambda member: f"S#{member}"),
    "a long id is cut": ("payout_key", lambda order: f"PAYOUT#{order[:16]}"),
    "a sign stands for another": ("watch_key", lambda item: f"W#{item.replace(':', '.')}"),
    "what was made lies beside where it is looked for": ("made_key", lambda at, by: f"D${at}#{by}"),
    "a chunk is told by its digits alone": ("sweep_chunk_key", lambda shard, chunk: f"C#{shard}{chunk}"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_codec_with_a_defect_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, *DEFECTS[name])

    def look() -> None:
        list(search(100_000, seed=1))
        all_of(IDS_TAKEN)  # what only two numbers side by side bring out

    with pytest.raises(Crossing):
        look()


def test_an_id_that_ends_in_a_newline_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hostile.keys.is_id", re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$").match)

    with pytest.raises(Crossing, match="is taken for an id"):
        list(search(100_000, seed=1))
