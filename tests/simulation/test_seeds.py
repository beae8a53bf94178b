"""The campaign's share that every run of the tests repeats: chunks of seeds, for as many workers as there are.

A larger one: `make simulate SEEDS=20000`.
"""

from __future__ import annotations

import pytest

from tests.simulation import campaign, faults

SEEDS = 2000
CHUNKS = 40
DELIVERIES_LEAST = 200_000

OF_CHUNK = SEEDS // CHUNKS

COVERED_WITHIN_SEEDS = 500
EVERYTHING = {kind: min(1.5 * rate, 0.5) for kind, rate in faults.RATES.items()}
"""All kinds at once, and often: it takes fewer seeds until each has hit everything that it can."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_seed_of_a_chunk_finds_anything(chunk: int) -> None:
    tally = campaign.run_seeds(range(chunk * OF_CHUNK, (chunk + 1) * OF_CHUNK))
    assert not tally.found, campaign.tell_of(tally.found[0], None)
    assert tally.seeds == OF_CHUNK
    # together they are enough where each is
    assert tally.deliveries >= DELIVERIES_LEAST / CHUNKS


def test_every_fault_hits_every_function_that_it_can_and_finds_nothing() -> None:
    tally = campaign.Tally()
    for seed in range(COVERED_WITHIN_SEEDS):
        result = campaign.run_seed(seed, rates=EVERYTHING)
        assert result.failure is None, f"seed {seed}: {result.failure!r}"
        tally.hits.update(result.hits)
        if not campaign.missed(tally):
            break
    assert not campaign.missed(tally), campaign.table(tally)
    assert not [each for each in campaign.NEVER if tally.hits[each]]


def test_the_chunks_are_all_the_seeds() -> None:
    assert OF_CHUNK * CHUNKS == SEEDS


@pytest.mark.parametrize(("seed", "why"), campaign.kept_seeds())
def test_a_seed_that_once_failed_does_not_any_more(seed: int, why: str) -> None:
    result = campaign.run_seed(seed)
    assert result.failure is None, f"{why}: {result.failure!r}"
