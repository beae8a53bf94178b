"""`python -m local verify`: proves that every account is the sum of its entries (architecture 3.2), and all the rest.

What a table holds is compared with what its entries and decisions give: see ``member`` for what a member has,
``shared`` for what is no single member's, ``reading`` for how a table of any size is put in order, and
``repairing`` for what can be put right. It reads the whole table, which no function of the club may do: a proof
wants to see everything.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from club_ledger import items
from club_ledger.items import unpack
from club_rules.programs import Programs, load_programs
from local.standing import tally
from local.verify.kinds import (
    LOOK,
    RESTORE,
    STANDING_GROUP,
    Club,
    Item,
    Key,
    Problem,
    check_shape,
    groups_of,
    key_of,
    readable,
    shape_of,
)
from local.verify.member import Member
from local.verify.reading import Groups, GroupsInMemory, GroupsOnDisk, IncompleteExport, export, scan
from local.verify.shared import check_drop, check_run, check_standing

NOT_TOLD = {
    "the version of a shard of the standing, and a counter of 0 in it": (
        "the version counts additions, and any number serves the next one as well; no counter says the same as one of 0"
    ),
    "where an open shard of a sweep goes on, within the shard": (
        "it moves with every chunk; when the shard is done it is checked"
    ),
    "demoted and would_demote of a halted run, as long as they lie around the limit": (
        "they are told once, as the brake saw them, and nothing is computed from them"
    ),
    "an adjustment taken away while it waits for its second operator": (
        "nothing has been posted for it; it is asked for again"
    ),
    "a run of a sweep taken away that had demoted nobody": "it is a report of what the entries say by themselves",
    "a price.dropped taken away that lowered no price": "it had told nobody, and changed nothing",
}
"""What no item tells of another, and no seal: changes of one item that are not found, each with why that may be."""


Again = Callable[[str, list[Item]], list[Item] | None]
"""Reads a group of items once more, all at one moment; ``None``: it can't be."""

OF_THE_OUTBOX = ("standing: ", "rewards: ", "chunks: ", "alert ")
PAUSE_S, PAUSES = 1.0, 20
"""So long the outbox is waited for, and so often in all, before what it has not done is called missing."""


class Report(NamedTuple):
    """How many members were checked, how many entries they have, and what differs (one line each)."""

    members: int
    entries: int
    problems: list[str]


class Findings(NamedTuple):
    """What a check found: like ``Report``, with the problems themselves.

    ``concerned``: the groups in which something was found, with the keys of all their items.
    """

    members: int
    entries: int
    problems: list[Problem]
    concerned: dict[str, list[Key]]

    def report(self) -> Report:
        """The findings as text."""
        return Report(self.members, self.entries, [str(problem) for problem in self.problems])


class Checked(NamedTuple):
    """What was found in one group, and what the table as a whole is judged by: members' tiers, codes of coupons."""

    problems: list[Problem]
    entries: int = 0
    is_member: bool = False
    tiers: dict[str, str] | None = None
    codes: tuple[tuple[str, str], ...] = ()


def check_group(group: str, records: list[Item], club: Club) -> Checked:
    """Checks one group of ``groups_of``, whole; but for the standing, which takes all members (see ``check``)."""
    kind, _, name = group.partition(":")
    if kind == "m":
        member = Member(name, records, club)
        member.check()
        number = len(member.entries)
        return Checked(member.problems, number, number > 0, member.tiers, tuple(member.codes))
    if kind == "a":
        return Checked(check_drop(name, records, club))
    if kind == "r":
        return Checked(check_run(name, records, club))
    return Checked([problem for item in records for problem in _of_nobody(item)])


def _of_nobody(item: Item) -> Iterator[Problem]:
    """An item of which nothing says whose it is."""
    key = key_of(item)
    shape = shape_of(key)
    who = f"{'item' if shape is None else shape.name} {key[0]}"
    found = list(check_shape(who, item))
    if shape is not None and readable(item) is None:
        yield Problem(who, "body: it can't be read", key, RESTORE)
    elif found:
        yield from found
    else:
        yield Problem(who, "member_id or type: nothing says whose it is", key, LOOK)


