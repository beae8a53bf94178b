"""What can be wrong, as classes that every room shares.

Each error carries a stable `code`, for machines, and a `detail`, for people. Neither ever holds more of the
sender's input than the names of the fields at fault.
"""

from collections.abc import Sequence
from typing import NamedTuple

# `detail` travels with a dead letter and in a problem document: it has to stay small.
_DETAIL_FIELDS_MAX = 20
_NAME_CHARS_MAX = 64
_FRAMES_SHOWN_MAX = 8

FIELD_ERRORS_MAX = 3_000
"""An answer names at most so many fields one by one: an order of 500 lines that are all wrong still fits."""


class FieldError(NamedTuple):
    """One field at fault: its JSON pointer (RFC 6901), a stable code, and what is expected there."""

    pointer: str
    code: str
    detail: str


class ClubError(Exception):
    """The base of every error that the club gives on purpose; `code` is stable and documented."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class InvalidInput(ClubError):
    """Input that is wrong in itself, whoever sends it and whenever.

    `errors` holds every field at fault, the first 3,000 one by one and the rest as a number. `code` is the code of
    the first; `detail` names the fields, the first twenty of them one by one.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        if not errors:
            raise ValueError("an InvalidInput needs at least one field at fault")
        super().__init__(errors[0].code, _named(errors))
        self.errors = _bounded(errors)


class Refused(ClubError):
    """An event that is well formed and yet can never be posted: `event_id_reused`, `member_erased`, ..."""


class NotFound(ClubError):
    """There is no such thing, or none that this caller may know of."""


def member_not_found() -> NotFound:
    """Make the one answer for a member who does not exist, was erased, or is not the caller's to see."""
    return NotFound("member_not_found", "there is no such member")


class Conflict(ClubError):
    """The same id was used before, with other content."""


class Forbidden(ClubError):
    """The caller lacks a scope."""


class TooLarge(ClubError):
    """The input is bigger than the contract allows."""


class Unavailable(ClubError):
    """A service that is needed does not answer: nothing was stored, and the request may be sent again."""


def pointer_token(name: str) -> str:
    """Write a sender's field name as a token of a JSON pointer (RFC 6901).

    Of a long name only the beginning is shown, and what is not printable as an escape: the pointer goes into
    answers and dead letters, and must be harmless there.
    """
    if len(name) > _NAME_CHARS_MAX:
        name = f"{name[:_NAME_CHARS_MAX]}..."
    if not name.isprintable():
        name = name.encode("unicode_escape").decode("ascii")
    return name.replace("~", "~0").replace("/", "~1")


def _bounded(errors: Sequence[FieldError]) -> list[FieldError]:
    """Keep an answer to a bounded size; what is left out is at least counted."""
    rest = len(errors) - FIELD_ERRORS_MAX
    if rest <= 0:
        return list(errors)
    return [*errors[:FIELD_ERRORS_MAX], FieldError("", "too_many", f"{rest} more fields are wrong")]


def described(error: BaseException) -> str:
    """Say what kind of exception it was and which way it came, innermost last, without its text.

    For the log: the text may hold a part of what was sent or stored, and logs hold ids only (architecture 3.6).
    """
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN_MAX:]
    way = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}{_service_code(error)} at {way}"


def _service_code(error: BaseException) -> str:
    """Return the code in an error answer of AWS, such as " (AccessDenied)": it is no word of a caller's."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return f" ({code})" if isinstance(code, str) else ""


def _named(errors: Sequence[FieldError]) -> str:
    """Say what is wrong with each field, and how many more there are beyond the first twenty."""
    named = [f"{error.pointer or 'the whole'}: {error.detail}" for error in errors[:_DETAIL_FIELDS_MAX]]
    if len(errors) > _DETAIL_FIELDS_MAX:
        named.append(f"and {len(errors) - _DETAIL_FIELDS_MAX} more")
    return "; ".join(named)
