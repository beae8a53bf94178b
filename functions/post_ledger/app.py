"""The activity queue becomes ledger entries (contract 2.2)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from club_ledger import environment
from club_ledger.framing import framed
from club_ledger.inbox import post_batch
from club_rules.errors import ClubError, described
from club_rules.programs import load_programs

SECONDS_AN_EVENT = 4.0
"""One busy member must not use up the time of the rest of the batch."""

logger = Logger()


@framed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes a batch of SQS records and answers which of them are to be delivered again."""
    outcome = post_batch(
        environment.store(),
        load_programs(),
        event["Records"],
        lambda: environment.time_left(context, SECONDS_AN_EVENT),
    )
    for message_id, defect in outcome.defects:
        logger.error("not posted", extra={"message_id": message_id, "error": described(defect)})
    again = outcome.again
    for record, error in outcome.dead:
        try:
            _bury(record, error)
        except Exception as defect:  # noqa: BLE001 - whatever the queue answers, the message has to come back
            logger.error("dead letter not sent", extra={"message_id": record["messageId"], "error": described(defect)})
            again.append(record["messageId"])
    logger.info(
        "batch posted",
        extra={
            "posted": outcome.posted,
            "repeated": outcome.repeated,
            "dead": len(outcome.dead),
            "again": len(again),
        },
    )
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _bury(record: dict[str, Any], error: ClubError) -> None:
    environment.client("sqs").send_message(
        QueueUrl=environment.setting("DEAD_LETTER_QUEUE_URL"),
        MessageBody=record["body"],
        MessageAttributes={
            "reason": {"DataType": "String", "StringValue": error.code},
            "detail": {"DataType": "String", "StringValue": error.detail},
        },
    )
