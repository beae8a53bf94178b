"""POST /refunds/expedited (contract 2.1): decides on an expedited refund."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger

from club_http.api import api
from club_http.callers import caller_of, require_scope
from club_http.problems import respond
from club_http.requests import read_object, request_time
from club_ledger import environment
from club_ledger.deciding import decide_refund
from club_rules.decisions import parse_refund_request
from club_rules.json_text import load_json
from club_rules.programs import load_programs

SECONDS_A_DECISION = 8.0
"""So long a decision may be tried again; the function has ten seconds."""

logger = Logger()


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers 200 with the decision, the stored one for a repeat; else a problem."""
    require_scope(caller_of(event), "club:decide")
    programs = load_programs()
    request = parse_refund_request(read_object(event, partial(load_json, defer=True)), programs)
    decision = decide_refund(
        environment.store(),
        programs,
        request,
        request_time(event),
        environment.setting("EXPEDITED_REFUNDS") == "on",
        environment.time_left(context, SECONDS_A_DECISION),
    )
    ids = {name: decision[name] for name in ("decision_id", "request_id", "member_id", "decision")}
    logger.info("refund decided", extra=ids)
    return respond(200, decision)
