"""The report's page: what goes where. Colours and spacing are in style.css, drawings in charts.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.report import words
from local.report.charts import Series, diverging_bars, stacked_areas

if TYPE_CHECKING:
    from collections import Counter

    from local.report.outcome import Check, MemberPage, Outcome, ProgramOutcome, Sample

_REASONS_SHOWN = 3
_MARKS = {"pass": "✓", "fail": "✕", "missing": "…", "not_applicable": "–"}
_OUTCOMES = {
    "pass": "passes",
    "fail": "fails",
    "missing": "still missing",
    "not_applicable": "nothing to compare",
}


def render(outcome: Outcome) -> str:
    """The whole page, as HTML."""
    style = Path(__file__).with_name("style.css").read_text("utf-8")
    body = "".join(
        (
            _hero(outcome),
            '<main id="top">',
            _tiles(outcome),
            *(_program(outcome, program) for program in outcome.programs),
            _decisions(outcome.samples),
            *(_member(page) for page in outcome.pages),
            _ledger(outcome),
            _reading(outcome),
            "</main>",
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Buyers’ club: {escape(outcome.log)}</title><style>{style}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _hero(outcome: Outcome) -> str:
    sound = outcome.sound
    verdict = "Ledger whole" if sound else "Something is wrong"
    links = [("#decisions", "Decisions"), ("#ledger", "Ledger"), ("#log", "The log")]
    links = [*((f"#program-{program.id}", program.id) for program in outcome.programs), *links]
    menu = "".join(f'<a href="{escape(target)}">{escape(text)}</a>' for target, text in links)
    return (
        '<header class="hero"><div class="inner">'
        f'<p class="eyebrow">Buyers’ club · a purchase log, replayed</p><h1>{escape(outcome.log)}</h1>'
        f'<p class="lead">{words.several(outcome.members, "member")} and {words.several(outcome.sent, "event")} '
        f"from {words.day(outcome.first_day)} to {words.day(outcome.last_day)}, sent through the front door "
        "day by day, with the sweeps of each night.</p>"
        f'<p class="verdict {"good" if sound else "bad"}"><span>{"✓" if sound else "✕"}</span>{verdict}</p>'
        f"<nav>{menu}</nav></div></header>"
    )


def _tiles(outcome: Outcome) -> str:
    tiles = [
        ("Members", words.number(outcome.members), _top_tier(outcome.programs[0])),
        ("Events sent", words.number(outcome.sent), _listed(outcome.events)),
    ]
    for program in outcome.programs:
        earned = words.amount(program, program.total("earned"))
        lost = words.amount(program, program.total("expired"))
        tiles.append((f"{program.id}: {words.measured(program)} earned", earned, f"{lost} of it expired"))
    up, down = (sum(sum(getattr(program, way).values()) for program in outcome.programs) for way in ("up", "down"))
    tiles.append(("Tier changes", words.number(up + down), f"▲ {words.number(up)} up · ▼ {words.number(down)} down"))
    cells = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>'
        for name, value, note in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _top_tier(program: ProgramOutcome) -> str:
    """The highest tier that somebody holds at the end."""
    held = [tier for tier in program.tiers[1:] if program.held(tier)]
    if not held:
        return f"all at {program.tiers[0]} in {program.id}"
    return f"{words.number(program.held(held[-1]))} at {held[-1]} in {program.id} at the end"


def _program(outcome: Outcome, program: ProgramOutcome) -> str:
    return (
        f'<section id="program-{escape(program.id)}"><h2>{escape(program.title)}</h2><div class="panels">'
        + _panel("Members per tier", "each day; in numbers on the last one", _members(outcome, program))
        + _panel(
            "Spend counted and lost" if program.spend else "Points earned and lost",
            "per month",
            _months(program),
        )
        + _panel("What earned nothing", "by reason", _denied(program))
        + _panel("Why tiers changed", "rises and falls, by cause", _changes(program))
        + "</div></section>"
    )


def _panel(title: str, note: str, content: str) -> str:
    return f'<article class="panel"><h3>{escape(title)} <small>{escape(note)}</small></h3>{content}</article>'


def _members(outcome: Outcome, program: ProgramOutcome) -> str:
    tiers = program.tiers
    drawn = tiers if _lowest_fits(program) else tiers[1:]
    # The highest lies at the bottom: few hold it, and a level base makes a thin band readable.
    series = [Series(tier, _colour(program, tier), program.members[tier]) for tier in reversed(drawn)]
    label = f"Members per tier of {program.title}, from {outcome.first_day} to {outcome.last_day}"
    chart = stacked_areas(label, outcome.first_day, series, words.number, "members")
    legend = "".join(_key(tier, _colour(program, tier), words.number(program.held(tier))) for tier in reversed(drawn))
    left_out = ""
    if drawn is not tiers:
        held = words.number(program.held(tiers[0]))
        left_out = f'<p class="note">Not drawn: {held} members at <b>{escape(tiers[0])}</b> on the last day.</p>'
    ends = _month_ends(outcome.first_day, outcome.last_day)
    rows = [[words.day(end)] + [words.number(program.members[tier][index]) for tier in tiers] for index, end in ends]
    return (
        f'<ul class="legend">{legend}</ul>{chart}{left_out}'
        f"{_table_of_data(['Day', *tiers], rows, 'Members per tier at the end of each month')}"
    )


def _lowest_fits(program: ProgramOutcome) -> bool:
    """Whether drawing the lowest tier leaves the others at least a sixth of the height."""
    above = max(map(sum, zip(*(program.members[tier] for tier in program.tiers[1:]), strict=True)), default=0)
    return above * 6 >= max(map(sum, zip(*program.members.values(), strict=True)), default=0)


def _month_ends(first: date, last: date) -> list[tuple[int, date]]:
    days = [(index, first + timedelta(days=index)) for index in range((last - first).days + 1)]
    return [(index, day) for index, day in days if (day + timedelta(days=1)).day == 1 or day == last]


def _colour(program: ProgramOutcome, tier: str) -> str:
    """A metal's own colour; other ladders climb one ramp; the lowest is the colour of paper."""
    index = program.tiers.index(tier)
    if index == 0:
        return "var(--tier-0)"
    if tier.lower() in ("silver", "gold", "platinum", "diamond"):
        return f"var(--{tier.lower()})"
    steps = max(len(program.tiers) - 2, 1)
    return f"var(--tier-{1 + round((index - 1) * 3 / steps)})"


