"""What every execution of the fuzzer has to end in, judged by a contract of its own (rules 1.3).

Nothing of the parser is used to judge the parser: the forms of ids, money, days and instants stand here once more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

from club_ledger.inbox import read_record
from club_rules.errors import FieldError, InvalidInput
from club_rules.events import ActivityEvent, parse_event, wire_event
from club_rules.json_text import load_json
from tests.hostile.cases import Place
from tests.hostile.grammar import Made

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
PROGRAMS: Any = SimpleNamespace(currency="USD", point_programs=frozenset({"club", "crowns"}))

SECONDS_MAX = 0.02
SECONDS_A_BYTE = 2e-6
"""Processor time that one execution may take, and for each byte of it; some fifty times what it takes."""

_ERRORS_MAX = 3001
_DETAIL_CHARS_MAX = 4000


class Broken(AssertionError):
    """An execution ended as none may."""


class Verdict(NamedTuple):
    """What became of an event: its type where it was accepted, else the codes of the refusal."""

    type: str
    codes: tuple[str, ...]


def execute(made: Made, *, both_doors: bool) -> Verdict:
    """Give a made-up event to the parser, as the route does, and maybe as the queue does; raises Broken."""
    started = time.process_time()
    found = _at_the_route(made.text)
    spent = time.process_time() - started
    if spent > _bound(made.text):
        started = time.process_time()
        _at_the_route(made.text)  # a pause of the machine's comes once, slow code always
        spent = time.process_time() - started
        if spent > _bound(made.text):
            raise Broken(f"{spent:.3f} s for {len(made.text)} bytes")
    if isinstance(found, InvalidInput):
        if made.verdict is True:
            raise Broken(f"what is right was refused: {found}")
        _hold_refusal(found, made)
    else:
        if made.verdict is False:
            raise Broken("what is wrong was accepted")
        _hold_event(*found)
    if both_doors:
        _hold_other_door(made.text, found)
    if isinstance(found, InvalidInput):
        return Verdict("", tuple(error.code for error in found.errors))
    return Verdict(found[1].type, ())


def _bound(text: bytes) -> float:
    return SECONDS_MAX + SECONDS_A_BYTE * len(text)


def _at_the_route(text: bytes) -> InvalidInput | tuple[Any, ActivityEvent]:
    """As in a request's list of events; what was read, and the event."""
    try:
        listed: Any = load_json(b"[" + text + b"]", defer=True)
        if len(listed) != 1:  # torn so that it is two, or none
            return InvalidInput([FieldError("", "invalid_json", "is not one event")])
        return listed[0], parse_event(listed[0], now=NOW, programs=PROGRAMS)
    except InvalidInput as error:
        return error
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def _hold_other_door(text: bytes, found: InvalidInput | tuple[Any, ActivityEvent]) -> None:
    """The queue takes what the route takes, and refuses what the route refuses, for the same reasons."""
    try:
        raw: Any = load_json(text)
    except InvalidInput as error:
        if not isinstance(found, InvalidInput):
            raise Broken(f"the route accepted what the queue refuses: {error}") from error
        return
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        return  # on the bus there is nothing of the kind
    detail = {name: value for name, value in raw.items() if name != "type"}
    body = json.dumps({"source": "marketplace", "detail-type": raw["type"], "detail": detail})
    record = {"body": body, "attributes": {"SentTimestamp": str(int(NOW.timestamp() * 1000))}}
    try:
        event, _ = read_record(record, PROGRAMS)
    except InvalidInput as error:
        if not isinstance(found, InvalidInput) or found.errors != error.errors:
            raise Broken(f"the queue refuses for reasons of its own: {error}") from error
        return
    except Exception as error:
        raise Broken(f"{type(error).__name__} at the queue: {error}") from error
    if isinstance(found, InvalidInput) or found[1] != event:
        raise Broken("the queue accepts what the route refused")


# --- refusals