def check(
    source: Iterable[Item],
    club: Club,
    groups: Groups | None = None,
    codes: Groups | None = None,
    again: Again | None = None,
) -> Findings:
    """Checks every item of a ``source``, as DynamoDB has them, with binary as bytes.

    ``groups`` and ``codes``: where they are put in order meanwhile (in memory without). ``again``: reads a group in
    which something was found once more, since a table that is at work is read at many moments.
    """
    groups, codes = groups or GroupsInMemory(), codes or GroupsInMemory()
    for item in source:
        for group in dict.fromkeys(groups_of(item)):
            groups.add(group, item)
    problems: list[Problem] = []
    tiers: Counter[str] = Counter()
    standing: list[Item] = []
    concerned: dict[str, list[Key]] = {}
    pauses = iter(range(PAUSES))
    members = entries = 0
    for group, records in groups:
        if group == STANDING_GROUP:
            standing = records
            continue
        checked = check_group(group, records, club)
        if checked.problems and again is not None:
            checked = _looked_at_again(group, records, club, again, pauses)
        if checked.problems:
            concerned[group] = [key_of(item) for item in records]
        members, entries = members + checked.is_member, entries + checked.entries
        problems += checked.problems
        if checked.tiers is not None:
            tiers.update(tally([checked.tiers]))
        for code, reward in checked.codes:
            codes.add(code, (group.partition(":")[2], reward))
    problems += repeated(codes)
    if club.outbox:
        of_standing = check_standing(standing, tiers)
        if of_standing:
            concerned[STANDING_GROUP] = [key_of(item) for item in standing]
        problems += of_standing
    problems.sort(key=lambda each: (each.who == "standing", each.who))
    return Findings(members, entries, problems, concerned)


def _looked_at_again(group: str, records: list[Item], club: Club, again: Again, pauses: Iterator[int]) -> Checked:
    """What is found in a group that is read once more; where only the outbox may be late, after a moment or two."""
    while True:
        fresh = again(group, records)
        checked = check_group(group, records if fresh is None else fresh, club)
        late = all(problem.text.startswith(OF_THE_OUTBOX) for problem in checked.problems)
        if fresh is None or not checked.problems or not late or next(pauses, None) is None:
            return checked
        time.sleep(PAUSE_S)


def repeated(codes: Iterable[tuple[str, list[Any]]]) -> Iterator[Problem]:
    """Codes of coupons that stand more than once: each is one coupon, whoever has it."""
    for _, holders in codes:
        first, *others = sorted(holders)
        for member_id, reward in others:
            key = items.rewards_key(member_id), items.SINGLE
            text = f"rewards: a code of {reward} stands twice, the other time for {first[1]} of {first[0]}"
            yield Problem(member_id, text, key, RESTORE)


# --- what others ask


