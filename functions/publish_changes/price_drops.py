"""Prices that dropped, on their way to whoever watches the item: a message for each shard of the watchers."""

from __future__ import annotations

import json
from typing import Any

from club_ledger import environment
from club_ledger.alerting import messages_of

SENT_AT_ONCE = 10
"""SQS's bound for one SendMessageBatch."""


def send_drops(records: list[dict[str, Any]]) -> int | None:
    """Sends what the drops among the ``records`` of the table's stream stand for.

    Returns the place of the first record whose messages the queue did not all take, or ``None``; raises what the
    queue raises. A message that is sent again alerts nobody again.
    """
    pending = list(messages_of(records, lambda: environment.store().shards))
    for start in range(0, len(pending), SENT_AT_ONCE):
        batch = pending[start : start + SENT_AT_ONCE]
        entries = [{"Id": str(n), "MessageBody": json.dumps(message)} for n, (_, message) in enumerate(batch)]
        answer = environment.client("sqs").send_message_batch(
            QueueUrl=environment.setting("PRICE_ALERT_QUEUE_URL"), Entries=entries
        )
        if answer.get("Failed"):
            return min(batch[int(each["Id"])][0] for each in answer["Failed"])
    return None
