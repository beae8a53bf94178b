"""The replay on the real local stack: a slice of CDNOW, a UCI log with its traps, and what can go wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from local import replay, verify
from local.logs import Log, open_log
from local.logs.model import Activity, Line

if TYPE_CHECKING:
    from pathlib import Path

    from local.report.outcome import Outcome, ProgramOutcome

UCI = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536001,22783,SET,10,2010-12-01 09:00:00,12.00,17420,France
536001,22783,SET,10,2010-12-01 09:00:00,12.00,17420,France
536001,84536B,MUG,20,2010-12-01 09:00:00,3.00,17420,France
536001,POST,POSTAGE,1,2010-12-01 09:00:00,18.00,17420,France
C536002,22783,SET,-4,2010-12-03 10:00:00,12.00,17420,France
C536003,99999,CLOCK,-1,2010-12-04 10:00:00,8.00,17420,France
"""


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "build" / "index.html"
    monkeypatch.setattr(replay, "REPORT", path)
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def program(outcome: Outcome, name: str) -> ProgramOutcome:
    return next(one for one in outcome.programs if one.id == name)


def ten_days_of_cdnow() -> Log:
    log = open_log()
    return replace(
        log, activities=tuple(a for a in log.activities if a.occurred_at < datetime(1997, 1, 11, tzinfo=UTC))
    )


def test_ten_days_of_cdnow_earn_what_a_hand_count_gives() -> None:
    log = ten_days_of_cdnow()
    outcome = replay.run(log, 0.0)
    # By the rules 1.4 and 1.6 for this log: whole dollars of at most 10 units an order, from 2.00 a unit on; 5 for
    # each day with such an order; nothing expires so soon.
    points: dict[str, int] = defaultdict(int)
    shopped = set()
    spend: Counter[str] = Counter()
    for activity in log.activities:
        left, cents = 10, 0
        for line in activity.lines:
            if line.cents >= 200:
                cents += line.cents * min(left, line.quantity)
                left -= min(left, line.quantity)
        points[activity.member_id] += cents // 100
        spend[activity.member_id] += sum(line.cents * line.quantity for line in activity.lines)
        if cents >= 100:
            shopped.add((activity.member_id, activity.occurred_at.date()))
    for member, _ in shopped:
        points[member] += 5
    assert program(outcome, "club").total("earned") == sum(points.values())
    assert program(outcome, "vip").total("earned") == sum(spend.values())
    tiers = Counter(sum(earned >= bound for bound in (1, 100, 500, 2000)) for earned in points.values())
    assert [program(outcome, "club").held(tier) for tier in ("A0", "A1", "A2", "A3", "A4")] == [
        tiers[index] for index in range(5)
    ]
    assert outcome.ledger.problems == []
    assert outcome.ledger.members == len(points)
    assert outcome.sweeps == {"ExpirySweep": 10, "DemotionSweep": 10, "RewardSweep": 10}
    assert outcome.announced["sweep.finished"] == 30
    assert outcome.sound


def test_a_log_with_cancellations_is_printed_and_reported(
    tmp_path: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "retail.csv", UCI)
    assert replay.main(["--log", str(path)]) == 0
    printed = capsys.readouterr()
    # 10 sets at 12.00 and 10 of the 20 mugs at 3.00 count, with 5 for the day; 4 sets come back, uncounted first.
    for part in (
        "6 rows of 1 member\n",
        "1 row skipped: exact duplicate of another row",
        "Cancelled lines that match no earlier purchase in the log: 1.",
        "points: 155 earned, 0 expired, 48 taken back",
        "spend: $180 earned, $0 expired, $48 taken back",
        "denied: 1 cap on an item's units",
        "1 parked",
        "ledger: whole. 1 accounts built again from 4 entries",
    ):
        assert part in printed.out, part
    assert "day 4/4  4/4 events" in printed.err
    assert report.read_text("utf-8").endswith("</html>\n")


def test_a_run_repeats_another_exactly(tmp_path: Path) -> None:
    log = open_log(written(tmp_path / "retail.csv", UCI))
    first, second = (replay.run(log, 0.0) for _ in range(2))
    timing = second.timing
    first.timing = timing
    for outcome in (first, second):
        for page in outcome.pages:
            assert page.summary["member_id"] == "uci-17420"
    assert first == second


def order(event_id: str, at: datetime, lines: tuple[Line, ...], order_id: str = "o-1") -> Activity:
    return Activity(at, event_id, "order.completed", "m-1", order_id, lines)


def test_what_finds_no_place_makes_the_run_fail(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    log = Log(
        "test",
        "A test",
        3,
        (
            order("e-1", noon, (Line("i-1", 1, 1000, "s-1"),)),
            order("e-2", noon, (Line("not an id", 1, 1000, "s-1"),), "o-2"),
            order("e-1", noon.replace(day=2), (Line("i-1", 1, 2000, "s-1"),), "o-3"),
        ),
    )
    outcome = replay.run(log, 0.0)
    assert outcome.refused == {"invalid_id": 1}
    assert outcome.notes[0].startswith("e-2: ")
    assert outcome.dead_letters == {"event_id_reused": 1}
    assert not outcome.sound


def test_an_account_that_differs_makes_the_run_fail(
    tmp_path: Path, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = verify.verify_all

    def with_a_problem(*arguments: Any) -> verify.Report:
        return real(*arguments)._replace(problems=["uci-17420: club differs"])

    monkeypatch.setattr(verify, "verify_all", with_a_problem)
    assert replay.main(["--log", str(written(tmp_path / "retail.csv", UCI))]) == 1
    assert "ledger: NOT WHOLE, 1 differences\n  uci-17420: club differs" in capsys.readouterr().out
    assert "uci-17420: club differs" in report.read_text("utf-8")


def test_a_log_that_cannot_be_read_is_told_before_anything_is_sent(
    tmp_path: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "retail.csv", UCI.replace("-4", "four"))
    assert replay.main(["--log", str(path)]) == 2
    assert capsys.readouterr() == (
        "",
        "error: retail.csv, line 6: the quantity 'four' is not a whole number of at most 1000000\n",
    )
    assert not report.exists()


def test_a_stopped_run_leaves_the_last_report_and_the_next_starts_again(
    tmp_path: Path, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report.parent.mkdir(parents=True)
    written(report, "the last one")
    path = str(written(tmp_path / "retail.csv", UCI))

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replay, "replay", stopped)
        assert replay.main(["--log", path]) == 130
    assert report.read_text("utf-8") == "the last one"
    assert replay.main(["--log", path]) == 0
    assert [file.name for file in report.parent.iterdir()] == ["index.html"]
    assert "ledger: whole" in capsys.readouterr().out


def test_schedules_come_from_the_template_and_are_daily() -> None:
    from local.template import ROOT, Template

    schedules = Template(ROOT / "template.yaml").schedules
    times = replay.daily(schedules.values())
    assert times["ExpirySweep"] == time(0, 5)
    assert times["DemotionSweep"] == time(0, 35)
    weekly = SimpleNamespace(name="Weekly", expression="cron(0 9 ? * MON *)")
    with pytest.raises(ValueError, match="Weekly: a replay knows daily schedules"):
        replay.daily([weekly])  # type: ignore[list-item]
