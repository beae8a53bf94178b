"""Capacity units, as "Read consistency", "Capacity unit consumption" and the secondary indexes' chapter count them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

READ_UNIT = 4096
WRITE_UNIT = 1024


class Units(NamedTuple):
    """Read and write units."""

    read: float = 0.0
    write: float = 0.0


def write_units(size: int) -> int:
    """Units to write so many bytes; at least one."""
    return max(1, -(-size // WRITE_UNIT))


def read_units(size: int, *, consistent: bool) -> float:
    """Units to read so many bytes; half of it where the read may be old, and at least one request's worth."""
    return max(1, -(-size // READ_UNIT)) * (1.0 if consistent else 0.5)


def index_write_units(old: int | None, new: int | None, *, moved: bool, changed: bool) -> int:
    """Units that an index takes for one write to its table, by its entry's sizes before and after.

    A new entry or a removed one costs one write, one that moves two, one whose projected attributes change one.
    """
    if old is None or new is None:
        return 0 if old is new else write_units(old or new or 0)
    if moved:
        return write_units(old) + write_units(new)
    return write_units(max(old, new)) if changed else 0


class Bill:
    """What one request costs, by table and index ("" for the table itself)."""

    def __init__(self) -> None:
        self.read: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.write: defaultdict[tuple[str, str], float] = defaultdict(float)

    def answer(self, wanted: str | None, *, transactional: bool = False) -> list[dict[str, Any]] | None:
        """ConsumedCapacity of each table, for a ReturnConsumedCapacity; ``None`` where none is wanted."""
        if wanted not in {"TOTAL", "INDEXES"}:
            return None
        answers = []
        for table in dict.fromkeys(table for table, _ in (*self.read, *self.write)):
            parts: dict[str, Units] = {}
            for _, index in dict.fromkeys(key for key in (*self.read, *self.write) if key[0] == table):
                parts[index] = Units(self.read.get((table, index), 0.0), self.write.get((table, index), 0.0))
            total = Units(sum(each.read for each in parts.values()), sum(each.write for each in parts.values()))
            answer = {"TableName": table, **_shown(total, transactional)}
            if wanted == "INDEXES":
                answer["Table"] = _shown(parts.pop("", Units()), transactional)
                if parts:
                    answer["GlobalSecondaryIndexes"] = {
                        name: _shown(units, transactional) for name, units in sorted(parts.items())
                    }
            answers.append(answer)
        return answers


def _shown(units: Units, transactional: bool) -> dict[str, float]:
    shown = {"CapacityUnits": units.read + units.write}
    if transactional:
        shown |= {"ReadCapacityUnits": units.read} if units.read else {}
        shown |= {"WriteCapacityUnits": units.write} if units.write else {}
    return shown
