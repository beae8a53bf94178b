"""The DynamoDBs that the cases are run against, each made and taken down by whoever asks for it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
from botocore.config import Config
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from local import moto_patch
from local.template import ACCOUNT
from tests.simulation.conformance.suite import TABLES, Target
from tests.simulation.dynamodb import Model

ROOT = Path(__file__).resolve().parents[3]
MINISTACK = ROOT / ".venv-emulator" / "bin" / "ministack"
HOW_TO_GET_MINISTACK = "ministack isn't here: make .venv-emulator/.ready"

# The cases say what is refused, so botocore must let it out; and what fails is not to be tried again.
# Account endpoints are for AWS alone: moto takes them for another service.
_BARE = {
    "parameter_validation": False,
    "account_id_endpoint_mode": "disabled",
    "retries": {"max_attempts": 0},
    "max_pool_connections": 2,
}
_REGION = "eu-west-1"


class _OurModel:
    """Our model, with a clock that stands."""

    patience_s = 0.0

    def __init__(self) -> None:
        self.model = Model(lambda: 1_800_000_000.0)
        for table in TABLES:
            self.model.create_table(BillingMode="PAY_PER_REQUEST", **table)

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return self.model.call(operation, params)

    def forget(self) -> None:
        """Nothing to do: it costs no more with items in it."""

    def records(self, table: str) -> list[dict[str, Any]]:
        found = self.model.tables[table].streamed  # before they are made into JSON, as the others' clients give them
        return [
            {
                "eventName": "INSERT" if each.old is None else "REMOVE" if each.new is None else "MODIFY",
                "Keys": each.key,
                **({"OldImage": each.old.item} if each.old is not None else {}),
                **({"NewImage": each.new.item} if each.new is not None else {}),
            }
            for each in found
        ]


class _Client:
    """A DynamoDB behind botocore. ``prefix`` stands before the names of the tables, which are its own."""

    def __init__(self, session: Any, endpoint: str | None, prefix: str = "", patience_s: float = 0.0) -> None:
        self._prefix = prefix
        self.patience_s = patience_s
        self._dynamodb = session.client("dynamodb", endpoint_url=endpoint, config=Config(**_BARE))
        self._streams = session.client("dynamodbstreams", endpoint_url=endpoint, config=Config(**_BARE))

    def create_tables(self) -> None:
        for table in TABLES:
            self._dynamodb.create_table(BillingMode="PAY_PER_REQUEST", **self._named(table))
        for table in TABLES:
            waiter = self._dynamodb.get_waiter("table_exists")
            waiter.config.delay = 2
            waiter.wait(TableName=self._prefix + table["TableName"])

    def delete_tables(self) -> None:
        for table in TABLES:
            self._dynamodb.delete_table(TableName=self._prefix + table["TableName"])

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._unnamed(self._dynamodb._make_api_call(operation, self._named(params)))

    def forget(self) -> None:
        """Nothing to do: the cases keep apart by their prefixes."""

    def _named(self, value: Any) -> Any:
        return _renamed(value, lambda name: self._prefix + name) if self._prefix else value

    def _unnamed(self, value: Any) -> Any:
        return _renamed(value, lambda name: name.removeprefix(self._prefix)) if self._prefix else value

    def records(self, table: str) -> list[dict[str, Any]]:
        (stream,) = self._streams.list_streams(TableName=self._prefix + table)["Streams"]
        arn = stream["StreamArn"]
        found: list[dict[str, Any]] = []
        for shard in self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            position = self._streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while position:
                answer = self._streams.get_records(ShardIterator=position)
                found += answer["Records"]
                position = answer.get("NextShardIterator") if answer["Records"] else None
        return [
            {
                "eventName": each["eventName"],
                **{
                    name: each["dynamodb"][name]
                    for name in ("Keys", "OldImage", "NewImage")
                    if each["dynamodb"].get(name)
                },
            }
            for each in found
        ]


class _Moto(_Client):
    """moto, which copies and walks whole tables: so they are kept small."""

    def forget(self) -> None:
        for table in dynamodb_backends[ACCOUNT][_REGION].tables.values():
            table.items.clear()
            moto_patch.take_stream_records(table)
            table.__dict__.pop("_club_indexes", None)  # moto_patch's, made anew from the items


def _renamed(value: Any, change: Callable[[str], str]) -> Any:
    """A request or an answer with other table names."""
    if isinstance(value, list):
        return [_renamed(each, change) for each in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for name, each in value.items():
        if name == "TableName":
            found[name] = change(each)
        elif name in {"RequestItems", "Responses", "UnprocessedItems", "UnprocessedKeys"} and isinstance(each, Mapping):
            found[name] = {change(table): _renamed(content, change) for table, content in each.items()}
        else:
            found[name] = _renamed(each, change)
    return found


def _session() -> Any:
    """A session with credentials that open nothing."""
    return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=_REGION)


@contextmanager
def model() -> Iterator[Target]:
    """Our model."""
    yield _OurModel()


@contextmanager
def moto(patch: bool = False) -> Iterator[Target]:
    """moto, in this process; with our patch of it, where that is asked for."""
    patched: AbstractContextManager[None] = moto_patch.patched() if patch else nullcontext()
    with mock_aws(), patched:
        target = _Moto(_session(), None)
        target.create_tables()
        yield target


@contextmanager
def ministack() -> Iterator[Target]:
    """ministack, in a process of its own that ends with this context. Raises ``FileNotFoundError`` without it."""
    with ministack_process(SERVICES="dynamodb,dynamodbstreams") as (endpoint, _):
        target = _Client(_session(), endpoint)
        target.create_tables()
        yield target


@contextmanager
def ministack_process(scratch: Path | None = None, **settings: str) -> Iterator[tuple[str, Path]]:
    """Its endpoint, on a free port of 127.0.0.1, and its log; ``settings`` go into its environment.

    Its files lie in a folder of their own in ``scratch``, else where temporary files do. The process ends with this
    context. Raises ``FileNotFoundError`` where it isn't installed.
    """
    if not MINISTACK.with_name("python").exists() or not MINISTACK.exists():
        raise FileNotFoundError(HOW_TO_GET_MINISTACK)
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(dir=scratch) as folder, Path(folder, "log").open("wb") as log:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "TMPDIR": folder,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            **settings,
        }
        process = subprocess.Popen([MINISTACK], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(endpoint, process, Path(folder, "log"))
            yield endpoint, Path(folder, "log")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(f"{endpoint}/_ministack/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"ministack has not come up:\n{log.read_text('utf-8', 'replace')[-2000:]}")


@contextmanager
def endpoint(url: str) -> Iterator[Target]:
    """Any other emulator that listens at this URL; it asks for no credentials."""
    yield from _with_own_tables(_Client(_session(), url, _prefix(), patience_s=2.0))


@contextmanager
def aws() -> Iterator[Target]:
    """The real DynamoDB, with the credentials and the region that boto3 finds. Costs some cents."""
    yield from _with_own_tables(_Client(boto3.Session(), None, _prefix(), patience_s=30.0))


def _prefix() -> str:
    return f"{os.environ.get('CONFORMANCE_PREFIX', 'conformance')}-{uuid.uuid4().hex[:8]}-"


def _with_own_tables(target: _Client) -> Iterator[Target]:
    try:
        target.create_tables()
        yield target
    finally:
        target.delete_tables()


def named(name: str) -> AbstractContextManager[Target]:
    """A target by its name: model, moto, moto-patched, ministack, aws, or the URL of an endpoint."""
    if name.startswith(("http://", "https://")):
        return endpoint(name)
    made: dict[str, Callable[[], AbstractContextManager[Target]]] = {
        "model": model,
        "moto": moto,
        "moto-patched": lambda: moto(patch=True),
        "ministack": ministack,
        "aws": aws,
    }
    return made[name]()
