"""Figures beside those that are stored in the repository, and beside their budgets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.parts import PARTS

STORED = Path(__file__).with_name("stored.json")

WORSE_BY = 0.15
"""A figure that holds on any machine and is worse than the stored one by more than this is a regression."""


class Verdict(StrEnum):
    """What is to be said of a figure, the worst first."""

    REGRESSION = "worse than stored"
    GONE = "stored, but not measured any more"
    BEYOND = "beyond its budget"
    NEW = "not stored yet"
    WITHIN = "within its budget"
    STRETCH = "within the stretch"
    PLAIN = ""

    @property
    def fails(self) -> bool:
        """Whether `make bench` fails for it."""
        return self in (Verdict.REGRESSION, Verdict.GONE)


class Row(NamedTuple):
    """A figure with the one that is stored, if any, and what is to be said."""

    part: str
    figure: Figure
    stored: Figure | None
    verdict: Verdict


Stored = Mapping[str, Mapping[str, Figure]]
"""Figures by part and name."""


def stored() -> Stored:
    """The figures of the repository."""
    found = json.loads(STORED.read_text("utf-8")) if STORED.exists() else {}
    return {part: {each["name"]: Figure(**each) for each in figures} for part, figures in found.items()}


def store(measured: Mapping[str, Iterable[Figure]]) -> None:
    """Puts what was ``measured``, by part, into the repository in the place of what it has of these parts."""
    kept = {part: list(figures.values()) for part, figures in stored().items()} | {
        part: list(figures) for part, figures in measured.items()
    }
    rows = {part: [_brief(figure) for figure in kept[part]] for part in PARTS if part in kept}
    STORED.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")


def compare(measured: Mapping[str, Iterable[Figure]], known: Stored) -> list[Row]:
    """A row for each figure of the parts that were ``measured``, and for each that is ``known`` of them and missing."""
    rows = []
    for part, figures in measured.items():
        before = dict(known.get(part, {}))
        for figure in figures:
            old = before.pop(figure.name, None)
            rows.append(Row(part, figure, old, verdict(figure, old)))
        rows += [Row(part, old, old, Verdict.GONE) for old in before.values()]
    return rows


def verdict(figure: Figure, old: Figure | None) -> Verdict:
    """What is to be said of ``figure``, whose stored value is that of ``old``."""
    if old is not None and not figure.of_machine and figure.beyond(old.value) > WORSE_BY:
        return Verdict.REGRESSION
    if figure.budget is not None and figure.beyond(figure.budget) > 0:
        return Verdict.BEYOND
    if old is None:
        return Verdict.NEW
    if figure.stretch is not None and figure.beyond(figure.stretch) <= 0:
        return Verdict.STRETCH
    return Verdict.PLAIN if figure.budget is None else Verdict.WITHIN


def shown(value: float | None, unit: str) -> str:
    """A value with its unit, as tables have it."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 or (value == int(value) and unit != "×") else 1 if abs(value) >= 20 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def limits(figure: Figure) -> str:
    """The budget with its stretch, as tables have it."""
    if figure.budget is None:
        return ""
    sign = "≥" if figure.more_is_better else "≤"
    text = f"{sign} {shown(figure.budget, '')}"
    return text if figure.stretch is None else f"{text} ({shown(figure.stretch, '')})"


def markdown(known: Stored) -> str:
    """The stored figures as a table for each part, as docs/benchmarks.md has them."""
    blocks = []
    for part in PARTS:
        rows = [f"| {each.name} | {shown(each.value, each.unit)} | {limits(each)} |" for each in known[part].values()]
        blocks.append("\n".join((f"| {PARTS[part].title} | measured | budget (stretch) |", "|---|---|---|", *rows)))
    return "\n\n".join(blocks) + "\n"


def _brief(figure: Figure) -> dict[str, object]:
    """What is stored of a figure: its value as exact as the tables show it, and nothing that is as it is by default."""
    plain = asdict(Figure(figure.name, 0.0, figure.unit))
    mine = asdict(figure) | {"value": float(f"{figure.value:.4g}")}
    return {name: value for name, value in mine.items() if name in ("name", "value", "unit") or value != plain[name]}
