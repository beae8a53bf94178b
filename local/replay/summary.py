"""The printed summary of a replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from local.report import words

if TYPE_CHECKING:
    from local.report.outcome import Outcome, ProgramOutcome

_DAYS_SHOWN = 6


def summary(outcome: Outcome) -> str:
    """All that a replay found out, as lines of text."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    for program in outcome.programs:
        yield from _program(outcome, program)
    yield from _decisions(outcome)
    yield from _ledger(outcome)
    timing = outcome.timing
    rate = outcome.sent / timing.replaying if timing.replaying else 0.0
    yield ""
    yield (
        f"{words.number(outcome.sent)} events and {words.number(sum(outcome.sweeps.values()))} sweeps over "
        f"{words.number(outcome.days)} days in {words.duration(timing.total)} "
        f"({rate:,.0f} events a second), {words.number(timing.peak_megabytes)} MB of memory at most."
    )


def _program(outcome: Outcome, program: ProgramOutcome) -> Iterator[str]:
    last = outcome.days - 1
    shown = sorted({round(last * step / _DAYS_SHOWN) for step in range(1, _DAYS_SHOWN + 1)})
    days = [outcome.first_day + timedelta(days=index) for index in shown]
    rows = [["members at", *(f"{day:%d %b %Y}" for day in days)]]
    rows += [
        [tier, *(words.number(program.members[tier][index]) for index in shown)] for tier in reversed(program.tiers)
    ]
    earned, expired, back = (words.amount(program, program.total(what)) for what in ("earned", "expired", "taken_back"))
    yield ""
    yield f"{program.id}: {program.title}"
    yield from _aligned(rows)
    yield f"  {words.measured(program)}: {earned} earned, {expired} expired, {back} taken back"
    yield f"  denied: {_counted((words.denial(code), count) for code, count in program.denied.most_common())}"
    for way, counts in (("up", program.up), ("down", program.down)):
        causes = _counted((words.cause(kind, program), count) for kind, count in counts.most_common())
        yield f"  tier changes {way}: {causes}"


def _decisions(outcome: Outcome) -> Iterator[str]:
    yield ""
    yield f"sample decisions: {_by_decision(outcome)}"
    for sample in outcome.samples:
        open_ones = [check.code for check in sample.checks if check.outcome in ("fail", "missing")]
        why = f" ({', '.join(open_ones)})" if open_ones else ""
        yield f"  {sample.decision:<8}  {sample.title}, {sample.member_id}{why}"
        yield f"            {sample.asked}{f' {sample.remark}' if sample.remark else ''}"


def _by_decision(outcome: Outcome) -> str:
    decisions = [sample.decision for sample in outcome.samples]
    return _counted((decision, decisions.count(decision)) for decision in dict.fromkeys(decisions))


def _ledger(outcome: Outcome) -> Iterator[str]:
    ledger = outcome.ledger
    yield ""
    yield f"entries: {_items(outcome.kinds)}"
    yield f"announced: {_items(outcome.announced)}"
    for what, counts in (("refused at the door", outcome.refused), ("dead letters", outcome.dead_letters)):
        if counts:
            yield f"{what}: {_items(counts)}"
    yield from (f"WRONG: {surprise}" for surprise in outcome.surprises)
    if ledger.problems:
        yield f"ledger: NOT WHOLE, {len(ledger.problems)} differences"
        yield from (f"  {problem}" for problem in ledger.problems[:20])
    else:
        yield (
            f"ledger: whole. {words.number(ledger.members)} accounts built again from "
            f"{words.number(ledger.entries)} entries are as they are stored."
        )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  " + "  ".join([row[0].ljust(widths[0]), *cells])


def _counted(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{words.number(count)} {name[0].lower()}{name[1:]}" for name, count in pairs) or "none"


def _items(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words.number(count)} {name}" for name, count in counts.items()) or "none"
