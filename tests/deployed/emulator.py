"""ministack, an emulator of AWS that takes a real `sam deploy`, with the roles of the functions enforced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.deployed.building import REGION
from tests.simulation.conformance.targets import ministack_process

ACCOUNT = "123456789012"
# The key that the emulator takes for the account's own user: it may do everything, as who deploys may.
ROOT_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# Nothing listens that the template does not need: some of its services open ports of their own.
SERVICES = (
    "cloudformation,s3,sts,iam,lambda,sqs,dynamodb,dynamodbstreams,events,scheduler,apigateway,apigatewayv2,logs,"
    "monitoring,cloudwatch,kms"
)


class Emulator:
    """A running emulator."""

    def __init__(self, endpoint: str, log: Path) -> None:
        self.endpoint = endpoint
        self.log = log

    def session(self, keys: dict[str, str] | None = None) -> Session:
        """Whoever has these keys; without any, the account's own user."""
        keys = keys or ROOT_KEYS
        return Session(
            boto3.Session(
                keys["AWS_ACCESS_KEY_ID"],
                keys["AWS_SECRET_ACCESS_KEY"],
                keys.get("AWS_SESSION_TOKEN"),
                region_name=REGION,
            ),
            self.endpoint,
        )

    def said(self) -> str:
        """The end of its log, for when something failed."""
        return self.log.read_text("utf-8", "replace")[-4000:]


class Session:
    """Makes clients of the emulator's services."""

    def __init__(self, session: Any, endpoint: str) -> None:
        self._session = session
        self._endpoint = endpoint
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of an AWS service; one each. What is refused must come out, so nothing is tried twice."""
        if service not in self._made:
            config = Config(retries={"total_max_attempts": 1}, account_id_endpoint_mode="disabled")
            self._made[service] = self._session.client(service, endpoint_url=self._endpoint, config=config)
        return self._made[service]


def _memory() -> Path | None:
    """A folder in memory with room for what the emulator unpacks: 35,000 files, for each worker its own layers."""
    folder = Path("/dev/shm")  # where Linux has it; None = anywhere
    if folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2 * 1024**3:
        return folder
    return None


@contextmanager
def started(trusts: Path) -> Iterator[Emulator]:
    """Start the emulator; it trusts the authority in the file `trusts`, and enforces roles."""
    settings = {
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "SERVICES": SERVICES,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "SSL_CERT_FILE": str(trusts),
        "PYTHONDONTWRITEBYTECODE": "1",  # as on Lambda, where code and layers can only be read
        **ROOT_KEYS,
    }
    with ministack_process(_memory(), **settings) as (endpoint, log):
        yield Emulator(endpoint, log)
