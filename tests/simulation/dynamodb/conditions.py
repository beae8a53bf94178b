"""Condition, filter and key condition expressions: the developer guide's "Condition and filter expressions"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tests.simulation.dynamodb.errors import Invalid
from tests.simulation.dynamodb.tokens import Given, Path, Reader, Values
from tests.simulation.dynamodb.values import ELEMENT_OF, TYPES, Item, Value, kind_of, ordered

MAX_OPERATORS = 300
"""Operators and functions in one expression, by the service's quotas."""

MAX_IN = 100

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARGUMENTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}


class Operand(Protocol):
    """What has a value, in an item and with a request's values; or none."""

    def value(self, item: Item, values: Values) -> Value | None:
        """The value, or ``None`` where there is none."""


class Condition(Protocol):
    """What holds or not. ``check`` raises ``Invalid`` for values that it can't be asked with."""

    def holds(self, item: Item, values: Values) -> bool:
        """Whether it holds of an item; an empty one stands for none."""

    def check(self, values: Values) -> None:
        """Looks at the request's values alone."""


class Size(NamedTuple):
    """``size(operand)``."""

    of: Operand

    def value(self, item: Item, values: Values) -> Value | None:
        """The length as a number, of what has one."""
        found = self.of.value(item, values)
        if found is None or kind_of(found) in {"N", "BOOL", "NULL"}:
            return None
        return {"N": str(len(next(iter(found.values()))))}


class Compare(NamedTuple):
    """``left = right`` and the like."""

    sign: str
    left: Operand
    right: Operand

    def holds(self, item: Item, values: Values) -> bool:
        left, right = self.left.value(item, values), self.right.value(item, values)
        if self.sign == "<>":
            return left != right
        if left is None or right is None:
            return False
        if self.sign == "=":
            return left == right
        order = ordered(left, right)
        return order is not None and _COMPARE[self.sign](order, 0)

    def check(self, values: Values) -> None:
        if self.left == self.right and isinstance(self.left, Path):
            raise Invalid(_not_distinct(self.sign, self.left))
        if self.sign in _COMPARE:
            for operand in (self.left, self.right):
                if isinstance(operand, Given):
                    _check_kind(values[operand.name], {"S", "N", "B"}, self.sign, "operator")


class Between(NamedTuple):
    """``operand BETWEEN low AND high``."""

    operand: Operand
    low: Operand
    high: Operand

    def holds(self, item: Item, values: Values) -> bool:
        found = self.operand.value(item, values)
        low, high = self.low.value(item, values), self.high.value(item, values)
        if found is None or low is None or high is None:
            return False
        return ordered(low, found) in {-1, 0} and ordered(found, high) in {-1, 0}

    def check(self, values: Values) -> None:
        bounds = [values[each.name] for each in (self.low, self.high) if isinstance(each, Given)]
        for bound in bounds:
            _check_kind(bound, {"S", "N", "B"}, "BETWEEN", "operator")
        if len(bounds) < 2:
            return
        shown = "; lower bound operand: {}, upper bound operand: {}".format(*map(_shown, bounds))
        if kind_of(bounds[0]) != kind_of(bounds[1]):
            raise Invalid("The BETWEEN operator requires same data type for lower and upper bounds" + shown)
        if ordered(*bounds) == 1:
            raise Invalid(
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound" + shown
            )


class In(NamedTuple):
    """``operand IN (a, b, ...)``."""

    operand: Operand
    among: tuple[Operand, ...]

    def holds(self, item: Item, values: Values) -> bool:
        found = self.operand.value(item, values)
        return found is not None and any(found == each.value(item, values) for each in self.among)

    def check(self, values: Values) -> None:
        if len(self.among) > MAX_IN:
            raise Invalid(
                "Too many operands for operator or function; operator or function: IN, "
                f"number of operands: {len(self.among) + 1}"
            )


class Exists(NamedTuple):
    """``attribute_exists(path)``; not, where ``wanted`` is false."""

    path: Operand
    wanted: bool

    def holds(self, item: Item, values: Values) -> bool:
        return (self.path.value(item, values) is not None) is self.wanted

    def check(self, values: Values) -> None:
        if not isinstance(self.path, Path):
            name = "attribute_exists" if self.wanted else "attribute_not_exists"
            raise Invalid(f"Operator or function requires a document path; operator or function: {name}")


