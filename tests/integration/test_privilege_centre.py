"""The privilege centre's function: two documents for anybody, and the policy that keeps the page strict."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from club_rules import account, decisions
from local.template import Template
from tests.integration import harness
from tests.integration.harness import ROOT, Club, load_app, sample

FOLDER = ROOT / "functions" / "privilege_centre"
TEXTS = {language: json.loads((FOLDER / f"texts.{language}.json").read_text("utf-8")) for language in ("en", "ru")}
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.js"))}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Each test has a process of its own, as far as this function can tell."""
    documents = load_app("privilege_centre").documents
    documents.of.cache_clear()
    yield
    documents.of.cache_clear()


def get(club: Club, route: str = "/club", **headers: str) -> dict[str, Any]:
    event = sample("privilege_centre" if route == "/club" else "privilege_centre_openapi")
    event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    answer: dict[str, Any] = club.invoke("privilege_centre", event)
    return answer


class Inline(HTMLParser):
    """What stands in the page itself: styles, scripts, and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.inside: tuple[str, dict[str, str | None]] | None = None
        self.content: dict[str, list[str]] = {"style": [], "script": [], "data": []}
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.inside = (tag, dict(attrs)) if tag in {"style", "script"} else None

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            tag, attributes = self.inside
            self.content["data" if attributes.get("type") == "application/json" else tag].append(data)


def policy(answer: dict[str, Any]) -> dict[str, list[str]]:
    """The answer's content security policy, by directive."""
    parts = [part.split() for part in answer["headers"]["content-security-policy"].split(";")]
    assert len({part[0] for part in parts}) == len(parts)
    return {name: values for name, *values in parts}


def source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ---------------------------------------------------------------- the document