def _hold_refusal(error: InvalidInput, made: Made) -> None:
    if not error.errors or error.code != error.errors[0].code or len(error.errors) > _ERRORS_MAX:
        raise Broken(f"a refusal without a code of its own, or with {len(error.errors)} errors")
    if len(error.detail) > _DETAIL_CHARS_MAX or not error.detail.isprintable():
        raise Broken(f"a detail that is not fit to be shown: {error.detail!r}")
    wholly = error.errors[0].code == "invalid_json"
    for each in error.errors:
        if not each.pointer.isprintable() or not each.detail.isprintable() or not each.code.isidentifier():
            raise Broken(f"not fit to be shown: {each!r}")
        if made.blame is not None and not wholly and not _is_blamed(each, made.blame):
            raise Broken(f"{each.pointer} is named ({each.code}), tampered with was {made.blame!r}")
    if made.blame is None and not wholly:
        _hold_pointers(error, made.text)


def _is_blamed(each: FieldError, blame: tuple[Place, ...]) -> bool:
    if each.code == "too_many" and not each.pointer:
        return True
    for place in blame:
        pointer = "".join(f"/{token(step)}" for step in place)
        if each.pointer == pointer or each.pointer.startswith(f"{pointer}/"):
            return True
    return False


def token(step: str | int) -> str:
    """A step as a pointer shows it (RFC 6901): what is long is cut, and what can't be printed is escaped."""
    text = str(step)
    text = text if len(text) <= 64 else text[:64] + "..."
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    return text.replace("~", "~0").replace("/", "~1")


def _hold_pointers(error: InvalidInput, text: bytes) -> None:
    """Each pointer leads to a field that is there, or, where one is missing, to an object that lacks it."""
    try:
        listed: Any = load_json(b"[" + text + b"]", defer=True)
    except InvalidInput:
        return
    if len(listed) != 1:
        return
    for each in error.errors:
        if each.code == "too_many" and not each.pointer:
            continue
        steps = each.pointer.split("/")[1:]
        value: Any = listed[0]
        for place, step in enumerate(steps):
            held = _held(value)
            if step not in held:
                if each.code == "missing" and place == len(steps) - 1 and isinstance(value, dict):
                    break
                raise Broken(f"{each.pointer} ({each.code}) leads nowhere")
            value = held[step]


