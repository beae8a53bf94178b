"""`python -m local sweeps`: the runs of the sweeps, what one did or would do, and undoing what one demoted.

Of a running local stack, or of a deployed table by its name. To list the runs reads the whole table, which no function
of the club may do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from club_ledger import items
from club_ledger.items import SweepRunItem
from club_ledger.store import connect, retrying
from club_ledger.undoing import Left, undo_run
from club_rules.errors import ClubError, NotFound
from club_rules.programs import Programs, load_programs
from club_rules.tallying import beyond, report

SECONDS_A_MEMBER = 60.0

_WHY = {
    "changed": "the tier has changed since",
    "capped": "a penalty keeps the tier below",
    "gone": "the member's data has been erased",
}


def runs_of(client: Any, table_name: str, programs: Programs) -> list[dict[str, Any]]:
    """Every run that a table knows of, as ``view`` gives it, by scheduled time. ``client``: a boto3 DynamoDB client."""
    store = connect(table_name, lambda: 0)
    ids = [key["pk"]["S"].removeprefix(items.sweep_key("")) for key in _run_keys(client, table_name)]
    found = [view(store.sweep_run(run_id), programs) for run_id in ids]
    return sorted(found, key=lambda run: (run["scheduled_at"], run["run_id"]))


def _run_keys(client: Any, table_name: str) -> Iterator[dict[str, Any]]:
    narrowed = {
        "FilterExpression": "begins_with(pk, :pk) AND sk = :sk",
        "ExpressionAttributeValues": {":pk": {"S": items.sweep_key("")}, ":sk": {"S": items.SINGLE}},
        "ProjectionExpression": "pk",
    }
    for page in client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True, **narrowed):
        yield from page["Items"]


def run_of(table_name: str, run_id: str, programs: Programs) -> dict[str, Any]:
    """One run, as ``view`` gives it. Raises ``NotFound``, and ``Unavailable``."""
    store = connect(table_name, lambda: 0)
    try:
        return view(retrying(lambda: store.sweep_run(run_id), _seconds()), programs)
    except SweepRunItem.DoesNotExist as error:
        raise NotFound("sweep_not_found", "there is no such run") from error


def view(run: SweepRunItem, programs: Programs) -> dict[str, Any]:
    """A run as JSON-able data: what it is, how far it has come, its counts, and by program what it did or would do."""
    tally, body = dict(run.tally.attribute_values), run.body
    limits, reserved = body.get("limits", {}), run.reserved.attribute_values
    return {
        "run_id": body["run_id"],
        "sweep": body["sweep"],
        "scheduled_at": body["scheduled_at"],
        "dry_run": body["dry_run"],
        "override_limit": body.get("override_limit", False),
        "open_shards": int(run.open_shards),
        "counts": {name: int(getattr(run, name) or 0) for name in ("members", "entries", "tier_changes", "rewards")},
        "programs": report(tally, programs),
        "limits": [
            {**_split(place), **limit, "reserved": int(reserved.get(place, 0))} for place, limit in limits.items()
        ],
        "halted": run.halted,
        "would_halt": beyond(limits, tally) if body["dry_run"] else [],
    }


def _split(place: str) -> dict[str, str]:
    program, tier = place.split("#")
    return {"program": program, "tier": tier}


def undo(table_name: str, run_id: str, programs: Programs, moment: datetime) -> dict[str, Any]:
    """Undoes a run's demotions; ``{"said": lines, "left": how many were left}``. Raises as ``undo_run``."""
    undone = undo_run(connect(table_name, lambda: 0), programs, run_id, moment, _seconds)
    said = [_left(left) for left in undone.left]
    if undone.open_shards:
        said.append(f"the run has not finished ({undone.open_shards} shards): what it demotes from now on stays so")
    said.append(f"{undone.now} demotions undone, {undone.before} had been before, {len(undone.left)} left as they are")
    return {"said": said, "left": len(undone.left)}


def _left(left: Left) -> str:
    return f"{left.member_id}: {left.program_id}: {left.tier} was not given back: {_WHY[left.why]}"


