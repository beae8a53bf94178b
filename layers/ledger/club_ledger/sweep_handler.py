"""What the sweeps' entry points share: a schedule's input starts a run, a queue's records carry it out."""

from __future__ import annotations

import json
from typing import Any

from club_ledger import environment
from club_ledger.sweeping import Message, start, work
from club_rules.programs import load_programs

SECONDS_A_MEMBER = 4.0


def handle_sweep(sweep: str, event: dict[str, Any], context: Any, log: Any) -> dict[str, Any]:
    """One invocation of a sweep.

    ``event`` is either the schedule's input or an SQS batch; ``log`` a Powertools logger, told ids and counts only.
    Returns the partial batch answer. Raises
    ``InvalidInput`` for an input that is none.
    """
    if "Records" not in event:
        messages = start(environment.store(), sweep, event, context.aws_request_id)
        for message in messages:
            _send(message)
        log.info("sweep started", extra={"sweep": sweep, "shards": len(messages)})
        return {"batchItemFailures": []}
    again = []
    for record in event["Records"]:
        try:
            counts = work(
                environment.store(),
                load_programs(),
                json.loads(record["body"]),
                _send,
                lambda: environment.time_left(context, SECONDS_A_MEMBER),
            )
            log.info("chunk done", extra={"sweep": sweep, "members": counts.members, "entries": counts.entries})
        except Exception:  # whatever it was: this message comes back, its neighbours are not held up
            log.exception("chunk failed", extra={"sweep": sweep, "message_id": record["messageId"]})
            again.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": again}


def _send(message: Message) -> None:
    environment.client("sqs").send_message(
        QueueUrl=environment.setting("SWEEP_QUEUE_URL"), MessageBody=json.dumps(message)
    )