def _key(name: str, colour: str, value: str = "") -> str:
    value = f" <b>{escape(value)}</b>" if value else ""
    return f'<li><i style="background:{colour}"></i>{escape(name)}{value}</li>'


def _months(program: ProgramOutcome) -> str:
    months = sorted(program.months)
    if not months:
        return '<p class="note">Nothing was earned.</p>'
    rows = [program.months[month] for month in months]
    up = [Series("Counted" if program.spend else "Earned", "var(--in)", [row.earned for row in rows])]
    down = [
        Series("Expired", "var(--out)", [row.expired for row in rows]),
        Series("Taken back", "var(--back)", [row.taken_back for row in rows]),
    ]
    down = [one for one in down if any(one.values)]
    label = f"{words.measured(program).capitalize()} earned, expired and taken back per month in {program.title}"
    chart = diverging_bars(label, months, up, down, lambda value: words.amount(program, round(value)))
    legend = "".join(_key(one.name, one.colour, words.amount(program, round(sum(one.values)))) for one in (*up, *down))
    table = [
        [
            words.month(month),
            *(words.amount(program, value) for value in (row.earned, row.expired, row.taken_back)),
        ]
        for month, row in zip(months, rows, strict=True)
    ]
    heads = ["Month", up[0].name, "Expired", "Taken back"]
    return f'<ul class="legend">{legend}</ul>{chart}{_table_of_data(heads, table, label)}'


def _denied(program: ProgramOutcome) -> str:
    if not program.denied:
        return '<p class="note">Everything earned something.</p>'
    rows = [(escape(words.denial(code)), count, "denied") for code, count in program.denied.most_common()]
    return _bars("Times, by reason", rows)


