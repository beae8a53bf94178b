"""Bounded time and memory: four times the input takes about four times as long, whatever it is, and nothing swells.

Processor time is measured, not the clock's, so that a busy machine changes little. What grows with the square of the
input takes sixteen times as long for four times of it; nine times is where the line is drawn.
"""

from __future__ import annotations

import base64
import gc
import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from club_http.callers import caller_of
from club_http.languages import HEADER_CHARS_MAX, language_of
from club_http.requests import read_object
from club_ledger.inbox import read_record
from club_ledger.queries import DecisionsQuery, ExportQuery
from club_rules.errors import ClubError
from club_rules.events import parse_event
from club_rules.fields import is_id
from club_rules.json_text import load_json
from club_rules.money import parse_money
from club_rules.times import parse_day, parse_instant
from tests.hostile.cases import BODIES, LANGUAGES

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
PROGRAMS: Any = SimpleNamespace(currency="USD", point_programs=frozenset({"club", "crowns"}))
LARGER, GROWTH_MAX = 4, 9.0
NOISE_SECONDS = 0.004
TRIES = 3
"""A neighbour on the machine costs time at times; slow code always does."""

BYTES_A_BYTE = 120
"""So much memory each byte of input may take on its way: an empty object in a list costs 64 bytes and a place in it."""

Door = Callable[[Any], object]


def at_the_route(text: str) -> object:
    """An event as one of a request's."""
    listed: Any = load_json(f"[{text}]", defer=True)
    return parse_event(listed[0], now=NOW, programs=PROGRAMS)


def at_the_queue(text: str) -> object:
    """An event as the bus hands it on, into a message that the route's checks never saw."""
    body = f'{{"source":"marketplace","detail-type":"order.completed","detail":{text}}}'
    return read_record({"body": body, "attributes": {"SentTimestamp": "1795342500000"}}, PROGRAMS)


DOORS: dict[str, Door] = {"route": at_the_route, "queue": at_the_queue}

LINE = '{"item_id":"","seller_id":"\\u0000","category":"","unit_price":1,"quantity":1e9,"x":0}'

