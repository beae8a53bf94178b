"""Who calls, and what they may see. Identity comes from the authorizer's claims only (architecture 3.6)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from club_rules.errors import Forbidden, member_not_found

# Ids as in rules 1.3. What is no id is no member: it is not even looked for.
_is_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}").fullmatch
_ME = "me"

SUBJECT_CHARS_MAX = 255
"""So long may a subject be by OpenID Connect (Core, 2)."""


class Caller(NamedTuple):
    """Who sent the request: the token's subject ("" where it has none) and its scopes."""

    sub: str
    scopes: frozenset[str]

    def has(self, scope: str) -> bool:
        """Tell whether the token carries the scope, as a whole word."""
        return scope in self.scopes


def caller_of(event: Mapping[str, Any]) -> Caller:
    """Read the caller from `requestContext.authorizer.jwt`; nobody, with no scope, where there is none.

    Scopes are the words of the claim `scope`, or else `scp`; the gateway writes a list as "[a b]". Its own
    `scopes` list counts only where the token has neither claim.
    """
    context = event.get("requestContext") or {}
    jwt = (context.get("authorizer") or {}).get("jwt") or {}
    claims = jwt.get("claims") or {}
    sub = claims.get("sub")
    granted = claims.get("scope", claims.get("scp", jwt.get("scopes")))
    return Caller(sub if isinstance(sub, str) else "", _words(granted))


def require_scope(caller: Caller, *scopes: str) -> None:
    """Let a caller pass who has one of the scopes. Raises Forbidden (`scope_required`) for any other."""
    if caller.scopes.isdisjoint(scopes):
        raise Forbidden("scope_required", f"needs the scope {' or '.join(scopes)}")


def resolve_member(caller: Caller, member_id: str) -> str:
    """Turn the member of a path into the id whose data this caller may read; `me` is the caller.

    `club:support` may read any member, `club:read` only the caller. Raises Forbidden (`scope_required`) for a
    caller with neither scope, NotFound (`member_not_found`) for another member: the same answer as for one
    who does not exist. No data is needed to tell.
    """
    require_scope(caller, "club:read", "club:support")
    wanted = path_member(caller, member_id)
    if wanted != caller.sub and not caller.has("club:support"):
        raise member_not_found()
    return wanted


def path_member(caller: Caller, member_id: str) -> str:
    """Turn the member of a path into an id, whoever's it is; `me` is the caller. For who may act on anybody.

    Raises NotFound (`member_not_found`) for what is no id.
    """
    wanted = caller.sub if member_id == _ME else member_id
    if not _is_id(wanted) or wanted == _ME:
        raise member_not_found()
    return wanted


def acting_caller(caller: Caller) -> Caller:
    """Let a caller pass whose token names them, legibly. Raises Forbidden (`subject_required`) for any other.

    What is done to a member is recorded with who did it, and sometimes needs two: who has no name can be neither.
    """
    sub = caller.sub
    if not (sub.strip() and sub.isprintable() and len(sub) <= SUBJECT_CHARS_MAX):
        raise Forbidden(
            "subject_required", f"needs a token with a subject of 1 to {SUBJECT_CHARS_MAX} printable characters"
        )
    return caller


def _words(granted: object) -> frozenset[str]:
    """Split a scope claim into its words: a blank parts them, and nothing else does (RFC 6749, 3.3)."""
    if isinstance(granted, str):
        if granted[:1] == "[" and granted[-1:] == "]":
            granted = granted[1:-1]
        return frozenset(word for word in granted.split(" ") if word)
    if isinstance(granted, list):
        return frozenset(word for word in granted if isinstance(word, str))
    return frozenset()
