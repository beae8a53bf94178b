"""What a replay counts, how it sends, and what it prints and draws, without a stack."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from datetime import UTC, date, datetime, time
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.programs import load_programs
from local.logs.model import Activity, Line, Log
from local.replay.drive import BATCH_BYTES, BATCH_EVENTS, Rejected, batches, replay
from local.replay.figures import Figures
from local.replay.progress import Progress
from local.replay.samples import Order, Samples, orders_of
from local.replay.summary import summary
from local.report import render, write_report
from local.report.charts import Series, diverging_bars, stacked_areas, ticks
from local.report.outcome import Check, Ledger, MemberPage, Outcome, Sample, Timing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIRST, LAST = date(2026, 1, 30), date(2026, 2, 3)


def at(day: int, hour: int = 12, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


# --- Figures ---


def entry(member: str, posted_at: str, kind: str = "accrual", **parts: tuple[int, str, list[dict]]) -> dict:
    programs = load_programs()
    return {
        "member_id": member,
        "type": "order.completed",
        "posted_at": posted_at,
        "parts": {
            name: {
                "kind": kind,
                "points": points,
                "tier": [0, programs.versions(name)[-1].tier_index(tier)],
                "reasons": reasons,
            }
            for name, (points, tier, reasons) in parts.items()
        },
    }


def reason(code: str, points: int = 0) -> dict:
    return {"rule": "purchase", "points": points, "code": code}


@pytest.fixture
def figures() -> Figures:
    programs = load_programs()
    counted = Figures((programs.versions(name)[-1] for name in ("club", "vip")), FIRST, LAST)
    earned = [reason("earned", 120), reason("item_unit_cap"), reason("item_unit_cap")]
    for one in (
        entry("m-1", "2026-01-30T12:00:00Z", club=(120, "A2", earned), vip=(12000, "none", [])),
        entry("m-2", "2026-01-31T12:00:00Z", "denied", club=(0, "A0", [reason("unit_price_below_minimum")])),
        entry("m-1", "2026-02-01T00:05:00Z", "expiry", club=(-50, "A2", [])),
        entry("m-1", "2026-02-01T00:35:00Z", "tier_review", club=(0, "A1", [reason("demoted")])),
        entry(
            "m-1",
            "2026-02-02T09:00:00Z",
            "clawback",
            club=(-70, "A0", [reason("refunded", -70), reason("refunded"), reason("refund_exceeds_order")]),
            vip=(-12000, "none", []),
        ),
        entry("m-3", "2026-02-09T09:00:00Z", "accrual", vip=(100000, "Silver", [])),  # after the last day
    ):
        counted.add(one)
    return counted


def test_members_are_counted_at_the_end_of_each_day(figures: Figures) -> None:
    club, vip = figures.programs()
    assert club.members == {
        "A0": [0, 1, 1, 2, 3],
        "A1": [0, 0, 1, 0, 0],
        "A2": [1, 1, 0, 0, 0],
        "A3": [0] * 5,
        "A4": [0] * 5,
    }
    assert vip.members["Silver"] == [0, 0, 0, 0, 1], "what comes after the last day belongs to it"
    assert figures.tiers["club"] == {"m-1": "A0", "m-2": "A0", "m-3": "A0"}


def test_points_are_counted_by_month_and_by_what_happened_to_them(figures: Figures) -> None:
    club, vip = figures.programs()
    assert {month: (m.earned, m.expired, m.taken_back) for month, m in club.months.items()} == {
        "2026-01": (120, 0, 0),
        "2026-02": (0, 50, 70),
    }
    assert (vip.total("earned"), vip.total("taken_back")) == (112000, 12000)


def test_denials_and_tier_changes_are_counted_by_cause(figures: Figures) -> None:
    club, vip = figures.programs()
    assert club.denied == {"item_unit_cap": 2, "unit_price_below_minimum": 1, "refund_exceeds_order": 1}
    assert (club.up, club.down) == ({"accrual": 1}, {"tier_review": 1, "clawback": 1})
    assert (vip.up, vip.down) == ({"accrual": 1}, {})
    assert figures.kinds == {"accrual": 2, "denied": 1, "expiry": 1, "tier_review": 1, "clawback": 1}


# --- Sending ---


class FakeFront:
    """A front door that notes what it is asked, and answers as it is told."""

    def __init__(self, refuse: tuple[str, ...] = (), status: int = 202) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.now = at(1)
        self._refuse = refuse
        self._status = status

    def token(self, sub: str, scopes: Any) -> str:
        return f"{sub}:{' '.join(scopes)}"

    def set_clock(self, now: datetime) -> None:
        assert now >= self.now or not self.steps, "the clock never goes back"
        self.now = now

    def fire(self, schedule: str, scheduled_at: datetime) -> None:
        assert scheduled_at == self.now
        self.steps.append((schedule, scheduled_at))

    def drain(self) -> None:
        self.steps.append(("drain",))

    def request(self, method: str, path: str, query: str = "", headers: Any = None, body: bytes = b"") -> Any:
        events = json.loads(body)["events"]
        assert (method, path) == ("POST", "/activities")
        assert headers["authorization"] == "Bearer replay:club:ingest"
        assert all(datetime.fromisoformat(event["occurred_at"]) <= self.now for event in events)
        ids = [event["event_id"] for event in events]
        self.steps.append((self.now, ids))
        refused = [
            {"event_id": one, "index": index, "code": "invalid_money", "detail": "no"}
            for index, one in enumerate(ids)
            if one in self._refuse
        ]
        answer = {"accepted": [one for one in ids if one not in self._refuse], "refused": refused}
        return SimpleNamespace(status=self._status, json=lambda: answer)


def order(event_id: str, when: datetime, member: str = "m-1", cents: int = 1000) -> Activity:
    return Activity(when, event_id, "order.completed", member, f"o-{event_id}", (Line("i", 1, cents, "s"),))


def log_of(*activities: Activity) -> Log:
    return Log("test", "A test", len(activities), activities)


def silent(log: Log) -> Progress:
    return Progress((log.last_day - log.first_day).days + 1, log.events, io.StringIO())


SWEEPS = {"DemotionSweep": time(0, 35), "ExpirySweep": time(0, 5)}


def test_sweeps_and_events_come_in_the_order_of_their_times() -> None:
    log = log_of(
        order("a", at(1, 0)),  # before the sweeps of its day
        order("b", at(1, 12)),
        order("c", at(1, 13)),
        order("d", at(3, 12)),
    )
    front = FakeFront()
    sent = replay(log, front, SWEEPS, silent(log))
    assert front.steps == [
        (at(1, 0), ["a"]),
        ("drain",),
        ("ExpirySweep", datetime(2026, 1, 1, 0, 5, tzinfo=UTC)),
        ("DemotionSweep", datetime(2026, 1, 1, 0, 35, tzinfo=UTC)),
        (at(1, 13), ["b", "c"]),
        ("drain",),
        ("ExpirySweep", datetime(2026, 1, 2, 0, 5, tzinfo=UTC)),
        ("DemotionSweep", datetime(2026, 1, 2, 0, 35, tzinfo=UTC)),
        ("ExpirySweep", datetime(2026, 1, 3, 0, 5, tzinfo=UTC)),
        ("DemotionSweep", datetime(2026, 1, 3, 0, 35, tzinfo=UTC)),
        (at(3, 12), ["d"]),
        ("drain",),
    ]
    assert (sent.accepted, sent.refused) == (4, {})
    assert sent.sweeps == {"ExpirySweep": 3, "DemotionSweep": 3}


def test_refusals_are_counted_and_a_closed_door_ends_the_run() -> None:
    log = log_of(order("a", at(1)), order("b", at(1)))
    sent = replay(log, FakeFront(refuse=("b",)), {}, silent(log))
    assert (sent.accepted, sent.refused, sent.examples) == (1, {"invalid_money": 1}, ["b: no"])
    with pytest.raises(Rejected, match="answered 401"):
        replay(log, FakeFront(status=401), {}, silent(log))


@given(st.lists(st.integers(1, BATCH_BYTES // 2), max_size=300))
def test_batches_hold_every_event_once_in_order_and_within_the_limits(sizes: list[int]) -> None:
    events = [{"n": number, "text": "x" * (size // 40)} for number, size in enumerate(sizes)]
    cut = list(batches(events))
    assert [event for batch in cut for event in batch] == events
    assert all(1 <= len(batch) <= BATCH_EVENTS for batch in cut)
    assert all(len(json.dumps({"events": batch})) <= 256 * 1024 for batch in cut)


def test_large_events_are_spread_over_requests() -> None:
    events = [{"text": "x" * 60_000} for _ in range(10)]
    assert [len(batch) for batch in batches(events)] == [4, 4, 2]


# --- Progress ---


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_in_place_on_a_terminal_and_in_lines_elsewhere() -> None:
    for out in (Terminal(), io.StringIO()):
        progress = Progress(4, 200, out, clock=iter([0.0, 5.0, 5.1, 20.0, 40.0]).__next__)
        for days, events in ((1, 50), (1, 51), (2, 100), (4, 200)):
            progress.show(date(2026, 1, days), days, events)
        progress.close()
        drawn = out.getvalue()
        lines = [line for line in re.split(r"[\r\n]", drawn) if line]
        assert len(lines) == 3, "the second is too soon after the first"
        assert drawn.count("\n") == (1 if out.isatty() else 3)
        assert all(len(line.rstrip()) < 80 for line in lines)
        assert "2026-01-02 day 2/4  100/200 events  5/s  0:20 left" in lines[1]
        assert re.search(r"day 4/4  200/200 events  5/s  0:00 left  \d+ MB$", lines[2])


# --- Sample decisions ---


class DecidingFront(FakeFront):
    """Approves everything, and forgets on demand that it did."""

    def __init__(self, forgets: bool = False) -> None:
        super().__init__()
        self.bodies: list[dict] = []
        self._forgets = forgets

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Any:
        if method == "GET":
            content: dict[str, Any] = {"entries": []} if path.endswith("statement") else {"programs": {}}
            return SimpleNamespace(status=200, json=lambda: content)
        asked = json.loads(body)
        self.bodies.append({"path": path, **asked})
        number = len(self.bodies) if self._forgets else asked["request_id"]
        answer = {"decision_id": f"d-{number}", "decision": "approved", "tier": "A3", "checks": []}
        return SimpleNamespace(status=200, json=lambda: answer)


def sampled(front: DecidingFront) -> Samples:
    members = {f"a3-{n}": "A3" for n in range(5)} | {"a1-1": "A1", "a0-1": "A0", "a0-2": "A0"}
    activities = [order(f"first-{m}", at(1), m) for m in members]
    activities += [order(f"last-{m}", at(2), m, {"a3-4": 2600, "a0-1": 0}.get(m, 2499)) for m in members]
    program = load_programs().versions("club")[-1]
    return Samples(front, log_of(*activities), program, members, at(3))


def test_samples_show_each_tier_and_each_way_a_request_can_go() -> None:
    front = DecidingFront()
    samples = sampled(front)
    titles = [f"{sample.title}: {sample.asked}" for sample in samples.decisions()]
    assert titles == [
        "A3: refund of 24.99 USD: Order o-last-a3-0: all steps done.",
        "A3: refund of 24.99 USD: Order o-last-a3-0: another request for the same order.",
        "A3: refund of 24.99 USD: Order o-last-a3-1: neither approved by the seller nor sent back yet.",
        "A3: refund of 12.49 USD: Order o-last-a3-2: only a part of the amount.",
        "A3: refund of 26.00 USD: Order o-last-a3-4: all steps done, above the tier's limit.",
        "A1: refund of 24.99 USD: Order o-last-a1-1: all steps done, without the privilege.",
        "A0: refund of 24.99 USD: Order o-last-a0-2: all steps done, without the privilege.",
        "A3: dispute acceleration: Dispute over order o-last-a3-0: escalated.",
        "A1: dispute acceleration: Dispute over order o-last-a1-1: escalated.",
    ]
    assert samples.wrong == []
    ids = [body["request_id"] for body in front.bodies]
    assert ids.count("sample-1") == 2, "the first one is sent twice, as it is"
    assert [page.program for page in samples.pages()] == ["club"]


def test_another_answer_to_the_same_request_is_wrong() -> None:
    samples = sampled(DecidingFront(forgets=True))
    assert "ANOTHER DECISION" in samples.decisions()[0].remark
    assert samples.wrong[0] == "sample-1: the same request got another decision"


def test_orders_that_something_was_taken_back_of_are_no_samples() -> None:
    log = log_of(
        order("a", at(1)),
        order("b", at(2)),
        Activity(at(3), "r", "order.refunded", "m-1", "o-b", (Line("i", 1),)),
        Activity(at(3), "v", "review.posted", "m-1", "o-a", (Line("i", 1),)),
    )
    assert orders_of(log) == {"m-1": [Order("o-a", 1000)]}


# --- The printed summary and the page ---


def outcome_of(figures: Figures, **changes: Any) -> Outcome:
    checks = [Check("tier_entitles", "pass", "", "A3", "A3"), Check("return_shipped", "missing", "<not yet>")]
    program = {"tier": "A3", "points": 612, "next_tier": {"tier": "A4", "missing": 1388}}
    content = {
        "occurred_at": "2026-02-01T00:00:00Z",
        "kind": "accrual",
        "points": 12,
        "balance": 612,
        "tier_after": "A3",
        "reasons": [{"code": "earned", "text": "12 points for order o-1"}],
    }
    fields: dict[str, Any] = {
        "log": "Shop <& Sons>",
        "source": "shop.csv",
        "rows": 7,
        "events": {"order.completed": 5, "order.refunded": 1},
        "members": 3,
        "first_day": FIRST,
        "last_day": LAST,
        "skipped": {"no customer": 1},
        "notes": ["Amounts are pounds."],
        "programs": figures.programs(),
        "sweeps": Counter(ExpirySweep=5),
        "announced": Counter({"tier.changed": 4}),
        "kinds": figures.kinds,
        "refused": Counter(),
        "dead_letters": Counter(),
        "surprises": [],
        "samples": [Sample("A3: refund", "Order o-1.", "m-1", "A3", "pending", "d-1", checks, "Sent twice.")],
        "pages": [MemberPage({"member_id": "m-1", "as_of": "now", "programs": {"club": program}}, [content], "club")],
        "ledger": Ledger(3, 6, []),
        "timing": Timing(1.0, 2.0, 0.5, 123.4),
    }
    return Outcome(**{**fields, **changes})


def test_the_summary_says_what_happened(figures: Figures) -> None:
    text = summary(outcome_of(figures))
    assert re.search(r"^  members at +(\d\d \w{3} 2026 *){4}", text, re.MULTILINE)
    assert re.search(r"^  A2 +1 +0 +0 +0$", text, re.MULTILINE)
    for part in (
        "points: 120 earned, 50 expired, 70 taken back",
        "spend: $1,120 earned, $0 expired, $120 taken back",
        "denied: 2 cap on an item's units, 1 unit price below the minimum, 1 refund of more than remains",
        "tier changes down: 1 tier review, 1 order refunded or cancelled",
        "sample decisions: 1 pending",
        "pending   A3: refund, m-1 (return_shipped)",
        "ledger: whole. 3 accounts built again from 6 entries are as they are stored.",
        "6 events and 5 sweeps over 5 days in 3.5 s (3 events a second), 123 MB of memory at most.",
    ):
        assert part in text


def test_what_is_wrong_is_said_and_makes_the_run_fail(figures: Figures) -> None:
    assert outcome_of(figures).sound
    programs = figures.programs
    for change, said in (
        ({"ledger": Ledger(3, 6, ["m-1: club differs"])}, "m-1: club differs"),
        ({"refused": Counter(invalid_money=2)}, "refused at the door: 2 invalid_money"),
        ({"dead_letters": Counter(member_erased=1)}, "dead letters: 1 member_erased"),
        ({"surprises": ["GET /members/m-1 answered 500"]}, "WRONG: GET /members/m-1 answered 500"),
    ):
        outcome = outcome_of(figures, **change)
        assert not outcome.sound
        assert said in summary(outcome)
        assert "Something is wrong" in render(outcome)
    assert programs is not None


class Reader(HTMLParser):
    """Checks that every tag is closed in turn, and collects addresses and texts."""

    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        for name, value in attrs:
            if name in ("href", "src", "xlink:href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_whole_needs_no_other_host_and_no_script(figures: Figures) -> None:
    html = render(outcome_of(figures))
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert not reader.seen["script"]
    assert not reader.seen["link"]
    assert not re.search(r"https?://|url\(|@import", html)
    assert all(address.startswith("#") and address[1:] in reader.ids for address in reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))
    assert "Shop <& Sons>" in reader.texts
    assert "<& Sons>" not in html, "texts are escaped"
    assert "prefers-color-scheme: dark" in html


def test_every_chart_has_its_numbers_in_a_table(figures: Figures) -> None:
    html = render(outcome_of(figures))
    assert html.count('class="chart wide"') == html.count('class="chart narrow"') == 4
    assert html.count("Show as a table") == 4
    assert '<th scope="row">31 January 2026</th><td>1</td><td>0</td><td>1</td><td>0</td><td>0</td>' in html
    assert '<th scope="row">February 2026</th><td>0</td><td>50</td><td>70</td>' in html


def test_a_log_of_one_day_without_any_points_is_drawn_too(figures: Figures) -> None:
    programs = load_programs()
    nothing = Figures([programs.versions("club")[-1]], FIRST, FIRST)
    nothing.add(entry("m-1", "2026-01-30T12:00:00Z"))
    outcome = outcome_of(nothing, last_day=FIRST, samples=[], pages=[])
    assert "Nothing was earned." in render(outcome)
    assert "denied: none" in summary(outcome)


def test_the_report_is_replaced_whole_or_not_at_all(
    figures: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "build" / "report" / "index.html"
    write_report(outcome_of(figures), path)
    before = path.read_text("utf-8")
    assert before.endswith("</html>\n")

    def fails(_: object) -> str:
        raise RuntimeError("half-way")

    monkeypatch.setattr("local.report.render", fails)
    with pytest.raises(RuntimeError, match="half-way"):
        write_report(outcome_of(figures), path)
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    assert path.read_text("utf-8") == before


# --- Charts ---


def test_areas_lie_on_each_other() -> None:
    series = [Series("top", "red", [10.0, 20.0]), Series("rest", "blue", [30.0, 20.0])]
    svg = stacked_areas("Label", FIRST, series, str, "members").split("</svg>")[0]
    areas = [
        [tuple(map(float, point.split(","))) for point in points.split(" ")]
        for points in re.findall(r'<polygon points="([^"]+)"', svg)
    ]
    assert len(areas) == 2
    assert areas[1][2:] == areas[0][:2][::-1], "the second stands on the first"
    base, top = areas[0][3][1], areas[1][0][1]
    assert areas[0][0][1] == pytest.approx(base - (base - top) / 4, abs=0.1)
    assert 'aria-label="Label"' in svg


def test_bars_go_up_and_down_from_one_line() -> None:
    up, down = [Series("in", "green", [40.0, 0.0])], [Series("out", "red", [0.0, 20.0])]
    svg = diverging_bars("Label", ["2026-01", "2026-02"], up, down, str).split("</svg>")[0]
    bars = [
        tuple(map(float, numbers)) for numbers in re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)" rx', svg)
    ]
    (up_y, up_height), (down_y, down_height) = bars
    assert up_y + up_height == pytest.approx(down_y, abs=0.2)
    assert up_height == pytest.approx(2 * down_height, abs=0.2)


@given(st.floats(0.01, 1e12))
def test_ticks_are_round_and_reach_the_top(most: float) -> None:
    marks = ticks(most)
    assert marks[0] == 0
    assert marks[-1] >= most * 0.999
    assert 2 <= len(marks) <= 7
    assert all(mark == round(mark) for mark in marks)
