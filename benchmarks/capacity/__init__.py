"""What each operation asks of the table, as the table itself reports it, and what a million of them cost.

The club's own handlers with their own client run on ministack, an emulator that counts what DynamoDB would; then once
more on the table's model of the simulation, which counts as DynamoDB's documentation says. ``agreed`` has where they
differ. The naive build's purchase is measured in the same way beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace

from benchmarks.capacity.meter import Meter, Used
from benchmarks.capacity.prices import Line, arithmetic, dollars, listed, of_table, through_queue
from benchmarks.capacity.work import ROOT, Club, emulator, model, naive_operations, operations, program_files
from benchmarks.figures import RATIO, Figure, Missing, Progress
from local.template import Template

WRITES, READS, REQUESTS, DOLLARS = "write units", "read units", "requests", "$ a million events"
HISTORY = 12
STEPS = 12
Place = Callable[[Template], AbstractContextManager[None]]


def measure(progress: Progress) -> list[Figure]:
    """The figures. Raises ``Missing`` where the emulator isn't installed. Takes ten seconds."""
    template = Template(ROOT / "template.yaml")
    steps = _Steps(progress)
    try:
        # the emulator first: a client is made once a process, and the model answers whatever address it calls
        reported = on(emulator, template, steps.next)
    except FileNotFoundError as missing:
        raise Missing(str(missing)) from None
    counted = on(model, template, steps.next)
    found, differences = agreed(reported, counted)
    progress.keep("used", {name: asdict(used) for name, used in found.items()})
    progress.keep("where the emulator and the model differ", differences)
    bills = billed(found, template)
    progress.keep("dollars a million", {name: arithmetic(bill) for name, bill in bills.items()})
    progress.keep("prices", listed())
    return [*_units(found), *_dollars(bills)]


class _Steps:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def next(self, what: str) -> None:
        self._progress.step(self._done, STEPS, what)
        self._done += 1


def on(place: Place, template: Template, step: Callable[[str], None]) -> dict[str, Used]:
    """What everything that is measured takes on one store, by its name."""
    meter, files = Meter(), program_files()
    with place(template), meter.installed():
        with Club.started(template, meter, files) as club:
            found = operations(club, step)
        step("one program alone")
        for file in files:
            with Club.started(template, meter, [file]) as club:
                member_id = f"m-{file['id']}"
                club.bought(member_id, HISTORY)
                found[f"purchase in {file['id']} alone"] = club.buy(member_id, HISTORY)
        step("the naive build")
        found |= {f"naive: {name}": used for name, used in naive_operations(meter).items()}
    return found


def agreed(reported: dict[str, Used], counted: dict[str, Used]) -> tuple[dict[str, Used], list[str]]:
    """What the emulator reports, and the model's count where that is more; with a sentence for each difference.

    No price may come out too low because an emulator leaves something out: so it does with BatchGetItem.
    """
    found: dict[str, Used] = {}
    differences: list[str] = []
    for name, used in reported.items():
        other = counted[name]
        if used.requests != other.requests:
            raise RuntimeError(f"{name}: {used.requests} on the emulator, {other.requests} on the model")
        for what in ("write_units", "read_units"):
            mine, theirs = getattr(used, what), getattr(other, what)
            if mine != theirs:
                kind = what.replace("_", " ")
                differences.append(f"{name}: ministack reports {mine:g} {kind}, the model counts {theirs:g}")
        found[name] = replace(
            used,
            write_units=max(used.write_units, other.write_units),
            read_units=max(used.read_units, other.read_units),
        )
    return found, differences


def billed(found: dict[str, Used], template: Template) -> dict[str, list[Line]]:
    """What is billed for each of a million, by name: by the table, and for purchases through the queue as well."""
    spec = template.function("post_ledger")
    (batch,) = (each.batch_size for each in template.queue_mappings if each.function == spec.arn)
    bills = {name: of_table(used) for name, used in found.items()}
    for name in ("purchase", "naive: purchase"):
        bills[f"{name}, through the queue"] = through_queue(found[name], spec.memory_mb / 1024, batch)
    return bills


def _units(found: dict[str, Used]) -> list[Figure]:
    purchase = found["purchase"]
    alone = min(used.write_units for name, used in found.items() if name.endswith(" alone"))

    def writes(name: str, budget: float | None = None, stretch: float | None = None, why: str = "") -> Figure:
        return Figure(name, round(found[name].write_units, 2), WRITES, budget, stretch, why=why)

    def reads(name: str, said: str, budget: float | None = None, stretch: float | None = None, why: str = "") -> Figure:
        return Figure(said, found[name].read_units, READS, budget, stretch, why=why)

    def requests(name: str, said: str, budget: float | None = None) -> Figure:
        return Figure(said, len(found[name].requests), REQUESTS, budget)

    return [
        writes("purchase", 6, 5, why="the entry, the account and the order, 2 each"),
        Figure("purchase, three programs ÷ one alone", round(purchase.write_units / alone, 3), RATIO, 1.0),
        writes("purchase of a new member", why="6, and its place in the index of what is due, once"),
        writes("mean of a member's first 25 purchases", why="with that place, and the journal's first full page"),
        writes(
            "purchase of who bought on 59 days of a year", why="so many lots and caps in use: the account is above 1 KB"
        ),
        *(writes(name, 5, 4) for name in ("review", "visit", "post")),
        writes("refund of an order"),
        writes("decision, approved"),
        writes("decision, declined"),
        reads("purchase", "posting a purchase", 1, 0.5),
        reads("review", "posting a review or a refund", why="the order is read as well, and has to be today's"),
        reads("decision, approved", "a decision"),
        reads("member summary", "a member summary"),
        reads("statement page of 50", "a statement page of 50"),
        requests("purchase", "requests of posting a purchase"),
        requests("member summary", "requests of a member summary", 1),
        requests("statement page of 50", "requests of a statement page of 50"),
        requests("decision, approved", "requests of a decision"),
        requests("the same decision again", "requests of the same decision again"),
        writes("naive: purchase"),
        reads("naive: purchase", "naive: posting a purchase"),
        requests("naive: purchase", "naive: requests of posting a purchase"),
    ]


def _dollars(bills: dict[str, list[Line]]) -> list[Figure]:
    names = (
        "purchase",
        "purchase, through the queue",
        "review",
        "refund of an order",
        "decision, approved",
        "decision, declined",
        "member summary",
        "statement page of 50",
        "naive: purchase",
        "naive: purchase, through the queue",
    )
    return [
        Figure(f"$, {name}", round(dollars(bills[name]), 2), DOLLARS, why=arithmetic(bills[name])) for name in names
    ]
