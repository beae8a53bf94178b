"""In which language to answer: what the header Accept-Language asks for (RFC 9110, 12.5.4; RFC 4647)."""

import re
from collections.abc import Mapping
from typing import Any

from club_rules.errors import FieldError, InvalidInput

HEADER_CHARS_MAX = 1000
"""Longer than any browser's header; what is longer still is refused unread."""

# One member of the list: a language range, and maybe a weight of at most three decimals.
_RANGE = re.compile(
    r"(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:[ \t]*;[ \t]*[Qq]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
).fullmatch


def language_of(event: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """Choose among the `known` languages, such as ("en", "ru"), the one that the caller likes best.

    Returns the first of them where the caller says nothing, or anything ("*"). "en-GB" is content with "en".
    Of languages liked equally, the one named first is taken. Raises InvalidInput (`invalid_language`) for a header
    that is malformed, and for one that none of the known languages satisfies.
    """
    header: str = (event.get("headers") or {}).get("accept-language") or ""
    if len(header) > HEADER_CHARS_MAX:
        raise _invalid(f"must be at most {HEADER_CHARS_MAX} characters", known)
    ranges = _ranges(header, known)
    if not ranges:
        return known[0]
    best, liked = known[0], (0.0, 0, 0)
    for language in known:
        quality, place = _quality(language, ranges)
        # equally liked: what was named before what was only meant by "*", and then the place in the header
        preference = (quality, int(place is not None), -(place or 0))
        if preference > liked:
            best, liked = language, preference
    if not liked[0]:
        raise _invalid("names no language that is known here", known)
    return best


def _ranges(header: str, known: tuple[str, ...]) -> list[tuple[str, float]]:
    """The ranges in their order, in lower case, each with its weight. Empty members of a list count for nothing."""
    ranges = []
    for member in header.split(","):
        text = member.strip(" \t")
        if not text:
            continue
        found = _RANGE(text)
        if found is None:
            raise _invalid("is malformed", known)
        ranges.append((found[1].lower(), float(found[2] or 1)))
    return ranges


def _quality(language: str, ranges: list[tuple[str, float]]) -> tuple[float, int | None]:
    """How much a language is liked (0: not at all), and the place of the range that names it (None: only "*" does).

    The range that is the language itself decides; then a narrower one ("en-GB" for "en"); then "*".
    """
    exact = [(weight, -place) for place, (name, weight) in enumerate(ranges) if name == language]
    narrower = [(weight, -place) for place, (name, weight) in enumerate(ranges) if name.startswith(f"{language}-")]
    if exact or narrower:
        weight, place = max(exact or narrower)
        return weight, -place
    return max((weight for name, weight in ranges if name == "*"), default=0.0), None


def _invalid(what: str, known: tuple[str, ...]) -> InvalidInput:
    expected = f"{what}: expected a list of languages with one of {', '.join(known)} in it, such as {known[-1]};q=0.9"
    return InvalidInput([FieldError("/headers/accept-language", "invalid_language", expected)])
