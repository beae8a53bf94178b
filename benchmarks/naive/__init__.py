"""The naive build beside the club: its tables, its environment, its packages, and a way to call it here.

Importing ``app`` lets the tracer patch botocore for the whole process, for whoever else runs in it: a process that
measures the club doesn't import it. ``python -m benchmarks.naive`` is such a process of its own.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import Missing
from tests.deployed.find_python import version

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv-naive"
"""Its packages for the Python of the functions, see requirements/naive.in."""


def variables() -> dict[str, str]:
    """Its environment on Lambda, as far as it asks: without LAMBDA_TASK_ROOT and a trace the tracer does nothing.

    Segments are sent by UDP; nobody listens at the address given here.
    """
    return {
        "LEDGER_TABLE": "naive-ledger",
        "IDEMPOTENCY_TABLE": "naive-idempotency",
        "POWERTOOLS_SERVICE_NAME": "naive",
        "POWERTOOLS_METRICS_NAMESPACE": "naive",
        "AWS_LAMBDA_FUNCTION_NAME": "naive",
        "LAMBDA_TASK_ROOT": str(FOLDER),
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",
        "_X_AMZN_TRACE_ID": "Root=1-69218c84-1f2e3d4c5b6a798001122334;Parent=53995c3f42cd8ad8;Sampled=1",
    }


def tables() -> list[dict[str, Any]]:
    """Its tables, as CreateTable takes them."""
    names = variables()

    def keys(partition: str, sort: str | None = None) -> list[dict[str, str]]:
        found = [{"AttributeName": partition, "KeyType": "HASH"}]
        return found if sort is None else [*found, {"AttributeName": sort, "KeyType": "RANGE"}]

    def texts(*attributes: str) -> list[dict[str, str]]:
        return [{"AttributeName": name, "AttributeType": "S"} for name in attributes]

    return [
        {
            "TableName": names["LEDGER_TABLE"],
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": texts("pk", "sk", "gsi1pk", "gsi1sk"),
            "KeySchema": keys("pk", "sk"),
            "GlobalSecondaryIndexes": [
                {"IndexName": "gsi1", "KeySchema": keys("gsi1pk", "gsi1sk"), "Projection": {"ProjectionType": "ALL"}}
            ],
        },
        {
            "TableName": names["IDEMPOTENCY_TABLE"],
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": texts("id"),
            "KeySchema": keys("id"),
        },
    ]


def packages() -> Path:
    """The folder of its third-party packages, made for the Python of the functions.

    Raises ``Missing`` where there is none, or it was made with another Python.
    """
    folder = ENVIRONMENT / "lib" / f"python{version()}" / "site-packages"
    if not (ENVIRONMENT / ".ready").exists() or not folder.is_dir():
        raise Missing(f"{ENVIRONMENT.name} for Python {version()} isn't here: make {ENVIRONMENT.name}/.ready")
    return folder


def context(seconds: float = 60.0) -> Any:
    """A Lambda context with what Powertools asks of it."""
    return SimpleNamespace(
        function_name="naive",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:naive",
        aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        get_remaining_time_in_millis=lambda: int(seconds * 1000),
    )


def poster() -> Callable[[dict[str, Any]], Any]:
    """What posts one SQS record, in this process, and gives the handler's answer. What it logs is thrown away.

    Sets its ``variables`` in this process; endpoint, region and credentials are whoever calls' to set.
    """
    os.environ.update(variables())
    sink = io.StringIO()
    with redirect_stdout(sink):
        from benchmarks.naive import app

    def post(record: dict[str, Any]) -> Any:
        with redirect_stdout(sink):
            answer = app.handler({"Records": [record]}, context())
        sink.seek(0)
        sink.truncate()
        return answer

    return post