def test_the_page_is_one_document_under_a_policy_that_fits_it(club: Club) -> None:
    answer = get(club)
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    page = Inline(answer["body"])
    rules = policy(answer)
    assert rules["script-src"] == [source_hash(text) for text in page.content["script"]]
    assert rules["style-src"] == [source_hash(text) for text in page.content["style"]]
    assert len(page.content["script"]) == len(page.content["style"]) == 1
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["connect-src"] == ["'self'"]
    assert rules["img-src"] == ["data:"]
    assert rules["require-trusted-types-for"] == ["'script'"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & {value for values in rules.values() for value in values}
    headers = answer["headers"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "camera=()" in headers["permissions-policy"]


def test_nothing_in_it_comes_from_elsewhere_or_runs_by_an_attribute(club: Club) -> None:
    body = get(club)["body"]
    page = Inline(body)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in {"style", "srcset", "integrity"}, (tag, name)
        if name in {"src", "href", "action"}:
            assert value is not None
            assert value.startswith(("#", "data:")), (tag, name, value)
    named = set(re.findall(r"(?:https?:)?//[a-z][\w.-]*\.\w+[\w./-]*", body)) - {"http://www.w3.org/2000/svg"}
    assert named == set()
    assert "{{" not in body
    assert "@import" not in body
    assert "url(" not in body


@pytest.mark.parametrize(
    "word",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage",
     "sessionStorage", "document.cookie", "indexedDB", ".style.", "cssText", "srcdoc"],
)  # fmt: skip
def test_the_scripts_do_without(word: str) -> None:
    found = [name for name, text in SCRIPTS.items() if word in text]
    assert found == []


def test_every_script_in_the_folder_is_in_the_page() -> None:
    assert set(load_app("privilege_centre").documents.SCRIPTS) == set(SCRIPTS)


def test_the_texts_are_data_that_can_end_nothing(club: Club) -> None:
    (data,) = Inline(get(club)["body"]).content["data"]
    assert json.loads(data) == TEXTS
    assert "<" not in data


# ---------------------------------------------------------------- who may embed it


def page_for(club: Club, monkeypatch: pytest.MonkeyPatch, hosts: str) -> dict[str, Any]:
    # Not the template that all the other tests share: one with another value for the parameter.
    template = Template(ROOT / "template.yaml", {"ClubPageHosts": hosts})
    monkeypatch.setattr(harness, "template", lambda: template)
    return get(club)


@pytest.mark.parametrize(
    ("hosts", "origins"),
    [
        ("", []),
        ("https://shop.example", ["https://shop.example"]),
        ("https://shop.example,https://b.example:8443", ["https://shop.example", "https://b.example:8443"]),
    ],
)
def test_only_the_hosts_of_the_parameter_may_embed_it_and_hand_over_tokens(
    club: Club, monkeypatch: pytest.MonkeyPatch, hosts: str, origins: list[str]
) -> None:
    answer = page_for(club, monkeypatch, hosts)
    assert policy(answer)["frame-ancestors"] == ["'self'", *origins]
    (listed,) = re.findall(r'<meta name="club-hosts" content="([^"]*)">', answer["body"])
    assert listed.split() == origins


# ---------------------------------------------------------------- caches


@pytest.mark.parametrize("route", ["/club", "/openapi.json"])
def test_a_caller_that_has_it_already_gets_no_body(club: Club, route: str) -> None:
    first = get(club, route)
    tag = first["headers"]["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(club, route, if_none_match=known)
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"] == first["headers"]
    for other in ('"other"', "", tag.strip('"')):
        assert get(club, route, if_none_match=other) == first
    assert "max-age" in first["headers"]["cache-control"]


def test_another_policy_is_another_version(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a browser would keep the page with the policy of before."""
    before = get(club)["headers"]["etag"]
    load_app("privilege_centre").documents.of.cache_clear()
    assert page_for(club, monkeypatch, "https://shop.example")["headers"]["etag"] != before


def test_openapi_is_served_as_it_stands(club: Club) -> None:
    answer = get(club, "/openapi.json")
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "application/json")
    assert answer["body"] == (FOLDER / "openapi.json").read_text("utf-8")


def test_it_asks_aws_for_nothing(club: Club) -> None:
    before = club.wire.operations()
    get(club)
    get(club, "/openapi.json")
    assert club.wire.operations() == before


# ---------------------------------------------------------------- the words


def test_both_languages_have_every_text_with_the_same_names_in_it() -> None:
    assert TEXTS["en"].keys() == TEXTS["ru"].keys()

    def names(text: Any) -> set[str]:
        forms = text.values() if isinstance(text, dict) else [text]
        return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}

    for key, text in TEXTS["en"].items():
        other = TEXTS["ru"][key]
        assert names(text) == names(other), key
        assert isinstance(text, dict) == isinstance(other, dict), key


@pytest.mark.parametrize(("language", "forms"), [("en", {"one", "other"}), ("ru", {"one", "few", "many", "other"})])
def test_a_text_that_counts_has_every_plural_form(language: str, forms: set[str]) -> None:
    counting = {key: text for key, text in TEXTS[language].items() if isinstance(text, dict)}
    assert counting
    for key, text in counting.items():
        assert text.keys() == forms, key


def test_no_russian_text_was_left_in_english() -> None:
    for key, text in TEXTS["ru"].items():
        for form in text.values() if isinstance(text, dict) else [text]:
            assert re.search("[а-яё]", form, re.IGNORECASE) or not re.search(
                "[a-z]{3}", re.sub(r"\{\w+\}", "", form)
            ), key


def test_every_text_that_the_scripts_name_is_there_and_no_other() -> None:
    code = "\n".join(SCRIPTS.values())
    calls = re.findall(r"\bt\(([^,)]*)", code)
    named = {key for call in calls for key in re.findall(r"'([a-z_.]+)'", call)}
    named |= set(re.findall(r'data-(?:text|label)="([\w.]+)"', (FOLDER / "club.html").read_text("utf-8")))
    families = set(re.findall(r"worded\('([a-z.]+)'", code)) | {"error", "fault", "signed_out", "picked"}
    assert named <= TEXTS["en"].keys()
    for key in TEXTS["en"].keys() - named:
        assert any(key.startswith(f"{family}.") for family in families), f"nobody says {key}"


def test_what_the_api_says_in_codes_has_words() -> None:
    checks = set(re.findall(r'_?check\(\s*"([a-z_]+)"', (ROOT / "layers/rules/club_rules/decisions.py").read_text()))
    kinds = {
        "accrual",
        "clawback",
        "expiry",
        "penalty",
        "reinstatement",
        "adjustment",
        "denied",
        "parked",
        "tier_review",
    }
    wanted = {
        "check": checks
        | {"seller_approved", "return_shipped", "amount_within_limit", "velocity_count", "velocity_value"},
        "kind": kinds,
        "cause": set(account.CAUSES.values()),
        "decision": {decisions.APPROVED, decisions.PENDING, decisions.DECLINED},
        "decision.kind": {decisions.REFUND, decisions.ACCELERATION},
        "outcome": {decisions.PASS, decisions.FAIL, decisions.MISSING, decisions.NOT_APPLICABLE},
        "queue": {decisions.DEDICATED, decisions.STANDARD},
    }
    assert len(checks) > 5
    for family, codes in wanted.items():
        for code in codes:
            assert f"{family}.{code}" in TEXTS["en"], (family, code)
