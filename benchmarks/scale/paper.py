"""The arithmetic of `docs/scale.md`: which limit is hit at how many events a second, or members, and what is turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.scale import inputs
from benchmarks.scale.contention import contend
from benchmarks.scale.inputs import (
    API_REQUESTS,
    BUS_ENTRIES,
    BUS_INVOCATIONS,
    CONCURRENCY_MOST,
    INVOKE_MS,
    LAMBDA_AT_ONCE,
    NEW_TABLE_UNITS,
    PARTITION_GB,
    PARTITION_UNITS,
    PUT_EVENTS,
    READ,
    STREAM_FACTOR,
    TABLE_UNITS,
    WRITE,
    bytes_stored,
    cpu_ms,
    dollars_a_million,
    event_ms,
    of_purchase,
    operate,
    parameter,
    template,
    units,
)
from benchmarks.scale.line import (
    GIVEN_SECONDS,
    Setting,
    additions,
    events_by_batch,
    outbox_seconds,
    post_seconds,
    posting_batch,
    standing_rate,
)
from benchmarks.scale.queue import quantile
from club_ledger import alerting, sweeping
from club_ledger.items import STANDING_SHARDS

RATES = (1_000, 5_000, 10_000, 50_000)
MEMBERS = (1_000_000, 10_000_000, 100_000_000)
HEADROOM = 1.25
"""What is turned is turned by so much more than would just do."""

MONTH_SECONDS = 365 / 12 * 86_400
EVENTS_A_REQUEST = 10
"""Of POST /activities; docs/operate.md assumes it, and up to 100 are taken."""

SWEEPS = ("expiry_sweep", "demotion_sweep", "reward_sweep")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as it stands in the page."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("| --- ", "|---").replace("|--- |", "|---|")


def number(value: float) -> str:
    """With two digits that count, and commas."""
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def upwards(value: float, step: int) -> int:
    """The next multiple of ``step``."""
    return math.ceil(value / step) * step


def duration(seconds: float) -> str:
    """Seconds as they are spoken of."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{number(seconds)} s"
    if seconds < 6_000:
        return f"{number(seconds / 60)} min"
    return f"{number(seconds / 3600)} h"


def table_units_by_event() -> float:
    """Write units of an event: its posting, and what the outbox writes for it."""
    return of_purchase("post_ledger", "write units") + float(units()["its changes announced"]["write units"])


@dataclass(frozen=True)
class Limit:
    """One thing that bounds the events a second: how many it lets through as deployed, and by the most that its
    ``turn`` can be; ``wanted`` says in words what is set for a rate."""

    name: str
    as_deployed: float
    turn: str
    turned: float
    wanted: Callable[[float], str]


def posted_a_second(at_once: float) -> float:
    """How many events so many invocations post in a second."""
    return at_once * posting_batch() / post_seconds()


def announced_a_second(shards: float, factor: float, batch: int) -> float:
    """Of how many events the changes are announced in a second."""
    events = events_by_batch(batch)
    return shards * factor * events / outbox_seconds(events)


def counted_a_second(batch: int, shards: int = STANDING_SHARDS) -> float:
    """Of how many events so many ``shards`` of the standing take what has to be counted."""
    events = events_by_batch(batch)
    return standing_rate(shards) * events / additions(events)


def indexed_a_second(shards: int) -> float:
    """How many events the index of due work takes in a second."""
    return shards * PARTITION_UNITS.value / float(units()["an event posted"]["index units"])


def invocations_by_event() -> float:
    """How many invocations at a time each event a second takes, of the posting and the outbox."""
    events = events_by_batch(parameter("OutboxBatch"))
    return post_seconds() / posting_batch() + outbox_seconds(events) / events


def entries_by_event() -> float:
    """PutEvents entries of an event that came over the bus: itself, and what is announced for it."""
    return 1 + float(units()["its changes announced"]["announcements"])


def wanted_units(rate: float) -> int:
    """What the table is warmed for."""
    return upwards(HEADROOM * rate * table_units_by_event(), 1_000)


def wanted_posting(rate: float) -> int:
    """``PostingConcurrency``."""
    most = int(CONCURRENCY_MOST.value)
    return max(parameter("PostingConcurrency"), min(most, upwards(HEADROOM * rate / posted_a_second(1), 10)))


def wanted_batch(rate: float) -> int:
    """``OutboxBatch``."""
    deployed = parameter("OutboxBatch")
    return deployed if counted_a_second(deployed) > HEADROOM * rate else 1_000


