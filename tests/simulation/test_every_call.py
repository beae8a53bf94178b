"""Every kind of fault at every call of every work, enumerated (``every``).

Here a share of them; all by `make simulate EVERY=1`.
"""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from tests.simulation import faults
from tests.simulation.dynamodb import Model
from tests.simulation.every import KINDS, OF_DELIVERY, Blow, Call, Work, blows_of, calm, crash, kinds_at, on_stage
from tests.simulation.every_all import in_share, table
from tests.simulation.every_works import WORKS
from tests.simulation.world import deployment

SHARES, SHARES_OF_A_CROWD = 4, 40
"""One run in so many is done here; which, the sources of the club say (``every_all.share``)."""
CALLS_NOTHING = {"PrivilegeCentreFunction"}
"""Its two documents are its own."""


def shares_of(work: Work) -> int:
    """In how many shares the runs of a work are divided."""
    return SHARES if work.stage.startswith("club") else SHARES_OF_A_CROWD


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_whatever_fails_at_whichever_call_the_end_is_the_same(work: Work) -> None:
    without = calm(work)
    mine = in_share(shares_of(work))
    cases = sum((2 if KINDS[kind].both else 1) for call in without.calls for kind in kinds_at(call))
    cases += sum(blow.call < 0 for blow in blows_of(work, ()))
    wanted = sum(mine(number) for number in range(cases))

    tally = crash(work, mine)

    said = f"{work.name}: {len(without.calls)} calls, {tally.runs.total()} of {cases} runs"
    sys.stdout.write(f"{said}\n{table(tally.runs)}\n")
    assert without.calls, "it makes no call"
    assert not tally.found, "\n".join(f"{found.blow}: {found.text}" for found in tally.found[:5])
    assert not tally.missed, "these blows never struck"
    assert tally.runs.total() == tally.expected == wanted


def test_every_call_meets_every_kind_of_fault_that_it_can() -> None:
    calls = [
        *(Call(operation, False) for operation in sorted(faults.READS | faults.WRITES | faults.BATCHES | faults.SENDS)),
        *(Call(operation, True) for operation in ("GetItem", "Query")),
    ]

    met = {kind for call in calls for kind in kinds_at(call)}

    assert met == set(KINDS)
    for call in calls:
        known = {KINDS[kind].known or "stale" for kind in kinds_at(call)} - {"stale"}
        assert known | {"outage"} >= set(faults.kinds_of(call.operation)), call


def test_blows_are_numbered_without_repeats() -> None:
    calls = [Call("GetItem", True), Call("TransactWriteItems", False), Call("SendMessageBatch", False)]
    blows = blows_of(WORKS[0], calls)
    of_calls = Counter(blow.call for blow in blows)

    assert len(set(blows)) == len(blows)
    assert blows[0] == Blow(OF_DELIVERY[1], -1, False)
    # each call: three that end the invocation, and what passes or lasts
    assert of_calls == {-1: 1, 0: 3 + 2 * (6 + 3), 1: 3 + 2 * (6 + 3), 2: 3 + 2 * (7 + 3)}


def test_every_function_that_calls_anything_is_tried() -> None:
    template = deployment().template
    names = {spec.logical_id for spec in template.functions.values()}

    assert {work.function for work in WORKS} == names - CALLS_NOTHING
    assert all(
        not spec.environment.get("TABLE_NAME")
        for spec in template.functions.values()
        if spec.logical_id in CALLS_NOTHING
    )


def test_a_restored_model_is_what_it_was_and_shares_nothing() -> None:
    club = on_stage(WORKS[0])
    (name,) = club.model.tables
    club.model.commits.clear()
    before, snapshot = club.model.items(name), club.model.snapshot()
    item = {"pk": {"S": "M#new"}, "sk": {"S": "J~"}, "due_shard": {"S": "DUE#0"}, "due_at": {"S": "2000"}}

    club.model.call("PutItem", {"TableName": name, "Item": item})
    after = club.model.items(name)
    found = _due(club.model, name)
    club.model.restore(snapshot)

    assert len(after) == len(before) + 1
    assert found == ["M#new"]
    assert club.model.items(name) == before
    assert _due(club.model, name) == []
    assert "M#new" not in str(club.model.stream(name))
    club.model.call("PutItem", {"TableName": name, "Item": item})
    club.model.restore(snapshot)
    assert club.model.items(name) == before


def _due(model: Model, table: str) -> list[str]:
    """The partitions that the index of what is due has as of long ago."""
    asked = {
        "TableName": table,
        "IndexName": "due",
        "KeyConditionExpression": "due_shard = :s AND due_at < :u",
        "ExpressionAttributeValues": {":s": {"S": "DUE#0"}, ":u": {"S": "2001"}},
    }
    return [item["pk"]["S"] for item in model.call("Query", asked)["Items"]]
