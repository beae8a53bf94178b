"""What `make serve` shows: the part of the log, its move, the member that is linked, and the command around it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local import demo, verify
from local.__main__ import main
from local.logs import Log, open_log
from local.logs.model import Activity
from local.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
LINK = re.compile(r"http://127\.0\.0\.1:\d+/club#token=([\w-]+\.[\w-]+\.[\w-]+)(?:&member=([\w.:-]+))?")


class Filled(NamedTuple):
    """A stack, and what it was filled with."""

    stack: Stack
    demo: demo.Demo
    out: str

    def get(self, path: str, token: str, query: str = "") -> tuple[int, Any]:
        answer = self.stack.request("GET", path, query, {"authorization": f"Bearer {token}"})
        return answer.status, answer.json()


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    """Gives one filled stack for all tests that only look at it: it takes seconds."""
    out = io.StringIO()
    with Stack(NOW) as stack:
        yield Filled(stack, demo.fill(stack, out), out.getvalue())


# ---------------------------------------------------------------- the part, and its move


def test_the_part_has_whole_customers_with_all_that_the_log_says_of_them() -> None:
    whole = open_log()
    part = demo.part_of(whole)
    of_whole = Counter(activity.member_id for activity in whole.activities)
    of_part = Counter(activity.member_id for activity in part.activities)
    assert {member: of_whole[member] for member in of_part} == of_part
    assert set(part.activities) < set(whole.activities)
    assert 80 <= len(of_part) <= 200
    assert 400 <= part.events <= 700
    # Most customers of the log bought once; most of the part have too, or no tier would tell anything.
    assert sum(count == 1 for count in of_part.values()) > len(of_part) / 3


@pytest.mark.parametrize(
    ("now", "last"),
    [
        # The log's last day is a Tuesday, and its purchases take place from noon on.
        ("2026-11-24T23:59:59Z", "2026-11-24"),
        ("2026-11-24T12:59:59Z", "2026-11-24"),
        ("2026-11-24T11:59:59Z", "2026-11-17"),
        ("2026-11-23T12:00:00Z", "2026-11-17"),
        ("2028-02-29T18:00:00Z", "2028-02-29"),
        ("1998-07-01T00:00:00Z", "1998-06-30"),
        ("1998-06-30T12:00:00Z", "1998-06-23"),
        ("1990-01-01T00:00:00Z", "1989-12-26"),
    ],
)
def test_a_log_is_moved_by_whole_weeks_to_the_last_such_day_that_is_over(now: str, last: str) -> None:
    log, instant = open_log(), datetime.fromisoformat(now)
    there, weeks = demo.moved(log, instant)
    assert there.last_day == date.fromisoformat(last)
    assert there.activities[-1].occurred_at <= instant < there.activities[-1].occurred_at + timedelta(weeks=1)
    assert there.first_day - log.first_day == timedelta(weeks=weeks)
    for before, after in zip(log.activities, there.activities, strict=True):
        assert before.occurred_at.weekday() == after.occurred_at.weekday()
        assert after.occurred_at - before.occurred_at == timedelta(weeks=weeks)
        assert after._replace(occurred_at=before.occurred_at) == before


def test_an_event_of_this_very_instant_is_not_in_the_future() -> None:
    at = datetime(1998, 6, 30, 12, tzinfo=UTC)
    log = Log("x", "x", 1, (Activity(at, "e", "visit.recorded", "m"),))
    assert demo.moved(log, NOW)[0].activities[0].occurred_at == datetime(2026, 11, 17, 12, tzinfo=UTC)
    there, weeks = demo.moved(log, at + timedelta(weeks=3))
    assert (there.activities[0].occurred_at, weeks) == (at + timedelta(weeks=3), 3)
    assert demo.moved(log, at + timedelta(weeks=3, microseconds=-1))[1] == 2


def test_a_schedule_has_fired_last_today_or_yesterday() -> None:
    assert demo.last_time(time(10, 15), NOW) == NOW
    assert demo.last_time(time(0, 5), NOW) == datetime(2026, 11, 22, 0, 5, tzinfo=UTC)
    assert demo.last_time(time(10, 16), NOW) == datetime(2026, 11, 21, 10, 16, tzinfo=UTC)


# ---------------------------------------------------------------- what a stack is filled with


def test_all_of_it_is_in_the_ledger_and_the_clock_is_where_it_was(filled: Filled) -> None:
    log = filled.demo.log
    assert filled.stack.now == NOW
    assert filled.stack.dead_letters() == []
    (table,) = filled.stack.template.tables
    report = verify.report_of(
        filled.stack.client("dynamodb"), table, int(filled.stack.template.parameters["DueShards"])
    )
    assert (report.problems, report.members) == ([], log.members)
    assert report.entries > log.events
    posted = defaultdict(list)
    for entry in verify.decoded_entries(verify.scan(filled.stack.client("dynamodb"), table)):
        posted[entry["member_id"]].append(entry["posted_at"])
    assert all(instants == sorted(instants) for instants in posted.values()), "each thing in its turn"
    assert filled.demo.last_day == date(2026, 11, 17)
    assert "CDNOW" in filled.out
    assert f"{log.events}/{log.events} events" in filled.out


def test_what_fell_due_was_swept_up_to_the_last_night(filled: Filled) -> None:
    runs: dict[str, list[datetime]] = defaultdict(list)
    for entry in filled.stack.published("sweep.finished"):
        told = json.loads(entry["Detail"])
        runs[told["sweep"]].append(datetime.fromisoformat(told["scheduled_at"]))
    assert len(runs) == len(filled.stack.template.schedules) == 3
    assert {times[-1].date() for times in runs.values()} == {NOW.date()}
    assert max(later - before for before, later in pairwise(runs["DemotionSweep"])) <= timedelta(days=21)
    assert filled.stack.published("sweep.halted") == []


def test_the_linked_member_is_worth_looking_at(filled: Filled) -> None:
    member = filled.demo.member_id
    assert filled.demo.tier in {"A3", "A4"}
    token = filled.stack.token(member, demo.MEMBER_SCOPES)
    status, summary = filled.get("/members/me", token)
    club = summary["programs"]["club"]
    assert (status, summary["member_id"], club["tier"]) == (200, member, filled.demo.tier)
    assert club["expiring"], "nothing expires soon"
    assert "2026-11-22" < club["expiring"][0]["on"] <= "2026-12-22"
    assert any(privilege["granted"] for privilege in club["privileges"])
    status, statement = filled.get(f"/members/{member}/statement", token, "program=club&limit=100")
    assert status == 200
    changes = [
        (entry["tier_before"], entry["tier_after"])
        for entry in statement["entries"]
        if entry["tier_before"] != entry["tier_after"]
    ]
    assert any(before < after for before, after in changes)
    assert any(before > after for before, after in changes)
    receipts = [
        told["receipt_id"]
        for told in (json.loads(entry["Detail"]) for entry in filled.stack.published("tier.changed"))
        if (told["member_id"], told["program"]) == (member, "club") and told["from"] > told["to"]
    ]
    assert receipts
    assert all(receipts)


def test_there_are_decisions_of_each_outcome_for_the_agent(filled: Filled) -> None:
    assert {"approved", "declined", "pending"} <= set(filled.demo.decisions)
    # An approval is announced, for the member and an order of the log.
    refunds = [json.loads(entry["Detail"]) for entry in filled.stack.published("refund.expedited")]
    assert {refund["member_id"] for refund in refunds} == {filled.demo.member_id}
    assert {refund["order_id"] for refund in refunds} <= {activity.order_id for activity in filled.demo.log.activities}


def test_the_links_open_the_page_as_the_member_and_as_an_agent(filled: Filled) -> None:
    text = demo.greeting(filled.stack, "http://127.0.0.1:3000", filled.demo)
    (own, nobody), (agents, whose) = LINK.findall(text)
    member = filled.demo.member_id
    other = next(each.member_id for each in filled.demo.log.activities if each.member_id != member)
    assert (nobody, whose) == ("", member)
    assert filled.get(f"/members/{member}", own)[0] == 200
    assert filled.get(f"/members/{other}", own)[0] == 404
    assert filled.get("/members/me", own)[1]["member_id"] == member
    assert filled.get(f"/members/{member}", agents)[0] == 200
    assert filled.get(f"/members/{other}", agents)[0] == 200
    # Neither may decide or send events, and neither link has its token where a server would log it.
    for token in (own, agents):
        headers = {"authorization": f"Bearer {token}"}
        assert filled.stack.request("POST", "/activities", headers=headers, body=b"{}").status == 403
        assert filled.stack.request("POST", "/refunds/expedited", headers=headers, body=b"{}").status == 403
    assert "?" not in text
    assert "Tuesday, 30 June 1998, is 17 November 2026" in text
    assert f"moved by {(date(2026, 11, 17) - date(1998, 6, 30)).days // 7:,} weeks" in text


# ---------------------------------------------------------------- the command


@contextmanager
def serving(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local", "serve", "--port", "0", "--quiet", *arguments]
    environment = {**os.environ, "AWS_PROFILE": "a-profile-that-is-not-there"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(process: subprocess.Popen[str], end: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(end):
            break
    return "".join(lines)


def _get(url: str, token: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_serve_replays_and_prints_links_that_work() -> None:
    before = datetime.now(UTC)
    with serving() as process:
        text = _until(process, "Stop it")
        (own, _), (agents, member) = LINK.findall(text)
        url = text.split()[5].rstrip(";")
        status, summary = _get(f"{url}/members/me", own)
        assert (status, summary["member_id"]) == (200, member)
        assert _get(f"{url}/members/{member}", agents) == (200, summary)
        # The clock stands at the machine's time, and what was bought last is of this week.
        as_of = datetime.fromisoformat(summary["as_of"])
        assert abs(as_of - before) < timedelta(minutes=5)
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=30)
        assert (process.returncode, rest) == (0, "Stopped.\n")
        assert "100%" in told
        assert "Traceback" not in told


@pytest.mark.parametrize("arguments", [["--now", "2026-11-22T10:15:00Z"], ["--empty"]])
def test_serve_with_now_is_an_empty_club_whose_links_work(arguments: list[str]) -> None:
    with serving(*arguments) as process:
        text = _until(process, "Stop it")
        (own, _), (agents, member) = LINK.findall(text)
        url = text.split()[5].rstrip(";")
        assert member == "m-42"
        if "--now" in arguments:
            assert "its clock stands at 2026-11-22T10:15:00Z." in text
        for token in (own, agents):
            status, problem = _get(f"{url}/members/m-42", token)
            assert (status, problem["code"]) == (404, "member_not_found")
        assert _get(f"{url}/_local/bus", "")[1] == {"events": []}
        report = json.load(urllib.request.urlopen(urllib.request.Request(f"{url}/_local/verify", b"{}"), timeout=30))
        assert (report["members"], report["entries"], report["problems"]) == (0, 0, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_cleanly_while_it_replays(number: int) -> None:
    with serving() as process:
        assert process.stderr is not None
        assert "CDNOW" in process.stderr.readline()
        process.send_signal(number)
        rest, told = process.communicate(timeout=20)
        assert (process.returncode, rest) == (0, "Stopped.\n")
        assert "Traceback" not in told


def test_a_taken_port_is_told_before_anything_is_replayed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(demo, "fill", lambda *_: pytest.fail("it was replayed"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert f"Port {port} can't be used" in capsys.readouterr().err
