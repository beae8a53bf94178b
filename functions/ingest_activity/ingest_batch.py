"""The events of one request: each judged by itself, so that a bad one never blocks its neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from club_http.problems import field_errors
from club_http.requests import unknown_fields
from club_rules.errors import ClubError, FieldError, InvalidInput
from club_rules.events import ADMIN_TYPES, ActivityEvent, ProgramFacts, parse_event

EVENTS_MAX = 100
# An answer names at most so many fields, over all its events: an answer of Lambda's ends at 6 MB.
FIELD_ERRORS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that is not taken, and why; `event_id` as it was sent, if it was text at all."""

    event_id: str | None
    index: int
    code: str
    detail: str
    errors: list[FieldError]


Outcome = ActivityEvent | Refusal


def events_of(body: Mapping[str, Any]) -> list[object]:
    """Find the events in the body of a request.

    Raises InvalidInput, which names every field of the body that is wrong; the events themselves are not
    looked at.
    """
    errors = unknown_fields(body, {"events"})
    events = body.get("events")
    if "events" not in body:
        errors.append(FieldError("/events", "missing", f"is required: a list of 1 to {EVENTS_MAX} events"))
    elif not isinstance(events, list):
        errors.append(FieldError("/events", "invalid_type", f"must be a list of 1 to {EVENTS_MAX} events"))
    elif not events:
        errors.append(FieldError("/events", "out_of_range", "must hold at least one event"))
    elif len(events) > EVENTS_MAX:
        errors.append(FieldError("/events", "too_many", f"must hold at most {EVENTS_MAX} events"))
    if errors:
        raise InvalidInput(errors)
    return list(events or ())


def judge(events: list[object], *, now: datetime, programs: ProgramFacts, admin: bool) -> list[Outcome]:
    """Judge each event (rules 1.3), in order; `admin` tells whether the caller may send violations.

    The same id with the same content is the same event, and taken; with other content the later one is
    refused, here already, since the queue keeps no order.
    """
    outcomes: list[Outcome] = []
    digests: dict[str, str] = {}
    for index, raw in enumerate(events):
        outcome = _judge_one(index, raw, now, programs, admin)
        if isinstance(outcome, ActivityEvent):
            first = digests.setdefault(outcome.event_id, outcome.digest)
            if first != outcome.digest:
                outcome = Refusal(outcome.event_id, index, "event_id_reused", _REUSED, [])
        outcomes.append(outcome)
    return outcomes


def distinct(outcomes: list[Outcome]) -> list[ActivityEvent]:
    """List the events to send: those that are taken, each id once."""
    taken = {outcome.event_id: outcome for outcome in outcomes if isinstance(outcome, ActivityEvent)}
    return list(taken.values())


def settle(outcomes: list[Outcome], unsent: Mapping[str, ClubError]) -> list[Outcome]:
    """Turn the events that could not be sent, by their ids, into refusals: what is claimed is stored."""
    return [
        Refusal(outcome.event_id, index, unsent[outcome.event_id].code, unsent[outcome.event_id].detail, [])
        if isinstance(outcome, ActivityEvent) and outcome.event_id in unsent
        else outcome
        for index, outcome in enumerate(outcomes)
    ]


def answer(outcomes: list[Outcome]) -> dict[str, Any]:
    """Write the body of the answer (contract 2.1), both lists in the order of the request."""
    room = FIELD_ERRORS_MAX
    refused = []
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            errors = outcome.errors[:room]
            room -= len(errors)
            refused.append(
                {
                    "event_id": outcome.event_id,
                    "index": outcome.index,
                    "code": outcome.code,
                    "detail": outcome.detail,
                    "errors": field_errors(errors),
                }
            )
    accepted = [outcome.event_id for outcome in outcomes if isinstance(outcome, ActivityEvent)]
    return {"accepted": accepted, "refused": refused}


_REUSED = "an earlier event of this request has the same event_id and other content"
_ADMIN_ONLY = "an event of this type needs the scope club:admin"


def _judge_one(index: int, raw: object, now: datetime, programs: ProgramFacts, admin: bool) -> Outcome:
    """Judge one event by itself. What may be sent is asked first: who may not is told nothing of the rest."""
    fields = raw if isinstance(raw, dict) else {}
    given = fields.get("event_id")
    event_id = given if isinstance(given, str) else None
    event_type = fields.get("type")
    if not admin and isinstance(event_type, str) and event_type in ADMIN_TYPES:
        return Refusal(event_id, index, "scope_required", _ADMIN_ONLY, [])
    try:
        return parse_event(raw, now=now, programs=programs)
    except InvalidInput as error:
        return Refusal(event_id, index, error.code, error.detail, error.errors)
