"""`python -m local standing rebuild` and `verify`, on a running stack and on a table by its name."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from club_ledger.items import pack
from local.__main__ import main
from local.server import Server
from local.stack import Stack
from tests.local.test_club import Club, table_of

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@pytest.fixture
def port(stack: Stack) -> Iterator[str]:
    """Where the stack answers, with two members: anna, A3 and Platinum, and bert, A1 and Silver."""
    club = Club(stack)
    club.send(club.order("anna", "o-1", price="700.00"), club.order("bert", "o-2"))
    server = Server(stack, 0, lambda line: None)
    server.start()
    yield str(server.server_address[1])
    server.shutdown()
    server.server_close()


def put(stack: Stack, pk: str, sk: str, **attributes: Any) -> None:
    item = {"pk": {"S": pk}, "sk": {"S": sk}, **attributes}
    stack.client("dynamodb").put_item(TableName=table_of(stack), Item=item)


def plant(stack: Stack) -> None:
    """What a hand could do: anna was counted at another tier, and a counter says what it likes."""
    body = {"B": pack({"of": 1, "tiers": {"club": "A4"}})}
    put(stack, "S#anna", "-", version={"N": "1"}, body=body)
    put(stack, "STANDING#0", "-", members={"N": "40"}, version={"N": "1"}, **{"vip#Gold": {"N": "1"}})


def test_what_is_planted_is_found_and_put_right(stack: Stack, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--port", port]) == 0
    assert main(["standing", "rebuild", "--port", port]) == 0
    assert capsys.readouterr().out.endswith("2 members: 0 put right\nthe counters are right\n")

    plant(stack)
    assert main(["verify", "--port", port]) == 1
    said = capsys.readouterr().out
    assert "anna: standing: club: counted A4, the account holds A3\n" in said
    assert "standing: vip Gold: 1 counted, the accounts give 0\n" in said

    assert main(["standing", "rebuild", "--port", port]) == 0
    said = capsys.readouterr().out
    assert "anna: was club A4, is club A3, crowns Platinum" in said
    assert "counter vip#Gold: -1" in said
    assert main(["verify", "--port", port]) == 0


def test_a_table_is_rebuilt_by_its_name(stack: Stack, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    plant(stack)

    assert main(["standing", "rebuild", "--table", table_of(stack)]) == 0

    assert "anna: was club A4" in capsys.readouterr().out
    assert main(["verify", "--port", port]) == 0


def test_what_cannot_be_put_right_makes_it_fail(stack: Stack, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    put(stack, "S#ghost", "-", version={"N": "1"}, body={"B": pack({"of": 1, "tiers": {}})})

    assert main(["standing", "rebuild", "--port", port]) == 1
    assert "ghost: is counted, but has no account" in capsys.readouterr().out
    assert main(["standing", "rebuild", "--table", table_of(stack)]) == 1


def test_a_table_that_is_not_there_is_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["standing", "rebuild", "--table", "nowhere"]) == 1

    assert "The table nowhere can't be worked on" in capsys.readouterr().err


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["standing", "rebuild", "--port", "1"]) == 1

    assert "make serve" in capsys.readouterr().err


def test_verify_and_rebuild_wait_for_what_the_outbox_has_not_seen(
    stack: Stack, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A decision settles an account at once; the stream is handed on a moment later, and is not a difference."""
    stack.set_clock(NOW.replace(year=2028))
    assert Club(stack).refund("r-1", "anna", "o-1")[0] == 200

    assert main(["verify", "--port", port]) == 0
    assert main(["standing", "rebuild", "--port", port]) == 0
    assert "2 members: 0 put right\n" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["throttle", "conflict", "timeout_before", "timeout_after", "error"])
def test_with_a_store_that_fails_in_between_the_counts_stay_exact(stack: Stack, port: str, kind: str) -> None:
    club = Club(stack)
    club.count = 100  # the numbers before are anna's and bert's
    stack.order_fault({"operation": "TransactWriteItems", "kind": kind, "rate": 0.5, "seed": 3})
    events = [club.order(f"m-{number}", f"x-{number}", price="120.00") for number in range(30)]
    status, _ = club.call("POST", "/activities", "market", "club:ingest", {"events": events})
    assert status == 202
    stack.drain()
    stack.order_fault({})
    stack.redrive()

    assert main(["verify", "--port", port]) == 0
    status, summary = club.call("GET", "/members/me", "anna", "club:read")
    assert summary["programs"]["club"]["standing"] == {"below_percent": 96.9, "members": 32}
