"""The frame around what Lambda itself calls: what nobody foresaw is told without its text.

Lambda writes the text of an exception that leaves a handler to the log, and beside a dead letter. It may hold a part of
what was sent or stored, and logs hold ids only (architecture 3.6).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from club_rules.errors import ClubError, described

P = ParamSpec("P")
R = TypeVar("R")


class Defect(Exception):
    """Something went wrong that nobody foresaw: of what kind it was, and where, in ``club_rules.errors.described``."""


def framed(handler: Callable[P, R]) -> Callable[P, R]:
    """Decorates a handler that answers no caller. It raises its ``ClubError``, or ``Defect`` for anything else.

    Neither has the errors behind it to show. What is no ``Exception`` passes.
    """

    @functools.wraps(handler)
    def in_frame(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except ClubError as error:
            raise error from None
        except Exception as error:  # noqa: BLE001 - whatever it was, its text stays here
            raise Defect(described(error)) from None

    return in_frame
