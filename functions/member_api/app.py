"""What a member and an agent read (contract 2.1)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from club_http.api import api
from club_http.problems import respond
from club_ledger import environment
from club_ledger.store import retrying
from member_reads import ROUTES

SECONDS_A_READ = 5.0

logger = Logger()


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers one of ``ROUTES`` with JSON, or with a problem."""
    read = ROUTES[event["routeKey"]]
    answer = retrying(lambda: read(event), environment.time_left(context, SECONDS_A_READ))
    return respond(200, answer)
