"""The routes: who may act, what was asked for, and the use case that does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from club_http.callers import Caller, acting_caller, caller_of, path_member, require_scope
from club_http.problems import no_content, respond
from club_http.requests import path_parameter, query_parameters, read_object, request_time
from club_ledger import environment
from club_rules.programs import Programs, load_programs

Event = dict[str, Any]
Done = tuple[dict[str, Any], dict[str, str]]
"""The answer, and the ids for the log."""

ADMIN = "club:admin"


def _operator_and_member(event: Event) -> tuple[Caller, str]:
    """Who acts, and on whom. Identity comes from the token alone: a caller without a subject could be anybody."""
    caller = caller_of(event)
    require_scope(caller, ADMIN)
    query_parameters(event, ())
    return acting_caller(caller), path_member(caller, path_parameter(event, "member_id"))


def _adjust(event: Event, time_left: Callable[[], float]) -> Done:
    """202 where it waits for another operator, else 200."""
    from club_ledger.adjusting import AWAITING, post_adjustment
    from club_rules.adjustments import parse_adjustment
    from club_rules.json_text import load_json

    caller, member_id = _operator_and_member(event)
    programs = load_programs()
    adjustment = parse_adjustment(read_object(event, partial(load_json, defer=True)), member_id, programs)
    moment, limits = request_time(event), _limits(programs)
    answer = post_adjustment(environment.store(), programs, adjustment, caller.sub, moment, limits, time_left)
    ids = {name: answer[name] for name in ("adjustment_id", "status", "member_id")}
    return respond(202 if answer["status"] == AWAITING else 200, answer), ids


def _limits(programs: Programs) -> Any:
    from club_ledger.adjusting import Limits
    from club_rules.money import parse_money

    spend = parse_money(environment.setting("ADJUSTMENT_SPEND_LIMIT"), programs.currency)
    return Limits(int(environment.setting("ADJUSTMENT_POINTS_LIMIT")), spend)


def _erase(event: Event, time_left: Callable[[], float]) -> Done:
    """204, whether it was new or a repeat."""
    from club_ledger.erasing import erase_member

    caller, member_id = _operator_and_member(event)
    store, programs, moment = environment.store(), load_programs(), request_time(event)
    is_new = erase_member(store, programs, member_id, caller.sub, moment, time_left)
    return no_content(), {"member_id": member_id, "status": "erased" if is_new else "erased before"}


ROUTES: dict[str, Callable[[Event, Callable[[], float]], Done]] = {
    "POST /members/{member_id}/adjustments": _adjust,
    "DELETE /members/{member_id}": _erase,
}
