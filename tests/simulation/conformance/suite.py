"""All the cases, and what it means to run one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from tests.simulation.conformance import cases_conditions, cases_reads, cases_transactions, cases_updates, cases_values
from tests.simulation.conformance.case import (
    ALONE,
    BINARY,
    NUMBERED,
    PREFIX_LENGTH,
    TABLE,
    Case,
    Item,
    Refused,
    Step,
    s,
)

CASES = (
    *cases_conditions.CASES,
    *cases_updates.CASES,
    *cases_transactions.CASES,
    *cases_reads.CASES,
    *cases_values.CASES,
)
BY_NAME = {case.name: case for case in CASES}

TABLES: tuple[dict[str, Any], ...] = (
    {
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in (("pk", "S"), ("sk", "S"), ("part", "S"), ("due", "S"), ("place", "N"))
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": "part", "KeyType": "HASH"},
                    *([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else []),
                ],
                "Projection": projection,
            }
            for name, sort, projection in (
                ("due", "due", {"ProjectionType": "KEYS_ONLY"}),
                ("whole", "place", {"ProjectionType": "ALL"}),
                ("some", None, {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]}),
            )
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    },
    {
        "TableName": ALONE,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    },
    *(
        {
            "TableName": name,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": kind},
            ],
        }
        for name, kind in ((NUMBERED, "N"), (BINARY, "B"))
    ),
)

_UNORDERED = {"Scan", "Segments", "Pages", "BatchGetItem", "Stream"}
_SETS = {"SS", "NS", "BS"}
# The metadata is nobody's answer, and CapacityUnits are what these two add up to.
_UNSAID = {"ResponseMetadata", "ReadCapacityUnits", "WriteCapacityUnits"}
_READS = {"GetItem", "Query", "Scan", "Segments", "Pages", "BatchGetItem", "Stream"}


class Target(Protocol):
    """A DynamoDB. ``patience_s``: how long what was written may take to be seen by a read of another kind."""

    patience_s: float

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out a request, as botocore's client would."""

    def records(self, table: str) -> list[dict[str, Any]]:
        """The records of a table's stream: eventName, Keys, NewImage and OldImage, in botocore's types."""

    def forget(self) -> None:
        """Drops every item, where that is cheap and makes the rest cheaper."""


def outcome(case: Case, target: Target) -> str | None:
    """Runs a case. ``None`` where everything is as expected, else what is otherwise, in a few words."""
    target.forget()
    run = _Run(case, target)
    for table, item in case.there:
        run.target.call("PutItem", run.own({"TableName": table, "Item": item}))
    for table in {table for step in case.steps if step.operation == "Stream" for table in [step.params["TableName"]]}:
        run.streamed = len(run.records(table))
    for at, step in enumerate(case.steps):
        said = run.step(step)
        if said is not None:
            return said if at == 0 else f"then {step.operation}: {said}"
    return None


