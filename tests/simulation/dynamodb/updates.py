"""Update expressions: the developer guide's "Using update expressions in DynamoDB"."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.simulation.dynamodb.conditions import Operand
from tests.simulation.dynamodb.errors import Invalid
from tests.simulation.dynamodb.tokens import Given, Path, Reader, Values, check_apart
from tests.simulation.dynamodb.values import ELEMENT_OF, Item, Value, added, kind_of, sorted_set

_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_NO_SUCH_PATH = "The document path provided in the update expression is invalid for update"
_NO_SUCH_VALUE = "The provided expression refers to an attribute that does not exist in the item"
_LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
    "L": "LIST",
    "M": "MAP",
}

_GONE: Value = {}
"""Stands in a list where an element was, until all positions have been looked up."""


class IfNotExists(NamedTuple):
    """``if_not_exists(path, otherwise)``."""

    path: Path
    otherwise: Operand

    def value(self, item: Item, values: Values) -> Value | None:
        """What is there, or the other value."""
        found = self.path.value(item, values)
        return self.otherwise.value(item, values) if found is None else found


class ListAppend(NamedTuple):
    """``list_append(left, right)``."""

    left: Operand
    right: Operand

    def value(self, item: Item, values: Values) -> Value:
        """Both lists as one."""
        left, right = _there(self.left, item, values), _there(self.right, item, values)
        if "L" not in left or "L" not in right:
            raise Invalid(_WRONG_TYPE)
        return {"L": [*left["L"], *right["L"]]}


class Sum(NamedTuple):
    """``left + right``, or ``-`` where ``sign`` is -1."""

    left: Operand
    right: Operand
    sign: int

    def value(self, item: Item, values: Values) -> Value:
        """The number."""
        left, right = _there(self.left, item, values), _there(self.right, item, values)
        if "N" not in left or "N" not in right:
            raise Invalid(_WRONG_TYPE)
        return {"N": added(left["N"], right["N"], self.sign)}


def _there(operand: Operand, item: Item, values: Values) -> Value:
    found = operand.value(item, values)
    if found is None:
        raise Invalid(_NO_SUCH_VALUE)
    return found


class Action(NamedTuple):
    """One change: what of ``_SECTIONS``, where, and with what (nothing for REMOVE)."""

    section: str
    path: Path
    operand: Operand | None


class Update(NamedTuple):
    """All the changes of an update expression."""

    actions: tuple[Action, ...]

    @property
    def paths(self) -> list[Path]:
        """The places that are written."""
        return [action.path for action in self.actions]

    @property
    def only_takes_away(self) -> bool:
        """Whether nothing is put anywhere; such an update makes no item of none."""
        return bool(self.actions) and all(action.section in {"REMOVE", "DELETE"} for action in self.actions)

    def check(self, values: Values) -> None:
        """Raises ``Invalid`` for values that the actions can't be carried out with, whatever the item."""
        for action in self.actions:
            if action.section in {"ADD", "DELETE"}:
                assert isinstance(action.operand, Given)
                kind = kind_of(values[action.operand.name])
                if kind not in ELEMENT_OF and not (kind == "N" and action.section == "ADD"):
                    raise Invalid(
                        "Incorrect operand type for operator or function; "
                        f"operator: {action.section}, operand type: {_LONG_NAMES[kind]}"
                    )
            elif action.operand is not None:
                _check_operand(action.operand, values)

    def apply(self, item: Item, values: Values) -> Item:
        """The item as it is afterwards; the one given stays as it is. Raises ``Invalid`` for what it doesn't fit."""
        new = dict(item)
        shrunk: set[tuple[str | int, ...]] = set()
        written = [(action, self._written(action, item, values)) for action in self.actions]
        # Elements behind the end of a list are appended in the order of their positions.
        written.sort(key=lambda each: each[0].path.parts[-1] if isinstance(each[0].path.parts[-1], int) else -1)
        for action, value in written:
            parts = action.path.parts
            if len(parts) == 1:
                if value is _GONE:
                    new.pop(str(parts[0]), None)
                else:
                    new[str(parts[0])] = value
                continue
            parent = _opened(new, parts[:-1])
            _put(parent, parts[-1], value)
            if value is _GONE:
                shrunk.add(parts[:-1])
        for parts in sorted(shrunk, key=len, reverse=True):
            parent = _opened(new, parts)
            if isinstance(parent, list):
                parent[:] = [each for each in parent if each is not _GONE]
        return new

    def _written(self, action: Action, item: Item, values: Values) -> Value:
        """What is to stand there in the end; ``_GONE`` for nothing. All of it follows from the item as it was."""
        if action.section == "REMOVE":
            return _GONE
        assert action.operand is not None
        given = _there(action.operand, item, values)
        if action.section == "SET":
            return given
        found = action.path.value(item, values)
        kind = kind_of(given)
        if found is not None and kind not in found:
            raise Invalid(_WRONG_TYPE)
        if action.section == "ADD":
            if kind == "N":
                return {"N": added(found["N"], given["N"], 1)} if found is not None else given
            return {kind: sorted_set(kind, {*(found[kind] if found is not None else ()), *given[kind]})}
        left = [each for each in found[kind] if each not in given[kind]] if found is not None else []
        return {kind: left} if left else _GONE


