"""Sending events to the activity queue, in as few calls as SQS allows, and telling which did not arrive."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from club_rules.errors import ClubError, Refused, Unavailable
from club_rules.events import ActivityEvent, wire_event

CALL_MESSAGES_MAX = 10
CALL_BYTES_MAX = 256 * 1024

_ROUNDS_MAX = 3
_PAUSE_SECONDS = 0.05
# Two attempts of at most 3 seconds each, and the pause between them: no call is begun that could not end.
_CALL_MILLIS_MAX = 7_000

_UNAVAILABLE = Unavailable("temporarily_unavailable", "was not stored; send it again later")
_REJECTED = Refused("internal_error", "was not stored: the queue does not take it")


def message_of(event: ActivityEvent) -> str:
    """Write the message for an event, in the shape that EventBridge gives to those from the bus."""
    detail = wire_event(event)
    envelope = {"source": "marketplace", "detail-type": detail.pop("type"), "detail": detail}
    # Not ASCII only: a category in another script would be three times as long, and past SQS's limit.
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def send(events: list[ActivityEvent], millis_left: Callable[[], int]) -> dict[str, ClubError]:
    """Send events to the queue named by ACTIVITY_QUEUE_URL; return those that did not get there, by event id.

    `millis_left` tells how long the invocation may still last. Once a call fails altogether, or the time runs
    out, no other is tried. Raises Unavailable if nothing was stored by then: the request may be sent again.
    """
    unsent: dict[str, ClubError] = {}
    stored = 0
    broken = False
    for call in _calls(events):
        waiting = dict(call)
        broken = broken or millis_left() <= _CALL_MILLIS_MAX
        if not broken:
            try:
                _send_call(waiting, unsent, millis_left)
            except (BotoCoreError, ClientError):
                broken = True
        unsent.update(dict.fromkeys(waiting, _UNAVAILABLE))
        stored += len(call) - sum(event_id in unsent for event_id in call)
    if broken and not stored:
        raise Unavailable("temporarily_unavailable", "nothing was stored; send the request again")
    return unsent


def _send_call(waiting: dict[str, str], unsent: dict[str, ClubError], millis_left: Callable[[], int]) -> None:
    """Send the messages of one call; those still in `waiting` afterwards did not get there."""
    for round_ in range(_ROUNDS_MAX):
        if round_:
            if millis_left() <= _CALL_MILLIS_MAX:
                return
            time.sleep(_PAUSE_SECONDS * 2**round_ * random.random())
        ids = list(waiting)
        entries = [{"Id": str(place), "MessageBody": waiting[event_id]} for place, event_id in enumerate(ids)]
        reply = _client().send_message_batch(QueueUrl=os.environ["ACTIVITY_QUEUE_URL"], Entries=entries)
        for success in reply.get("Successful", ()):
            del waiting[ids[int(success["Id"])]]
        for failure in reply.get("Failed", ()):
            if failure.get("SenderFault"):
                # Asking again would get the same answer.
                event_id = ids[int(failure["Id"])]
                del waiting[event_id]
                unsent[event_id] = _REJECTED
        if not waiting:
            return


def _calls(events: list[ActivityEvent]) -> Iterator[dict[str, str]]:
    """Divide the messages, by event id, into calls of at most 10 messages and 256 KiB.

    No message is bigger than that by itself: the bounds of rules 1.3 see to it.
    """
    call: dict[str, str] = {}
    call_bytes = 0
    for event in events:
        message = message_of(event)
        size = len(message.encode())
        if len(call) == CALL_MESSAGES_MAX or call_bytes + size > CALL_BYTES_MAX:
            yield call
            call, call_bytes = {}, 0
        call[event.event_id] = message
        call_bytes += size
    if call:
        yield call


@cache
def _client() -> Any:
    """Make the one client of this process, when it is first needed.

    botocore alone, without boto3 around it: sixty modules fewer at a cold start. Parameters are not validated
    against the service's model, since they are all our own.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=2,
        retries={"total_max_attempts": 2, "mode": "standard"},
        parameter_validation=False,
    )
    return botocore.session.get_session().create_client("sqs", config=config)
