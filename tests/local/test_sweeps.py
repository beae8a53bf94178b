"""Sweeps on a running stack: dry runs, the brake, `python -m local sweeps`, and the answer of a schedule."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.__main__ import main
from local.server import Server
from local.stack import Stack
from tests.local.test_club import Club
from tests.local.test_standing import table_of

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
NIGHT = "2027-11-22T00:35:00Z"
MEMBERS = 24
"""Four more than may fall from a tier of fewer than a hundred."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(NOW) as running:
        yield running


@pytest.fixture
def port(stack: Stack) -> Iterator[str]:
    """Where the stack answers, with 24 members who are A3 and Platinum until the night of 22 November 2027."""
    club = Club(stack)
    club.send(*(club.order(f"m-{number}", f"o-{number}", price="600.00") for number in range(MEMBERS)))
    stack.set_clock(datetime(2027, 11, 22, 9, tzinfo=UTC))
    server = Server(stack, 0, lambda line: None)
    server.start()
    yield str(server.server_address[1])
    server.shutdown()
    server.server_close()


def call(port: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST", data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def fire(port: str, **how: Any) -> dict[str, Any]:
    status, answer = call(port, "/_local/schedules/DemotionSweep", {"scheduled_at": NIGHT, **how})
    assert (status, answer["dead_lettered"]) == (200, 0)
    assert answer["delivered"] > 0
    report: dict[str, Any] = answer["report"]
    return report


def held(stack: Stack) -> int:
    """How many are A3 by the standing's counters."""
    from club_ledger.store import connect

    stack.work_streams()
    with stack.still():
        return connect(table_of(stack), lambda: 0).counters().counts.tiers["club"]["A3"]


def announced(stack: Stack, kind: str) -> list[dict[str, Any]]:
    return [json.loads(entry["Detail"]) for entry in stack.published(kind)]


def test_an_operator_looks_first_halts_goes_on_and_undoes(
    stack: Stack, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = fire(port, dry_run=True)
    assert dry["programs"]["club"]["fell"] == MEMBERS
    assert [(each["program"], each["limit"]) for each in dry["would_halt"]] == [("club", 20), ("crowns", 20)]
    assert held(stack) == MEMBERS
    assert announced(stack, "sweep.finished") == []
    assert main(["sweeps", "show", dry["run_id"], "--port", port]) == 0
    said = capsys.readouterr().out
    assert "dry run, finished" in said
    assert "WOULD HALT: 24 would fall from club A3, at most 20 of 24 members may" in said
    assert "    fell A3 -> A0 (demoted): 24\n" in said

    real = fire(port)
    assert real["halted"]["would_demote"] > 20
    assert real["programs"]["club"]["fell"] == real["halted"]["demoted"] <= 20
    assert held(stack) == MEMBERS - real["programs"]["club"]["fell"]
    (told,) = announced(stack, "sweep.halted")
    assert (told["run_id"], told["limit"]) == (real["run_id"], 20)
    (end,) = announced(stack, "sweep.finished")
    assert (end["halted"], end["programs"]) == (True, real["programs"])
    assert main(["sweeps", "show", real["run_id"], "--port", port]) == 0
    assert "HALTED: " in capsys.readouterr().out

    rest = fire(port, override_limit=True)
    assert rest["halted"] is None
    assert held(stack) == 0

    assert main(["sweeps", "list", "--port", port]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert {row.split(": ")[0] for row in listed} == {dry["run_id"], real["run_id"], rest["run_id"]}

    assert main(["sweeps", "undo", rest["run_id"], "--port", port]) == 0
    number = 2 * rest["programs"]["club"]["fell"]
    assert capsys.readouterr().out == f"{number} demotions undone, 0 had been before, 0 left as they are\n"
    assert main(["sweeps", "undo", real["run_id"], "--table", table_of(stack)]) == 0
    assert held(stack) == MEMBERS
    assert main(["sweeps", "undo", rest["run_id"], "--port", port]) == 0
    assert capsys.readouterr().out.endswith(f"0 demotions undone, {number} had been before, 0 left as they are\n")
    assert main(["verify", "--port", port]) == 0


def test_who_is_left_is_named(stack: Stack, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = fire(port, override_limit=True)
    club = Club(stack)
    club.count = 100
    club.send(club.order("m-3", "o-new", price="150.00"))

    assert main(["sweeps", "undo", run["run_id"], "--port", port]) == 1

    said = capsys.readouterr().out
    assert "m-3: club: A3 was not given back: the tier has changed since\n" in said
    assert said.endswith(f"{2 * MEMBERS - 2} demotions undone, 0 had been before, 2 left as they are\n")
    assert main(["verify", "--port", port]) == 0


@pytest.mark.parametrize("where", ["--port", "--table"])
def test_a_run_that_there_is_not_is_told(
    stack: Stack, port: str, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    for action in ("show", "undo"):
        assert main(["sweeps", action, "nobody", where, port if where == "--port" else table_of(stack)]) == 1
        assert capsys.readouterr().err == "there is no such run\n"


def test_a_table_or_a_stack_that_is_not_there_is_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    for action in (["list"], ["show", "r"], ["undo", "r"]):
        assert main(["sweeps", *action, "--table", "nowhere"]) == 1
        assert "The table nowhere can't be worked on" in capsys.readouterr().err
        assert main(["sweeps", *action, "--port", "1"]) == 1
        assert "make serve" in capsys.readouterr().err


def test_no_sweep_has_run(stack: Stack, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweeps", "list", "--port", port]) == 0
    assert main(["sweeps", "list", "--table", table_of(stack)]) == 0
    assert capsys.readouterr().out == "no sweep has run yet\n" * 2


def test_a_call_that_makes_no_sense_is_refused(stack: Stack, port: str) -> None:
    for body in ({}, {"action": "stop"}, {"action": "show", "run": 3}, {"action": "list", "more": True}):
        assert call(port, "/_local/sweeps", body)[0] == 400
    assert call(port, "/_local/sweeps", {"action": "show", "run": "nobody"})[0] == 404


@pytest.mark.parametrize("kind", ["throttle", "conflict", "timeout_before", "timeout_after", "error"])
def test_with_a_store_that_fails_in_between_the_brake_stays_exact(stack: Stack, port: str, kind: str) -> None:
    stack.order_fault({"operation": "TransactWriteItems", "kind": kind, "rate": 0.4, "seed": 5})
    stack.fire("DemotionSweep", datetime.fromisoformat(NIGHT))
    for _ in range(20):
        if not (stack.dead_letters() or announced(stack, "sweep.finished") == []):
            break
        stack.redrive()
    stack.order_fault({})
    stack.redrive()

    assert len(announced(stack, "sweep.finished")) == 1
    assert {each["event_id"] for each in announced(stack, "sweep.halted")} != set()
    fell = MEMBERS - held(stack)
    assert 0 < fell <= 20

    at = datetime.fromisoformat(NIGHT) + timedelta(minutes=1)
    stack.fire("DemotionSweep", at, override_limit=True)
    assert held(stack) == 0
    assert main(["verify", "--port", port]) == 0
