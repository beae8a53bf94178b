"""A price that dropped becomes an alert for each member who watches the item, a chunk of them at a time (rules 1.4)."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger

from club_ledger import environment
from club_ledger.alerting import Message, work
from club_ledger.framing import framed
from club_rules.errors import described
from club_rules.programs import load_programs

SECONDS_A_CHUNK = 45.0

logger = Logger()


@framed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes a batch of its queue; answers which messages are to come again."""
    again = []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            time_left = environment.time_left(context, SECONDS_A_CHUNK)
            done = work(environment.store(), load_programs(), message, _send, time_left)
            ids = {name: message[name] for name in ("event_id", "item_id", "shard", "chunk")}
            logger.info("chunk done", extra={**ids, **done._asdict()})
        except Exception as error:  # noqa: BLE001 - this message comes back, its neighbours are not held up
            logger.error("chunk failed", extra={"message_id": record["messageId"], "error": described(error)})
            again.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": again}


def _send(message: Message) -> None:
    environment.client("sqs").send_message(
        QueueUrl=environment.setting("PRICE_ALERT_QUEUE_URL"), MessageBody=json.dumps(message)
    )
