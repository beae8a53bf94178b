"""The programs: rules as data, read once and compiled into what the rules compute with (rules 1.4 to 1.6).

Every constant of a program stands in its file under ``data/``; nothing here knows one. A file is one version of one
program. An event is judged by the version in force on the local day on which it occurred, a clawback by the version
of what it undoes (contract 2.6).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from club_rules.errors import ClubError, InvalidInput
from club_rules.money import minor_digits, parse_money
from club_rules.program_check import check_program, check_versions

_DATA = Path(__file__).parent / "data"
_STARTS_KEPT = 4096  # of days, by time zone: some years' worth, and every posting asks for a dozen


class InvalidProgram(ClubError):
    """A program file can't be used. ``messages`` says where and why, one a fault."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("invalid_program", "; ".join(messages))
        self.messages = messages


class Purchase:
    """What an order earns in a program that measures points (rules 1.4)."""

    __slots__ = (
        "excluded_flags",
        "item_days",
        "item_units",
        "minimum_price",
        "per_unit",
        "seller_days",
        "seller_orders",
    )

    def __init__(self, data: dict[str, Any], currency: str) -> None:
        seller = data.get("seller_order_cap", {})
        item = data.get("item_unit_cap", {})
        self.per_unit: int = data["points_per_currency_unit"]
        self.minimum_price: int = parse_money(data["minimum_unit_price"], currency)
        self.seller_orders: int | None = seller.get("orders")
        self.seller_days: int = seller.get("days", 0)
        self.item_units: int | None = item.get("units")
        self.item_days: int = item.get("days", 0)
        self.excluded_flags = frozenset(data.get("excluded_flags", ()))


class Activity:
    """What one review, visit, post or contribution earns, and its caps in points (``None``: no cap)."""

    __slots__ = ("per_day", "per_month", "points")

    def __init__(self, data: dict[str, Any]) -> None:
        self.points: int = data["points"]
        self.per_day: int | None = data.get("points_per_day_at_most")
        self.per_month: int | None = data.get("points_per_month_at_most")


class Program:
    """One version of one program. Money is in minor units, days are proleptic ordinals (``date.toordinal``)."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Compiles the content of a file that ``check_program`` has found in order."""
        earning = data["earning"]
        self.data = data
        self.id: str = data["id"]
        self.version: str = data["version"]
        self.effective_from: int = date.fromisoformat(data["effective_from"]).toordinal()
        self.currency: str = data["currency"]
        self.money_unit: int = 10 ** minor_digits(self.currency)
        self.zone: tzinfo | None = _zone(data["time_zone"])
        self.measures_spend: bool = data["measure"] == "spend"
        self.window: int = data["window_days"]
        self.codes: list[str] = [tier["code"] for tier in data["tiers"]]
        self.thresholds: list[int] = [
            parse_money(tier["from"], self.currency) if self.measures_spend else tier["from"] for tier in data["tiers"]
        ]
        self.purchase = Purchase(earning["purchase"], self.currency) if "purchase" in earning else None
        self.daily: dict[str, int] | None = earning.get("daily_shopping")
        self.variety: dict[str, int] | None = earning.get("variety")
        self.activities = {
            rule: Activity(earning[rule]) for rule in ("review", "visit", "post", "contribution") if rule in earning
        }
        demotion = data["demotion"]
        self.period: int | None = demotion.get("period_days")
        self.one_down: bool = demotion.get("to") == "one_down"
        self.grace: int = demotion.get("grace_days", 0)
        self.demotion_limit: dict[str, int] = demotion["limit"]
        # a tier that an operator gave back is reviewed again after so many days
        self.days_after_undoing: int = demotion.get("days_after_undoing", 30)
        self.penalties: dict[str, dict[str, Any]] = data.get("penalties", {})
        self.privileges: list[dict[str, Any]] = data["privileges"]
        self.rewards: dict[str, Any] = data.get("rewards", {})
        self.coupon_tiers = frozenset(self.rewards.get("tier_coupons", {}).get("coupons", ()))
        self.warns_before: list[int] = data.get("warnings", {}).get("days_before", [])
        # how far back a cap looks from the oldest day on which an event can still be accrued
        seller = self.purchase.seller_days if self.purchase else 0
        item = self.purchase.item_days if self.purchase else 0
        self.cap_memory: int = max(seller, item)

    def title(self, language: str) -> str:
        """The program's name for people, in ``language`` where the file has it (``titles``), else in English."""
        title: str = self.data.get("titles", {}).get(language, self.data["title"])
        return title

    def tier_for(self, measure: int) -> int:
        """The index of the tier that ``measure`` (points, or minor units of spend) qualifies for."""
        return max(bisect_right(self.thresholds, measure) - 1, 0)

    def tier_index(self, code: str) -> int:
        """The place of the tier ``code`` on the ladder, 0 the lowest."""
        return self.codes.index(code)

    def privilege(self, code: str) -> dict[str, Any] | None:
        """The privilege ``code`` as the file states it, or ``None`` where the program has none."""
        for privilege in self.privileges:
            if privilege["code"] == code:
                return privilege
        return None

    def amount(self, text: str) -> int:
        """Minor units of an amount that the file states."""
        return parse_money(text, self.currency)

    def day_of(self, instant: datetime) -> int:
        """The local day (ordinal) of a UTC instant in the program's time zone."""
        return (instant if self.zone is None else instant.astimezone(self.zone)).toordinal()

    def start_of(self, day: int) -> datetime:
        """The UTC instant at which the local ``day`` begins, also where a clock change makes it shorter or longer."""
        return _start_of(day, self.zone)


