"""Projection expressions, and the parts of an item that an update has touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.simulation.dynamodb.tokens import Path, Reader, check_apart
from tests.simulation.dynamodb.values import Item, Value

Tree = dict[str | int, Any]
"""What is wanted below a place: ``None`` for all of it."""


def read_projection(reader: Reader) -> tuple[Path, ...]:
    """The paths that the expression names. Raises ``Invalid``."""
    paths = [reader.path()]
    while reader.accept(","):
        paths.append(reader.path())
    reader.finish()
    check_apart(paths)
    return tuple(paths)


def project(item: Item, paths: Iterable[Path]) -> Item:
    """The parts of an item at these paths, nested as they are there; lists hold what was asked of them, in order."""
    tree: Tree = {}
    for path in paths:
        at = tree
        for part in path.parts[:-1]:
            at = at.setdefault(part, {})
        at[path.parts[-1]] = None
    found = _of_map(item, tree)
    return {} if found is None else found


def _of_map(content: dict[str, Value], tree: Tree) -> dict[str, Value] | None:
    kept = {}
    for name, below in tree.items():
        if isinstance(name, str) and name in content:
            value = _of_value(content[name], below)
            if value is not None:
                kept[name] = value
    return kept or None


def _of_value(value: Value, tree: Tree | None) -> Value | None:
    if tree is None:
        return value
    if "M" in value:
        found = _of_map(value["M"], tree)
        return None if found is None else {"M": found}
    if "L" not in value:
        return None
    kept = []
    for position in sorted(each for each in tree if isinstance(each, int)):
        if position < len(value["L"]):
            element = _of_value(value["L"][position], tree[position])
            if element is not None:
                kept.append(element)
    return {"L": kept} if kept else None