def wanted_standing(rate: float) -> int:
    """``STANDING_SHARDS``: as they are, or doubled as often as it takes."""
    shards = STANDING_SHARDS
    while counted_a_second(wanted_batch(rate), shards) < HEADROOM * rate:
        shards *= 2
    return shards


def wanted_outbox(rate: float) -> int:
    """``OutboxConcurrency``, on a table that was warmed: at least two, so that what lags behind is caught up with."""
    shards = wanted_units(rate) / PARTITION_UNITS.value
    wanted = math.ceil(HEADROOM * rate / announced_a_second(shards, 1, wanted_batch(rate)))
    return max(2, min(int(STREAM_FACTOR.value), wanted))


def wanted_shards(rate: float) -> int:
    """``DueShards``: as deployed, or doubled as often as it takes."""
    shards = parameter("DueShards")
    while indexed_a_second(shards) < HEADROOM * rate:
        shards *= 2
    return shards


def _asked(value: float, default: float, step: int) -> str:
    """What is asked for, where the default doesn't do."""
    return f"{upwards(HEADROOM * value, step):,}" if HEADROOM * value > default else "—"


def limits() -> list[Limit]:
    """All that bounds the events a second, lowest as deployed first."""
    return sorted([*_of_posting(), *_of_announcing(), *_of_the_doors()], key=lambda each: each.as_deployed)


def _of_posting() -> Iterator[Limit]:
    by_event, most = table_units_by_event(), CONCURRENCY_MOST.value
    yield Limit(
        "write units that a new table takes",
        NEW_TABLE_UNITS.value / by_event,
        "`--warm-throughput`",
        math.inf,
        lambda rate: f"{wanted_units(rate):,}",
    )
    yield Limit(
        "write units by the table's quota",
        TABLE_UNITS.value / by_event,
        "ask for more",
        math.inf,
        lambda rate: _asked(rate * by_event, TABLE_UNITS.value, 1_000),
    )
    yield Limit(
        "invocations that post",
        posted_a_second(parameter("PostingConcurrency")),
        "`PostingConcurrency`",
        posted_a_second(most),
        lambda rate: f"{wanted_posting(rate):,}" + (" is not enough" if posted_a_second(most) < rate else ""),
    )
    yield Limit(
        "write units on a shard of the index",
        indexed_a_second(parameter("DueShards")),
        "`DueShards`",
        indexed_a_second(64),
        lambda rate: str(wanted_shards(rate)),
    )
    yield Limit(
        "invocations at a time, of the account",
        LAMBDA_AT_ONCE.value / invocations_by_event(),
        "ask for more",
        math.inf,
        lambda rate: _asked(rate * invocations_by_event(), LAMBDA_AT_ONCE.value, 100),
    )


def _of_announcing() -> Iterator[Limit]:
    new = Setting()
    yield Limit(
        "readers of the stream of a new table",
        announced_a_second(new.stream_shards, new.outbox, new.stream_batch),
        "`OutboxConcurrency`, and a warmed table",
        math.inf,
        lambda rate: str(wanted_outbox(rate)),
    )
    yield Limit(
        "transactions on the standing",
        counted_a_second(new.stream_batch),
        "`OutboxBatch`",
        counted_a_second(1_000),
        lambda rate: f"{wanted_batch(rate):,}" + (" is not enough" if wanted_standing(rate) > STANDING_SHARDS else ""),
    )


def _of_the_doors() -> Iterator[Limit]:
    yield Limit(
        f"requests to the API, of {EVENTS_A_REQUEST} events",
        parameter("RequestsPerSecond") * EVENTS_A_REQUEST,
        "`RequestsPerSecond`",
        API_REQUESTS.value * EVENTS_A_REQUEST,
        lambda rate: f"{max(parameter('RequestsPerSecond'), upwards(HEADROOM * rate / EVENTS_A_REQUEST, 50)):,}",
    )
    yield Limit(
        "or the bus: entries, with the announcements",
        BUS_ENTRIES.value / entries_by_event(),
        "ask for more",
        math.inf,
        lambda rate: _asked(rate * entries_by_event(), BUS_ENTRIES.value, 1_000),
    )
    yield Limit(
        "and what its rule hands to the queue",
        BUS_INVOCATIONS.value,
        "ask for more",
        math.inf,
        lambda rate: _asked(rate, BUS_INVOCATIONS.value, 1_000),
    )


def quotas() -> str:
    """What is public."""
    found = [value for value in vars(inputs).values() if isinstance(value, inputs.Public)]
    return markdown(
        [f"public, as of {inputs.READ_ON}", "what", "page of docs.aws.amazon.com"],
        [
            [
                f"{each.value:,.0f}",
                each.what,
                f"[{each.page.split('/')[-1]}](https://docs.aws.amazon.com/{each.page}.html)",
            ]
            for each in found
        ],
    )


