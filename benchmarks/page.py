"""The benchmarks' page: a bar for each figure beside its budget, and what lies behind the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.compared import Row, Verdict, shown
from benchmarks.parts import PARTS
from local import report

_KEY = (
    '<p class="key"><span><i><b class="fill"></b></i>measured</span>'
    '<span><i><b class="fill beyond"></b></i>beyond its budget</span>'
    '<span><i><b class="fill plain"></b></i>without a budget</span>'
    '<span><i><b class="mark"></b></i>budget</span><span><i><b class="mark stretch"></b></i>stretch</span>'
    '<span><i><b class="mark stored"></b></i>stored in the repository</span></p>'
)


def write_page(
    folder: Path, rows: Sequence[Row], details: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]
) -> Path:
    """Writes ``index.html`` into ``folder``; ``details`` and why a part ``failed`` by part. Returns its path."""
    parts = [part for part in PARTS if part in failed or any(row.part == part for row in rows)]
    body = "".join(
        _part(part, [row for row in rows if row.part == part], details.get(part, {}), failed.get(part))
        for part in parts
    )
    worse = sum(row.verdict.fails for row in rows) + len(failed)
    beyond = sum(row.verdict is Verdict.BEYOND for row in rows)
    verdict = f"{worse} worse than stored, or not measured" if worse else "Nothing is worse than what is stored"
    css = Path(report.__file__).with_name("style.css").read_text("utf-8") + Path(__file__).with_name(
        "page.css"
    ).read_text("utf-8")
    page = folder / "index.html"
    page.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>Buyers’ club: benchmarks</title><style>{css}</style>'
        '</head><body><header class="hero"><div class="inner"><p class="eyebrow">Buyers’ club</p>'
        "<h1>Fast and cheap, and measured</h1>"
        f'<p class="verdict {"bad" if worse else "good"}"><span>{"✕" if worse else "✓"}</span>{escape(verdict)}</p>'
        f'<p class="lead">{len(rows)} figures, {beyond} of them beyond a budget. A figure in × is a multiple of a '
        "baseline that ran in turn with it.</p></div></header>"
        f"<main>{_KEY}{body}</main></body></html>\n",
        "utf-8",
    )
    return page


def _part(part: str, rows: Sequence[Row], details: Mapping[str, Any], failed: str | None) -> str:
    units = dict.fromkeys(row.figure.unit for row in rows)
    why = f'<p class="about">Not measured. {escape(failed)}</p>' if failed else ""
    panels = "".join(_panel([row for row in rows if row.figure.unit == unit]) for unit in units)
    behind = "".join(
        f"<details><summary>{escape(name)}</summary>{_detail(detail)}</details>" for name, detail in details.items()
    )
    return f"<section><h2>{escape(PARTS[part].title)}</h2>{why}{panels}{behind}</section>"


def _panel(rows: Sequence[Row]) -> str:
    """The figures of one unit, on one scale."""
    most = max((value for row in rows for value in _values(row)), default=0.0) * 1.04 or 1.0
    return f'<div class="panel"><dl class="bars">{"".join(_bar(row, most) for row in rows)}</dl></div>'


def _values(row: Row) -> list[float]:
    found = (row.figure.value, row.figure.budget, row.figure.stretch, _stored(row))
    return [value for value in found if value is not None]


def _stored(row: Row) -> float | None:
    return None if row.stored is None else row.stored.value


def _bar(row: Row, most: float) -> str:
    figure = row.figure
    kind = (
        row.verdict.name.lower()
        if row.verdict.fails or row.verdict is Verdict.BEYOND
        else ""
        if figure.budget
        else "plain"
    )
    marks = [("", figure.budget), (" stretch", figure.stretch), (" stored", _stored(row))]
    drawn = "".join(
        f'<b class="mark{css}" style="left:{100 * value / most:.2f}%"></b>' for css, value in marks if value is not None
    )
    said = f'<small class="{"bad" if row.verdict.fails else ""}">{escape(row.verdict.value)}</small>'
    why = f'<dd class="why">{escape(figure.why)}</dd>' if figure.why else ""
    return (
        f'<dt>{escape(figure.name)}</dt><dd class="track"><b class="fill {kind}" '
        f'style="width:{100 * figure.value / most:.2f}%"></b>{drawn}</dd>'
        f'<dd class="value">{escape(shown(figure.value, figure.unit))} {said}</dd>{why}'
    )


def _detail(detail: Any) -> str:
    """Bars where it is numbers by name; a text as it is; else what JSON makes of it."""
    if isinstance(detail, dict) and detail and all(isinstance(value, int | float) for value in detail.values()):
        most = max(*detail.values(), 0) or 1
        bars = "".join(
            f'<dt>{escape(str(name))}</dt><dd class="track"><b class="fill plain" '
            f'style="width:{100 * max(0.0, value) / most:.2f}%"></b></dd><dd class="value">{shown(value, "")}</dd>'
            for name, value in detail.items()
        )
        return f'<dl class="bars">{bars}</dl>'
    text = detail if isinstance(detail, str) else json.dumps(detail, indent=1, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"
