"""What a run comes to in the end, without what may be another each time, so that two ends can be compared.

What is left out, and why, is named here and nowhere else:

- codes of coupons, which are random; ``version`` of the standing and of its notes, and which of the standing's shards
  was added to: a repeat may add to another;
- the instants of what happens when it is asked for (a decision, an adjustment, an erasure, an event at the door): who
  asks again asks later. All instants of the hour of such a work are the same "then", and only of such a work's;
- a decision's ``digest``, which is of its instant as well;
- how often a dead letter was sent whose sender got no answer;
- where two met: what a chunk had reserved to demote of what somebody else then posted (the brake errs on the safe
  side), and how many watchers a chunk found of whom one was just being erased;
- a sweep's run: the id of its invocation, and its counts, which do not count what a repeat did; of its positions that
  they are there. The runs of the drain are left out whole.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from club_rules.account import decode_account

if TYPE_CHECKING:
    from tests.simulation.every import Club, Witness

Content = Mapping[str, Any]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")


@dataclass(frozen=True)
class End:
    """``items`` by key; ``announced`` as (type, event id); ``dead`` letters as (queue, reason, body)."""

    items: Mapping[str, Any]
    announced: frozenset[tuple[str, str]]
    dead: tuple[tuple[str, str, str], ...]

    def differs_from(self, other: End, *, moves: bool = False) -> str:
        """What is another thing there; empty where nothing is. ``moves``: see ``Work``."""
        ours, theirs = (_sums(end.items) if moves else end.items for end in (self, other))
        said = [
            f"{key}{told}"
            for key in sorted(ours.keys() | theirs.keys())
            for told in _differences(ours.get(key), theirs.get(key))
        ]
        if not moves and self.announced != other.announced:
            said.append(f"announced {sorted(self.announced ^ other.announced)}")
        if self.dead != other.dead:
            said.append(f"dead {self.dead} / {other.dead}")
        return "; ".join(said)


def end_of(club: Club, witness: Witness, *, asked: bool, met: bool) -> End:
    """The end of a club that has drained.

    ``asked``: whether the work was asked for by somebody who may ask again; ``met``: whether there were two.
    """
    timeless = _timeless(club._started) if asked else _as_it_is
    items: dict[str, Any] = {}
    standing: Counter[str] = Counter()
    for item in club._table():
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk.startswith("STANDING#"):
            numbers = {name: int(value["N"]) for name, value in item.items() if "N" in value and name != "version"}
            standing.update(numbers)
            continue
        key, content = _comparable(pk, sk, _plain(item))
        if key and not (met and _of_the_meeting(key, content)):
            items[key] = timeless(content)
    items["STANDING"] = {name: number for name, number in sorted(standing.items()) if number}
    announced = frozenset((kind, _stem(name)) for kind, name in witness.announced if kind != "sweep.finished")
    letters = sorted(
        {(letter["queue"], letter["reason"], _stripped(letter["body"])) for letter in club._dead_letters()}
    )
    return End(items, announced, tuple(letters))


def _of_the_meeting(key: str, content: Any) -> bool:
    """Whether an item is left out where two met; what else may differ then is taken out of it."""
    if key.startswith("ALERT#") and "~" in key:
        del content["body"]["watchers"]
    if not key.startswith("SWEEP#"):
        return False
    content.pop("reserved", None)
    return " C#" in key


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in item.items():
        ((kind, data),) = value.items()
        if kind == "B":
            data = json.loads(zlib.decompress(data)) if name != "seal" else None
        plain[name] = data
    del plain["seal"], plain["pk"], plain["sk"]
    return plain


def _comparable(pk: str, sk: str, item: dict[str, Any]) -> tuple[str, Any]:
    """Key and content without what may differ; an empty key for what is left out."""
    body: Any = item.get("body")
    if pk.startswith("SWEEP#"):
        return _of_run(pk, sk, item)
    if pk.startswith("S#"):
        return f"{pk} {sk}", {"tiers": body["tiers"], "erased": body.get("erased")}
    if pk.startswith("R#"):
        issued = [{**each, "codes": len(each["codes"])} for each in body.get("issued", ())]
        rest = {name: value for name, value in body.items() if name != "issued"}
        return f"{pk} {sk}", {**item, "version": 0, "body": rest, "issued": sorted(issued, key=lambda each: each["id"])}
    if pk.startswith("D#"):
        return f"{pk} {sk}", {**item, "body": {**body, "digest": ""}}
    if sk.startswith("D#"):
        return f"{pk} D#{sk.rpartition('#')[2]}", None
    return f"{pk} {sk}", item


def _as_it_is(content: Any) -> Any:
    return content


def _timeless(began: float) -> Callable[[Any], Any]:
    """What takes the moment of a work out of an item, wherever it stands."""
    moment = datetime.fromtimestamp(began, UTC)
    first, last = (f"{each:%Y-%m-%dT%H:%M}" for each in (moment, moment + timedelta(hours=1, minutes=5)))

    def then(found: re.Match[str]) -> str:
        return "then" if first <= found[0] < last else found[0]

    return lambda content: json.loads(_INSTANT.sub(then, json.dumps(content)))


def _of_run(pk: str, sk: str, item: dict[str, Any]) -> tuple[str, Any]:
    _, sweep, scheduled_at, _ = pk.split("#")
    if sk != "-":
        return f"SWEEP#{sweep}#{scheduled_at} {sk}", item["body"]
    kept = {"body": {**item["body"], "run_id": ""}, "open": item["open_shards"], "halted": item.get("halted")}
    kept |= {"progress": item["progress"], "reserved": item["reserved"], "at": sorted(item["positions"])}
    return f"SWEEP#{sweep}#{scheduled_at}", kept


def _stem(name: str) -> str:
    """The id of an announcement, without the id of an invocation."""
    return "#".join(name.split("#")[:2]) if "Sweep#" in name else name


def _stripped(text: str) -> str:
    """A message's body without the id that the bus gave it."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return json.dumps({name: value for name, value in body.items() if name != "id"}, sort_keys=True)


def _sums(items: Mapping[str, Any]) -> dict[str, Any]:
    """What the events of each member add up to, in whatever order they were posted."""
    summed: dict[str, Any] = {}
    for key, item in items.items():
        if key.endswith(" J~"):
            account = decode_account("", 0, item["body"])
            of_each = {name: (state.points, state.lots, state.tier) for name, state in account.programs.items()}
            summed[key] = account.seq, {name: each[: 2 if name == "vip" else 3] for name, each in of_each.items()}
        elif key.startswith("E#"):
            body = item["body"]
            summed[key] = [body.get("member_id"), body.get("digest"), sorted(body["parts"])]
        elif not key.startswith(("M#", "SWEEP#")):
            summed[key] = item
    return summed


def _differences(ours: Any, theirs: Any) -> Iterator[str]:
    """Where two contents differ, and how."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            yield from (f"/{name}{told}" for told in _differences(ours.get(name), theirs.get(name)))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            yield from (f"/{place}{told}" for told in _differences(our, their))
    elif ours != theirs:
        yield f": {_short(ours)} / {_short(theirs)}"


def _short(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return text if len(text) <= 200 else f"{text[:200]}…"