def guesses() -> str:
    """What is assumed."""
    return markdown(["assumed", "of what"], inputs.assumed())


def measured() -> str:
    """What `units.json` has of an event."""
    of = units()
    rows = [(f"{value}", f"an event posted: {name}") for name, value in of["an event posted"].items()]
    rows += [(f"{value}", f"its changes announced: {name}") for name, value in of["its changes announced"].items()]
    rows += [(f"{of[name]}", name) for name in of if name.startswith("cpu of")]
    return markdown(["measured", "what"], rows)


def ladder() -> str:
    """The limits as they are met on the way up, with what is set for each of ``RATES``."""
    rows = []
    for limit in limits():
        most = "no end" if math.isinf(limit.turned) else number(limit.turned)
        row = [limit.name, number(limit.as_deployed), limit.turn, most]
        rows.append([*row, *(limit.wanted(rate) for rate in RATES)])
    head = ["limit", "as deployed, events a second", "turn", "at the most"]
    return markdown([*head, *(f"for {rate:,}" for rate in RATES)], rows)


def sustained() -> str:
    """What ``RATES`` mean where they last: units, partitions, requests, dollars a month."""
    by_event = table_units_by_event()
    announced = units()["its changes announced"]
    rows = []
    for name, of in (
        ("write units a second, of posting and what the outbox writes", lambda rate: number(rate * by_event)),
        ("partitions for these", lambda rate: f"{math.ceil(rate * by_event / PARTITION_UNITS.value):,}"),
        ("invocations of `post_ledger` at a time", lambda rate: number(rate * post_seconds() / posting_batch())),
        ("records of the stream a second", lambda rate: number(rate * announced["records"])),
        ("batches of `publish_changes` at a time", _readers),
        ("transactions a second on the standing", _standing),
        ("write units a second on a shard of the index, of 8", _by_shard),
        ("announcements a second", lambda rate: number(rate * announced["announcements"])),
        ("stored in a month, TB", lambda rate: number(rate * MONTH_SECONDS * bytes_stored() / 1e12)),
        (
            "$ a month, with the nights that follow",
            lambda rate: number(rate * MONTH_SECONDS / 1e6 * dollars_a_million()),
        ),
    ):
        rows.append([name, *(of(float(rate)) for rate in RATES)])
    return markdown(["events a second, for good", *(f"{rate:,}" for rate in RATES)], rows)


def _readers(rate: float) -> str:
    events = events_by_batch(parameter("OutboxBatch"))
    return number(rate / events * outbox_seconds(events))


def _standing(rate: float) -> str:
    batch = parameter("OutboxBatch")
    return number(rate / events_by_batch(batch) * additions(events_by_batch(batch)))


def _by_shard(rate: float) -> str:
    return number(rate * units()["an event posted"]["index units"] / parameter("DueShards"))


# ---------------------------------------------------------------- members


def due_in_a_night(members: int) -> float:
    """As docs/operate.md has it."""
    table = operate("Limits to raise")
    column = [row for row in table if row == "members due in a night"]
    cells = table[column[0]]
    text = cells[MEMBERS.index(members)]
    value, _, word = text.partition(" ")
    return float(value.replace(",", "")) * (1e6 if word == "million" else 1)


def chunk_seconds() -> float:
    """How long one chunk of a sweep takes: its query and its note, and each member read, settled and written."""
    return (INVOKE_MS + 2 * READ.mean + sweeping.CHUNK * event_ms()) / 1000


def swept_a_second(concurrency: int, shards: int) -> float:
    """Members that one sweep works off in a second: its chains, or what the run's item takes of notes."""
    chains = min(concurrency, shards) * sweeping.CHUNK / chunk_seconds()
    return min(chains, note_limit(shards))


def note_limit(shards: int) -> float:
    """Members a second that one run's item lets through: each chunk is noted on it, by its whole size."""
    notes = units()["write units of a chunk's note, by shards"]
    return sweeping.CHUNK * PARTITION_UNITS.value / float(notes[str(shards)])


def sweep_units(members_a_second: float) -> float:
    """Write units a second while a sweep runs, with what its changes make the outbox write."""
    swept = units()["a due member"]
    weight = {name: swept[name]["members by event"] for name in SWEEPS}
    whole = sum(weight.values())
    by_member = sum(weight[n] * (swept[n]["write units"] + swept[n]["outbox: write units"]) for n in SWEEPS) / whole
    return members_a_second * float(by_member)