class OfType(NamedTuple):
    """``attribute_type(path, type)``."""

    path: Operand
    kind: Operand

    def holds(self, item: Item, values: Values) -> bool:
        found, kind = self.path.value(item, values), self.kind.value(item, values)
        return found is not None and kind == {"S": kind_of(found)}

    def check(self, values: Values) -> None:
        if not isinstance(self.path, Path):
            raise Invalid("Operator or function requires a document path; operator or function: attribute_type")
        if not isinstance(self.kind, Given):
            raise Invalid(_wrong_kind("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"))
        value = values[self.kind.name]
        _check_kind(value, {"S"}, "attribute_type")
        if value["S"] not in TYPES:
            valid = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
            raise Invalid(f"Invalid attribute type name found; type: {value['S']}, valid types: {valid}")


class BeginsWith(NamedTuple):
    """``begins_with(operand, beginning)``."""

    operand: Operand
    beginning: Operand

    def holds(self, item: Item, values: Values) -> bool:
        found, beginning = self.operand.value(item, values), self.beginning.value(item, values)
        if found is None or beginning is None or kind_of(found) != kind_of(beginning):
            return False
        kind = kind_of(found)
        return kind in {"S", "B"} and found[kind].startswith(beginning[kind])

    def check(self, values: Values) -> None:
        _check_distinct("begins_with", self.operand, self.beginning)
        for each in (self.operand, self.beginning):
            if isinstance(each, Size):
                raise Invalid(_wrong_kind("begins_with", "N"))
            if isinstance(each, Given):
                _check_kind(values[each.name], {"S", "B"}, "begins_with")


class Contains(NamedTuple):
    """``contains(operand, part)``: within a string or bytes, or among the elements of a set or list."""

    operand: Operand
    part: Operand

    def holds(self, item: Item, values: Values) -> bool:
        found, part = self.operand.value(item, values), self.part.value(item, values)
        if found is None or part is None:
            return False
        kind, of_part = kind_of(found), kind_of(part)
        if kind == "L":
            return part in found["L"]
        if kind in ELEMENT_OF:
            return of_part == ELEMENT_OF[kind] and part[of_part] in found[kind]
        return kind == of_part and kind in {"S", "B"} and part[kind] in found[kind]

    def check(self, values: Values) -> None:
        _check_distinct("contains", self.operand, self.part)


class And(NamedTuple):
    """Both."""

    left: Condition
    right: Condition

    def holds(self, item: Item, values: Values) -> bool:
        return self.left.holds(item, values) and self.right.holds(item, values)

    def check(self, values: Values) -> None:
        self.left.check(values)
        self.right.check(values)


class Or(NamedTuple):
    """One of them, or both."""

    left: Condition
    right: Condition

    def holds(self, item: Item, values: Values) -> bool:
        return self.left.holds(item, values) or self.right.holds(item, values)

    def check(self, values: Values) -> None:
        self.left.check(values)
        self.right.check(values)


class Not(NamedTuple):
    """The contrary."""

    condition: Condition

    def holds(self, item: Item, values: Values) -> bool:
        return not self.condition.holds(item, values)

    def check(self, values: Values) -> None:
        self.condition.check(values)


def _check_kind(value: Value, allowed: set[str], name: str, what: str = "operator or function") -> None:
    if kind_of(value) not in allowed:
        if what == "operator":
            raise Invalid(
                f"Incorrect operand type for operator or function; operator: {name}, operand type: {kind_of(value)}"
            )
        raise Invalid(_wrong_kind(name, kind_of(value)))


def _wrong_kind(name: str, kind: str) -> str:
    return f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"


def _check_distinct(name: str, left: Operand, right: Operand) -> None:
    if isinstance(left, Path) and left == right:
        raise Invalid(_not_distinct(name, left))


def _not_distinct(name: str, path: Path) -> str:
    return (
        "The first operand must be distinct from the remaining operands for this operator or function; "
        f"operator: {name}, first operand: {path}"
    )


