"""Least privilege, both ways (architecture 3.6): what functions were seen to use, against what their roles grant.

Every action, resource, kind of leading key, attribute and service that a role names is a grant of its own here. Nothing
that is used may be missing, and nothing that is granted may be unused, by the function or by Lambda in its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from local.permissions import Need, Needs, covers, implied, of_kind, told
from local.template import FunctionSpec, Statement, Template

Used = Mapping[str, Iterable[Need]]
"""By function, as its folder is named, what it was seen to need."""

_ONLY_WHERE_NEW = re.compile(r"\(?attribute_not_exists\s*\(\s*(#?\w+)\s*\)\)?")


def differences(template: Template, used: Used) -> list[str]:
    """What is used and not granted, granted and not used, or granted twice; each in words. Empty = all is well."""
    found = []
    for spec in template.functions.values():
        name = spec.code.name
        needs = {*used.get(name, ()), *implied(template, spec)}
        grants = [grant for statement in spec.statements for grant in _apart(statement)]
        for need in needs:
            if not any(covers(statement, need) for statement in spec.statements):
                found.append(f"{name} lacks {told(need)}")
        for grant in grants:
            if not any(_uses(grant, need) for need in needs):
                found.append(f"{name} never uses {grant.sid}: {_told(grant)}")
        plain = [replace(grant, sid="") for grant in grants]
        twice = {_told(grant) for grant in plain if plain.count(grant) > 1}
        found += [f"{name} is granted twice: {grant}" for grant in twice]
    return sorted(found)


def _apart(statement: Statement) -> Iterator[Statement]:
    """The smallest grants that a statement is made of: one of everything that it lists."""
    for action in statement.actions:
        for resource in statement.resources:
            for limits in product(*map(_one_by_one, (statement.leading_keys, statement.attributes, statement.via))):
                yield Statement(statement.sid, (action,), (resource,), *limits)


def _one_by_one(patterns: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(pattern,) for pattern in patterns] or [()]


def _uses(grant: Statement, need: Need) -> bool:
    """Whether a need makes use of one of the smallest grants: of attributes, one is enough."""
    if not grant.attributes:
        return covers(grant, need)
    return any(covers(grant, need._replace(attributes=frozenset({name}))) for name in need.attributes)


def _told(grant: Statement) -> str:
    limits = [*grant.leading_keys, *grant.attributes, *grant.via]
    return " ".join((*grant.actions, "on", *grant.resources, *limits))


class Recorder:
    """Keeps what functions need, request by request, and looks at every entry that is put."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._needs = Needs(template)
        self._folders = {spec.code for spec in template.functions.values()}
        self.used: dict[str, set[Need]] = {}
        self.requests = 0
        self.entries_put = 0
        self.unguarded: set[str] = set()

    def __call__(self, spec: FunctionSpec, service: str, operation: str, body: Mapping[str, Any]) -> None:
        """Take one request of a function; those of other templates, which some tests have, are no concern here."""
        if spec.code not in self._folders:
            return
        self.requests += 1
        used = self.used.setdefault(spec.code.name, set())
        for need in self._needs.of(service, operation, body):
            used.add(of_kind(need))
        for put in puts(operation, body):
            if put["Item"]["pk"]["S"].startswith("E#"):
                self.entries_put += 1
                if not only_where_new(put):
                    self.unguarded.add(f"{spec.code.name} puts an entry without attribute_not_exists: {operation}")

    def sent(self) -> dict[str, Any]:
        """What was seen, in plain lists, numbers and texts, for another process to ``take``."""
        used = {
            name: [[*need[:3], sorted(need.attributes), need.via] for need in used] for name, used in self.used.items()
        }
        counts = {"requests": self.requests, "entries_put": self.entries_put}
        return {**counts, "used": used, "unguarded": sorted(self.unguarded)}

    def take(self, sent: Mapping[str, Any]) -> None:
        """Take what another process has seen."""
        self.requests += sent.get("requests", 0)
        self.entries_put += sent.get("entries_put", 0)
        self.unguarded.update(sent.get("unguarded", ()))
        for name, needs in sent.get("used", {}).items():
            self.used.setdefault(name, set()).update(
                Need(action, on, key, frozenset(attributes), via) for action, on, key, attributes, via in needs
            )


def puts(operation: str, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every put in a request to DynamoDB: each has an ``Item``, and a ``ConditionExpression`` where it has one."""
    if operation == "PutItem":
        yield body
    elif operation == "TransactWriteItems":
        for item in body["TransactItems"]:
            if "Put" in item:
                yield item["Put"]
    elif operation == "BatchWriteItem":
        for requests in body["RequestItems"].values():
            for request in requests:
                if "PutRequest" in request:
                    yield request["PutRequest"]


def only_where_new(put: Mapping[str, Any]) -> bool:
    """Whether a put's condition is that its key is not there yet, and nothing weaker."""
    match = _ONLY_WHERE_NEW.fullmatch(put.get("ConditionExpression") or "")
    return match is not None and put.get("ExpressionAttributeNames", {}).get(match[1], match[1]) == "pk"