def night_readers(members_a_second: float) -> float:
    """How many batches of the stream have to be announced at a time while the expiry sweep runs."""
    of = units()["a due member"]["expiry_sweep"]
    members = parameter("OutboxBatch") / of["outbox: records"]
    puts = math.ceil(members * of["outbox: announcements"] / 10)
    writes = parameter("OutboxBatch") * of["outbox: cpu by record ÷ a bare write"]
    writes += puts * units()["cpu of a request ÷ a bare write"]
    seconds = (INVOKE_MS + puts * PUT_EVENTS.mean + cpu_ms(writes)) / 1000
    return float(members_a_second / members * seconds)


NIGHTS = ((1_000_000, 5, 8), (10_000_000, 5, 8), (10_000_000, 8, 8), (100_000_000, 40, 64), (100_000_000, 64, 64))
"""Members, ``SweepConcurrency`` and ``DueShards``."""


def nights() -> str:
    """How long a night's sweeps take, and what they need meanwhile."""
    rows = []
    for members, concurrency, shards in NIGHTS:
        rate = swept_a_second(concurrency, shards)
        due = due_in_a_night(members)
        rows.append(
            [
                f"{members // 1_000_000} million",
                str(concurrency),
                str(shards),
                number(rate),
                duration(due / rate),
                number(sweep_units(rate)),
                f"{rate / note_limit(shards):.0%}",
                number(night_readers(rate)),
            ]
        )
    head = ["members", "`SweepConcurrency`", "`DueShards`", "members a second", "the night", "write units a second"]
    return markdown([*head, "of what the run's item takes", "batches announced at a time"], rows)


def sizes() -> str:
    """What the members' number alone decides: the table's size and its partitions."""
    rows = []
    for members in MEMBERS:
        purchases = members * 12
        gigabytes = purchases * bytes_stored() / 1e9
        rows.append(
            [
                f"{members // 1_000_000} million",
                number(members / MONTH_SECONDS),
                number(10 * members / MONTH_SECONDS),
                number(gigabytes),
                f"{math.ceil(gigabytes / PARTITION_GB):,}",
                number(10 * members / MONTH_SECONDS * table_units_by_event()),
                _first_of(members),
            ]
        )
    head = ["members", "purchases a second", "at the peak", "GB after a year", "partitions by size"]
    return markdown([*head, "write units a second at the peak", "the first limit, and what to turn"], rows)


def _first_of(members: int) -> str:
    reads = float(
        operate("Limits to raise")["reads by members a second, at the peak"][MEMBERS.index(members)].replace(",", "")
    )
    found = []
    if reads > parameter("RequestsPerSecond"):
        found.append(f"the API's throttle: {number(reads)} reads a second; `RequestsPerSecond`")
    night = due_in_a_night(members) / swept_a_second(parameter("SweepConcurrency"), parameter("DueShards"))
    if night > 6 * 3600:
        found.append(f"the night: {duration(night)}; `DueShards`, `SweepConcurrency`")
    return ", then ".join(found) or "none"


# ---------------------------------------------------------------- what is hot


def hot() -> str:
    """One account that many invocations would write, and the standing's shards."""
    rows = []
    for writers in (1, 2, 5, 20):
        of = contend(writers, 1, GIVEN_SECONDS, seed=1)
        rows.append(
            [
                "an account",
                str(writers),
                number(of.a_second),
                duration(quantile(of.took, 0.5)),
                duration(quantile(of.took, 0.99)),
                f"{of.share_given_up:.1%}",
            ]
        )
    for shards in (STANDING_SHARDS, 4 * STANDING_SHARDS):
        of = contend(20, shards, 20.0, seed=1)
        took = [duration(quantile(of.took, share)) for share in (0.5, 0.99)]
        rows.append([f"{shards} shards of the standing", "20", number(of.a_second), *took, f"{of.share_given_up:.1%}"])
    return markdown(["item", "writers at a time", "writes a second", "half within", "99 % within", "out of time"], rows)


def drops() -> str:
    """How long a price that dropped takes to reach all who watch the item."""
    chunk = (INVOKE_MS + 4 * READ.mean + 4 * WRITE.mean + cpu_ms(8 * units()["cpu of a request ÷ a bare write"])) / 1000
    alerts = template().function("price_alerts").arn
    (at_once,) = [each.concurrency_max for each in template().queue_mappings if each.function == alerts]
    chains = at_once * alerting.CHUNK / chunk
    rate = min(chains, PARTITION_UNITS.value)
    rows = [[f"{watchers:,}", duration(watchers / rate)] for watchers in (1_000, 100_000, 1_000_000, 10_000_000)]
    return markdown(["who watch the item", f"all told, at {number(rate)} alerts a second"], rows)
