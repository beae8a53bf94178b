"""The stages and the works that are enumerated: for each function, each kind of what it does (``every``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from club_ledger.alerting import CHUNK as ALERT_CHUNK
from club_ledger.store import shard_of
from club_ledger.sweeping import CHUNK
from tests.simulation.every import Club, Stage, Trigger, Work
from tests.simulation.steps import Advance, ApiRequest, BusEvents, Step, Sweep

BEGAN = datetime(2024, 3, 8, 10, tzinfo=UTC)
EVE = datetime(2025, 3, 7, 12, tzinfo=UTC)
DAY = datetime(2025, 3, 8, 0, 10, tzinfo=UTC)
"""The moment of the works: what came in when the club began has just expired, and the coupons of the month are due."""
LATE = datetime(2025, 3, 7, 23, 50, tzinfo=UTC)
ROUNDS = timedelta(minutes=20)
IN_ONE_SHARD = [f"m-{number}" for number in range(1, 1000) if shard_of(f"m-{number}", 8) == 0]
"""Members of the first shard of the index of what is due."""
CROWD, WATCHERS = IN_ONE_SHARD[: CHUNK + 1], IN_ONE_SHARD[: ALERT_CHUNK + 1]


def stamp(moment: datetime) -> str:
    """An instant as it stands on the wire."""
    return moment.isoformat().replace("+00:00", "Z")


def event(name: str, kind: str, member_id: str, at: datetime, /, **data: Any) -> dict[str, Any]:
    """An event of the marketplace, as the API takes it."""
    return {"event_id": name, "type": kind, "member_id": member_id, "occurred_at": stamp(at), "data": data}


def sent(*events: dict[str, Any]) -> BusEvents:
    """Events on the bus, all at once."""
    entries = []
    for each in events:
        detail = {name: value for name, value in each.items() if name != "type"}
        entries.append({"Source": "marketplace", "DetailType": each["type"], "Detail": detail})
    return BusEvents(entries)


def line(item: str, price: str, quantity: int = 1) -> dict[str, Any]:
    """A line of an order."""
    return {"item_id": item, "seller_id": "s-1", "unit_price": price, "quantity": quantity, "category": "toys"}


def order(member_id: str, number: str, at: datetime, *lines: dict[str, Any]) -> dict[str, Any]:
    """A completed order."""
    data = {"order_id": number, "currency": "USD", "lines": list(lines)}
    return event(f"{member_id}.{number}", "order.completed", member_id, at, **data)


def points(member_id: str, number: int, at: datetime, program: str = "club", name: str = "") -> dict[str, Any]:
    """Points of a campaign."""
    name = name or f"{member_id}.{program}.{number}.{at:%m%d%H%M}"
    return event(name, "promotion.awarded", member_id, at, campaign_id="c", points=number, program=program)


def dropped(name: str, item: str, at: datetime) -> dict[str, Any]:
    """A price that drops."""
    data = {"item_id": item, "old_price": "10.00", "new_price": "8.00", "currency": "USD"}
    return {"event_id": name, "type": "price.dropped", "occurred_at": stamp(at), "data": data}


def until(moment: datetime, now: datetime) -> Advance:
    """Time goes by."""
    return Advance(moment - now)


SWEEPS = ("ExpirySweep", "DemotionSweep", "RewardSweep")


def swept(now: datetime, moment: datetime) -> list[Step]:
    """The sweeps of a day, one after the other, until a moment that is hours away."""
    steps: list[Step] = []
    for name in SWEEPS:
        steps += [Sweep(name), Advance(timedelta(minutes=30))]
    return [*steps, until(moment, now + timedelta(minutes=90))]


_requests = iter(range(1, 10_000))


def asked(method: str, path: str, sub: str, scope: str, body: Any = None, query: str = "") -> ApiRequest:
    """A request, whose caller asks again where there is no answer."""
    return ApiRequest(method, path, sub, (scope,), query, body, 3, next(_requests))


def refund(request_id: str, member_id: str, order_id: str, amount: str) -> ApiRequest:
    """A request for an expedited refund that has all it needs."""
    body = {
        "request_id": request_id,
        "member_id": member_id,
        "order_id": order_id,
        "dispute_id": f"d-{order_id}",
        "refund": {"kind": "full", "amount": amount, "currency": "USD"},
        "seller_approved_at": stamp(EVE),
        "return_shipment": {"carrier": "post", "tracking_number": "RB1", "first_scan_at": None},
        "order_eligible": True,
    }
    return asked("POST", "/refunds/expedited", "disputes", "club:decide", body)


def dispute(request_id: str, member_id: str, dispute_id: str) -> ApiRequest:
    """A request for the acceleration of a dispute that is escalated."""
    body = {
        "request_id": request_id,
        "member_id": member_id,
        "dispute_id": dispute_id,
        "order_id": "o-2",
        "escalated_at": stamp(EVE),
        "review_due_at": stamp(DAY + timedelta(days=9)),
    }
    return asked("POST", "/disputes/acceleration", "disputes", "club:decide", body)


def adjustment(name: str, member_id: str, number: int, operator: str = "op-1") -> ApiRequest:
    """An operator corrects a balance of ``club``."""
    body = {"adjustment_id": name, "program": "club", "points": number, "reason": "by hand"}
    return asked("POST", f"/members/{member_id}/adjustments", operator, "club:admin", body)


def erasure(member_id: str) -> ApiRequest:
    """A member is to be forgotten."""
    return asked("DELETE", f"/members/{member_id}", "op-1", "club:admin")


def read(below: str, member_id: str = "m-1", query: str = "") -> ApiRequest:
    """An agent reads something of a member."""
    return asked("GET", f"/members/{member_id}{below}", "agent", "club:support", None, query)


ASKED_BEFORE = refund("r-0", "m-1", "o-1", "20.00")
ASKED_BEFORE_OF_TWO = refund("r-0", "m-1", "o-7", "20.00")
DISPUTED_BEFORE = dispute("a-0", "m-1", "q-0")
WAITING = adjustment("adj-0", "m-1", 1500)
ADJUSTED_BEFORE = adjustment("adj-1", "m-1", 10)


def _club_steps() -> tuple[Step, ...]:
    first = [
        event("m-1.r", "member.registered", "m-1", BEGAN, birthday="1988-03-08", registered_on="2020-05-01"),
        event("m-2.r", "member.registered", "m-2", BEGAN, country="BY"),
        points("m-1", 100, BEGAN),
        points("m-3", 120, BEGAN),
        points("m-8", 150, BEGAN),
        points("m-8", 101, BEGAN, "crowns"),
    ]
    eve = [
        order("m-1", "o-1", EVE, line("i-1", "20.00"), line("i-7", "15.00")),
        order("m-1", "o-2", EVE, line("i-2", "40.00", 2)),
        order("m-3", "o-3", EVE, line("i-1", "30.00", 2)),
        points("m-1", 2500, EVE),
        points("m-1", 600, EVE, "crowns"),
        points("m-3", 50, EVE, "crowns"),
        event("m-1.w", "wishlist.item_added", "m-1", EVE, item_id="i-1"),
        event("m-3.w", "wishlist.item_added", "m-3", EVE, item_id="i-1"),
        event("m-1.x", "order.refunded", "m-1", EVE, order_id="o-9", amount="3.00", currency="USD"),
    ]
    in_time = [ASKED_BEFORE, DISPUTED_BEFORE, WAITING, ADJUSTED_BEFORE]
    evening = datetime(2025, 3, 7, 23, 20, tzinfo=UTC)
    rounds: list[Step] = []
    for number in (1, 2):
        at = evening + ROUNDS * (number - 1)
        members = ("m-1", "m-2", "m-3", "m-8")
        posts = [event(f"{m}.p{number}", "post.published", m, at, post_id=f"{m}.{number}") for m in members]
        # what m-9 is granted rests on what came in just now, and nothing of theirs is due: a read that is old misses it
        late = [points("m-9", 2500, at), order("m-9", "o-8", at, line("i-8", "60.00"))] if number == 1 else []
        rounds += [sent(*posts, *late), Advance(ROUNDS)]
    return (
        sent(*first),
        until(EVE - timedelta(hours=6), BEGAN),
        *swept(EVE - timedelta(hours=6), EVE),
        sent(*eve),
        Advance(timedelta(hours=1)),
        *in_time,
        until(evening, EVE + timedelta(hours=1)),
        *rounds,
        until(DAY, evening + 2 * ROUNDS),
    )


IN_STREAM: tuple[Step, ...] = (
    sent(
        points("m-4", 700, DAY, "crowns"),
        order("m-4", "o-4", DAY, line("i-4", "12.00")),
        order("m-1", "o-5", DAY, line("i-5", "25.00")),
        dropped("drop.0", "i-1", DAY),
    ),
    refund("r-1", "m-1", "o-2", "80.00"),
    dispute("a-1", "m-1", "q-1"),
    Sweep("RewardSweep"),
    Advance(timedelta(minutes=1)),
)


def _two_steps() -> tuple[Step, ...]:
    """One member alone, with something to gain and to lose in everything."""
    first = [
        event("m-1.r", "member.registered", "m-1", BEGAN, birthday="1988-03-08", registered_on="2020-05-01"),
        points("m-1", 400, BEGAN, "crowns"),
        points("m-1", 100, BEGAN),
    ]
    eve = [
        order("m-1", "o-2", EVE, line("i-2", "40.00", 2)),
        points("m-1", 2500, EVE),
        event("m-1.w", "wishlist.item_added", "m-1", EVE, item_id="i-1"),
        event("m-1.x", "order.refunded", "m-1", EVE, order_id="o-9", amount="3.00", currency="USD"),
    ]
    now = EVE + timedelta(hours=1)
    return (
        sent(*first),
        until(EVE - timedelta(hours=6), BEGAN),
        *swept(EVE - timedelta(hours=6), EVE),
        sent(*eve),
        until(now, EVE),
        ASKED_BEFORE_OF_TWO,
        WAITING,
        until(LATE, now),
    )


HELD_OF_TWO: tuple[Step, ...] = (
    sent(points("m-1", 1200, LATE, "crowns")),
    Advance(timedelta(seconds=1)),
    sent(dropped("drop.0", "i-1", LATE)),
    until(DAY, LATE + timedelta(seconds=1)),
)


def _settled_steps() -> tuple[Step, ...]:
    """The same an instant after midnight, with everything that fell due already posted."""
    return (*_two_steps(), Advance(DAY - LATE))


HELD_OF_SETTLED: tuple[Step, ...] = (
    sent(points("m-1", 1200, DAY, "crowns")),
    Advance(timedelta(seconds=1)),
    sent(dropped("drop.0", "i-1", DAY)),
    Advance(timedelta(minutes=9)),
)


def _crowd_steps() -> tuple[Step, ...]:
    """More members of one shard than one chunk takes, and than may fall in one sweep."""
    first = [points(member_id, 150, BEGAN) for member_id in CROWD]
    return (
        sent(*first),
        until(EVE - timedelta(hours=6), BEGAN),
        *swept(EVE - timedelta(hours=6), EVE),
        until(DAY, EVE),
    )


def _watchers_steps() -> tuple[Step, ...]:
    """More watchers of one item in one shard than one chunk takes."""
    now = EVE + timedelta(hours=12)
    seen = [points(member_id, 1, EVE) for member_id in WATCHERS]
    watched = [event(f"{member_id}.w", "wishlist.item_added", member_id, EVE, item_id="i-1") for member_id in WATCHERS]
    return sent(*seen, *watched), until(now, EVE), until(DAY, now)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("club for two", BEGAN, _two_steps(), HELD_OF_TWO),
        Stage("club for two, settled", BEGAN, _settled_steps(), HELD_OF_SETTLED),
        Stage("crowd", BEGAN, _crowd_steps()),
        Stage("watchers", EVE, _watchers_steps()),
        Stage("club", BEGAN, _club_steps()),
        Stage("club with a stream", BEGAN, _club_steps(), IN_STREAM),
    )
}


def _batch() -> BusEvents:
    """One batch: of several members, all that a posting can be."""
    return sent(
        order("m-1", "o-9", DAY, line("i-6", "12.00", 3), line("i-1", "5.00")),
        event("m-2.u", "member.updated", "m-2", DAY, birthday="1990-07-01"),
        event("m-3.rf", "order.refunded", "m-3", DAY, order_id="o-3", lines=[{"item_id": "i-1", "quantity": 1}]),
        event("m-8.v", "violation.confirmed", "m-8", DAY, case_id="v-1", kind="return_abuse"),
        event("m-4.w", "wishlist.item_added", "m-4", DAY, item_id="i-3"),
        event("m-5.v", "visit.recorded", "m-5", DAY),
        event("m-6.x", "order.cancelled", "m-6", DAY, order_id="o-66"),
        dropped("drop.1", "i-1", DAY),
    )


def _bad_batch() -> BusEvents:
    """What nobody can post, beside what anybody can."""
    reused = {**points("m-3", 120, BEGAN), "occurred_at": stamp(DAY)}
    bad = event("bad.1", "order.lost", "m-2", DAY)
    return sent(bad, reused, event("m-8.g", "visit.recorded", "m-8", DAY))


POSTING = "PostLedgerFunction"
WORKS: Sequence[Work] = (
    Work(
        "ingest",
        "IngestActivityFunction",
        "club",
        (
            asked(
                *("POST", "/activities", "shop", "club:ingest"),
                {"events": [points("m-1", 5, DAY), event("m-2.i", "visit.recorded", "m-2", DAY), {"event_id": "no"}]},
            ),
        ),
    ),
    Work("post a batch", POSTING, "club", (_batch(),)),
    Work(
        "post two of one member",
        POSTING,
        "club",
        (
            sent(
                order("m-1", "o-6", DAY, line("i-6", "12.00")),
                event("m-1.rv", "review.posted", "m-1", DAY, order_id="o-2", item_id="i-2"),
            ),
        ),
        moves=True,
    ),
    Work("post what can't be", POSTING, "club", (_bad_batch(),)),
    Work("post a repeat", POSTING, "club", (sent(points("m-3", 120, BEGAN)),)),
    Work("refund approved", "ExpeditedRefundFunction", "club", (refund("r-1", "m-1", "o-2", "80.00"),)),
    Work(
        "refund approved, nothing due",
        "ExpeditedRefundFunction",
        "club",
        (refund("r-3", "m-9", "o-8", "60.00"),),
    ),
    Work("refund declined", "ExpeditedRefundFunction", "club", (refund("r-2", "m-3", "o-3", "10.00"),)),
    Work("refund repeated", "ExpeditedRefundFunction", "club", (ASKED_BEFORE,)),
    Work("dispute approved", "DisputeAccelerationFunction", "club", (dispute("a-1", "m-1", "q-1"),)),
    Work(
        "dispute approved, nothing due",
        "DisputeAccelerationFunction",
        "club",
        (dispute("a-3", "m-9", "q-3"),),
    ),
    Work("dispute declined", "DisputeAccelerationFunction", "club", (dispute("a-2", "m-3", "q-2"),)),
    Work("dispute repeated", "DisputeAccelerationFunction", "club", (DISPUTED_BEFORE,)),
    Work("expiry start", "ExpirySweepFunction", "club", (Sweep("ExpirySweep"),)),
    Work("expiry chunk", "ExpirySweepFunction", "club", (Sweep("ExpirySweep"),), ordinal=1),
    Work("demotion start", "DemotionSweepFunction", "club", (Sweep("DemotionSweep"),)),
    Work("demotion chunk", "DemotionSweepFunction", "club", (Sweep("DemotionSweep"),), ordinal=1),
    Work("reward start", "RewardSweepFunction", "club", (Sweep("RewardSweep"),)),
    Work("reward chunk", "RewardSweepFunction", "club", (Sweep("RewardSweep"),), ordinal=1),
    Work("reward chunk with a gift", "RewardSweepFunction", "club", (Sweep("RewardSweep"),), ordinal=2),
    Work("publish", "PublishChangesFunction", "club with a stream", ()),
    Work("alert", "PriceAlertsFunction", "club", (sent(dropped("drop.2", "i-1", DAY)),)),
    Work("expiry of a crowd", "ExpirySweepFunction", "crowd", (Sweep("ExpirySweep"),), ordinal=1),
    Work("demotion halted", "DemotionSweepFunction", "crowd", (Sweep("DemotionSweep"),), ordinal=1),
    Work("alert of many", "PriceAlertsFunction", "watchers", (sent(dropped("drop.3", "i-1", DAY)),)),
    Work("adjust", "MemberAdminFunction", "club", (adjustment("adj-2", "m-1", -20),)),
    Work("adjust beyond the limit", "MemberAdminFunction", "club", (adjustment("adj-3", "m-1", 2000),)),
    Work("confirm an adjustment", "MemberAdminFunction", "club", (adjustment("adj-0", "m-1", 1500, "op-2"),)),
    Work("adjust again", "MemberAdminFunction", "club", (ADJUSTED_BEFORE,)),
    Work("erase", "MemberAdminFunction", "club", (erasure("m-1"),)),
    *(
        Work(f"read {below.strip('/') or 'summary'}", "MemberApiFunction", "club", (read(below, query=query),))
        for below, query in (
            ("", ""),
            ("/statement", "program=club"),
            ("/privileges", ""),
            ("/rewards", ""),
            ("/explanation", "program=club"),
            ("/outlook", "program=club"),
            ("/export", ""),
            ("/decisions", ""),
        )
    ),
)


# --- two at once, on one member


@dataclass(frozen=True)
class Paired:
    """A work on ``m-1`` that may meet another. ``again``: what makes another one of its kind begin, if anything."""

    work: Work
    again: Trigger | None = None
    reads: bool = False
    by_section: bool = False
    """Whether an answer is put together of several reads: each section of it is of one moment, not all of the same."""


def _published(club: Club) -> None:
    """The stream's records as they were held go to a reader of their own."""
    for trigger in club._streams:
        shard = club.shard(trigger.mapping)
        shard.records.extend(club.held_records)
        shard.wake()


