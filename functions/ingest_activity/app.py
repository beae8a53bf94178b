"""POST /activities (contract 2.1): checks each event and sends it to the activity queue."""

from collections import Counter
from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger

from club_http.api import api
from club_http.callers import caller_of, require_scope
from club_http.problems import respond
from club_http.requests import read_object, request_time
from club_rules.json_text import load_json
from club_rules.programs import load_programs
from ingest_batch import (  # beside this file, which is on the path on Lambda
    Refusal,
    answer,
    distinct,
    events_of,
    judge,
    settle,
)
from ingest_queue import send

logger = Logger()


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer 202 with the ids that were accepted, and with what was refused and why; else a problem.

    Accepted means: stored in the queue. An event that was accepted twice in one request is sent once.
    """
    caller = caller_of(event)
    require_scope(caller, "club:ingest")
    events = events_of(read_object(event, partial(load_json, defer=True)))
    outcomes = judge(events, now=request_time(event), programs=load_programs(), admin=caller.has("club:admin"))
    unsent = send(distinct(outcomes), context.get_remaining_time_in_millis)
    outcomes = settle(outcomes, unsent)
    _log(outcomes, event["requestContext"].get("requestId"))
    return respond(202, answer(outcomes))


def _log(outcomes: list[Any], request_id: str | None) -> None:
    """Log how many events were taken, and how many refused for what; never what they hold."""
    codes = Counter(outcome.code for outcome in outcomes if isinstance(outcome, Refusal))
    logger.info(
        "activities",
        extra={"request_id": request_id, "events": len(outcomes), "refused": dict(codes)},
    )
