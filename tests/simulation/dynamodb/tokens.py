"""The words of DynamoDB's expressions, and what every kind of expression is read with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from tests.simulation.dynamodb.errors import Invalid
from tests.simulation.dynamodb.reserved import RESERVED
from tests.simulation.dynamodb.values import Item, Value

MAX_LENGTH = 4096
"""Bytes of one expression."""

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_]*)|([#:][A-Za-z0-9_]+)|([0-9]+)|(<>|<=|>=|[=<>()\[\],.+-]))")
_BLANK = re.compile(r"\s*")

Values = Mapping[str, Value]


class Path(NamedTuple):
    """Where a value is in an item: names of attributes and map entries, and positions in lists."""

    parts: tuple[str | int, ...]

    def value(self, item: Item, values: Values) -> Value | None:
        """What is there, or ``None``."""
        found = item.get(self.parts[0])  # type: ignore[arg-type]
        for part in self.parts[1:]:
            if found is None:
                return None
            if isinstance(part, str):
                found = found["M"].get(part) if "M" in found else None
            else:
                found = found["L"][part] if "L" in found and part < len(found["L"]) else None
        return found

    def __str__(self) -> str:
        return f"[{', '.join(f'[{part}]' if isinstance(part, int) else part for part in self.parts)}]"


class Given(NamedTuple):
    """A placeholder for one of the request's values."""

    name: str

    def value(self, item: Item, values: Values) -> Value:
        """The request's value."""
        return values[self.name]


class Reader:
    """Reads an expression from left to right. ``names`` and ``values`` collect the placeholders that it uses."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        if not text:
            raise Invalid("The expression can not be empty;")
        if len(text.encode()) > MAX_LENGTH:
            raise Invalid(
                f"Expression size has exceeded the maximum allowed size; expression size: {len(text.encode())}"
            )
        self.text = text
        self.tokens = self._split(text)
        self.at = 0
        self.known = known
        self.names: set[str] = set()
        self.values: set[str] = set()

    def _split(self, text: str) -> list[str]:
        tokens, position = [], 0
        end = len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                start = _BLANK.match(text, position).end()  # type: ignore[union-attr]
                raise Invalid(f'Syntax error; token: "{text[start]}", near: "{text[max(0, start - 8) : start + 8]}"')
            tokens.append(found.group(found.lastindex or 0))
            position = found.end()
        return tokens

    def peek(self, ahead: int = 0) -> str:
        """The next token, or one behind it; empty at the end."""
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self) -> str:
        """The next token, which is done with."""
        token = self.peek()
        if not token:
            self.fail()
        self.at += 1
        return token

    def accept(self, *wanted: str) -> bool:
        """Takes the next token if it is one of those; words in any case."""
        if self.peek().upper() in wanted:
            self.at += 1
            return True
        return False

    def expect(self, wanted: str) -> None:
        """Takes the next token, which must be this."""
        if not self.accept(wanted):
            self.fail()

    def fail(self) -> NoReturn:
        """Raises ``failure``."""
        raise self.failure()

    def failure(self) -> Invalid:
        """The expression doesn't go on like this."""
        near = " ".join(self.tokens[max(0, self.at - 1) : self.at + 2])
        return Invalid(f'Syntax error; token: "{self.peek() or "<EOF>"}", near: "{near}"')

    def finish(self) -> None:
        """Raises ``Invalid`` unless everything has been read."""
        if self.peek():
            self.fail()

    def is_word(self, ahead: int = 0) -> bool:
        """Whether the next token is a name as it stands, or a placeholder of one."""
        token = self.peek(ahead)
        return token[:1] == "#" or token[:1] == "_" or token[:1].isalpha()

    def path(self) -> Path:
        """A document path."""
        parts: list[str | int] = [self._name()]
        while True:
            if self.accept("."):
                parts.append(self._name())
            elif self.accept("["):
                position = self.take()
                if not position.isdecimal():
                    self.at -= 1
                    self.fail()
                parts.append(int(position))
                self.expect("]")
            else:
                return Path(tuple(parts))

    def _name(self) -> str:
        if not self.is_word():
            self.fail()
        token = self.take()
        if token[0] == "#":
            if token not in self.known:
                raise Invalid(
                    "An expression attribute name used in the document path is not defined; attribute name: " + token
                )
            self.names.add(token)
            return self.known[token]
        if token.upper() in RESERVED:
            raise Invalid(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def given(self) -> Given:
        """A placeholder of a value."""
        if self.peek()[:1] != ":":
            self.fail()
        token = self.take()
        self.values.add(token)
        return Given(token)


def check_apart(paths: list[Path]) -> None:
    """Raises ``Invalid`` where two paths are the same place, one is within the other, or they can't both be."""
    for at, one in enumerate(paths):
        for other in paths[at + 1 :]:
            for left, right in zip(one.parts, other.parts, strict=False):
                if left == right:
                    continue
                if isinstance(left, int) != isinstance(right, int):
                    raise Invalid(_apart("conflict", one, other))
                break
            else:
                raise Invalid(_apart("overlap", one, other))


def _apart(how: str, one: Path, other: Path) -> str:
    return (
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {one}, path two: {other}"
    )