def lines(run: dict[str, Any]) -> Iterator[str]:
    """A run of ``view`` for people to read."""
    yield headline(run)
    would = "would have " if run["dry_run"] else ""
    counts = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in run["counts"].items() if number)
    yield f"  {would}done: {counts or 'nothing'}"
    for program_id, said in run["programs"].items():
        yield from _program_lines(program_id, said)
    for limit in run["limits"]:
        if limit["reserved"]:
            yield (
                f"  limit of {limit['program']} {limit['tier']}: {limit['reserved']} of at most {limit['limit']} "
                f"(of {limit['members']} members)"
            )
    for each in run["would_halt"]:
        yield (
            f"  WOULD HALT: {each['would_fall']} would fall from {each['program']} {each['tier']}, "
            f"at most {each['limit']} of {each['members']} members may"
        )
    if run["halted"]:
        each = run["halted"]
        yield (
            f"  HALTED: with the next chunk {each['would_demote']} would have fallen from {each['program']} "
            f"{each['tier']}, at most {each['limit']} of {each['members']} members may; {each['demoted']} did"
        )


def headline(run: dict[str, Any]) -> str:
    """A run in one line."""
    marks = [name for name, on in (("dry run", run["dry_run"]), ("limit overridden", run["override_limit"])) if on]
    marks += ["halted"] if run["halted"] else []
    marks += [f"{run['open_shards']} shards still open"] if run["open_shards"] else ["finished"]
    return f"{run['run_id']}: {', '.join(marks)}"


def _program_lines(program_id: str, said: dict[str, Any]) -> Iterator[str]:
    parts = []
    for what in ("expired", "returned"):
        of = said[what]
        if of["members"]:
            amount = f"{of['points']} points" if "points" in of else f"{of['spend']} spent"
            parts.append(f"{what} {amount} of {of['members']} members")
    names = {"fell": "fell", "rose": "rose", "retained": "retained", "reset": "reset among them"}
    parts += [f"{text} {said[what]}" for what, text in names.items() if said[what]]
    parts += [f"granted {number} {kind.replace('_', ' ')}" for kind, number in said["granted"].items()]
    if parts:
        yield f"  {program_id}: {', '.join(parts)}"
    for move in said["moves"]:
        where = move["from"] if move["from"] == move["to"] else f"{move['from']} -> {move['to']}"
        yield f"    {move['move']} {where} ({move['cause']}): {move['members']}"


def _seconds() -> Callable[[], float]:
    until = time.monotonic() + SECONDS_A_MEMBER
    return lambda: until - time.monotonic()


def main(arguments: argparse.Namespace) -> int:
    """Lists, shows or undoes, by ``arguments.action``; of a running stack or of a table. Returns the exit code."""
    try:
        answer = _of_table(arguments) if arguments.table else _of_stack(arguments)
    except ClubError as error:
        print(error.detail, file=sys.stderr)
        return 1
    if answer is None:
        return 1
    for line in _told(arguments.action, answer):
        print(line)
    return 1 if arguments.action == "undo" and answer["left"] else 0


def _told(action: str, answer: Any) -> Iterable[str]:
    if action == "list":
        return [headline(run) for run in answer] or ["no sweep has run yet"]
    return lines(answer) if action == "show" else answer["said"]


def _of_stack(arguments: argparse.Namespace) -> Any:
    body = {"action": arguments.action, **({"run": arguments.run_id} if arguments.action != "list" else {})}
    request = urllib.request.Request(
        f"http://127.0.0.1:{arguments.port}/_local/sweeps", method="POST", data=json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address is this machine's own
            return json.load(answer)
    except urllib.error.HTTPError as error:
        print(json.load(error).get("detail", error), file=sys.stderr)
        return None


def _of_table(arguments: argparse.Namespace) -> Any:
    import boto3  # with the credentials and the region that the AWS tools would take
    from botocore.exceptions import BotoCoreError, ClientError
    from pynamodb.exceptions import PynamoDBException

    programs = load_programs()
    try:
        if arguments.action == "list":
            return runs_of(boto3.client("dynamodb"), arguments.table, programs)
        if arguments.action == "show":
            return run_of(arguments.table, arguments.run_id, programs)
        return undo(arguments.table, arguments.run_id, programs, datetime.now(UTC).replace(microsecond=0))
    except (BotoCoreError, ClientError, PynamoDBException) as error:
        print(f"The table {arguments.table} can't be worked on: {error}", file=sys.stderr)
        return None
