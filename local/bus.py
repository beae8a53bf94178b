"""The event bus: what a pattern matches, what PutEvents takes, and what is put into a rule's queue.

Patterns follow EventBridge: every operator but `cidr` and `wildcard` with escapes, and `$or`.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.template import ACCOUNT, REGION, RuleSpec

ENTRY_BYTES_MAX = 256 * 1024
_MISSING = object()
_KEYS = frozenset({"Source", "DetailType", "Detail", "EventBusName", "Time", "Resources", "TraceHeader"})


# ---------------------------------------------------------------- patterns


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Say whether an event matches a rule's pattern, both as parsed JSON."""
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(matches(option, event) for option in wanted):
                return False
        elif isinstance(wanted, Mapping):
            inner = event.get(key)
            options = inner if isinstance(inner, list) else [inner]
            if not any(matches(wanted, option if isinstance(option, Mapping) else {}) for option in options):
                return False
        elif not _any_matches(wanted, event.get(key, _MISSING)):
            return False
    return True


def _any_matches(rules: Iterable[Any], value: Any) -> bool:
    """Say whether one of a field's rules holds; of a list in the event, one element is enough."""
    values = value if isinstance(value, list) else [value]
    return any(_one_matches(rule, item) for rule in rules for item in (values or [_MISSING]))


def _one_matches(rule: Any, value: Any) -> bool:
    if not isinstance(rule, Mapping):
        return _same(rule, value)
    (operator, argument), *_ = rule.items()
    if operator == "exists":
        return bool(argument) is (value is not _MISSING)
    if value is _MISSING:
        return False
    check = _OPERATORS.get(operator)
    if check is None:
        raise ValueError(f"event pattern: the operator {operator!r} is not known to the local stack")
    return check(argument, value)


def _same(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool) or wanted is None or value is None:
        return wanted is value
    return bool(wanted == value)


def _affix(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def check(argument: Any, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if isinstance(argument, Mapping):  # {"prefix": {"equals-ignore-case": "..."}}
            return test(value.casefold(), argument["equals-ignore-case"].casefold())
        return test(value, argument)

    return check


def _anything_but(argument: Any, value: Any) -> bool:
    if isinstance(argument, Mapping):
        (operator, inner), *_ = argument.items()
        return not any(_OPERATORS[operator](item, value) for item in (inner if isinstance(inner, list) else [inner]))
    return not any(_same(item, value) for item in (argument if isinstance(argument, list) else [argument]))


def _numeric(argument: list[Any], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "=": lambda bound: value == bound,
        "<": lambda bound: value < bound,
        "<=": lambda bound: value <= bound,
        ">": lambda bound: value > bound,
        ">=": lambda bound: value >= bound,
    }
    return all(tests[operator](bound) for operator, bound in zip(argument[::2], argument[1::2], strict=True))


def _wildcard(argument: str, value: Any) -> bool:
    return (
        isinstance(value, str)
        and re.fullmatch(".*".join(map(re.escape, argument.split("*"))), value, re.DOTALL) is not None
    )


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "prefix": _affix(str.startswith),
    "suffix": _affix(str.endswith),
    "anything-but": _anything_but,
    "numeric": _numeric,
    "wildcard": _wildcard,
    "equals-ignore-case": lambda argument, value: isinstance(value, str) and value.casefold() == argument.casefold(),
}


# ---------------------------------------------------------------- PutEvents


def is_text(text: str) -> bool:
    """Whether a text can be sent at all: half a surrogate pair has no form in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refusal(entry: Any, buses: Iterable[str]) -> tuple[str, str] | None:
    """Say why PutEvents would not take an entry, as (code, message); None = it takes it."""
    if not isinstance(entry, Mapping):
        return "InvalidArgument", "An entry is an object."
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        return "InvalidArgument", f"An entry has no {', '.join(map(str, unknown))}."
    for key in ("Source", "DetailType", "Detail"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            return "InvalidArgument", f"Parameter {key} is not valid. Reason: {key} is a required argument."
        if not is_text(entry[key]):
            return "InvalidArgument", f"Parameter {key} is not valid. Reason: {key} is no text."
    if entry.get("EventBusName") is not None and _bus_name(entry["EventBusName"]) not in set(buses):
        return "ResourceNotFound", f"There is no event bus {entry['EventBusName']}."
    if entry.get("Time") is not None and _instant(entry["Time"]) is None:
        return "InvalidArgument", "Parameter Time is not valid."
    if sum(len(entry[key].encode()) for key in ("Source", "DetailType", "Detail")) > ENTRY_BYTES_MAX:
        return "EntryTooLarge", "Total size of the entry is over 256 KB."
    try:
        detail = json.loads(entry["Detail"])
    except (ValueError, RecursionError):
        return "MalformedDetail", "Detail is malformed."
    return None if isinstance(detail, dict) else ("MalformedDetail", "Detail is malformed.")


class Bus:
    """The template's buses and rules; what a rule matches is handed to `send(target ARN, body)`."""

    def __init__(
        self,
        buses: list[str],
        rules: list[RuleSpec],
        clock: Callable[[], datetime],
        send: Callable[[str, str], None],
    ) -> None:
        self.buses = buses
        self._rules = rules
        self._clock = clock
        self._send = send
        self.published: list[dict[str, Any]] = []  # the entries that functions put
        self.published_max: int | None = None

    def put(self, entries: list[Any], *, by_function: bool) -> list[dict[str, str]]:
        """Take PutEvents entries; give PutEvents' answer for each: an EventId, or ErrorCode and ErrorMessage."""
        answers = []
        for entry in entries:
            refused = refusal(entry, self.buses)
            if refused:
                answers.append({"ErrorCode": refused[0], "ErrorMessage": refused[1]})
                continue
            event_id = str(uuid.uuid4())
            self._route(entry, event_id)
            if by_function:
                self._keep(entry)
            answers.append({"EventId": event_id})
        return answers

    def _keep(self, entry: Mapping[str, Any]) -> None:
        kept = dict(entry)
        # On the wire a Time is a number; as PutEvents takes it, it is an instant.
        kept["Time"] = _rfc3339(_instant(entry.get("Time")) or self._clock())
        self.published.append(kept)
        if self.published_max is not None and len(self.published) > 2 * self.published_max:
            del self.published[: -self.published_max]

    def _route(self, entry: Mapping[str, Any], event_id: str) -> None:
        # Entries without a bus go to the template's.
        bus = _bus_name(entry.get("EventBusName") or self.buses[0])
        envelope = {
            "version": "0",
            "id": event_id,
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": ACCOUNT,
            "time": _rfc3339((_instant(entry.get("Time")) or self._clock()).replace(microsecond=0)),
            "region": REGION,
            "resources": entry.get("Resources") or [],
        }
        event: dict[str, Any] | None = None
        for rule in self._rules:
            if rule.bus != bus:
                continue
            event = event or {**envelope, "detail": json.loads(entry["Detail"])}
            if matches(rule.pattern, event):
                # The detail goes on as it came, so that a number keeps its digits.
                body = f'{json.dumps(envelope)[:-1]}, "detail": {entry["Detail"]}}}'
                for target in rule.targets:
                    self._send(target, body)


def _bus_name(name_or_arn: Any) -> str:
    return str(name_or_arn).rsplit("/", 1)[-1]


def _instant(value: Any) -> datetime | None:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