def _changes(program: ProgramOutcome) -> str:
    if not program.up and not program.down:
        return '<p class="note">No tier changed.</p>'
    rows = [
        (f'<span class="{css}">{arrow}</span> {escape(words.cause(kind, program))}', count, css)
        for arrow, css, counts in (("▲", "up", program.up), ("▼", "down", program.down))
        for kind, count in counts.most_common()
    ]
    return _bars("Tier changes, up ▲ and down ▼", rows)


def _bars(caption: str, rows: Sequence[tuple[str, int, str]]) -> str:
    """Horizontal bars: what (markup), how many, and the colour's class."""
    most = max((count for _, count, _ in rows), default=1)
    body = "".join(
        f'<tr><th scope="row">{what}</th>'
        f'<td class="bar"><span class="{css}" style="width:{max(count / most * 100, 0.6):.1f}%"></span></td>'
        f"<td>{words.number(count)}</td></tr>"
        for what, count, css in rows
    )
    return f'<table class="bars"><caption>{escape(caption)}</caption>{body}</table>'


def _table_of_data(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    return f"<details><summary>Show as a table</summary>{_table(heads, rows, caption)}</details>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str, css: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll"><table class="{css}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _decisions(samples: Sequence[Sample]) -> str:
    cards = "".join(_decision(sample) for sample in samples) or '<p class="note">No decision was asked for.</p>'
    return (
        '<section id="decisions"><h2>Sample decisions</h2><p class="about">Asked for on the last day, for '
        "members who hold these tiers after the replay. Every check is made; none stops at the first.</p>"
        f'<div class="cards">{cards}</div></section>'
    )


def _decision(sample: Sample) -> str:
    open_ones = "".join(_check(check) for check in sample.checks if check.outcome in ("fail", "missing"))
    others = [check for check in sample.checks if check.outcome not in ("fail", "missing")]
    passed = sum(check.outcome == "pass" for check in others)
    summary = f"{'All ' if passed == len(sample.checks) else ''}{passed} checks pass"
    if passed < len(others):
        summary += f", {len(others) - passed} had nothing to compare"
    rest = f'<ul class="checks">{"".join(map(_check, others))}</ul>'
    listed = f'<ul class="checks">{open_ones}</ul>' if open_ones else ""
    remark = f'<p class="remark">{escape(sample.remark)}</p>' if sample.remark else ""
    return (
        f'<article class="card"><p class="pill {escape(sample.decision)}">{escape(sample.decision)}</p>'
        f"<h3>{escape(sample.title)}</h3><p>{escape(sample.asked)}</p>"
        f'<p class="who">{escape(sample.member_id)} · tier {escape(sample.tier)}</p>{remark}'
        f"{listed}<details><summary>{summary}</summary>{rest}</details></article>"
    )


def _check(check: Check) -> str:
    meaning = _OUTCOMES.get(check.outcome, check.outcome)
    values = ""
    if check.actual or check.required:
        values = f"<small>{escape(check.actual or '—')} · needed: {escape(check.required or '—')}</small>"
    return (
        f'<li class="{escape(check.outcome)}" title="{escape(check.detail or meaning)}">'
        f'<i aria-hidden="true">{_MARKS.get(check.outcome, "?")}</i>'
        f"<span>{escape(check.code.replace('_', ' '))}"
        f'<span class="hidden">: {escape(meaning)}</span>{values}</span></li>'
    )


def _member(page: MemberPage) -> str:
    summary = page.summary
    programs = "".join(_standing(name, program) for name, program in summary["programs"].items())
    rows = [
        [
            entry["occurred_at"][:10],
            entry["kind"],
            str(entry.get("points", entry.get("spend"))),
            str(entry["balance"]),
            entry["tier_after"],
            _reasons([reason.get("text") or reason["code"] for reason in entry["reasons"]]),
        ]
        for entry in page.statement
    ]
    heads = ("Day", "Kind", "Spend" if "spend" in summary["programs"][page.program] else "Points", "Balance")
    table = _table((*heads, "Tier", "Reasons"), rows, "The newest entries", "statement")
    return (
        '<section><h2>What one member sees</h2><p class="about">The summary of '
        f"<b>{escape(summary['member_id'])}</b> as of {escape(summary['as_of'])}, and the newest entries of "
        f"the statement in {escape(page.program)}.</p>"
        f'<div class="standings">{programs}</div>{table}</section>'
    )


def _reasons(texts: Sequence[str]) -> str:
    """The first reasons of an entry; an order of many lines may have one for each."""
    more = f"; and {len(texts) - _REASONS_SHOWN} more" if len(texts) > _REASONS_SHOWN else ""
    return "; ".join(texts[:_REASONS_SHOWN]) + more


def _standing(name: str, program: Mapping[str, Any]) -> str:
    value = program.get("spend", program.get("points"))
    following = program.get("next_tier")
    ahead = f"{following['missing']} more for {following['tier']}" if following else "the highest tier"
    below = program.get("standing", {}).get("below_percent")
    below = f"{below} % of members are below" if below is not None else ""
    unit = "spent" if "spend" in program else "points"
    return (
        f'<div class="standing"><p>{escape(name)}</p><b>{escape(str(program["tier"]))}</b>'
        f"<span>{escape(str(value))} {unit}</span><span>{escape(ahead)}</span><span>{escape(below)}</span>"
        "</div>"
    )


def _ledger(outcome: Outcome) -> str:
    ledger = outcome.ledger
    if ledger.problems:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in ledger.problems[:50])
        check = f'<p class="verdict bad"><span>✕</span>{len(ledger.problems)} differences</p><ul>{items}</ul>'
    else:
        check = (
            '<p class="verdict good"><span>✓</span>Whole</p>'
            f"<p>{words.number(ledger.members)} accounts were built again from their "
            f"{words.number(ledger.entries)} entries. Every one came out exactly as it is stored.</p>"
        )
    doors = ""
    for what, counts in (
        ("refused at the door", outcome.refused),
        ("in the dead letters", outcome.dead_letters),
    ):
        doors += f"<li>{_counted(counts) or 'nothing'} {what}</li>"
    doors += "".join(f"<li>{escape(surprise)}</li>" for surprise in outcome.surprises)
    return (
        '<section id="ledger"><h2>Is the ledger whole?</h2><div class="panels three">'
        f'<article class="panel"><h3>Rebuilt and compared</h3>{check}<ul class="plain">{doors}</ul></article>'
        f"{_list_panel('Entries', 'by kind', outcome.kinds)}"
        f"{_list_panel('Announced on the bus', 'by type', outcome.announced)}</div></section>"
    )


