"""What the sweeps' entry points share: a schedule's input starts a run, a queue's records carry it out."""

from __future__ import annotations

import json
from typing import Any

from club_ledger import environment
from club_ledger.framing import framed
from club_ledger.sweeping import Counts, Message, SweepMember, start, work
from club_rules.errors import described
from club_rules.programs import load_programs
from club_rules.tallying import report

SECONDS_A_MEMBER = 4.0


@framed
def handle_sweep(
    sweep: str, event: dict[str, Any], context: Any, log: Any, sweep_member: SweepMember | None = None
) -> dict[str, Any]:
    """One invocation of a sweep.

    ``event`` is either the schedule's input or an SQS batch; ``log`` a Powertools logger, told ids and counts only;
    ``sweep_member`` what is done with each due member, by itself settling the account. Returns the partial batch
    answer. Raises ``InvalidInput`` for an input that is none, and what ``framed`` makes of anything else.
    """
    if "Records" not in event:
        messages = start(environment.store(), load_programs(), sweep, event, context.aws_request_id)
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
                sweep_member,
            )
            _tell(log, sweep, counts)
        except Exception as error:  # noqa: BLE001 - this message comes back, its neighbours are not held up
            about = {"sweep": sweep, "message_id": record["messageId"], "error": described(error)}
            log.error("chunk failed", extra=about)
            again.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": again}


def _tell(log: Any, sweep: str, counts: Counts) -> None:
    """Logs what a chunk did. The alarm for a halted sweep looks for "sweep halted": see the template."""
    done = {"members": counts.members, "entries": counts.entries, "rewards": counts.rewards}
    log.info("chunk done", extra={"sweep": sweep, **done, "tally": dict(counts.tally)})
    if counts.halted is not None:
        log.error("sweep halted", extra={"sweep": sweep, "limit": counts.halted})
    if counts.of_run is not None:
        log.info("sweep finished", extra={"sweep": sweep, "report": report(counts.of_run, load_programs())})


def _send(message: Message) -> None:
    environment.client("sqs").send_message(
        QueueUrl=environment.setting("SWEEP_QUEUE_URL"), MessageBody=json.dumps(message)
    )
