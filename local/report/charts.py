"""Small charts as inline SVG, drawn in two widths so that their text stays readable on a phone.

Colours are CSS variables of the page, so that a chart follows light and dark. Every function gives markup
that is safe to put into the page: all texts are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from itertools import pairwise

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 6.0, 10.0, 26.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing, and where in it the data go."""

    css: str
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where the data end."""
        return self.width - _RIGHT

    @property
    def bottom(self) -> float:
        """Where the axis of time lies."""
        return self.height - _BOTTOM

    def x(self, share: float) -> float:
        """Where ``share`` (0 to 1) of the way along lies."""
        return _LEFT + share * (self.right - _LEFT)

    def y(self, share: float) -> float:
        """Where ``share`` (0 to 1) of the way up lies."""
        return self.bottom - share * (self.bottom - _TOP)


FRAMES = (Frame("wide", 560, 260), Frame("narrow", 340, 230))


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers with its name and colour (a CSS value)."""

    name: str
    colour: str
    values: Sequence[float]


def stacked_areas(label: str, start: date, series: Sequence[Series], show: Callable[[float], str], unit: str) -> str:
    """Areas on top of each other, the first at the bottom; ``values`` are one for each day from ``start``
    on.
    """
    return "".join(_areas(frame, label, start, series, show, unit) for frame in FRAMES)


def diverging_bars(
    label: str,
    months: Sequence[str],
    up: Sequence[Series],
    down: Sequence[Series],
    show: Callable[[float], str],
) -> str:
    """Bars a month: ``up`` stacked above the line, ``down`` below it; ``months`` are like 1997-01."""
    return "".join(_bars(frame, label, months, up, down, show) for frame in FRAMES)


