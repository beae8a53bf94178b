"""The frame around every HTTP handler: errors become problems, and nothing of the inside gets out."""

import functools
from collections.abc import Callable
from typing import Any, Protocol, overload

from club_http.problems import Response, internal_problem, problem_response
from club_rules.errors import ClubError, described

Handler = Callable[[dict[str, Any], Any], Response]


class ErrorLog(Protocol):
    """Where a defect is reported: Powertools' Logger, or a logger of the standard library."""

    def error(self, msg: object, /) -> None:
        """Write one line at level ERROR."""


@overload
def api(handler: Handler) -> Handler: ...
@overload
def api(*, logger: ErrorLog) -> Callable[[Handler], Handler]: ...
def api(handler: Handler | None = None, *, logger: ErrorLog | None = None) -> Any:
    """Decorate a handler: a ClubError becomes its problem, any other exception a 500 `internal_error`.

    The exception is logged by its kind and the places it came through. Its text is not: it may hold a part of
    the request, and logs hold ids only (architecture 3.6). Used as `@api`, it logs to the standard library's
    logger `club_http`; as `@api(logger=...)`, to that one.
    """
    if handler is None:
        return functools.partial(api, logger=logger)

    @functools.wraps(handler)
    def framed(event: dict[str, Any], context: Any) -> Response:
        try:
            return handler(event, context)
        except ClubError as error:
            answer = problem_response(error)
            if answer["statusCode"] == 500:
                _log(error, logger)
            return answer
        except Exception as error:  # noqa: BLE001 - the last line of defence: the caller gets a problem
            _log(error, logger)
            return internal_problem()

    return framed


def _log(error: Exception, logger: ErrorLog | None) -> None:
    if logger is None:
        import logging

        logger = logging.getLogger("club_http")
    logger.error(described(error))
