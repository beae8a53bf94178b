"""The clients of AWS, each made once in a process, and what they leave out of botocore's work.

Most of what a posting costs is botocore's work on its two requests, and all of it is botocore's own here as anywhere,
but for five things. Each has one seam, can't fail by itself, and was a tenth of a request's CPU or more:

- no parameter is checked against the service's description: what is sent is our own, and the service looks at it too;
- the user agent is one fixed text: botocore puts its own together twice a request;
- an item comes out of an answer as it stands: it is JSON already, but for binary values (``_Parser``);
- so is what goes into a request of DynamoDB's (``_TableSerializer``);
- DynamoDB's address is the one that was found when the client was made, as for a service without rules for addresses:
  with each request they go through all its items, to see whether a table is named by its ARN. Ours never is.

tests/integration/test_client.py compares requests and answers with those of a client of botocore's own.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.parsers import JSONParser, ResponseParserFactory
from botocore.serialize import JSONSerializer

CONNECT_S, READ_S, ATTEMPTS = 2, 5, 3
"""How long a client waits for a connection and for an answer, and how often it tries in all."""


@cache
def client(service: str) -> Any:
    """The one client of an AWS service in this process, such as "dynamodb"."""
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        parameter_validation=False,
        user_agent=f"buyers-club botocore/{botocore.__version__}",
    )
    made = _session().create_client(service, config=config)
    if service == "dynamodb":
        made._serializer = _TableSerializer()
        made._ruleset_resolver = None
    return made


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.register_component("response_parser_factory", _Parsers())
    return session


class _Parsers(ResponseParserFactory):  # type: ignore[misc]
    """botocore's own; it asks for a parser with each answer, and gets the same one each time."""

    def __init__(self) -> None:
        super().__init__()
        self._of_json = _Parser()

    def create_parser(self, protocol_name: str) -> Any:
        """The parser of a protocol; all that we call speak JSON."""
        return self._of_json if protocol_name == "json" else super().create_parser(protocol_name)


class _Parser(JSONParser):  # type: ignore[misc]
    """botocore's own, but for items: it walks through every value of every one with its description in hand."""

    def _handle_map(self, shape: Any, value: Any) -> Any:
        if shape.value.name != "AttributeValue":
            return super()._handle_map(shape, value)
        for attribute in value.values():
            if "S" not in attribute:  # most are texts
                _decode(attribute)
        return value


class _TableSerializer(JSONSerializer):  # type: ignore[misc]
    """botocore's own, but for the body: what DynamoDB's operations take is named and nested as it is in their JSON."""

    def serialize_to_request(self, parameters: Any, operation_model: Any) -> Any:
        """The parts of a request, as botocore's client wants them."""
        request = super().serialize_to_request({}, operation_model)
        request["body"] = _encode(parameters).encode()
        return request


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    raise TypeError(f"{type(value).__name__} has no form in a request")


_encode = json.JSONEncoder(default=_base64, check_circular=False).encode


def _decode(attribute: dict[str, Any]) -> None:
    """Turns the base64 of an attribute's value into bytes, in place."""
    for kind, value in attribute.items():
        if kind == "B":
            attribute["B"] = a2b_base64(value)
        elif kind == "BS":
            attribute["BS"] = [a2b_base64(each) for each in value]
        elif kind == "M":
            for inner in value.values():
                _decode(inner)
        elif kind == "L":
            for inner in value:
                _decode(inner)