def ticks(most: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``most``, about ``wanted`` steps of 1, 2, 2.5 or 5 times a power of
    ten.
    """
    if most <= 0:
        return [0.0, 1.0]
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 2.5, 5, 10) if power > 1 else (1, 2, 5, 10)  # what is counted here comes in whole numbers
    step = max(1.0, next(power * factor for factor in factors if power * factor >= rough * 0.999))
    return [index * step for index in range(math.ceil(most / step - 1e-9) + 1)]


def _areas(
    frame: Frame, label: str, start: date, series: Sequence[Series], show: Callable[[float], str], unit: str
) -> str:
    days = len(series[0].values)
    # No screen shows more points than the drawing has units; the last day is always one of them.
    step = max(1, round(days / (frame.width / 2)))
    columns = sorted({*range(0, days, step), days - 1})
    totals = [0.0] * len(columns)
    edges = [list(totals)]
    for one in series:
        totals = [total + one.values[column] for total, column in zip(totals, columns, strict=True)]
        edges.append(totals)
    most = max(map(max, edges)) * 1.04 or 1.0
    xs = [frame.x(column / max(days - 1, 1)) for column in columns]
    parts = [_open(frame, label), _grid(frame, most, show), _months_below(frame, start, days)]
    for one, (lower, upper) in zip(series, pairwise(edges), strict=True):
        if not any(one.values):
            continue
        top = [f"{x:.1f},{frame.y(value / most):.1f}" for x, value in zip(xs, upper, strict=True)]
        back = [f"{x:.1f},{frame.y(value / most):.1f}" for x, value in zip(xs, lower, strict=True)]
        points = " ".join(top + back[::-1])
        parts.append(f'<polygon points="{points}" style="fill:{one.colour}"/>')
        parts.append(f'<polyline points="{" ".join(top)}" class="edge"/>')
    parts.append(_line(frame.x(0), frame.bottom, frame.right, frame.bottom, "axis"))
    parts.append(_readings(frame, start, series, show, unit))
    return "".join([*parts, "</svg>"])


def _readings(frame: Frame, start: date, series: Sequence[Series], show: Callable[[float], str], unit: str) -> str:
    """Invisible columns, about a week wide, that tell their numbers when pointed at."""
    days = len(series[0].values)
    width = max(1, math.ceil(days / 80))
    parts = []
    for first in range(0, days, width):
        last = min(first + width, days) - 1
        lines = [f"{start + timedelta(days=last):%d %B %Y} ({unit})"]
        lines += [f"{one.name}: {show(one.values[last])}" for one in reversed(series)]
        left, right = frame.x(first / days), frame.x((last + 1) / days)
        parts.append(
            f'<rect class="reading" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" '
            f'height="{frame.bottom - _TOP:.1f}"><title>{escape(chr(10).join(lines))}</title></rect>'
        )
    return "".join(parts)


def _bars(
    frame: Frame,
    label: str,
    months: Sequence[str],
    up: Sequence[Series],
    down: Sequence[Series],
    show: Callable[[float], str],
) -> str:
    most_up = max(sum(one.values[index] for one in up) for index in range(len(months)))
    most_down = max(sum(one.values[index] for one in down) for index in range(len(months)))
    step = ticks(max(most_up + most_down, 1), 5)[1]
    above = max(1, math.ceil(most_up / step - 1e-9)) * step
    below = math.ceil(most_down / step - 1e-9) * step
    height = above + below

    def y(value: float) -> float:
        return frame.y((value + below) / height)

    marks = [index * step for index in range(-round(below / step), round(above / step) + 1)]
    parts = [_open(frame, label)]
    for mark in marks:
        parts.append(_line(frame.x(0), y(mark), frame.right, y(mark), "axis" if mark == 0 else "grid"))
        parts.append(_text(frame.x(0) - 6, y(mark) + 4, show(abs(mark)), "end"))
    slot = (frame.right - frame.x(0)) / len(months)
    every = max(1, math.ceil(len(months) / (frame.width / 46)))
    for index, month in enumerate(months):
        left, wide = frame.x(0) + slot * (index + 0.14), slot * 0.72
        title = [_month_name(month)]
        title += [f"{one.name}: {show(one.values[index])}" for one in (*up, *down)]
        shapes = []
        for group, sign in ((up, 1), (down, -1)):
            base = 0.0
            for one in group:
                value = one.values[index]
                if value:
                    high, low = sorted((y(sign * base), y(sign * (base + value))))
                    tall = max(low - high, 0.8)
                    shapes.append(
                        f'<rect x="{left:.1f}" y="{high:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
                        f'rx="1.5" style="fill:{one.colour}"/>'
                    )
                base += value
        parts.append(
            f"<g>{''.join(shapes)}"
            f'<rect class="reading" x="{frame.x(0) + slot * index:.1f}" y="{_TOP}" width="{slot:.1f}" '
            f'height="{frame.bottom - _TOP:.1f}"><title>{escape(chr(10).join(title))}</title></rect></g>'
        )
        if index % every == 0:
            parts.append(_text(left + wide / 2, frame.bottom + 14, _month_name(month)[:3], "middle"))
            if index == 0 or month[:4] != months[index - every][:4]:
                parts.append(_text(left + wide / 2, frame.bottom + 25, month[:4], "middle", "year"))
    return "".join([*parts, "</svg>"])


def _open(frame: Frame, label: str) -> str:
    return (
        f'<svg class="chart {frame.css}" viewBox="0 0 {frame.width:.0f} {frame.height:.0f}" role="img" '
        f'aria-label="{escape(label)}">'
    )


def _grid(frame: Frame, most: float, show: Callable[[float], str]) -> str:
    parts = []
    for mark in ticks(most):
        if mark > most:
            continue
        y = frame.y(mark / most)
        if mark:
            parts.append(_line(frame.x(0), y, frame.right, y, "grid"))
        parts.append(_text(frame.x(0) - 6, y + 4, show(mark), "end"))
    return "".join(parts)


def _months_below(frame: Frame, start: date, days: int) -> str:
    """The names of months under a chart of days, as many as there is room for, with their years."""
    firsts = [
        start + timedelta(days=offset)
        for offset in range(days)
        if offset == 0 or (start + timedelta(days=offset)).day == 1
    ]
    if len(firsts) > 1 and (firsts[1] - firsts[0]).days < 12:
        firsts = firsts[1:]  # a stub of a month has no room for its name
    every = max(1, math.ceil(len(firsts) / (frame.width / 46)))
    parts = []
    for index, first in enumerate(firsts):
        if index % every:
            continue
        x = frame.x((first - start).days / max(days - 1, 1))
        parts.append(_line(x, frame.bottom, x, frame.bottom + 4, "axis"))
        anchor = "start" if index == 0 else "middle"
        if x < frame.right - 8:
            parts.append(_text(x, frame.bottom + 15, f"{first:%b}", anchor))
        if index == 0 or first.year != firsts[index - every].year:
            parts.append(_text(x, frame.bottom + 25, f"{first:%Y}", anchor, "year"))
    return "".join(parts)


def _month_name(month: str) -> str:
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _text(x: float, y: float, text: str, anchor: str, css: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'