def _shown(value: Value) -> str:
    ((kind, content),) = value.items()
    return f"AttributeValue: {{{kind}:{content}}}"


class _Conditions:
    """Reads a condition: OR binds least, then AND, then NOT."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.operators = 0

    def either(self) -> Condition:
        found = self.both()
        while self.reader.accept("OR"):
            self._count()
            found = Or(found, self.both())
        return found

    def both(self) -> Condition:
        found = self.negated()
        while self.reader.accept("AND"):
            self._count()
            found = And(found, self.negated())
        return found

    def negated(self) -> Condition:
        if self.reader.accept("NOT"):
            self._count()
            return Not(self.negated())
        return self.primary()

    def primary(self) -> Condition:
        if self.reader.peek() == "(":
            before = self.reader.at
            grouped = self._grouped()
            if grouped is not None:
                return grouped
            self.reader.at = before  # the parentheses are about an operand
        elif self._at_function() and self.reader.peek() != "size":
            return self.function()
        return self._of_operand(self.operand())

    def _grouped(self) -> Condition | None:
        """A condition in parentheses; ``None`` where it is an operand that is in them."""
        closing = self._closing(self.reader.at)
        follows = self.reader.tokens[closing + 1].upper() if closing + 1 < len(self.reader.tokens) else ""
        if follows in {"=", "<>", "<", "<=", ">", ">=", "BETWEEN", "IN"}:
            return None
        if self.reader.peek(1) == "(" and self._closing(self.reader.at + 1) == closing - 1:
            raise Invalid("The expression has redundant parentheses;")
        self.reader.expect("(")
        found = self.either()
        self.reader.expect(")")
        return found

    def _closing(self, opening: int) -> int:
        depth = 0
        for at in range(opening, len(self.reader.tokens)):
            token = self.reader.tokens[at]
            depth += (token == "(") - (token == ")")
            if depth == 0:
                return at
        self.reader.at = len(self.reader.tokens)
        raise self.reader.failure()

    def _of_operand(self, left: Operand) -> Condition:
        self._count()
        sign = self.reader.take().upper()
        if sign in {"=", "<>", *_COMPARE}:
            return Compare(sign, left, self.operand())
        if sign == "BETWEEN":
            low = self.operand()
            self.reader.expect("AND")
            return Between(left, low, self.operand())
        if sign == "IN":
            self.reader.expect("(")
            return In(left, self._arguments())
        self.reader.at -= 1
        raise self.reader.failure()

    def operand(self) -> Operand:
        """A path, a value or a size."""
        if self.reader.accept("("):
            found = self.operand()
            self.reader.expect(")")
            return found
        if self._at_function():
            name = self.reader.peek()
            if name in _ARGUMENTS and name != "size":
                raise Invalid(f"The function is not allowed to be used this way in an expression; function: {name}")
            return self._size()
        return self.reader.given() if self.reader.peek()[:1] == ":" else self.reader.path()

    def _at_function(self) -> bool:
        return self.reader.is_word() and self.reader.peek(1) == "("

    def _size(self) -> Operand:
        (operand,) = self._call()
        if isinstance(operand, Size):
            raise Invalid(_wrong_kind("size", "N"))
        return Size(operand)

    def function(self) -> Condition:
        """A function that holds or not."""
        name = self.reader.peek()
        self._count()
        operands = self._call()
        if name in {"attribute_exists", "attribute_not_exists"}:
            return Exists(operands[0], name == "attribute_exists")
        left, right = operands
        if name == "attribute_type":
            return OfType(left, right)
        return BeginsWith(left, right) if name == "begins_with" else Contains(left, right)

    def _call(self) -> tuple[Operand, ...]:
        name = self.reader.take()
        if name not in _ARGUMENTS:
            raise Invalid(f"Invalid function name; function: {name}")
        self.reader.expect("(")
        operands = self._arguments()
        if len(operands) != _ARGUMENTS[name]:
            raise Invalid(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {name}, number of operands: {len(operands)}"
            )
        return operands

    def _arguments(self) -> tuple[Operand, ...]:
        found = [self.operand()]
        while self.reader.accept(","):
            found.append(self.operand())
        self.reader.expect(")")
        return tuple(found)

    def _count(self) -> None:
        self.operators += 1
        if self.operators > MAX_OPERATORS:
            raise Invalid(
                "The expression contains too many operators; "
                f"operator count: {self.operators}, maximum operator count: {MAX_OPERATORS}"
            )


def read_condition(reader: Reader) -> Condition:
    """The condition that the expression states. Raises ``Invalid``."""
    found = _Conditions(reader).either()
    reader.finish()
    return found


def paths_of(node: object) -> list[Path]:
    """Every path that a condition looks at."""
    if isinstance(node, Path):
        return [node]
    parts: Sequence[object] = node if isinstance(node, tuple) else ()
    return [path for part in parts for path in paths_of(part)]


class KeyCondition(NamedTuple):
    """Which part of a table or index a query is about: ``sign`` and ``bounds`` are about the sort key, if they are."""

    hash: Value
    sign: str | None = None
    bounds: tuple[Value, ...] = ()


_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def key_condition(condition: Condition, values: Values, hash_name: str, range_name: str | None) -> KeyCondition:
    """What a key condition asks for, by the names of the keys. Raises ``Invalid`` for what no query can answer."""
    by_name: dict[str, tuple[str, tuple[Value, ...]]] = {}
    for part in _key_parts(condition):
        name, sign, operands = _key_part(part)
        if name in by_name:
            raise Invalid("KeyConditionExpressions must only contain one condition per key")
        by_name[name] = sign, tuple(each.value({}, values) for each in operands)
    if len(by_name) > 2:
        raise Invalid("Conditions can be of length 1 or 2 only")
    if range_name is None and len(by_name) > 1:
        raise Invalid("Query key condition not supported")
    if hash_name not in by_name:
        raise Invalid(f"Query condition missed key schema element: {hash_name}")
    sign, bounds = by_name.pop(hash_name)
    if sign != "=":
        raise Invalid("Query key condition not supported")
    if not by_name:
        return KeyCondition(bounds[0])
    if range_name not in by_name:
        raise Invalid(f"Query condition missed key schema element: {range_name}")
    return KeyCondition(bounds[0], *by_name[range_name])


def _key_parts(condition: Condition) -> list[Condition]:
    if isinstance(condition, And):
        return _key_parts(condition.left) + _key_parts(condition.right)
    return [condition]


def _key_part(part: Condition) -> tuple[str, str, tuple[Given, ...]]:
    """The attribute that one condition is about, the sign, and the values that it is compared with."""
    named = {Or: "OR", Not: "NOT", In: "IN", OfType: "attribute_type", Contains: "contains"}
    if type(part) in named:
        raise Invalid(f"Invalid operator used in KeyConditionExpression: {named[type(part)]}")
    if isinstance(part, Exists):
        raise Invalid(
            f"Invalid operator used in KeyConditionExpression: attribute_{'' if part.wanted else 'not_'}exists"
        )
    sign, operands = {
        Compare: lambda: (part.sign, (part.left, part.right)),  # type: ignore[attr-defined]
        Between: lambda: ("BETWEEN", (part.operand, part.low, part.high)),  # type: ignore[attr-defined]
        BeginsWith: lambda: ("begins_with", (part.operand, part.beginning)),  # type: ignore[attr-defined]
    }[type(part)]()
    if sign == "<>":
        raise Invalid("Invalid operator used in KeyConditionExpression: <>")
    if any(isinstance(each, Size) for each in operands):
        raise Invalid("KeyConditionExpressions cannot contain nested operations")
    paths = [each for each in operands if isinstance(each, Path)]
    if len(paths) > 1:
        raise Invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
    if not paths:
        raise Invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
    if len(paths[0].parts) > 1:
        raise Invalid("KeyConditionExpressions cannot have conditions on nested attributes")
    if operands[0] is not paths[0]:
        if sign not in _MIRRORED:
            raise Invalid(
                f"Invalid condition in KeyConditionExpression: {sign} operator must have the key attribute as its "
                "first operand"
            )
        sign = _MIRRORED[sign]
    return str(paths[0].parts[0]), sign, tuple(each for each in operands if each is not paths[0])
