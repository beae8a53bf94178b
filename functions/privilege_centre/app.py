"""GET /club, the privilege centre, and GET /openapi.json (contract 2.1): two documents that anybody may read.

The page holds no data of a member. It calls the API from the browser, with the token that its host hands to it.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

import documents
from club_http.api import api

logger = Logger()


@api(logger=logger)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers 200 with the route's document, or 304 where the caller's copy is the same."""
    document = documents.of(event["routeKey"])
    if document.is_known(event.get("headers") or {}):
        return {"statusCode": 304, "headers": document.headers, "body": ""}
    return {"statusCode": 200, "headers": document.headers, "body": document.body, "isBase64Encoded": False}
