"""The routes: who may read, what was asked for, and the use case that answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from club_http.callers import caller_of, require_scope, resolve_member
from club_http.languages import language_of
from club_http.requests import path_parameter, query_parameters, request_time
from club_ledger import environment, reading
from club_ledger.store import Store
from club_rules.messages import LANGUAGES, Messages, messages_for
from club_rules.programs import Programs, load_programs

Event = dict[str, Any]
Answer = dict[str, Any]
Read = Callable[[Store, Programs, str, datetime, dict[str, str], Messages], Answer]

SUPPORT = "club:support"


def _of_member(read: Read) -> Callable[[Event], Answer]:
    """A route below a member's path: theirs, or anybody's for support, who reads the fuller wording."""

    def route(event: Event) -> Answer:
        caller = caller_of(event)
        member_id = resolve_member(caller, path_parameter(event, "member_id"))
        messages = messages_for(language_of(event, LANGUAGES), caller.has(SUPPORT))
        query = event.get("queryStringParameters") or {}  # checked as a whole, so that all that is wrong is named
        return read(environment.store(), load_programs(), member_id, request_time(event), query, messages)

    return route


def _without_query(read: Callable[[Store, Programs, str, datetime, Messages], Answer]) -> Read:
    """A read that takes no parameters."""

    def checked(
        store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
    ) -> Answer:
        query_parameters({"queryStringParameters": query}, ())
        return read(store, programs, member_id, moment, messages)

    return checked


def _export(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
) -> Answer:
    from club_ledger.exporting import read_export  # seldom asked for

    return read_export(store, programs, member_id, moment, query, messages)


def _decisions(event: Event) -> Answer:
    caller = caller_of(event)
    require_scope(caller, SUPPORT)
    member_id = resolve_member(caller, path_parameter(event, "member_id"))
    return reading.read_decisions(environment.store(), member_id, event.get("queryStringParameters") or {})


def _decision(event: Event) -> Answer:
    require_scope(caller_of(event), "club:decide", SUPPORT)
    query_parameters(event, ())
    return reading.read_decision(environment.store(), path_parameter(event, "decision_id"))


ROUTES: dict[str, Callable[[Event], Answer]] = {
    "GET /members/{member_id}": _of_member(_without_query(reading.read_summary)),
    "GET /members/{member_id}/statement": _of_member(reading.read_statement),
    "GET /members/{member_id}/privileges": _of_member(_without_query(reading.read_privileges)),
    "GET /members/{member_id}/rewards": _of_member(_without_query(reading.read_rewards)),
    "GET /members/{member_id}/explanation": _of_member(reading.read_explanation),
    "GET /members/{member_id}/outlook": _of_member(reading.read_outlook),
    "GET /members/{member_id}/export": _of_member(_export),
    "GET /members/{member_id}/decisions": _decisions,
    "GET /decisions/{decision_id}": _decision,
}
