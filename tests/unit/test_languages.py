"""The language of an answer: what the header Accept-Language asks for (RFC 9110, RFC 4647)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_http.languages import HEADER_CHARS_MAX, language_of
from club_rules.errors import InvalidInput
from club_rules.messages import LANGUAGES


def asked(header: str | None) -> str:
    headers = {} if header is None else {"accept-language": header}
    return language_of({"headers": {"host": "api", **headers}}, LANGUAGES)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        # nothing, or anything
        (None, "en"),
        ("", "en"),
        (" \t", "en"),
        (",", "en"),
        ("*", "en"),
        ("*;q=0.1", "en"),
        # one, in any case, narrower
        ("en", "en"),
        ("ru", "ru"),
        ("RU", "ru"),
        ("en-GB", "en"),
        ("ru-Cyrl-RU", "ru"),
        ("Ru-rU", "ru"),
        # the best liked, wherever it stands
        ("ru-RU,en;q=0.5", "ru"),
        ("en;q=0.5,ru-RU", "ru"),
        ("en;q=0.5, ru;q=0.501", "ru"),
        ("en;q=0.9, ru;q=0.8, *;q=0.1", "en"),
        ("ru;q=0.001", "ru"),
        ("ru;q=1.000, en;q=0.999", "ru"),
        ("ru;q=1., en;q=0.", "ru"),
        # liked equally: as they stand
        ("ru, en", "ru"),
        ("en, ru", "en"),
        ("ru;q=0.5,en-US;q=0.5", "ru"),
        # named goes before what is only meant by "*"
        ("*, ru", "ru"),
        ("ru, *", "ru"),
        ("*, ru;q=0.9", "en"),
        # others are passed over
        ("de, ru;q=0.2", "ru"),
        ("de-CH, fr;q=0.9, *;q=0.5", "en"),
        ("rus, eng, english, en;q=0.1", "en"),
        # q=0: anything but this
        ("*, en;q=0", "ru"),
        ("en;q=0, *;q=0.3", "ru"),
        ("en;q=0.000, ru;q=0.001", "ru"),
        ("*;q=0, ru", "ru"),
        ("en-GB;q=0, en", "en"),
        ("en-GB;q=0, *", "ru"),
        # white space and empty members
        ("  ru ,\ten ; q=0.5", "ru"),
        ("ru\t;\tq=0.2 , en;q=0.1", "ru"),
        (",, ru,,", "ru"),
        ("ru;Q=0.5, en;q=0.4", "ru"),
        # one language twice counts as it is liked best
        ("en;q=0.1, ru;q=0.5, en;q=0.9", "en"),
        ("en-GB;q=0.2, ru;q=0.5, en-US;q=0.7", "en"),
        # the language itself decides over narrower ranges
        ("en-GB, en;q=0.1, ru;q=0.5", "ru"),
    ],
)
def test_the_language_that_is_liked_best(header: str | None, language: str) -> None:
    assert asked(header) == language


@pytest.mark.parametrize("event", [{}, {"headers": None}, {"headers": {}}])
def test_a_request_without_headers_is_answered_in_the_first(event: dict[str, Any]) -> None:
    assert language_of(event, LANGUAGES) == "en"
    assert language_of(event, ("ru", "en")) == "ru"


@pytest.mark.parametrize(
    ("header", "what"),
    [
        # only others
        ("de", "names no language"),
        ("de-DE, fr;q=0.5", "names no language"),
        ("eng", "names no language"),
        ("e", "names no language"),
        ("ruen", "names no language"),
        ("en;q=0", "names no language"),
        ("*;q=0", "names no language"),
        ("en;q=0, ru;q=0.0, de", "names no language"),
        ("en;q=0, de, *;q=0", "names no language"),
        # malformed
        ("en_GB", "is malformed"),
        ("en ru", "is malformed"),
        ("en-", "is malformed"),
        ("-en", "is malformed"),
        ("en--GB", "is malformed"),
        ("englishes", "is malformed"),
        ("en-123456789", "is malformed"),
        ("e1", "is malformed"),
        ("**", "is malformed"),
        ("*-GB", "is malformed"),
        ("en;q=1.5", "is malformed"),
        ("en;q=1.001", "is malformed"),
        ("en;q=0.1234", "is malformed"),
        ("en;q=-1", "is malformed"),
        ("en;q=.5", "is malformed"),
        ("en;q=", "is malformed"),
        ("en;q", "is malformed"),
        ("en;", "is malformed"),
        ("en;q =1", "is malformed"),
        ("en;q= 1", "is malformed"),
        ("en;level=1", "is malformed"),
        ("en;q=1;q=1", "is malformed"),
        ("en;q=1e0", "is malformed"),
        ("en;q=0,5", "is malformed"),
        (";q=1", "is malformed"),
        ("en\n", "is malformed"),
        ("en,\u00a0ru", "is malformed"),
        ("ру", "is malformed"),
        ("en;q=\u0661", "is malformed"),
        ("ru, <script>", "is malformed"),
        ("e" * (HEADER_CHARS_MAX + 1), "must be at most 1000 characters"),
        ("en," * HEADER_CHARS_MAX, "must be at most 1000 characters"),
    ],
)
def test_what_can_not_be_answered_is_named(header: str, what: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        asked(header)
    (error,) = raised.value.errors
    assert (raised.value.code, error.code, error.pointer) == (
        "invalid_language",
        "invalid_language",
        "/headers/accept-language",
    )
    assert error.detail.endswith(": expected a list of languages with one of en, ru in it, such as ru;q=0.9")
    assert error.detail.startswith(what)


def test_the_longest_header_is_read() -> None:
    header = ",".join(["de"] * 332) + ",ru"
    assert len(header) == 998
    assert asked(header) == "ru"
    assert asked(header.ljust(HEADER_CHARS_MAX)) == "ru"


@given(st.text(max_size=HEADER_CHARS_MAX * 2))
def test_whatever_stands_there_there_is_an_answer_or_a_named_fault(header: str) -> None:
    try:
        answer = asked(header)
    except InvalidInput as error:
        answer = error.errors[0].detail.partition(":")[0]
    faults = ("is malformed", "names no language that is known here", f"must be at most {HEADER_CHARS_MAX} characters")
    assert answer in (*LANGUAGES, *faults)


_TAGS = st.sampled_from(["en", "ru", "en-GB", "ru-RU", "de", "fr-CH", "*"])


@given(st.lists(st.tuples(_TAGS, st.integers(0, 1000)), min_size=1, max_size=8))
def test_no_language_is_taken_over_one_that_is_liked_better(members: list[tuple[str, int]]) -> None:
    """Against a plain reading: what each known language is worth is looked up by itself."""
    header = ", ".join(f"{tag};q={weight / 1000:.3f}" for tag, weight in members)

    def worth(language: str) -> int:
        for fits in (lambda tag: tag == language, lambda tag: tag.startswith(f"{language}-"), lambda tag: tag == "*"):
            if weights := [weight for tag, weight in members if fits(tag)]:
                return max(weights)
        return 0

    most = max(map(worth, LANGUAGES))
    try:
        assert worth(asked(header)) == most > 0
    except InvalidInput:
        assert most == 0