def _opened(item: Item, parts: tuple[str | int, ...]) -> Any:
    """The list or map there, made anew on the way down so that no version shares it. Raises ``Invalid``."""
    container: Any = item
    for part in parts:
        held = isinstance(part, int) and isinstance(container, list) and part < len(container)
        if not held and not (isinstance(part, str) and isinstance(container, dict) and part in container):
            raise Invalid(_NO_SUCH_PATH)
        value = container[part]
        if "M" in value:
            fresh: Any = dict(value["M"])
            container[part] = {"M": fresh}
        elif "L" in value:
            fresh = list(value["L"])
            container[part] = {"L": fresh}
        else:
            raise Invalid(_NO_SUCH_PATH)
        container = fresh
    return container


def _put(container: Any, part: str | int, value: Value) -> None:
    if isinstance(part, str) != isinstance(container, dict):
        raise Invalid(_NO_SUCH_PATH)
    if isinstance(container, dict):
        if value is _GONE:
            container.pop(part, None)
        else:
            container[part] = value
    elif isinstance(part, int) and part < len(container):
        container[part] = value
    elif value is not _GONE:
        container.append(value)


def _check_operand(operand: Operand, values: Values) -> None:
    wanted = {ListAppend: ("list_append", "L"), Sum: ("+", "N")}.get(type(operand))
    if wanted is None:
        if isinstance(operand, IfNotExists):
            _check_operand(operand.otherwise, values)
        return
    name, kind = wanted
    if isinstance(operand, Sum) and operand.sign < 0:
        name = "-"
    for each in (operand.left, operand.right):  # type: ignore[attr-defined]
        found = _kind_before(each, values)
        if found is not None and found != kind:
            raise Invalid(
                f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {found}"
            )
        _check_operand(each, values)


def _kind_before(operand: Operand, values: Values) -> str | None:
    """The type that an operand has whatever the item, or ``None``."""
    if isinstance(operand, Given):
        return kind_of(values[operand.name])
    return {ListAppend: "L", Sum: "N"}.get(type(operand))


def read_update(reader: Reader) -> Update:
    """The changes that the expression states. Raises ``Invalid``."""
    actions: list[Action] = []
    seen: set[str] = set()
    while reader.peek():
        section = reader.take().upper()
        if section not in _SECTIONS:
            reader.at -= 1
            reader.fail()
        if section in seen:
            raise Invalid(f'The "{section}" section can only be used once in an update expression;')
        seen.add(section)
        actions.append(_action(reader, section))
        while reader.accept(","):
            actions.append(_action(reader, section))
    update = Update(tuple(actions))
    check_apart(update.paths)
    return update


def _action(reader: Reader, section: str) -> Action:
    path = reader.path()
    if section == "REMOVE":
        return Action(section, path, None)
    if section == "SET":
        reader.expect("=")
        return Action(section, path, _new_value(reader))
    return Action(section, path, reader.given())


def _new_value(reader: Reader) -> Operand:
    if reader.peek() == "(":
        before = reader.at
        reader.take()
        found = _new_value(reader)
        reader.expect(")")
        if reader.peek() not in {"+", "-"}:
            return found
        reader.at = before
    left = _operand(reader)
    if reader.accept("+"):
        return Sum(left, _operand(reader), 1)
    if reader.accept("-"):
        return Sum(left, _operand(reader), -1)
    return left


def _operand(reader: Reader) -> Operand:
    if reader.accept("("):
        found = _operand(reader)
        reader.expect(")")
        return found
    if reader.is_word() and reader.peek(1) == "(":
        return _function(reader)
    return reader.given() if reader.peek()[:1] == ":" else reader.path()


def _function(reader: Reader) -> Operand:
    name = reader.take()
    if name not in {"if_not_exists", "list_append"}:
        raise Invalid(f"Invalid function name; function: {name}")
    reader.expect("(")
    operands = [_operand(reader)]
    while reader.accept(","):
        operands.append(_operand(reader))
    reader.expect(")")
    if len(operands) != 2:
        raise Invalid(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(operands)}"
        )
    if name == "list_append":
        return ListAppend(*operands)
    if not isinstance(operands[0], Path):
        raise Invalid("Operator or function requires a document path; operator or function: if_not_exists")
    return IfNotExists(operands[0], operands[1])
