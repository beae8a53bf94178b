"""The outbox: the table's stream becomes events on the bus (contract 2.3), and the standing's counts (rules 1.9)."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger

from club_ledger import environment, rewarding, standing
from club_ledger.framing import framed
from club_ledger.outbox import SOURCE, announcements
from club_rules.programs import Programs, load_programs
from price_drops import send_drops  # beside this file, which is on the path on Lambda

PUT_AT_ONCE = 10
"""EventBridge's bound for one PutEvents."""

SECONDS_TO_COUNT = 20.0

logger = Logger()


@framed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes a batch of stream records; answers from which record on they are to come again."""
    programs, records = load_programs(), event["Records"]
    failed = _announce(records, programs)
    unsent = send_drops(records[:failed])
    failed = failed if unsent is None else unsent
    announced = records[:failed]  # what comes before it won't come again
    time_left = environment.time_left(context, SECONDS_TO_COUNT)
    uncounted = standing.count(environment.store(), programs, announced, time_left)
    ungranted = rewarding.grant(environment.store(), programs, announced[:uncounted], time_left)
    failed = next((place for place in (ungranted, uncounted, failed) if place is not None), None)
    if failed is None:
        return {"batchItemFailures": []}
    position = records[failed]["dynamodb"]["SequenceNumber"]
    places = {"unsent": unsent, "uncounted": uncounted, "ungranted": ungranted}
    logger.error("not done", extra={"position": position, **places})
    return {"batchItemFailures": [{"itemIdentifier": position}]}


def _announce(records: list[dict[str, Any]], programs: Programs) -> int | None:
    """The place of the first record that the bus did not take, or ``None``."""
    pending = [
        (place, {"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)})
        for place, record in enumerate(records)
        for detail_type, detail in announcements(record, programs)
    ]
    for start in range(0, len(pending), PUT_AT_ONCE):
        batch = pending[start : start + PUT_AT_ONCE]
        entries = [{**entry, "EventBusName": environment.setting("BUS_NAME")} for _, entry in batch]
        answers = environment.client("events").put_events(Entries=entries)["Entries"]
        for (place, _), answer in zip(batch, answers, strict=True):
            if "ErrorCode" in answer:
                return place
    logger.info("announced", extra={"records": len(records), "events": len(pending)})
    return None