def _alerted(club: Club) -> None:
    """A message of a drop, for the shard of ``m-1``."""
    message = {
        "event_id": "drop.0",
        "occurred_at": stamp(LATE),
        "posted_at": stamp(LATE),
        "item_id": "i-1",
        "old_price": "10.00",
        "new_price": "8.00",
        "currency": "USD",
        "shard": shard_of("m-1", 8),
        "of": 8,
        "chunk": 1,
        "after": None,
    }
    queue = next(each for each in club.queues.by_arn.values() if each.spec.logical_id == "PriceAlertQueue")
    club.queues.send(queue.spec.arn, json.dumps(message))


def _both(name: str, function: str, trigger: Trigger, again: Trigger | None = None, ordinal: int = 0) -> Paired:
    return Paired(Work(name, function, "club for two", trigger, ordinal), again)


PAIRED: Sequence[Paired] = (
    _both(
        "an order",
        POSTING,
        (sent(order("m-1", "o-9", DAY, line("i-6", "12.00", 3))),),
        (sent(order("m-1", "o-8", DAY, line("i-6", "12.00", 3))),),
    ),
    _both(
        "a refund",
        POSTING,
        (sent(event("m-1.rf", "order.refunded", "m-1", DAY, order_id="o-2", amount="10.00", currency="USD")),),
        (sent(event("m-1.rg", "order.refunded", "m-1", DAY, order_id="o-2", full=True)),),
    ),
    _both(
        "a profile",
        POSTING,
        (sent(event("m-1.u", "member.updated", "m-1", DAY, birthday="1988-06-01")),),
        (sent(event("m-1.v", "member.updated", "m-1", DAY, country="RU")),),
    ),
    _both(
        "a wish",
        POSTING,
        (sent(event("m-1.w2", "wishlist.item_removed", "m-1", DAY, item_id="i-1")),),
        (sent(event("m-1.w3", "cart.item_added", "m-1", DAY, item_id="i-1")),),
    ),
    _both(
        "a refund request",
        "ExpeditedRefundFunction",
        (refund("r-1", "m-1", "o-2", "70.00"),),
        (refund("r-2", "m-1", "o-2", "70.00"),),
    ),
    _both(
        "a dispute",
        "DisputeAccelerationFunction",
        (dispute("a-1", "m-1", "q-1"),),
        (dispute("a-2", "m-1", "q-1"),),
    ),
    _both("expiry", "ExpirySweepFunction", (Sweep("ExpirySweep"),), ordinal=1),
    _both("demotion", "DemotionSweepFunction", (Sweep("DemotionSweep"),), ordinal=1),
    _both("rewards", "RewardSweepFunction", (Sweep("RewardSweep"),), ordinal=1),
    _both("publishing", "PublishChangesFunction", _published),
    _both("an alert", "PriceAlertsFunction", _alerted),
    _both(
        "an adjustment",
        "MemberAdminFunction",
        (adjustment("adj-2", "m-1", -20),),
        (adjustment("adj-2", "m-1", 30),),
    ),
    _both("a confirmation", "MemberAdminFunction", (adjustment("adj-0", "m-1", 1500, "op-2"),)),
    _both("erasure", "MemberAdminFunction", (erasure("m-1"),)),
    *(
        Paired(
            Work(f"read {name}", "MemberApiFunction", "club for two", (read(below, query=query),)),
            reads=True,
            by_section=name == "export",
        )
        for name, below, query in (
            ("summary", "", ""),
            ("statement", "/statement", "program=club"),
            ("rewards", "/rewards", ""),
            ("explanation", "/explanation", "program=club"),
            ("export", "/export", ""),
            ("decisions", "/decisions", ""),
        )
    ),
)

FIND_NOTHING = {"expiry", "demotion", "an alert"}
"""They have nothing to do where everything is settled, or do the same there."""

PAIRED_SETTLED: Sequence[Paired] = [
    replace(paired, work=replace(paired.work, name=f"{paired.work.name}, settled", stage="club for two, settled"))
    for paired in PAIRED
    if not paired.reads and paired.work.name not in FIND_NOTHING
]
"""The same where nothing has fallen due: what is due is written under keys of its own, which guard against much that
only the account's version guards against here."""
