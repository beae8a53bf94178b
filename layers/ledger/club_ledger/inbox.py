"""The inbox: messages of the activity queue become postings, or dead letters with their reason.

What can't be posted now comes back with the queue's own retries; what can never be posted is put among the dead
letters with the reason, so that nothing is dropped and nothing else is held up (contract 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from club_ledger.posting import post_event
from club_ledger.store import Store
from club_rules.errors import ClubError, FieldError, InvalidInput, Unavailable
from club_rules.events import ActivityEvent, parse_event
from club_rules.json_text import load_json
from club_rules.programs import Programs

Record = dict[str, Any]


class Outcome:
    """What became of a batch: message ids to be delivered again, dead letters (record, reason), and counts.

    ``defects`` are the errors that nobody foresaw, by the message that met them: it is delivered again as well.
    """

    def __init__(self) -> None:
        self.again: list[str] = []
        self.defects: list[tuple[str, Exception]] = []
        self.dead: list[tuple[Record, ClubError]] = []
        self.posted = 0
        self.repeated = 0

    def unforeseen(self, record: Record, error: Exception) -> None:
        """Notes an error that nobody foresaw; the record's message is delivered again."""
        self.defects.append((record["messageId"], error))
        self.again.append(record["messageId"])


def post_batch(
    store: Store, programs: Programs, records: Iterable[Record], time_left: Callable[[], Callable[[], float]]
) -> Outcome:
    """Posts a batch of SQS records, each by itself.

    Those of one member are posted one after the other, in the order in which they occurred. ``time_left`` starts
    the clock of one event. Never raises for what stands in a record, nor for what happens while one is posted: its
    neighbours would be held up, and in the end be dead letters with it.
    """
    outcome = Outcome()
    readable: list[tuple[ActivityEvent, datetime, Record]] = []
    for record in records:
        try:
            event, moment = read_record(record, programs)
            readable.append((event, moment, record))
        except ClubError as error:
            outcome.dead.append((record, error))
        except Exception as error:  # noqa: BLE001 - see below
            outcome.unforeseen(record, error)
    for event, moment, record in sorted(readable, key=lambda each: (each[0].member_id, each[0].occurred_at)):
        try:
            if post_event(store, programs, event, moment, time_left()):
                outcome.posted += 1
            else:
                outcome.repeated += 1
        except Unavailable:
            outcome.again.append(record["messageId"])
        except ClubError as error:
            outcome.dead.append((record, error))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this message's alone
            outcome.unforeseen(record, error)
    return outcome


def read_record(record: Record, programs: Programs) -> tuple[ActivityEvent, datetime]:
    """The event of an SQS record (EventBridge's envelope in its body), and its moment of posting.

    The moment is when the message was first sent, so a retried message keeps it (rules 1.2). Raises
    ``InvalidInput`` naming every bad field.
    """
    moment = datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
    envelope = load_json(record["body"])
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(detail, dict):
        raise InvalidInput([FieldError("/detail", "missing", "an EventBridge event with a detail is expected")])
    if "type" in detail:
        raise InvalidInput([FieldError("/type", "unknown_field", "the detail type of the event says its type")])
    return parse_event({**detail, "type": envelope.get("detail-type")}, now=moment, programs=programs), moment