def _list_panel(title: str, note: str, counts: Counter[str]) -> str:
    rows = [(escape(name.replace("_", " ")), count, "neutral") for name, count in counts.most_common()]
    return _panel(title, note, _bars(title, rows) if rows else '<p class="note">None.</p>')


def _reading(outcome: Outcome) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in outcome.notes)
    skipped = "".join(
        f"<li>{words.several(count, 'row')} skipped: {escape(reason)}</li>" for reason, count in outcome.skipped.items()
    )
    timing = outcome.timing
    rate = outcome.sent / timing.replaying if timing.replaying else 0
    sweeps = ", ".join(f"{words.number(count)} × {escape(name)}" for name, count in sorted(outcome.sweeps.items()))
    facts = [
        ("Read", f"{words.number(outcome.rows)} rows of {escape(outcome.source)}"),
        ("Became", escape(_listed(outcome.events))),
        ("Simulated", f"{words.number(outcome.days)} days, {sweeps}"),
        ("Took", f"{words.duration(timing.total)}: {words.duration(timing.setting_up)} to set up, "
                 f"{words.duration(timing.replaying)} to replay ({words.number(rate)} events a second), "
                 f"{words.duration(timing.finishing)} to decide, verify and count"),
        ("Needed", f"{words.number(timing.peak_megabytes)} MB of memory at most"),
    ]  # fmt: skip
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return (
        '<section id="log"><h2>How the log was read</h2><div class="panels">'
        f'<article class="panel"><h3>The run</h3><dl class="facts">{rows}</dl></article>'
        '<article class="panel"><h3>What to know about it</h3>'
        f'<ul class="plain">{notes}{skipped}</ul></article></div></section>'
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words.number(count)} {words.type_of_event(name)}" for name, count in counts.items())


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words.number(count)} {escape(name)}" for name, count in counts.items())
