"""What docs/operate.md promises of two emergencies: a restored table is proven, and a replay changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from local.__main__ import main
from local.stack import Stack
from local.verify import scan
from tests.local.test_club import NOW, Club, table_of

RESTORED = "buyers-club-restored"


def entry(event: dict[str, Any]) -> dict[str, Any]:
    """The event as the marketplace puts it on the bus."""
    detail = {name: value for name, value in event.items() if name != "type"}
    return {"Source": "marketplace", "DetailType": event["type"], "Detail": json.dumps(detail)}


def content(stack: Stack, table: str) -> list[str]:
    return sorted(json.dumps(item, default=str, sort_keys=True) for item in scan(stack.client("dynamodb"), table))


def test_a_table_that_was_restored_under_another_name_is_whole(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    club, client = Club(stack), stack.client("dynamodb")
    club.send(club.order("anna", "o-1", price="700.00"), club.order("bert", "o-2"))
    stack.work_streams()
    before = content(stack, table_of(stack))
    client.restore_table_to_point_in_time(
        SourceTableName=table_of(stack), TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    club.send(club.order("anna", "o-3", price="20.00"))

    assert content(stack, RESTORED) == before != content(stack, table_of(stack))
    assert main(["verify", "--table", RESTORED]) == 0
    assert capsys.readouterr().out == "2 members, 2 entries: 0 problems\n"
    client.delete_item(TableName=RESTORED, Key={"pk": {"S": "M#anna"}, "sk": {"S": "O#o-1"}})
    assert main(["verify", "--table", RESTORED]) == 1


def test_a_replayed_archive_changes_nothing_but_what_was_missing(stack: Stack) -> None:
    club = Club(stack)
    events = [club.order(member, f"o-{member}-{number}") for number in range(3) for member in ("anna", "bert")]
    stack.put_events([entry(each) for each in events[:5]])
    stack.drain()
    before = content(stack, table_of(stack))
    stack.set_clock(NOW + timedelta(hours=3))
    stack.put_events([entry(each) for each in reversed(events[:5])])
    stack.drain()

    assert content(stack, table_of(stack)) == before
    assert stack.dead_letters() == []
    stack.put_events([entry(each) for each in events])
    stack.drain()
    entries = [item for item in content(stack, table_of(stack)) if '"pk": {"S": "E#' in item]
    assert len(entries) == len(events)
    assert sum(events[5]["event_id"] in item for item in entries) == 1
