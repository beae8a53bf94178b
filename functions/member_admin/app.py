"""What operators do to a member (contract 2.1): adjustments, and erasing."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.logging import Logger

from admin_routes import ROUTES  # beside this file, which is on the path on Lambda
from club_http.api import api
from club_ledger import environment

SECONDS_AN_ACTION = 8.0
"""So long an action may be tried again; the function has ten seconds."""

logger = Logger()


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers one of ``ROUTES``, or with a problem. The log is told ids alone: no reason, and nobody's data."""
    act = ROUTES[event["routeKey"]]
    response, ids = act(event, environment.time_left(context, SECONDS_AN_ACTION))
    logger.info("done by an operator", extra=ids)
    return response
