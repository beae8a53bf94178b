"""The frame around handlers that answer no caller: what an error may say once it leaves them."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from botocore.exceptions import ClientError

from club_ledger.framing import Defect, framed
from club_rules.errors import FieldError, InvalidInput, Refused, Unavailable

SECRET = "born 1931-07-13"


def left(error: BaseException) -> BaseException:
    """What leaves a handler that raises this, from something else that went wrong before."""

    @framed
    def handler(event: dict[str, Any], context: object) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as before:
            raise error from before

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        handler({}, None)
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(SECRET), "ValueError"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": SECRET}}, "PutItem"), r"ClientError (AccessDenied)"),
    ],
)
def test_what_nobody_foresaw_leaves_without_its_text(error: Exception, kind: str) -> None:
    raised = left(error)
    assert isinstance(raised, Defect)
    assert str(raised).startswith(f"{kind} at framing.py:")
    assert str(raised).endswith(" handler")
    assert SECRET not in "".join(traceback.format_exception(raised))


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput([FieldError("/scheduled_at", "missing", "is required")]),
        Refused("record_too_large", "it is too large"),
        Unavailable("store_unavailable", "busy"),
    ],
)
def test_an_error_of_the_clubs_own_leaves_as_it_is_but_for_what_was_behind_it(error: Exception) -> None:
    assert left(error) is error
    assert SECRET not in "".join(traceback.format_exception(error))


def test_what_is_no_error_passes() -> None:
    """An interrupt, or the end of a process: nothing that a frame may hold up."""
    assert type(left(KeyboardInterrupt())) is KeyboardInterrupt


def test_an_answer_and_the_handlers_name_are_as_they_were() -> None:
    @framed
    def handler(event: dict[str, Any], context: object, *, more: int = 1) -> int:
        """What it does."""
        return len(event) + more

    assert handler({"a": 1}, None, more=2) == 3
    assert (handler.__name__, handler.__doc__) == ("handler", "What it does.")