def _held(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {token(name): each for name, each in value.items()}
    return {str(place): each for place, each in enumerate(value)} if isinstance(value, list) else {}


# --- accepted events


def _hold_event(raw: Any, event: ActivityEvent) -> None:
    """It satisfies the contract of every field, says what was sent, and survives being written and read again."""
    for name, value in (("event_id", event.event_id), ("member_id", event.member_id)):
        if not _is_id(value) and (name, event.type, value) != ("member_id", "price.dropped", ""):
            raise Broken(f"/{name} is {value!r}")
    if event.member_id == "me":
        raise Broken("the member is called me")
    if not _EARLIEST <= event.occurred_at <= NOW + timedelta(minutes=5) or event.occurred_at.utcoffset():
        raise Broken(f"it occurred at {event.occurred_at}")
    _hold_fields(event.data, _FIELDS[event.type], "/data")
    wire = wire_event(event)
    if _plain(wire) != _plain(raw) or _instant(raw["occurred_at"]) != event.occurred_at:
        raise Broken(f"it says something else than was sent: {wire!r}")
    again = parse_event(json.loads(json.dumps(wire)), now=NOW, programs=PROGRAMS)
    if again != event:
        raise Broken(f"read again it is another: {again!r}")


def _plain(event: dict[str, Any]) -> str:
    """An event without what says nothing: the order of flags, what is null, the spelling of the instant."""
    data = {name: value for name, value in (event.get("data") or {}).items() if value is not None and value != []}
    if "flags" in data:
        data["flags"] = sorted(data["flags"])
    if "lines" in data:
        data["lines"] = [{name: value for name, value in line.items() if value is not None} for line in data["lines"]]
    return json.dumps([event["event_id"], event["type"], event.get("member_id"), data], sort_keys=True, allow_nan=False)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_IN_IDS = _LETTERS | frozenset("0123456789._:-")
_Contract = Callable[[Any], bool]


def _is_id(value: Any) -> bool:
    return type(value) is str and 1 <= len(value) <= 64 and _IN_IDS.issuperset(value) and value[0] not in "._:-"


def _is_whole(most: int) -> _Contract:
    return lambda value: type(value) is int and 1 <= value <= most


def _is_money(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 99_999_999_999


def _is_day(value: Any) -> bool:
    return type(value) is str and date.fromisoformat(value).isoformat() == value and value <= NOW.date().isoformat()


def _is_category(value: Any) -> bool:
    return value is None or (type(value) is str and 1 <= len(value) <= 64 and value.isprintable())


def _is_one_of(*words: str) -> _Contract:
    return lambda value: type(value) is str and value in words


def _is_flags(value: Any) -> bool:
    known = {"preorder", "prepaid", "gift", "preferential_shipping", "fraudulent"}
    return type(value) is list and value == sorted(set(value)) and known.issuperset(value)


def _is_country(value: Any) -> bool:
    return type(value) is str and len(value) == 2 and _LETTERS.issuperset(value) and value.isupper()


_LINE = {
    "item_id": _is_id,
    "seller_id": _is_id,
    "category": _is_category,
    "unit_price": _is_money,
    "quantity": _is_whole(1_000_000),
}
_CASE = {"case_id": _is_id, "kind": _is_one_of("return_abuse", "extortion", "coupon_fraud", "spam")}
_MEMBER = {"registered_on?": _is_day, "birthday?": _is_day, "country?": _is_country}
_USD = _is_one_of("USD")
_FIELDS: dict[str, dict[str, Any]] = {
    "member.registered": _MEMBER,
    "member.updated": _MEMBER,
    "order.completed": {"order_id": _is_id, "currency": _USD, "lines": [_LINE], "flags": _is_flags},
    "order.cancelled": {"order_id": _is_id},
    "order.refunded": {
        "order_id": _is_id,
        "full?": lambda value: value is True,
        "lines?": [{"item_id": _is_id, "quantity": _is_whole(1_000_000)}],
        "amount?": _is_money,
        "currency?": _USD,
    },
    "order.flagged_fraudulent": {"order_id": _is_id},
    "review.posted": {"order_id": _is_id, "item_id": _is_id},
    "visit.recorded": {},
    "post.published": {"post_id": _is_id},
    "promotion.awarded": {
        "campaign_id": _is_id,
        "points": _is_whole(10_000),
        "program": _is_one_of("club", "crowns"),
    },
    "contribution.accepted": {"contribution_id": _is_id, "kind": _is_id},
    "violation.confirmed": _CASE,
    "violation.overturned": _CASE,
    "wishlist.item_added": {"item_id": _is_id},
    "wishlist.item_removed": {"item_id": _is_id},
    "cart.item_added": {"item_id": _is_id},
    "cart.item_removed": {"item_id": _is_id},
    "price.dropped": {"item_id": _is_id, "old_price": _is_money, "new_price": _is_money, "currency": _USD},
}
"""By type, what each field of the normalised data has to be; one with a question mark may be missing."""


def _hold_fields(data: dict[str, Any], contracts: dict[str, Any], at: str) -> None:
    known = {name.removesuffix("?") for name in contracts}
    if not data.keys() <= known:
        raise Broken(f"{at} has fields that nobody knows: {sorted(data.keys() - known)}")
    if "full?" in contracts and len(data.keys() & {"full", "lines", "amount"}) != 1:
        raise Broken(f"{at} is not one of the three kinds of refund")
    for name, contract in contracts.items():
        bare = name.removesuffix("?")
        if bare not in data:
            if name == bare:
                raise Broken(f"{at}/{bare} is missing")
            continue
        if isinstance(contract, list):
            if not 1 <= len(data[bare]) <= 500:
                raise Broken(f"{at}/{bare} has {len(data[bare])} lines")
            for place, line in enumerate(data[bare]):
                _hold_fields(line, contract[0], f"{at}/{bare}/{place}")
        elif not contract(data[bare]):
            raise Broken(f"{at}/{bare} is {data[bare]!r}")