class _Run:
    def __init__(self, case: Case, target: Target) -> None:
        self.target = target
        self.prefix = f"{CASES.index(case):0{PREFIX_LENGTH - 1}}/"
        self.streamed = 0

    def own(self, value: Any) -> Any:
        """With the case's prefix for "@"."""
        return _mapped(value, lambda text: self.prefix + text[1:] if text.startswith("@") else text)

    def shared(self, value: Any) -> Any:
        """The contrary."""
        found = _mapped(value, lambda text: "@" + text[len(self.prefix) :] if text.startswith(self.prefix) else text)
        return in_order(found)

    def step(self, step: Step) -> str | None:
        """Carries out a step until it is as expected, or patience is at an end."""
        until = time.monotonic() + self.target.patience_s
        while True:
            said = self._once(step)
            if said is None or step.operation not in _READS or time.monotonic() >= until:
                return said
            time.sleep(0.5)

    def _once(self, step: Step) -> str | None:
        params = self.own(step.params)
        found: Mapping[str, Any] | Refused
        try:
            found = self.shared(self._answer(step.operation, params))
        except ClientError as error:
            found = self._refusal(error)
        except Exception as error:  # noqa: BLE001 - an emulator that breaks says so in its own way
            found = Refused(f"{type(error).__name__} raised")
        return _difference(step, found)

    def _answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if operation == "Stream":
            return {"Records": self.records(params["TableName"])[self.streamed :]}
        if operation == "Pages":
            pages = list(self._pages(params))
            largest = max(sum(len(item.get("note", s(""))["S"]) for item in page) for page in pages)
            return {
                "Items": [item for page in pages for item in page],
                "several": len(pages) > 1,
                "small": largest < 1_350_000,  # 1 MB and one of the items of the cases
            }
        if operation == "Segments":
            total = params["TotalSegments"]
            segments = [page for at in range(total) for page in self._pages({**params, "Segment": at})]
            return {"Items": [item for page in segments for item in page]}
        if operation == "Unprocessed":
            return {"some": self._gets_the_rest(params)}
        return self.target.call(operation, params)

    def _pages(self, params: dict[str, Any]) -> Iterator[list[Item]]:
        operation = "Query" if "KeyConditionExpression" in params else "Scan"
        for _ in range(1000):
            answer = self.target.call(operation, params)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            params = {**params, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
        raise AssertionError(f"a {operation} has no end")

    def _gets_the_rest(self, params: dict[str, Any]) -> bool:
        """Asks for what was left over until nothing is; whether anything was, and all came once."""
        wanted = params["RequestItems"]
        keys = len(wanted[TABLE]["Keys"])
        found = 0
        for asked in range(10):
            answer = self.target.call("BatchGetItem", {"RequestItems": wanted})
            found += len(answer["Responses"].get(TABLE, ()))
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return asked > 0 and found == keys
        return False

    def records(self, table: str) -> list[dict[str, Any]]:
        """The stream's records of this case's items."""
        return [each for each in self.target.records(table) if each["Keys"]["pk"]["S"].startswith(self.prefix)]

    def _refusal(self, error: ClientError) -> Refused:
        reasons = error.response.get("CancellationReasons") or ()
        shown = {at: reason["Item"] for at, reason in enumerate(reasons) if reason.get("Item")}
        if error.response.get("Item"):
            shown[0] = error.response["Item"]
        items = {at: self.shared(item) for at, item in shown.items()}
        return Refused(error.response["Error"]["Code"], tuple(reason.get("Code", "?") for reason in reasons), items)


def _difference(step: Step, found: Mapping[str, Any] | Refused) -> str | None:
    expected = step.expected
    if isinstance(expected, Refused):
        if not isinstance(found, Refused):
            return "takes it"
        wanted = Refused(expected.code, expected.reasons, {at: in_order(item) for at, item in expected.items.items()})
        if found == wanted:
            return None
        if (found.code, found.reasons) != (wanted.code, wanted.reasons):
            return f"refuses it with {found.code}" + (f" [{', '.join(found.reasons)}]" if found.reasons else "")
        return f"shows {_short(found.items)} with its refusal"
    if isinstance(found, Refused):
        return f"refuses it with {found.code}" + (f" [{', '.join(found.reasons)}]" if found.reasons else "")
    for name, value in expected.items():
        got, wanted_value = found.get(name), in_order(value)
        if step.operation in _UNORDERED and isinstance(got, list):
            got, wanted_value = sorted(got, key=repr), sorted(wanted_value, key=repr)
        elif step.operation == "BatchGetItem" and isinstance(got, dict):
            got = {table: sorted(items, key=repr) if isinstance(items, list) else items for table, items in got.items()}
            wanted_value = {
                table: sorted(items, key=repr) if isinstance(items, list) else items
                for table, items in wanted_value.items()
            }
        if got != wanted_value:
            return _narrowed(name, got, wanted_value)
    return None


def _narrowed(name: str, got: Any, wanted: Any) -> str:
    """What is otherwise, as near to the spot as may be."""
    if isinstance(got, Mapping) and isinstance(wanted, Mapping):
        for each in dict.fromkeys((*wanted, *got)):
            if got.get(each) != wanted.get(each):
                return _narrowed(f"{name}.{each}", got.get(each), wanted.get(each))
    if isinstance(got, list) and isinstance(wanted, list) and len(got) == len(wanted):
        at = next(at for at, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1])
        return _narrowed(f"{name}[{at}]", got[at], wanted[at])
    return f"{name} is {_short(got)}" if got is not None else f"there is no {name}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=lambda content: content.hex() if isinstance(content, bytes) else str(content))
    return text if len(text) <= 70 else f"{text[:60]}… ({len(text)} characters)"


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Anything, with its strings changed; names of attributes are left as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, change) for each in value]
    return value


def in_order(value: Any) -> Any:
    """Anything, with its sets sorted, and whole numbers as floats where they are units."""
    if isinstance(value, Mapping):
        return {
            name: sorted(each, key=repr) if name in _SETS and isinstance(each, list) else in_order(each)
            for name, each in value.items()
            if name not in _UNSAID
        }
    if isinstance(value, list | tuple):
        return [in_order(each) for each in value]
    return value
