"""A thousand things that can happen to a single item: `verify` finds each, and says whose it is and which field."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from club_rules.programs import load_programs
from local.standing import tally
from local.verify import NOT_TOLD, Checked, check_group, kinds, repeated
from local.verify.kinds import STANDING_GROUP, Club, Item, Key, Problem, Shape, groups_of, shape_of
from local.verify.reading import GroupsInMemory
from local.verify.shared import check_standing
from tests.integration import corruptions
from tests.integration.corruptions import Corruption, not_told, random_corruption
from tests.integration.rich_table import Table, rich_table

PROGRAMS = load_programs()
CLUB = Club(PROGRAMS, 8)
SEED, NUMBER = 20261122, 1000


class Prepared:
    """A table that was checked once: of a changed one, only the groups that were touched are checked again."""

    def __init__(self, table: Table) -> None:
        self.groups: dict[str, dict[Key, Item]] = {}
        for key, item in table.items():
            for group in set(groups_of(item)):
                self.groups.setdefault(group, {})[key] = item
        self.table = table
        self.checked = {group: self._check(group, found) for group, found in self.groups.items()}

    def _check(self, group: str, found: dict[Key, Item]) -> Checked:
        return Checked([]) if group == STANDING_GROUP else check_group(group, list(found.values()), CLUB)

    def problems(self, changed: dict[Key, Item | None]) -> list[Problem]:
        """All problems of the table once ``changed``."""
        touched: dict[str, dict[Key, Item]] = {}
        for key, item in changed.items():
            for each in (self.table.get(key), item):
                for group in set(groups_of(each)) if each is not None else ():
                    touched.setdefault(group, dict(self.groups.get(group, {})))
        for key, item in changed.items():
            for found in touched.values():
                found.pop(key, None)
            if item is not None:
                for group in set(groups_of(item)):
                    touched[group][key] = item
        checked = self.checked | {group: self._check(group, found) for group, found in touched.items() if found}
        checked = {group: each for group, each in checked.items() if touched.get(group, True)}
        codes = GroupsInMemory()
        for group, one in checked.items():
            for code, reward in one.codes:
                codes.add(code, (group, reward))
        tiers = tally(each.tiers for each in checked.values() if each.tiers is not None)
        standing = touched.get(STANDING_GROUP, self.groups.get(STANDING_GROUP, {}))
        found_problems = [problem for each in checked.values() for problem in each.problems]
        return [*found_problems, *repeated(codes), *check_standing(standing.values(), tiers)]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared(rich_table())


def whose(table: Table, corruption: Corruption) -> set[str]:
    """Whose items they are, or were: members, a run, a price that dropped, the standing; or the item itself."""
    found = set()
    for key, item in corruption.items.items():
        for each in (table.get(key), item):
            for group in groups_of(each) if each is not None else ():
                kind, _, name = group.partition(":")
                prefix = {"m": "", "a": "drop ", "r": "sweep ", "?": ""}.get(kind, "")
                found.add(prefix + name if name else "standing" if group == STANDING_GROUP else key[0])
    return found


def is_named(table: Table, corruption: Corruption, problem: Problem) -> bool:
    """Whether a problem says whose it is, and which field or item."""
    names_whom = any(problem.who == who or problem.who.endswith(f" {who}") for who in whose(table, corruption))
    text = f"{problem.who}: {problem.text}"
    return names_whom and any(name in text for name in corruption.names)


def test_the_table_has_everything_and_is_whole(prepared: Prepared) -> None:
    kinds = {shape.name for shape in (shape_of(key) for key in prepared.table) if shape is not None}

    assert prepared.problems({}) == []
    assert kinds == {shape.name for _, shape in _all_shapes()}


def _all_shapes() -> list[tuple[str, Shape]]:

    return [(name, each) for name, each in vars(kinds).items() if isinstance(each, Shape)]


def test_a_thousand_random_corruptions_are_all_found_with_member_and_field(prepared: Prepared) -> None:
    """What is excused stands in ``local.verify.NOT_TOLD``, and is not among the thousand."""
    rng, keys = random.Random(SEED), sorted(prepared.table)
    done: Counter[str] = Counter()
    of: Counter[str] = Counter()
    excused: Counter[str] = Counter()
    missed = []
    while sum(done.values()) < NUMBER:
        corruption = random_corruption(rng, prepared.table, keys)
        problems = prepared.problems(corruption.items)
        found = any(is_named(prepared.table, corruption, problem) for problem in problems)
        excuse = not_told(prepared.table, corruption)
        if not found and excuse is not None:
            excused[excuse] += 1
            continue
        done[corruption.kind] += 1
        of[shape_of(next(iter(corruption.items))).name] += 1  # type: ignore[union-attr]
        if not found:
            missed.append((corruption, [str(problem)[:300] for problem in problems]))

    assert missed == []
    assert len(done) == len(corruptions.KINDS)
    assert min(done.values()) > 15, "every kind of corruption"
    assert len(of) == len(_all_shapes()), "of every kind of item"
    assert excused.keys() <= NOT_TOLD.keys()
    assert sum(excused.values()) < NUMBER // 20
