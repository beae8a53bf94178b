"""A small stack whose functions do as a test tells them."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local import tokens
from local.stack import Stack

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)

# Each function keeps what it was given, and does what the test has put into `behave`.
_FUNCTION = '''
"""A function that does as a test tells it."""
import os

calls = []
contexts = []
environments = []
behave = None


def handler(event, context):
    calls.append(event)
    contexts.append(context)
    environments.append(dict(os.environ))
    return behave(event) if behave else None
'''
_FUNCTIONS = ("web", "worker", "endless", "announcer", "sweeper")


class Tiny:
    """The stack of tiny.yaml, and its functions."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def module(self, function: str) -> dict[str, Any]:
        return self.stack.runtime.handler(self.stack.template.function(function)).__globals__

    def calls(self, function: str) -> list[Any]:
        return self.module(function)["calls"]

    def tell(self, function: str, behave: Callable[[Any], Any] | None) -> None:
        self.module(function)["behave"] = behave

    def send(self, *bodies: str, queue: str = "WorkQueue", **attributes: str) -> None:
        sent = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        for body in bodies:
            self.stack.queues.send(self.arn(queue), body, sent)

    def arn(self, logical_id: str) -> str:
        return self.stack.template.arn_of(logical_id)

    def put(self, pk: str, sk: str = "1", **attributes: str) -> None:
        item = {"pk": {"S": pk}, "sk": {"S": sk}, **{name: {"S": value} for name, value in attributes.items()}}
        self.stack.client("dynamodb").put_item(TableName=self.table, Item=item)

    @property
    def table(self) -> str:
        return next(iter(self.stack.template.tables))

    def contexts_environment(self, function: str = "worker") -> dict[str, str]:
        """Give the environment that a function ran with when it was called last."""
        return self.module(function)["environments"][-1]

    def bearer(self, *scopes: str, sub: str = "anna", **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.stack.token(sub, scopes, **claims)}"}


def write_tiny(root: Path) -> Path:
    """Write the small deployment into a folder; gives its template."""
    template = root / "template.yaml"
    shutil.copy(Path(__file__).parent / "tiny.yaml", template)
    for name in _FUNCTIONS:
        folder = root / "functions" / name
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(_FUNCTION)
    return template


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gives one key for all stacks: to find two primes takes longer than most of the tests."""
    path = tokens.key_path(tmp_path_factory.mktemp("key"))
    tokens.signing_key(path)
    return path


@pytest.fixture
def tiny(tmp_path: Path, signing_key: Path) -> Iterator[Tiny]:
    place = tokens.key_path(tmp_path)
    place.parent.mkdir(parents=True)
    shutil.copy(signing_key, place)
    with Stack(NOW, write_tiny(tmp_path)) as stack:
        yield Tiny(stack)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The club's own stack, at ``NOW``."""
    with Stack(NOW) as running:
        yield running
