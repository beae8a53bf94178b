"""What a member and an agent read (contract 2.1): the summary, the statement, a decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from club_http.api import api
from club_http.callers import caller_of, require_scope, resolve_member
from club_http.problems import respond
from club_http.requests import path_parameter, query_parameters, request_time
from club_ledger import environment
from club_ledger.reading import read_decision, read_statement, read_summary
from club_ledger.store import retrying
from club_rules.programs import load_programs

SECONDS_A_READ = 5.0

logger = Logger()


def _summary(event: dict[str, Any]) -> dict[str, Any]:
    member_id = resolve_member(caller_of(event), path_parameter(event, "member_id"))
    query_parameters(event, ())
    return read_summary(environment.store(), load_programs(), member_id, request_time(event))


def _statement(event: dict[str, Any]) -> dict[str, Any]:
    member_id = resolve_member(caller_of(event), path_parameter(event, "member_id"))
    query = event.get("queryStringParameters") or {}  # checked as a whole, so that all that is wrong is named
    return read_statement(environment.store(), load_programs(), member_id, request_time(event), query)


def _decision(event: dict[str, Any]) -> dict[str, Any]:
    require_scope(caller_of(event), "club:decide", "club:support")
    query_parameters(event, ())
    return read_decision(environment.store(), path_parameter(event, "decision_id"))


ROUTES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "GET /members/{member_id}": _summary,
    "GET /members/{member_id}/statement": _statement,
    "GET /decisions/{decision_id}": _decision,
}


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers one of the routes above with JSON, or with a problem."""
    read = ROUTES[event["routeKey"]]
    answer = retrying(lambda: read(event), environment.time_left(context, SECONDS_A_READ))
    return respond(200, answer)
