"""Instants and days on the wire (rules 1.2)."""

import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.times import format_instant, parse_day, parse_instant

OFFSETS = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda delta: timezone(timedelta(minutes=delta // timedelta(minutes=1)))
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:15:00Z", datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ("2026-11-22t10:15:00z", datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ("2026-11-22T10:15:00+00:00", datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ("2026-11-22T10:15:00-00:00", datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ("2026-11-22T00:30:00+05:45", datetime(2026, 11, 21, 18, 45, tzinfo=UTC)),
        ("2026-12-31T23:30:00-01:00", datetime(2027, 1, 1, 0, 30, tzinfo=UTC)),
        ("2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("2026-11-22T10:15:00.5Z", datetime(2026, 11, 22, 10, 15, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22T10:15:00.123456789Z", datetime(2026, 11, 22, 10, 15, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_into_utc(text: str, expected: datetime) -> None:
    read = parse_instant(text)

    assert read == expected
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T10:15:00",  # no offset: nobody knows when that is
        "2026-11-22T10:15Z",
        "2026-11-22T10:15:00Z\n",
        " 2026-11-22T10:15:00Z",
        "2026-11-22 10:15:00Z",
        "20261122T101500Z",
        "2026-W47-7T10:15:00Z",
        "2026-11-22T10:15:00,5Z",
        "2026-11-22T10:15:00.Z",
        "2026-11-22T10:15:00.1234567890Z",
        "2026-11-22T10:15:00+0100",
        "2026-11-22T10:15:00+01",
        "2026-11-22T10:15:00+24:00",
        "2026-11-22T10:15:00+01:60",
        "2026-11-22T10:15:00+01:00:30",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-12-31T23:59:60Z",  # a leap second has no datetime
        "2026-02-29T10:15:00Z",
        "2026-13-01T10:15:00Z",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-11-22T10:15:00Z",  # digits, but not ours
        "0001-01-01T00:00:00+01:00",  # in UTC before the year 1
        "9999-12-31T23:30:00-01:00",  # in UTC after the year 9999
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|day|month|year|hour|minute|second)"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(2026, 11, 22, 10, 15, tzinfo=UTC), "2026-11-22T10:15:00Z"),
        (datetime(2026, 11, 22, 10, 15, 0, 120_000, tzinfo=UTC), "2026-11-22T10:15:00.12Z"),
        (datetime(2026, 11, 22, 10, 15, 0, 1, tzinfo=UTC), "2026-11-22T10:15:00.000001Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00Z"),
    ],
)
def test_an_instant_is_written_in_utc(instant: datetime, expected: str) -> None:
    assert format_instant(instant) == expected


def test_the_machine_s_own_zone_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        written = format_instant(datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))))
    time.tzset()
    assert written == "2025-12-31T23:30:00Z"


def test_a_naive_datetime_is_not_taken_for_utc() -> None:
    with pytest.raises(ValueError, match=r"^an instant without an offset is no instant$"):
        format_instant(datetime(2026, 11, 22, 10, 15))  # noqa: DTZ001 - that is the point


@given(st.timedeltas(timedelta(days=1), timedelta(days=3_650_000)), OFFSETS)
def test_what_is_written_is_read_back(since_the_year_1: timedelta, offset: timezone) -> None:
    instant = (datetime(1, 1, 1, tzinfo=UTC) + timedelta(days=1) + since_the_year_1).astimezone(offset)

    assert parse_instant(format_instant(instant)) == instant
    assert parse_instant(instant.isoformat()) == instant


@given(st.text(alphabet="0123456789-:.TZ+tz \n٣", max_size=30) | st.text(max_size=30))
def test_no_text_gives_anything_but_an_instant_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_instant(text).tzinfo is UTC


def test_a_day_is_read() -> None:
    assert parse_day("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    ["", "2026-02-29", "2026-2-9", "20260209", "2026-02-09\n", "2026-W06-1", "٢٠٢٦-02-09", "0000-01-01"],
)
def test_anything_else_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a day(, such as 2026-11-22| that the calendar has)$"):
        parse_day(text)