SHAPES: dict[str, Callable[[int], str]] = {
    "one key, again and again": lambda n: "{" + ",".join(['"a":0'] * n) + "}",
    "one key twice, and many others": lambda n: "{" + ",".join(f'"k{i}":0' for i in range(n)) + ',"k0":0}',
    "one key often, then many others": lambda n: (
        "{" + '"a":0,' * n + ",".join(f'"k{i}":0' for i in range(n // 2)) + "}"
    ),
    "every key twice": lambda n: "{" + ",".join(f'"k{i}":0' for i in [*range(n), *range(n)]) + "}",
    "many unknown fields": lambda n: "{" + ",".join(f'"k{i}":0' for i in range(n)) + "}",
    "unknown fields that can't be printed": lambda n: "{" + ",".join(f'"\\u0000{i}":0' for i in range(n)) + "}",
    "fields of data": lambda n: '{"data":{' + ",".join(f'"k{i}":0' for i in range(n)) + "}}",
    "a long list": lambda n: '{"data":[' + "0," * n + "0]}",
    "many objects": lambda n: '{"data":[' + "{}," * n + "{}]}",
    "many objects with a key twice": lambda n: '{"data":[' + '{"a":0,"a":0},' * n + "0]}",
    "a long text": lambda n: '{"event_id":"' + "x" * (8 * n) + '"}',
    "a long text of escapes": lambda n: '{"event_id":"' + "\\ud800" * n + '"}',
    "a long name": lambda n: '{"' + "\\u0000" * n + '":0}',
    "a long number": lambda n: '{"event_id":' + "9" * (8 * n) + "}",
    "many long numbers": lambda n: '{"data":[' + ("9" * 4300 + ",") * (n // 400) + "0]}",
    "many numbers that are too long": lambda n: '{"data":[' + ("9" * 4301 + ",") * (n // 400) + "0]}",
    "a long fraction": lambda n: '{"event_id":0.' + "3" * (8 * n) + "}",
    "a long exponent": lambda n: '{"event_id":1e' + "9" * (8 * n) + "}",
    "a long exponent and a long fraction": lambda n: '{"event_id":0.' + "0" * (4 * n) + "1e" + "9" * (4 * n) + "}",
    "lists in lists": lambda n: "[" * n + "]" * n,
    "objects in objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "lines that are all wrong": lambda n: '{"data":{"lines":[' + ",".join([LINE] * (n // 80)) + "]}}",
    "flags": lambda n: '{"type":"order.completed","data":{"flags":[' + ",".join(['"x"'] * (n // 80)) + "]}}",
}
"""JSON that grows with ``n``; nothing of it is an event."""


def cost(run: Callable[[], object]) -> float:
    """Processor seconds, the least of some runs."""
    least = float("inf")
    gc.disable()  # it would walk all that the other tests have left
    try:
        for _ in range(3):
            started = time.process_time()
            with suppress(ClubError, ValueError):
                run()
            least = min(least, time.process_time() - started)
    finally:
        gc.enable()
    return least


def assert_linear(door: Door, shape: Callable[[int], Any], size: int) -> None:
    small, large = shape(size), shape(LARGER * size)
    for _ in range(TRIES):
        seconds, more = cost(lambda: door(small)), cost(lambda: door(large))
        if more <= GROWTH_MAX * seconds + NOISE_SECONDS:
            return
    raise AssertionError(f"{seconds:.4f} s, and {more:.4f} s for {LARGER} times as much")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", SHAPES)
def test_time_grows_with_the_input_and_no_faster(name: str, door: str) -> None:
    assert_linear(DOORS[door], SHAPES[name], 4_000)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", SHAPES)
def test_memory_is_in_proportion_to_the_input(name: str, door: str) -> None:
    text = SHAPES[name](20_000)

    assert peak_of(lambda: DOORS[door](text)) <= BYTES_A_BYTE * len(text) + 1_000_000


def peak_of(run: Callable[[], object]) -> int:
    """The most bytes that were held at once."""
    tracemalloc.start()
    try:
        with suppress(ClubError, ValueError):
            run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_a_quadratic_decoder_would_take_is_seen() -> None:
    def quadratic(text: str) -> object:
        names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
        return [name for place, name in enumerate(names) if name in names[:place]]

    with pytest.raises(AssertionError, match="times as much"):
        assert_linear(quadratic, SHAPES["many unknown fields"], 1000)


# --- the door of a request


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
@pytest.mark.parametrize("name", BODIES)
def test_no_body_takes_long_or_much(name: str, encoded: bool) -> None:
    content = BODIES[name]
    body = base64.b64encode(content).decode() if encoded else content.decode("latin-1")
    event = {"body": body, "isBase64Encoded": encoded}

    def read() -> object:
        return read_object(event, lambda text: load_json(text, defer=True))

    assert cost(read) < 0.2
    assert peak_of(read) < 32 * 256 * 1024  # of the 256 KiB that a body may have


@pytest.mark.parametrize("name", LANGUAGES)
def test_no_header_takes_long(name: str) -> None:
    event = {"headers": {"accept-language": LANGUAGES[name]}}

    assert cost(lambda: language_of(event, ("en", "ru"))) < 0.01


@pytest.mark.parametrize(
    "unit", ["en,", "en;q=0.1,", "en-a1-", "en\t", ";q=", "*,", ",", "a-", "q=0.", "en ;\tq=1.000,"]
)
def test_a_header_up_to_its_bound_is_read_in_linear_time(unit: str) -> None:
    def shape(size: int) -> dict[str, Any]:
        return {"headers": {"accept-language": (unit * size)[:size]}}

    assert_linear(lambda event: language_of(event, ("en", "ru")), shape, HEADER_CHARS_MAX // LARGER)


def test_scopes_are_read_in_linear_time() -> None:
    def shape(size: int) -> dict[str, Any]:
        return {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": "a", "scope": "club:admi " * size}}}}}

    assert_linear(caller_of, shape, 20_000)


@pytest.mark.parametrize("unit", ["0", "9", "-", ":", "2026-", "T", "1.", " ", "\u0661", "a", "a.", "\x00"])
@pytest.mark.parametrize(
    "read",
    [is_id, parse_instant, parse_day, lambda text: parse_money(text, "USD")],
    ids=["id", "instant", "day", "money"],
)
def test_a_form_is_looked_at_in_linear_time(read: Door, unit: str) -> None:
    assert_linear(read, lambda size: unit * size, 100_000)
    assert_linear(read, lambda size: "2026-11-22T10:15:00." + unit * size, 100_000)


def cursor_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize("content", [b"[" * 1_000_000, b"9" * 1_000_000, b'["' + b"x" * 1_000_000, b"\xff" * 1_000_000])
def test_a_giant_cursor_is_not_even_decoded(content: bytes) -> None:
    query = {"cursor": cursor_of(content)}

    assert cost(lambda: DecisionsQuery("m-42", query)) < 0.005
    assert cost(lambda: ExportQuery("m-42", query)) < 0.005
    assert peak_of(lambda: ExportQuery("m-42", query)) < 100_000
