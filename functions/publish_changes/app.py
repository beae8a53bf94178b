"""The outbox: the table's stream becomes events on the bus (contract 2.3)."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger

from club_ledger import environment
from club_ledger.outbox import SOURCE, announcements
from club_rules.programs import load_programs

PUT_AT_ONCE = 10
"""EventBridge's bound for one PutEvents."""

logger = Logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes a batch of stream records; answers from which record on they are to come again."""
    programs = load_programs()
    pending: list[tuple[str, dict[str, Any]]] = []
    for record in event["Records"]:
        position = record["dynamodb"]["SequenceNumber"]
        for detail_type, detail in announcements(record, programs):
            pending.append((position, _entry(detail_type, detail)))
    for start in range(0, len(pending), PUT_AT_ONCE):
        batch = pending[start : start + PUT_AT_ONCE]
        failed = _put([entry for _, entry in batch])
        if failed is not None:
            logger.error("not announced", extra={"position": batch[failed][0]})
            return {"batchItemFailures": [{"itemIdentifier": batch[failed][0]}]}
    logger.info("announced", extra={"records": len(event["Records"]), "events": len(pending)})
    return {"batchItemFailures": []}


def _entry(detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "EventBusName": environment.setting("BUS_NAME"),
    }


def _put(entries: list[dict[str, Any]]) -> int | None:
    """The index of the first entry that the bus did not take, or ``None``."""
    answer = environment.client("events").put_events(Entries=entries)
    failures = [index for index, each in enumerate(answer["Entries"]) if "ErrorCode" in each]
    return failures[0] if failures else None