@lru_cache(_STARTS_KEPT)
def _start_of(day: int, zone: tzinfo | None) -> datetime:
    return datetime.fromordinal(day).replace(tzinfo=zone or UTC).astimezone(UTC)


class Programs:
    """All programs with all their versions."""

    def __init__(self, files: Iterable[dict[str, Any]]) -> None:
        """``files``: the parsed program files. Raises ``InvalidProgram`` naming every fault in them."""
        contents = list(files)
        faults = [
            f"{data.get('id', '?') if isinstance(data, dict) else '?'}: {message}"
            for data in contents
            for message in check_program(data)
        ]
        faults = faults or check_versions(contents) or ([] if contents else ["there is no program file"])
        if faults:
            raise InvalidProgram(faults)
        self._versions: dict[str, list[Program]] = {}
        for program in sorted(map(Program, contents), key=lambda each: (each.id, each.effective_from)):
            self._versions.setdefault(program.id, []).append(program)
        self.ids: tuple[str, ...] = tuple(self._versions)
        latest = [versions[-1] for versions in self._versions.values()]
        self.currency: str = latest[0].currency
        self.point_programs = frozenset(program.id for program in latest if not program.measures_spend)

    def versions(self, program_id: str) -> list[Program]:
        """The versions of a program, oldest first. Raises ``KeyError`` for a program that is not there."""
        return self._versions[program_id]

    def on(self, program_id: str, day: int) -> Program | None:
        """The version in force on a local day (ordinal); ``None`` before the first."""
        versions = self._versions[program_id]
        for program in reversed(versions):
            if program.effective_from <= day:
                return program
        return None

    def at(self, program_id: str, instant: datetime) -> Program:
        """The version in force at a UTC instant; the first version before that."""
        versions = self._versions[program_id]
        return self.on(program_id, versions[0].day_of(instant)) or versions[0]

    def version(self, program_id: str, name: str) -> Program:
        """The version of that name. Raises ``KeyError`` where there is none."""
        for program in self._versions[program_id]:
            if program.version == name:
                return program
        raise KeyError(f"{program_id} {name}")

    def expires_on(self, program_id: str, day: int) -> int:
        """The day on which a lot of ``day`` has expired: a lot keeps the window of the version it was accrued under."""
        versions = self._versions[program_id]
        program = versions[0] if len(versions) == 1 else (self.on(program_id, day) or versions[0])
        return day + program.window


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return None
    from zoneinfo import ZoneInfo  # only a program outside UTC pays for loading it

    return ZoneInfo(name)


@cache
def load_programs() -> Programs:
    """The programs that are shipped with the layer, read once a process. Raises ``InvalidProgram``."""
    return Programs(json.loads(path.read_text("utf-8")) for path in sorted(_DATA.glob("*.json")))


def check_file(path: str | Path) -> list[str]:
    """What is wrong with a program file; an empty list when it may be used.

    ``path``: the file. Never raises for what stands in the file, nor for one that can't be read.
    """
    return _read_and_check(path)[1]


def check_new_version(path: str | Path, deployed_on: date) -> list[str]:
    """What is wrong with a program file that is to be deployed on a day, beside the versions that are shipped.

    It must fit to them, and take effect later: what was posted under another version, and what the club has already
    said of it, must not change behind anybody's back. An empty list when it may be deployed; never raises, as
    ``check_file``.
    """
    data, messages = _read_and_check(path)
    if messages:
        return messages
    if data["effective_from"] <= deployed_on.isoformat():
        messages.append(
            f"/effective_from: expected a day after that of the deployment, {deployed_on.isoformat()}, "
            f"found {data['effective_from']}: events since then have been judged by the version before"
        )
    shipped = [_read_and_check(each)[0] for each in sorted(_DATA.glob("*.json"))]
    return messages + check_versions([*(each for each in shipped if each is not None and each != data), data])


def _read_and_check(path: str | Path) -> tuple[Any, list[str]]:
    """A program file's content, ``None`` where it has none, and what is wrong with it."""
    from club_rules.json_text import load_json  # strict: a key that stands twice is an operator's slip

    try:
        data = load_json(Path(path).read_bytes())
    except OSError as error:
        return None, [f"can't be read: {error}"]
    except InvalidInput as error:
        return None, [f"{fault.pointer or 'the file'}: {fault.detail}" for fault in error.errors]
    return data, check_program(data)
