"""The local stack on the simulation's store: the same gateway, functions, queues, streams and bus, without moto.

A store request of moto takes ten milliseconds, and one of these tests makes some fifty of them, two thousand times.
What is left out lies below the functions and is held by the tests of the local stack: HTTP, retries and roles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.client

from local import boundary, moto_patch
from local import stack as stack_module
from local.stack import Stack
from local.template import ACCOUNT, REGION
from tests.simulation.dynamodb import Model

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as moto's, the stack's instants of changes have no zone
_CALL = botocore.client.BaseClient._make_api_call


class QuickStack(Stack):
    """The stack; ``empty`` makes it a new one, which takes no time. To be had from ``quick_stack``."""

    store: Model

    def empty(self, now: datetime) -> None:
        """As if it had just been deployed, at an instant."""
        self.store = self._new_store()
        for queue in self.queues.by_arn.values():
            queue.ready.clear()
        for changes in self._changes:
            changes.records.clear()
            changes.tries = 0
        self._invocations.clear()
        self.bus.published.clear()
        self.set_clock(now)

    def _new_store(self) -> Model:
        store = Model(self._seconds)
        for table in self.template.tables.values():
            store.create_table(**table.create)
        return store

    def _seconds(self) -> float:
        return self.now.timestamp()

    def call(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answers what a client asks."""
        if self.runtime.running is not None:
            for observer in boundary.observers:
                observer(self.runtime.running, service, operation, params)
        if service == "dynamodb":
            return self.store.call(operation, params)
        status, answer = self._boundary._answer[service](operation, json.loads(json.dumps(params)))
        assert status == 200, answer
        return answer

    def take_changes(self, table: str) -> list[dict[str, Any]]:
        """What has changed in a table since the last time."""
        records = self.store.stream(table)
        if records:
            self.store.forget_stream(table, records[-1]["dynamodb"]["SequenceNumber"])
        for record in records:
            seconds = record["dynamodb"]["ApproximateCreationDateTime"]
            record["dynamodb"]["ApproximateCreationDateTime"] = _EPOCH + timedelta(seconds=seconds)
        return records


@contextmanager
def quick_stack(now: datetime) -> Iterator[QuickStack]:
    """The stack, for as long as the context lasts; one at a time, as ever."""
    with ExitStack() as open_things:
        stack: QuickStack | None = None

        def call(client: Any, operation: str, params: dict[str, Any]) -> Any:
            service = client.meta.service_model.service_name
            if stack is None or service not in ("dynamodb", "sqs", "events"):
                return _CALL(client, operation, params)
            return stack.call(service, operation, params)

        stack = QuickStack(now, enforce_permissions=False)
        open_things.enter_context(stack)
        backends = {ACCOUNT: {REGION: SimpleNamespace(tables=_Tables(stack))}}
        for owner, name, value in (
            (botocore.client.BaseClient, "_make_api_call", call),
            (stack_module, "dynamodb_backends", backends),
            (moto_patch, "take_stream_records", lambda table: stack.take_changes(table.name)),
            (stack_module, "plain", lambda image: image),  # the model's records are JSON already
        ):
            open_things.enter_context(mock.patch.object(owner, name, value))
        stack.empty(now)
        yield stack


class _Tables:
    """Where the stack looks for a table's stream."""

    def __init__(self, stack: QuickStack) -> None:
        self._stack = stack

    def __getitem__(self, name: str) -> SimpleNamespace:
        waiting = self._stack.store.tables[name].streamed  # the stack only asks how many there are
        return SimpleNamespace(name=name, stream_shard=SimpleNamespace(items=waiting))