def decoded_entries(table: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """The ledger entries among a table's items, by member and number, one after the other: all of them are many."""
    prefix = items.entry_key("")
    packed: list[tuple[str, int, bytes]] = []
    for item in table:
        if item["pk"]["S"].startswith(prefix):
            entry = readable(item)
            if entry is not None and "seq" in entry:
                packed.append((entry["member_id"], entry["seq"], item["body"]["B"]))
    for _, _, body in sorted(packed):
        yield unpack(body)


def verify(table: Iterable[Item], programs: Programs, shards: int) -> Report:
    """Compares all that follows from entries and decisions at once, and not what the outbox makes of it later."""
    return check(table, Club(programs, shards, outbox=False)).report()


def verify_all(table: Iterable[Item], programs: Programs, shards: int) -> Report:
    """The same, with standing, rewards and alerts: the table's stream has to have been worked off."""
    return check(table, Club(programs, shards)).report()


def verify_standing(table: Iterable[Item], programs: Programs) -> Iterator[str]:
    """What differs between what is counted of members, the sum of it, and the accounts; one line each."""
    told = (problem for problem in check(table, Club(programs, 1)).problems if _is_of_standing(problem))
    yield from map(str, told)


def _is_of_standing(problem: Problem) -> bool:
    return problem.who == "standing" or problem.text.startswith("standing: ")


def report_of(client: Any, table_name: str, shards: int) -> Report:
    """``verify_all`` over the table that ``client`` sees; its stream has been worked off."""
    return findings_of(client, table_name, shards).report()


def findings_of(client: Any, table_name: str, shards: int) -> Findings:
    """The findings of ``report_of``."""
    return check(scan(client, table_name), Club(load_programs(), shards))


def put_right(client: Any, table_name: str, shards: int) -> list[str]:
    """Puts right what can be in a small table, see ``repairing``; says what was written, one line an item."""
    from local.verify.repairing import Table, repair

    club, said = Club(load_programs(), shards), list[str]()
    concerned = check(scan(client, table_name), club).concerned
    repair(Table(client, table_name), club, concerned, said.append)
    return said


# --- the command


def main(arguments: argparse.Namespace) -> int:
    """Proves a running local stack's table, a deployed one or an export; prints what differs. Returns the exit code."""
    if arguments.table is None and arguments.export is None:
        return _of_stack(arguments)
    programs = load_programs()
    club = Club(programs, arguments.due_shards, unsealed=arguments.unsealed)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=arguments.scratch) as folder:
        try:
            if arguments.export is not None:
                return _of_export(arguments, club, Path(folder))
            return _of_table(arguments, club, Path(folder))
        except IncompleteExport as error:
            print(f"The export is not complete: {error}", file=sys.stderr)
            return 2


def _of_stack(arguments: argparse.Namespace) -> int:
    body = json.dumps({"repair": arguments.repair}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{arguments.port}/_local/verify", method="POST", data=body)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address is this machine's own
        report = json.load(answer)
    for line in report.get("repaired", ()):
        print(line)
    return _print(Report(report["members"], report["entries"], report["problems"]), report["advice"])


def _of_export(arguments: argparse.Namespace, club: Club, folder: Path) -> int:
    if arguments.repair:
        print("An export is a copy: repair the table itself, with --table", file=sys.stderr)
        return 2
    findings = check(export(Path(arguments.export))(), club, GroupsOnDisk(folder), GroupsOnDisk(folder))
    return _print(findings.report(), advice_for(findings.problems))


def _of_table(arguments: argparse.Namespace, club: Club, folder: Path) -> int:
    import boto3  # with the credentials and the region that the AWS tools would take
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from pynamodb.exceptions import PynamoDBException

    from club_rules.errors import ClubError
    from local.verify.repairing import Table, repair

    client = boto3.client("dynamodb", config=Config(max_pool_connections=arguments.segments + 4))
    table = Table(client, arguments.table)
    try:
        findings = check_table(table, club, folder, arguments.segments)
        if arguments.repair and findings.problems:
            repair(table, club, findings.concerned, print)
            findings = check_table(table, club, folder, arguments.segments)
    except (BotoCoreError, ClientError, PynamoDBException, ClubError) as error:
        print(f"The table {arguments.table} can't be worked on: {error}", file=sys.stderr)
        return 2
    return _print(findings.report(), advice_for(findings.problems))


def check_table(table: Any, club: Club, folder: Path, segments: int) -> Findings:
    """``check`` of a table that may be at work (a ``repairing.Table``), in memory that does not grow with it."""
    source = scan(table.client, table.name, segments)
    return check(source, club, GroupsOnDisk(folder), GroupsOnDisk(folder), table.again)


def advice_for(problems: Iterable[Problem]) -> dict[str, int]:
    """What helps against the problems, and against how many of them."""
    return dict(Counter(problem.advice for problem in problems))


def _print(report: Report, advice: dict[str, int]) -> int:
    for problem in report.problems:
        print(problem)
    print(f"{report.members} members, {report.entries} entries: {len(report.problems)} problems")
    for what, number in advice.items():
        print(f"  {number} of them: {what}")
    return 1 if report.problems else 0
