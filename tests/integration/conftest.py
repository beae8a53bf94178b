"""A club on moto for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from club_ledger import environment
from local import moto_patch
from local.functions import unhurried
from tests.integration.harness import Club, Wire


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """AWS as moto has it, with a hand on the wire. Waits before a next try are counted, and pass at once."""
    wire = Wire()

    def carry(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        return wire(stubber, event_name, request)

    monkeypatch.setattr(BotocoreStubber, "__call__", carry)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    with mock_aws(config={"core": {"mock_credentials": False}}), moto_patch.patched(), unhurried():
        yield wire
    environment.store.cache_clear()


@pytest.fixture
def club(wire: Wire) -> Club:
    """The template's table and queues, and the functions on them."""
    return Club(wire)
