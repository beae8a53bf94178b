"""The catalogue of texts: every code in every language, amounts and days, receipts as a person would tell them."""

from __future__ import annotations

import ast
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules import messages_en, messages_ru, orders, posting, restoring, settling, tiers
from club_rules.messages import LANGUAGES, LOTS_NAMED, PARTS_NAMED, Messages, Wording, messages_for
from club_rules.program_check import TITLE_LANGUAGES, VIOLATION_KINDS
from club_rules.programs import Program, Programs
from club_rules.views import statement_entry
from tests.oracle.histories import random_history
from tests.unit.member import PROGRAMS, Engine, Member, after, changed

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "layers" / "rules" / "club_rules"
DAY = "2026-03-10"
NBSP = "\u00a0"

EN, RU = messages_for("en"), messages_for("ru")
EN_SUPPORT, RU_SUPPORT = messages_for("en", True), messages_for("ru", True)
EVERY = (EN, RU, EN_SUPPORT, RU_SUPPORT)
WORDINGS: dict[str, Wording] = {"en": messages_en.WORDING, "ru": messages_ru.WORDING}
CLUB, CROWNS, VIP = (PROGRAMS.versions(name)[-1] for name in ("club", "crowns", "vip"))

# What no member is called or told to have done; support is.
ACCUSING = re.compile(
    "fraud|abuse|extort|spam|violat|penal|guilt|cheat|мошен|злоупотр|вымогат|спам|наруш|взыскан|наказ|обман",
    re.IGNORECASE,
)


def said_well(text: str) -> bool:
    """Whether a text is filled in, whatever it says."""
    return bool(text) and text == text.strip() and not re.search(r"[{}\[\]|]|None|  | [,.;:]|\(\)|\.\.", text)


# --- the catalogue is whole ----------------------------------------------------------------------------------------


def codes_in_the_source() -> set[str]:
    """Every code that stands in the source as one of a reason, but for the kinds of violations."""
    found: set[str] = set()
    for module in (orders, posting, restoring, settling, tiers):
        assert module.__file__
        for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
            match node:
                case ast.Dict(keys=keys, values=values):
                    pairs = zip(keys, values, strict=True)
                    given = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "code"]
                case ast.Call(func=ast.Name(id="_denied"), args=[_, code, *_]):
                    given = [code]
                case ast.Call(func=ast.Name(id="_reason"), args=[_, _, code, *_]):
                    given = [code]
                case ast.Assign(targets=[ast.Name(id="code")], value=code):
                    given = [code]
                case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name(id="code")])], value=ast.Tuple(elts=[_, code])):
                    given = [code]
                case _:
                    continue
            found |= {code for value in given for code in _constants(value)}
    return found | set(posting.UNDOING.values()) | {code for _, _, code in posting._ONCE.values()}


def _constants(node: ast.AST) -> list[str]:
    """The texts that an expression may be; none of one that is computed elsewhere."""
    if isinstance(node, ast.IfExp):
        return [*_constants(node.body), *_constants(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_no_other_module_makes_reasons() -> None:
    """Else ``codes_in_the_source`` would miss their codes."""
    makers = set()
    for path in RULES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
                if {"rule", "code"} <= keys:
                    makers.add(path.stem)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_denied":
                makers.add(path.stem)
    assert makers == {"orders", "posting", "restoring", "settling", "tiers", "views"}  # views only shows what is there


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_in_the_source_has_a_text_and_no_text_is_left_over(language: str) -> None:
    codes = codes_in_the_source()
    assert {"earned", "daily_cap", "monthly_cap", "retained", "penalty_ended", "already_reviewed"} <= codes
    texts = {key.partition("/")[0] for key in WORDINGS[language].reasons}
    assert texts - {"penalty"} == codes - {"earned"}
    assert set(WORDINGS[language].kinds) == set(VIOLATION_KINDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_earns_has_a_text_and_a_name_by_its_rule(language: str) -> None:
    rules = {rule for name in PROGRAMS.ids for rule in PROGRAMS.versions(name)[0].data["earning"]}
    assert set(WORDINGS[language].earned) == {*rules, "promotion"}
    assert set(WORDINGS[language].rules) == {*rules, "promotion", "adjustment"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_privilege_of_the_programs_has_a_text(language: str) -> None:
    codes = {privilege["code"] for name in PROGRAMS.ids for privilege in PROGRAMS.versions(name)[-1].privileges}
    assert set(WORDINGS[language].privileges) == codes


def tables(wording: Wording) -> dict[str, Mapping[str, str]]:
    """The texts of a language, table by table."""
    found = {name: value for name, value in wording._asdict().items() if isinstance(value, Mapping)}
    texts = found.pop("privileges")
    return found | {f"privileges/{n}": {code: pair[n] for code, pair in texts.items()} for n in (0, 1)}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_languages_say_the_same_things() -> None:
    english, russian = tables(WORDINGS["en"]), tables(WORDINGS["ru"])
    assert english.keys() == russian.keys()
    for name, texts in english.items():
        assert texts.keys() == russian[name].keys(), name
        for key, text in texts.items():
            other = russian[name][key]
            assert placeholders(text) == placeholders(other), (name, key)
            if name not in ("rules", "kinds") and key != "receipt":
                assert text != other, (name, key)
                assert re.search("[а-яё]", other.lower()) or key == "ahead", (name, key)
                assert not re.search("[а-яё]", text.lower()), (name, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_a_form_for_every_form_of_the_noun(language: str) -> None:
    wording = WORDINGS[language]
    assert len(wording.points) == len(wording.units) == {"en": 2, "ru": 3}[language]
    for name, texts in tables(wording).items():
        for key, text in texts.items():
            for choice in re.findall(r"\[([^\[\]]*)\]", text):
                assert len(choice.split("|")) == len(wording.points), (name, key)
            assert text.count("[") == text.count("]") == len(re.findall(r"\[[^\[\]]*\]", text)), (name, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_variant_has_what_it_is_a_variant_of(language: str) -> None:
    for name in ("reasons", "because", "causes"):
        texts = tables(WORDINGS[language])[name]
        for key in texts:
            parts = key.split("/")
            assert parts[0] in texts, (name, key)
            assert parts[1:] in ([], ["up"], ["none"], ["support"], ["up", "support"], ["none", "support"]), (name, key)


def test_programs_have_a_title_in_every_language() -> None:
    assert LANGUAGES[1:] == TITLE_LANGUAGES  # in the first the title itself is written
    for program in (CLUB, CROWNS, VIP):
        assert program.title("en") == program.data["title"]
        assert program.title("ru") == program.data["titles"]["ru"]
        assert re.search("[а-я]", program.title("ru"))
        assert program.title("de") == program.data["title"]
    bare = changed("club")
    del bare["titles"]
    assert Program(bare).title("ru") == "Club levels A0 to A4"


def test_a_language_that_the_catalogue_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="en, ru, not de"):
        messages_for("de")


def test_the_catalogue_is_made_once() -> None:
    assert messages_for("en") is messages_for("en")
    assert messages_for("en", True) is messages_for("en", True)
    assert (EN.support, EN_SUPPORT.support, RU.language) == (False, True, "ru")


def test_a_language_is_loaded_when_it_is_asked_for() -> None:
    program = (
        "import sys; from club_rules.messages import messages_for; loaded = []\n"
        "for language in ('', 'ru', 'en'):\n"
        "    language and messages_for(language)\n"
        "    loaded.append(','.join(sorted(name[-2:] for name in sys.modules if 'club_rules.messages_' in name)))\n"
        "print(loaded)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=RULES.parent, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['', 'ru', 'en,ru']"


# --- amounts, days, tiers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (0, "0 points", "0 баллов"),
        (1, "1 point", "1 балл"),
        (2, "2 points", "2 балла"),
        (4, "4 points", "4 балла"),
        (5, "5 points", "5 баллов"),
        (10, "10 points", "10 баллов"),
        (11, "11 points", "11 баллов"),
        (12, "12 points", "12 баллов"),
        (14, "14 points", "14 баллов"),
        (15, "15 points", "15 баллов"),
        (20, "20 points", "20 баллов"),
        (21, "21 points", "21 балл"),
        (22, "22 points", "22 балла"),
        (25, "25 points", "25 баллов"),
        (100, "100 points", "100 баллов"),
        (101, "101 points", "101 балл"),
        (111, "111 points", "111 баллов"),
        (112, "112 points", "112 баллов"),
        (114, "114 points", "114 баллов"),
        (121, "121 points", "121 балл"),
        (1_000, "1,000 points", f"1{NBSP}000 баллов"),
        (1_011, "1,011 points", f"1{NBSP}011 баллов"),
        (12_500, "12,500 points", f"12{NBSP}500 баллов"),
        (1_000_001, "1,000,001 points", f"1{NBSP}000{NBSP}001 балл"),
        (-1, "-1 point", "-1 балл"),
        (-3, "-3 points", "-3 балла"),
        (-11, "-11 points", "-11 баллов"),
        (-1_234, "-1,234 points", f"-1{NBSP}234 балла"),
    ],
)
def test_an_amount_of_points(value: int, english: str, russian: str) -> None:
    assert (EN.amount(CLUB, value), RU.amount(CLUB, value)) == (english, russian)


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (0, "0.00 USD", "0,00 USD"),
        (5, "0.05 USD", "0,05 USD"),
        (12_00, "12.00 USD", "12,00 USD"),
        (-5, "-0.05 USD", "-0,05 USD"),
        (999_00, "999.00 USD", "999,00 USD"),
        (3_999_00, "3,999.00 USD", f"3{NBSP}999,00 USD"),
        (-1_234_567_89, "-1,234,567.89 USD", f"-1{NBSP}234{NBSP}567,89 USD"),
    ],
)
def test_an_amount_of_money(value: int, english: str, russian: str) -> None:
    assert (EN.amount(VIP, value), RU.amount(VIP, value)) == (english, russian)


@pytest.mark.parametrize(
    ("currency", "tiers_from", "english", "russian"),
    [
        ("JPY", "999", "1,234,567 JPY", f"1{NBSP}234{NBSP}567 JPY"),
        ("KWD", "999.000", "1,234.567 KWD", f"1{NBSP}234,567 KWD"),
    ],
)
def test_money_has_its_currencys_decimals(currency: str, tiers_from: str, english: str, russian: str) -> None:
    zero = tiers_from.replace("9", "0").replace("000", "0", 1)
    tiers_of = [{"code": "none", "from": zero}, {"code": "Silver", "from": tiers_from}]
    program = Program(changed("vip", currency=currency, tiers=tiers_of))
    assert (EN.amount(program, 1_234_567), RU.amount(program, 1_234_567)) == (english, russian)


@given(st.integers(-(10**12), 10**12))
def test_the_number_can_be_read_back(value: int) -> None:
    for program in (CLUB, VIP):
        for messages in (EN, RU):
            digits = "".join(each for each in messages.amount(program, value) if each.isdigit() or each == "-")
            assert int(digits) == value
    noun = RU.amount(CLUB, value).rpartition(" ")[2]
    teen = abs(value) // 10 % 10 == 1
    last = abs(value) % 10
    assert noun == ("баллов" if teen or last == 0 or last >= 5 else "балл" if last == 1 else "балла")


@pytest.mark.parametrize(
    ("iso", "english", "russian"),
    [
        ("2027-01-01", "1 January 2027", "1 января 2027 года"),
        ("2027-02-03", "3 February 2027", "3 февраля 2027 года"),
        ("2027-03-31", "31 March 2027", "31 марта 2027 года"),
        ("2027-04-10", "10 April 2027", "10 апреля 2027 года"),
        ("2027-05-09", "9 May 2027", "9 мая 2027 года"),
        ("2027-06-12", "12 June 2027", "12 июня 2027 года"),
        ("2027-07-13", "13 July 2027", "13 июля 2027 года"),
        ("2027-08-21", "21 August 2027", "21 августа 2027 года"),
        ("2027-09-30", "30 September 2027", "30 сентября 2027 года"),
        ("2027-10-01", "1 October 2027", "1 октября 2027 года"),
        ("2027-11-22", "22 November 2027", "22 ноября 2027 года"),
        ("2028-12-31", "31 December 2028", "31 декабря 2028 года"),
    ],
)
def test_a_day(iso: str, english: str, russian: str) -> None:
    assert (EN.day(iso), RU.day(iso)) == (english, russian)


def test_a_tier_is_called_by_its_code_and_none_is_no_tier() -> None:
    for messages in EVERY:
        assert [messages.tier(CLUB, code) for code in CLUB.codes] == CLUB.codes
        assert messages.tier(VIP, "Gold") == "Gold"
    assert (EN.tier(VIP, "none"), RU.tier(VIP, "none")) == ("no tier", "без уровня")


# --- reasons -------------------------------------------------------------------------------------------------------


def reason(rule: str, points: int, code: str, ref: str | None = None, **more: Any) -> dict[str, Any]:
    return {"rule": rule, "points": points, "code": code, **({} if ref is None else {"ref": ref}), **more}


@pytest.mark.parametrize(
    ("program", "given_reason", "english", "russian"),
    [
        (CLUB, reason("purchase", 12, "earned", "o-1001"), "12 points for order o-1001", "12 баллов за заказ o-1001"),
        (CLUB, reason("purchase", 1, "earned", "o-1"), "1 point for order o-1", "1 балл за заказ o-1"),
        (
            CLUB,
            reason("daily_shopping", 5, "earned"),
            "5 points for shopping on this day",
            "5 баллов за покупки в этот день",
        ),
        (
            CROWNS,
            reason("variety", 2, "earned"),
            "2 points for the variety of categories on this day",
            "2 балла за разнообразие категорий в этот день",
        ),
        (
            VIP,
            reason("spend", 1_000_50, "earned", "o-1"),
            "1,000.50 USD spent with order o-1",
            f"1{NBSP}000,50 USD потрачено в заказе o-1",
        ),
        (
            CLUB,
            reason("purchase", -1, "refunded", "o-1"),
            "1 point taken back: order o-1 was refunded, wholly or in part",
            "1 балл списан: по заказу o-1 был возврат, полный или частичный",
        ),
        (
            CLUB,
            reason("purchase", 0, "refunded", "o-1"),
            "Order o-1 was refunded in part: nothing was taken back",
            "По заказу o-1 был частичный возврат: ничего не списано",
        ),
        (
            CLUB,
            reason("daily_shopping", -5, "cancelled", "o-1"),
            "5 points for daily shopping taken back: order o-1 was cancelled",
            "5 баллов за ежедневные покупки списано: заказ o-1 отменён",
        ),
        (
            CROWNS,
            reason("variety", -3, "refunded", "o-1"),
            "3 points for variety taken back: order o-1 was refunded, wholly or in part",
            "3 балла за разнообразие списаны: по заказу o-1 был возврат, полный или частичный",
        ),
        (
            VIP,
            reason("spend", -5, "refunded", "o-1"),
            "0.05 USD taken back: order o-1 was refunded, wholly or in part",
            "0,05 USD списано: по заказу o-1 был возврат, полный или частичный",
        ),
        (
            CLUB,
            reason("expiry", -1, "expired", "2026-02-03"),
            "1 point expired: it was earned on 3 February 2026",
            "1 балл сгорел: истёк срок того, что начислено 3 февраля 2026 года",
        ),
        (
            CLUB,
            reason("expiry", -114, "expired", "2026-02-03"),
            "114 points expired: they were earned on 3 February 2026",
            "114 баллов сгорело: истёк срок того, что начислено 3 февраля 2026 года",
        ),
        (
            CLUB,
            reason("expiry", 22, "expired", "2026-02-03"),
            "22 points came back: a deduction of 3 February 2026 has expired",
            "22 балла вернулись: истёк срок того, что вычтено 3 февраля 2026 года",
        ),
        (
            VIP,
            reason("expiry", -12_00, "expired", "2026-02-03"),
            "12.00 USD expired: it was earned on 3 February 2026",
            "12,00 USD сгорело: истёк срок того, что начислено 3 февраля 2026 года",
        ),
        (
            CLUB,
            reason("purchase", 0, "unit_price_below_minimum", "item i-9"),
            "Item i-9 earns nothing: its unit price is below the minimum",
            "За товар i-9 баллов нет: его цена ниже минимальной",
        ),
        (
            CLUB,
            reason("purchase", 0, "item_unit_cap", "item i-9", units=1),
            "No points for 1 unit of item i-9: enough units of it count already",
            "Баллов нет за 1 штуку товара i-9: таких единиц уже засчитано достаточно",
        ),
        (
            CLUB,
            reason("purchase", 0, "item_unit_cap", "item i-9", units=999_990),
            "No points for 999,990 units of item i-9: enough units of it count already",
            f"Баллов нет за 999{NBSP}990 штук товара i-9: таких единиц уже засчитано достаточно",
        ),
        (
            CLUB,
            reason("purchase", 0, "item_unit_cap", "item i-9"),
            "No points for some units of item i-9: enough units of it count already",
            "Баллов нет за несколько штук товара i-9: таких единиц уже засчитано достаточно",
        ),
    ],
)
def test_a_reason(program: Program, given_reason: dict[str, Any], english: str, russian: str) -> None:
    assert (EN.reason(program, given_reason), RU.reason(program, given_reason)) == (english, russian)
    assert (EN_SUPPORT.reason(program, given_reason), RU_SUPPORT.reason(program, given_reason)) == (english, russian)


def test_a_text_for_a_code_that_nobody_knows_is_an_error() -> None:
    for messages in EVERY:
        with pytest.raises(KeyError):
            messages.reason(CLUB, reason("purchase", 0, "whatever"))
        with pytest.raises(KeyError):
            messages.reason(CLUB, reason("whatever", 5, "earned"))


@pytest.mark.parametrize("points", [-1000, -5, -1, 0, 1, 2, 5, 1000])
@pytest.mark.parametrize("messages", EVERY, ids=lambda each: f"{each.language}{'+' * each.support}")
def test_every_code_can_be_said_of_any_amount(messages: Messages, points: int) -> None:
    for program in (CLUB, VIP):
        for code in [*codes_in_the_source() - {"earned"}, *VIOLATION_KINDS, "hoarding"]:
            rule = "penalty" if code in (*VIOLATION_KINDS, "hoarding") else "purchase"
            ref = "2026-02-03" if code in ("expired", "demotion_undone") else "r-7"
            assert said_well(messages.reason(program, reason(rule, points, code, ref))), code
        for rule in WORDINGS["en"].earned:
            text = messages.reason(program, reason(rule, points, "earned", "r-7"))
            assert said_well(text)
            assert messages.amount(program, abs(points)) in text


# --- security ------------------------------------------------------------------------------------------------------

OF_CASES = (
    "penalty_ended",
    "tier_cap_ended",
    "overturned",
    "penalty_over",
    *(code for code in sorted(codes_in_the_source()) if code.startswith("case_")),
)


@pytest.mark.parametrize("kind", [*VIOLATION_KINDS, "hoarding"])
@pytest.mark.parametrize("points", [-200, -1, 0])
def test_a_penalty_is_told_to_the_member_without_an_accusation_and_to_support_in_full(kind: str, points: int) -> None:
    said = reason("penalty", points, kind, "v-1")
    for messages, support, back in ((EN, "support", "come back"), (RU, "поддержке", "вернутся")):
        text = messages.reason(CROWNS, said)
        assert not ACCUSING.search(text)
        assert kind not in text
        assert "v-1" in text
        assert support in text
        assert (back in text) == (points < 0)
    english = {"return_abuse": "abuse of returns", "coupon_fraud": "coupon fraud"}.get(kind, kind)
    assert english in EN_SUPPORT.reason(CROWNS, said)
    assert "v-1" in EN_SUPPORT.reason(CROWNS, said)
    assert WORDINGS["ru"].kinds.get(kind, kind) in RU_SUPPORT.reason(CROWNS, said)


def test_the_two_wordings_of_a_penalty() -> None:
    said = reason("penalty", -200, "return_abuse", "v-1")
    assert EN.reason(CROWNS, said) == (
        "200 points deducted after a review of your account, case v-1; if you have a question, quote the case number "
        "to support; if the case is overturned, the points come back"
    )
    assert EN_SUPPORT.reason(CROWNS, said) == "200 points deducted: confirmed case v-1, abuse of returns"
    assert RU_SUPPORT.reason(CROWNS, said) == "200 баллов вычтено: подтверждён случай v-1, злоупотребление возвратами"


@pytest.mark.parametrize("code", OF_CASES)
@pytest.mark.parametrize("points", [0, 200])
def test_what_becomes_of_a_case_names_it_and_accuses_nobody(code: str, points: int) -> None:
    said = reason("penalty", points, code, "v-1")
    for messages, fuller in ((EN, EN_SUPPORT), (RU, RU_SUPPORT)):
        text = messages.reason(CROWNS, said)
        assert "v-1" in text
        assert not ACCUSING.search(text)
        assert fuller.reason(CROWNS, said) != text
        assert "v-1" in fuller.reason(CROWNS, said)


@pytest.mark.parametrize(
    ("code", "points"), [("order_fraudulent", 0), ("found_fraudulent", -5), ("found_fraudulent", 0)]
)
def test_a_fraudulent_order_is_called_so_to_support_alone(code: str, points: int) -> None:
    said = reason("purchase", points, code, "o-1")
    assert not ACCUSING.search(EN.reason(CLUB, said))
    assert not ACCUSING.search(RU.reason(CLUB, said))
    assert "fraudulent" in EN_SUPPORT.reason(CLUB, said)
    assert "мошенн" in RU_SUPPORT.reason(CLUB, said)


# --- real histories ------------------------------------------------------------------------------------------------


@cache
def members() -> list[Engine]:
    """Many random members, some years long, settled far beyond their last event."""
    found = []
    for seed in range(40):
        rng = random.Random(seed)
        engine = Engine()
        history = random_history(rng, days=rng.choice([100, 800]), events=60, adjustments=seed % 2 == 1)
        for event, posted in history:
            engine.take(event, posted)
        engine.settle(history[-1][1] + timedelta(days=500))
        found.append(engine)
    return found


def parts() -> Iterator[tuple[Program, dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
    """Every part of every entry: program, part, entry, and the entries before it."""
    for engine in members():
        for number, entry in enumerate(engine.entries):
            for name, part in entry["parts"].items():
                yield PROGRAMS.versions(name)[0], part, entry, engine.entries[:number]


def test_every_reason_of_many_histories_is_said_in_every_language() -> None:
    met: set[str] = set()
    for program, part, entry, _ in parts():
        for each in part["reasons"]:
            met.add("violation" if each["code"] in VIOLATION_KINDS else each["code"])
            texts = [messages.reason(program, each) for messages in EVERY]
            assert all(map(said_well, texts)), texts
            assert not ACCUSING.search(texts[0] + texts[1])
            for messages, text in zip(EVERY, texts, strict=True):
                assert not each["points"] or messages.amount(program, abs(each["points"])) in text
                if each["code"] == "expired":
                    assert messages.day(each["ref"]) in text
                elif "ref" in each and each["code"] not in ("already_expired", "monthly_cap", "daily_cap"):
                    assert each["ref"].removeprefix("item ") in text, each
        for messages in EVERY:
            view = statement_entry(entry, program, messages)
            assert [each["text"] for each in view["reasons"]] == [
                messages.reason(program, each) for each in part["reasons"]
            ]
    # what other programs and versions say, an order of 0.00, and what operators undo, is not in these histories
    elsewhere = {"promoted", "kept", "rules_changed", "below_one_point", "order_without_value", "demotion_undone"}
    assert met - {"violation"} == codes_in_the_source() - elsewhere
    assert "violation" in met


def trigger_of(part: dict[str, Any], before: list[dict[str, Any]], program: str) -> list[dict[str, Any]]:
    """The reasons that a receipt is told with: its own, and of a review those of the last expiry that it rests on."""
    since, without = part["receipt"]["since_seq"], part["receipt"].get("without", ())
    rests_on = [each for each in before if each["seq"] > since and each["seq"] not in without]
    expiries = [each["parts"][program] for each in rests_on if each["parts"].get(program, {}).get("kind") == "expiry"]
    follows = part["kind"] == "tier_review" and bool(expiries)
    return [*(expiries[-1]["reasons"] if follows else []), *part["reasons"]]


def test_every_receipt_of_many_histories_tells_its_facts() -> None:
    kinds = set()
    for program, part, _, before in parts():
        if "receipt" not in part:
            continue
        receipt, trigger = part["receipt"], trigger_of(part, before, program.id)
        rises = part["tier"][0] < part["tier"][1]
        kinds.add((part["kind"], rises))
        for messages in EVERY:
            text = messages.receipt(program, receipt, trigger, {})
            assert said_well(text), text
            assert text.endswith(".")
            assert text.count(messages.day(receipt["on"])) >= 1
            for code in (receipt["from"], receipt["to"]):
                assert code == "none" or code in text
            assert messages.number(program, receipt["threshold"]) in text or receipt.get("way_back") == 0
            if receipt["after"]:
                assert messages.amount(program, receipt["after"]) in text
            if receipt.get("way_back"):
                assert messages.amount(program, receipt["way_back"]) in text
            if not messages.support:
                assert not ACCUSING.search(text), text
            for case in (each["ref"] for each in trigger if each["code"] in VIOLATION_KINDS):
                assert case in text
                ask = {"en": "quote case", "ru": "назовите поддержке"}[messages.language]
                assert (ask in text) == (not messages.support)
    assert kinds >= {
        ("accrual", True),
        ("expiry", True),
        ("reinstatement", True),
        ("clawback", False),
        ("penalty", False),
        ("tier_review", False),
    }


# --- receipts, word for word ---------------------------------------------------------------------------------------

MODEL = {
    "on": "2027-02-03",
    "from": "A3",
    "to": "A2",
    "before": 603,
    "after": 489,
    "causes": {"expired": -114},
    "threshold": 500,
    "window": ["2026-02-04", "2027-02-03"],
    "version": "2017-06",
    "since_seq": 3,
    "way_back": 11,
}
EXPIRED = reason("expiry", -114, "expired", "2026-02-03")
LOTS = {"2026-02-03": [reason("purchase", 109, "earned", "o-1001"), reason("daily_shopping", 5, "earned")]}


def test_a_receipt_reads_like_an_answer_that_a_person_would_give() -> None:
    demoted = reason("tier", 0, "demoted")
    for trigger in ([EXPIRED], [EXPIRED, demoted]):
        assert EN.receipt(CLUB, MODEL, trigger, LOTS) == (
            "On 3 February 2027 you moved from A3 to A2: 114 points that you earned on 3 February 2026 (order "
            "o-1001: 109, daily shopping: 5) expired; 489 points remained, A3 starts at 500. The shortest way back: "
            "11 points."
        )
        assert RU.receipt(CLUB, MODEL, trigger, LOTS) == (
            "3 февраля 2027 года вы перешли с уровня A3 на уровень A2: сгорели 114 баллов, начисленные 3 февраля "
            "2026 года (заказ o-1001: 109, ежедневные покупки: 5); осталось 489 баллов, уровень A3 начинается с 500. "
            "Кратчайший путь назад: 11 баллов."
        )


@pytest.mark.parametrize(
    "lot",
    [
        [],
        [reason("purchase", 109, "earned", "o-1001")],  # less than the lot
        [reason("purchase", 115, "earned", "o-1001")],  # more
        [
            reason("purchase", 120, "earned", "o-1001"),
            reason("daily_shopping", -6, "refunded", "o-2"),
        ],  # taken from nothing
        [reason("whatever", 114, "earned", "o-1001")],  # nobody knows what it was
        [reason("purchase", 114, "earned")],  # nor which order
    ],
)
def test_a_lot_that_is_not_known_well_is_told_without_its_parts(lot: list[dict[str, Any]]) -> None:
    for messages, told in ((EN, "on 3 February 2026 expired;"), (RU, "начисленные 3 февраля 2026 года;")):
        for lots in ({"2026-02-03": lot}, {}, {"2026-02-04": LOTS["2026-02-03"]}):
            text = messages.receipt(CLUB, MODEL, [EXPIRED], lots)
            assert told in text
            assert "(" not in text


def test_a_lot_of_one_part_needs_no_number_and_parts_are_netted() -> None:
    lot = [reason("purchase", 120, "earned", "o-1"), reason("purchase", -6, "refunded", "o-1")]
    assert "earned on 3 February 2026 (order o-1) expired" in EN.receipt(CLUB, MODEL, [EXPIRED], {"2026-02-03": lot})
    lot += [reason("daily_shopping", 5, "earned"), reason("daily_shopping", -5, "refunded", "o-1")]
    assert "earned on 3 February 2026 (order o-1) expired" in EN.receipt(CLUB, MODEL, [EXPIRED], {"2026-02-03": lot})


def test_of_many_parts_the_largest_are_named_and_the_others_summed() -> None:
    lot = [reason("purchase", points, "earned", f"o-{points}") for points in (3, 60, 1, 20, 10, 20)]
    lot[-1]["ref"] = "o-21"
    text = EN.receipt(CLUB, MODEL, [EXPIRED], {"2026-02-03": lot})
    assert "(order o-60: 60, order o-20: 20, order o-10: 10, order o-21: 20, other: 4)" in text
    assert text.count("order o-") == PARTS_NAMED


def test_of_many_lots_the_largest_are_named_in_order_of_time_and_the_others_summed() -> None:
    receipt = {**MODEL, "before": 610, "after": 489, "causes": {"expired": -121}}
    points = {"2026-02-01": -60, "2026-02-02": -1, "2026-02-03": -40, "2026-02-04": -2, "2026-02-05": -18}
    trigger = [reason("expiry", each, "expired", day) for day, each in points.items()]
    text = EN.receipt(CLUB, receipt, trigger, {"2026-02-05": [reason("review", 18, "earned", "i-1")]})
    assert text == (
        "On 3 February 2027 you moved from A3 to A2: 60 points that you earned on 1 February 2026 expired, 40 points "
        "that you earned on 3 February 2026 expired, 18 points that you earned on 5 February 2026 (review of item "
        "i-1) expired, 3 points of other days expired; 489 points remained, A3 starts at 500. The shortest way back: "
        "11 points."
    )
    assert text.count("that you earned") == LOTS_NAMED


def test_what_came_and_went_before_is_told_where_there_is_more() -> None:
    receipt = {**MODEL, "before": 600, "causes": {"earned": 300, "expired": -411}}
    text = EN.receipt(CLUB, receipt, [EXPIRED], LOTS)
    assert text.endswith(" 11 points. Since your last change of tier: 300 points earned, 411 expired.")
    assert RU.receipt(CLUB, receipt, [EXPIRED], LOTS).endswith(
        " С прошлой смены уровня: заработано 300 баллов, сгорело 411."
    )
    receipt = {**MODEL, "causes": {"earned": 10, "expired": -124}}  # the same in sum, and yet more
    assert EN.receipt(CLUB, receipt, [EXPIRED], LOTS).endswith(" 10 points earned, 124 expired.")
    receipt = {**MODEL, "before": 600, "causes": {"expired": -111}, "since_seq": 0}
    assert EN.receipt(CLUB, receipt, [EXPIRED], LOTS).endswith(" In all so far: 111 points expired.")


def told(member: Member, program: str, messages: Messages = EN, number: int = -1, **lots: Any) -> str:
    """The text of a member's receipt, the last one by default."""
    entries = [entry for entry in member.entries if "receipt" in entry["parts"].get(program, {})]
    entry = entries[number]
    part = entry["parts"][program]
    version = member.programs.version(program, part["receipt"]["version"])
    trigger = trigger_of(part, member.entries[: entry["seq"] - 1], program)
    return messages.receipt(version, part["receipt"], trigger, lots)


def test_a_rise() -> None:
    member = Member()
    member.is_given(60, on=DAY)
    assert told(member, "club") == (
        "On 10 March 2026 you moved from A0 to A1: you earned 60 points (campaign spring); that makes 60 points, A1 "
        "starts at 1."
    )
    member.buys("o-1", "35.00", on=after(DAY, 10))
    assert told(member, "club") == (
        "On 20 March 2026 you moved from A1 to A2: you earned 40 points (order o-1: 35, daily shopping: 5); that "
        "makes 100 points, A2 starts at 100."
    )
    assert told(member, "club", RU) == (
        "20 марта 2026 года вы перешли с уровня A1 на уровень A2: вы заработали 40 баллов (заказ o-1: 35, ежедневные "
        "покупки: 5); теперь у вас 100 баллов, уровень A2 начинается с 100."
    )
    assert told(member, "crowns") == (
        "On 20 March 2026 you reached Silver: you earned 36 points (order o-1: 35, daily shopping: 1); that makes 36 "
        "points, Silver starts at 1."
    )
    assert told(member, "crowns", RU).startswith("20 марта 2026 года вы достигли уровня Silver: ")


def test_a_fall_by_a_refund() -> None:
    member = Member()
    member.buys("o-1", "109.00", on=DAY)
    member.gets_all_back("o-1", on=after(DAY, 1))
    assert told(member, "club") == (
        "On 11 March 2026 you moved from A2 to A0: order o-1 was refunded and 114 points were taken back; nothing "
        "remained, A2 starts at 100. The shortest way back: 100 points."
    )
    assert told(member, "crowns", RU) == (
        "11 марта 2026 года вы лишились уровня Gold: по заказу o-1 был возврат, и списано 110 баллов; не осталось "
        "ничего, уровень Gold начинается с 101. Кратчайший путь назад: 101 балл."
    )


def test_a_fall_by_a_fraud_flag() -> None:
    member = Member()
    member.buys("o-1", "109.00", on=DAY)
    member.does("order.flagged_fraudulent", {"order_id": "o-1"})
    assert ": order o-1 did not pass a check and 114 points were taken back; " in told(member, "club")
    assert ": order o-1 was found fraudulent and 114 points were taken back; " in told(member, "club", EN_SUPPORT)


def test_penalties_and_what_becomes_of_them() -> None:
    member = Member()
    member.is_given(150, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "return_abuse"})
    assert told(member, "crowns") == (
        "On 10 March 2026 you lost Gold: 200 points were deducted after a review of your account (case v-1); your "
        "balance was -50 points, Gold starts at 101. The shortest way back: 151 points. If you have a question, "
        "quote case v-1 to support; if the case is overturned, the points come back."
    )
    assert told(member, "crowns", EN_SUPPORT) == (
        "On 10 March 2026 you lost Gold: 200 points were deducted for a confirmed violation (abuse of returns, case "
        "v-1); your balance was -50 points, Gold starts at 101. The shortest way back: 151 points."
    )
    over = copied(member).on(after(DAY, 90))
    assert told(over, "crowns") == (
        "On 8 June 2026 you reached Gold: 200 points came back as the deduction of case v-1 ended; that makes 150 "
        "points, Gold starts at 101."
    )
    member.does("violation.overturned", {"case_id": "v-1", "kind": "return_abuse"}, on=after(DAY, 5))
    assert told(member, "crowns") == (
        "On 15 March 2026 you reached Gold: case v-1 was decided in your favour and 200 points came back; that makes "
        "150 points, Gold starts at 101."
    )
    assert told(member, "crowns", RU) == (
        "15 марта 2026 года вы достигли уровня Gold: решение по проверке v-1 отменено в вашу пользу, и вернулось 200 "
        "баллов; теперь у вас 150 баллов, уровень Gold начинается с 101."
    )


def copied(member: Member) -> Member:
    other = Member(member.programs)
    other.account, other.entries, other.clock = member.account.clone(), list(member.entries), member.clock
    other.orders, other.seen, other.written = dict(member.orders), set(member.seen), member.written
    return other


def test_a_cap_on_the_tier() -> None:
    member = Member()
    member.is_given(400, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    assert told(member, "crowns") == (
        "On 10 March 2026 you moved from Gold to Silver: 200 points were deducted after a review of your account (case "
        "v-1); 200 points remained, enough for Gold. No points are missing: only the limit on your tier by case v-1 "
        "is in the way, and it ends by itself. If you have a question, quote case v-1 to support; if the case is "
        "overturned, the points come back."
    )
    member.on(after(DAY, 60))
    assert told(member, "crowns") == (
        "On 9 May 2026 you moved from Silver to Gold: the limit on your tier by case v-1 ended; you had 200 points, "
        "Gold starts at 101."
    )
    assert told(member, "crowns", EN_SUPPORT).startswith(
        "On 9 May 2026 you moved from Silver to Gold: the cap on the tier by the penalty of case v-1 ended; "
    )
    member = Member()
    member.is_given(2000, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    assert "The shortest way back: 501 points. For a time, case v-1 keeps your tier at Silver at most." in (
        told(member, "crowns")
    )


def test_the_end_of_a_period() -> None:
    member = Member()
    member.buys("o-1", "999.00", on=DAY)
    assert told(member, "vip") == (
        "On 10 March 2026 you reached Silver: you spent 999.00 USD (order o-1); that makes 999.00 USD, Silver starts "
        "at 999.00 USD."
    )
    member.buys("o-2", "100.00", on=after(DAY, 1))
    member.on(after(DAY, 90))
    assert told(member, "vip") == (
        "On 8 June 2026 you lost Silver: your period of 90 days was over; 100.00 USD of what you spent still counted, "
        "Silver starts at 999.00 USD. The shortest way back: 899.00 USD. Since your last change of tier: 100.00 USD "
        "spent, 999.00 USD expired."
    )
    assert told(member, "vip", RU) == (
        "8 июня 2026 года вы лишились уровня Silver: ваш период (90 дней) закончился; из потраченного по-прежнему "
        "учтено 100,00 USD, уровень Silver начинается с 999,00 USD. Кратчайший путь назад: 899,00 USD. С прошлой "
        "смены уровня: потрачено 100,00 USD, сгорело 999,00 USD."
    )


def test_a_refund_within_a_period() -> None:
    member = Member()
    member.buys("o-1", "4000.00", on=DAY)
    member.gets_back("o-1", "2.00", on=after(DAY, 1))
    assert told(member, "vip") == (
        "On 11 March 2026 you moved from Gold to Silver: order o-1 was refunded and 2.00 USD was taken back; "
        "3,998.00 USD of what you spent still counted, Gold starts at 3,999.00 USD. The shortest way back: 1.00 USD."
    )


def test_one_step_at_a_time() -> None:
    member = Member(Programs([changed("club", demotion={"to": "one_down", "grace_days": 2})]))
    member.is_given(2000, on=DAY)
    member.is_given(7, on=after(DAY, 9))
    member.on(after(DAY, 368))
    assert told(member, "club") == (
        "On 12 March 2027 you moved from A4 to A3: 2,000 points that you earned on 10 March 2026 expired; 7 points "
        "remained, A4 starts at 2,000. The shortest way back: 1,993 points. A review lowers a tier by one step at a "
        "time. Since your last change of tier: 7 points earned, 2,000 expired."
    )
    member.on(after(DAY, 370))
    assert told(member, "club") == (
        "On 14 March 2027 you moved from A3 to A2: a review found that you no longer meet the tier; 7 points "
        "remained, A3 "
        "starts at 500. The shortest way back: 493 points. A review lowers a tier by one step at a time."
    )


def test_a_single_step_needs_no_explanation() -> None:
    member = Member(Programs([changed("club", demotion={"to": "one_down"})]))
    member.is_given(1500, on=DAY)
    member.is_given(600, on=after(DAY, 9))
    member.on(after(DAY, 366))
    assert told(member, "club").startswith("On 10 March 2027 you moved from A4 to A3: 1,500 points")
    assert "one step" not in told(member, "club")


def test_what_another_version_began_on_that_day_is_no_reason() -> None:
    other = Program(changed("club", version="other", effective_from=MODEL["on"]))
    assert "new rules" not in EN.receipt(other, MODEL, [], {})
    assert "new rules came into force; " in EN.receipt(other, {**MODEL, "version": "other"}, [], {})


def test_the_first_day_of_new_rules() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 30))
    second["tiers"][1]["from"] = 50
    second["tiers"][2]["from"] = 60
    member = Member(Programs([changed("club"), second]))
    member.is_given(70, on=DAY)
    member.on(after(DAY, 31))
    assert told(member, "club") == (
        "On 9 April 2026 you moved from A1 to A2: new rules came into force; you had 70 points, A2 starts at 60."
    )
    easier = changed("club", version="2", effective_from=after(DAY, 370))
    easier["tiers"][2]["from"] = 60
    member = Member(Programs([changed("club"), easier]))
    member.is_given(10, on=DAY)
    member.is_given(70, on=after(DAY, 50))
    member.on(after(DAY, 371))
    # what expired raised nothing
    assert told(member, "club") == (
        "On 15 March 2027 you moved from A1 to A2: new rules came into force; you had 70 points, A2 starts at 60. "
        "Since your last change of tier: 70 points earned, 10 expired."
    )
    harder = changed("club", version="2", effective_from=after(DAY, 370))
    harder["tiers"][2]["from"] = 150
    member = Member(Programs([changed("club"), harder]))
    member.is_given(30, on=DAY)
    member.is_given(120, on=after(DAY, 50))
    member.is_given(10, on=after(DAY, 51))
    member.on(after(DAY, 371))
    # what expired five days ago is no reason for what the new rules did
    assert told(member, "club") == (
        "On 15 March 2027 you moved from A2 to A1: new rules came into force; 130 points remained, A2 starts at 150. "
        "The shortest way back: 20 points. Since your last change of tier: 10 points earned, 30 expired."
    )


def test_an_adjustment() -> None:
    down = {**MODEL, "causes": {"adjusted": -114}}
    up = {**MODEL, "from": "A2", "to": "A3", "after": 717, "causes": {"adjusted": 114}}
    text = EN.receipt(CLUB, down, [reason("adjustment", -114, "adjusted")], {})
    assert text.startswith(
        "On 3 February 2027 you moved from A3 to A2: an adjustment took 114 points; 489 points remained"
    )
    text = EN.receipt(CLUB, up, [reason("adjustment", 114, "adjusted")], {})
    assert ": an adjustment gave 114 points; that makes 717 points, A3 starts at 500." in text
    spend = {
        **MODEL,
        "from": "Gold",
        "to": "Silver",
        "after": 999_00,
        "causes": {"adjusted": -1_00},
        "threshold": 3_999_00,
    }
    text = RU.receipt(VIP, {**spend, "way_back": 3_000_00}, [reason("adjustment", -1_00, "adjusted")], {})
    assert ": при корректировке вычтено 1,00 USD; из потраченного" in text


def test_a_receipt_without_a_known_cause_makes_none_up() -> None:
    assert EN.receipt(CLUB, MODEL, [], {}) == (
        "On 3 February 2027 you moved from A3 to A2: a review found that you no longer meet the tier; 489 points "
        "remained, A3 starts at 500. The shortest way back: 11 points. Since your last change of tier: 114 points "
        "expired."
    )


# --- two moments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "english", "russian"),
    [
        ("earned", 1, "1 point earned", "заработан 1 балл"),
        ("earned", 300, "300 points earned", "заработано 300 баллов"),
        ("expired", -114, "114 points expired", "сгорело 114 баллов"),
        ("expired", -2, "2 points expired", "сгорели 2 балла"),
        ("expired", 200, "200 points came back as deductions ended", "вернулось 200 баллов по окончании вычетов"),
        ("clawed_back", -5, "5 points taken back", "списано 5 баллов"),
        ("penalised", -20, "20 points deducted", "вычтено 20 баллов"),
        ("reinstated", 20, "20 points given back", "возвращено 20 баллов"),
        ("adjusted", -3, "3 points taken by an adjustment", "вычтены 3 балла при корректировке"),
        ("adjusted", 3, "3 points given by an adjustment", "добавлены 3 балла при корректировке"),
    ],
)
def test_a_cause(kind: str, value: int, english: str, russian: str) -> None:
    assert (EN.cause(CROWNS, kind, value, False), RU.cause(CROWNS, kind, value, False)) == (english, russian)
    assert EN.cause(CROWNS, kind, value, True) == f"{english}, with entries that were recorded later than they occurred"
    assert RU.cause(CROWNS, kind, value, True) == f"{russian}, есть записи, сделанные позднее самих событий"
    assert said_well(EN_SUPPORT.cause(CROWNS, kind, value, False))


def test_a_cause_of_spend() -> None:
    assert EN.cause(VIP, "earned", 12_00, False) == "12.00 USD spent"
    assert RU.cause(VIP, "expired", -1_000_00, False) == f"сгорело 1{NBSP}000,00 USD"


@pytest.mark.parametrize(
    ("opening", "closing", "causes", "english", "russian"),
    [
        (
            (12_500, "A4"),
            (6_000, "A4"),
            {"earned": 300, "expired": -6_800},
            "From 12,500 points down to 6,000: 300 points earned, 6,800 expired. The tier is still A4.",
            f"Было 12{NBSP}500 баллов, стало 6{NBSP}000: заработано 300 баллов, сгорело 6{NBSP}800. "
            "Уровень прежний, A4.",
        ),
        (
            (603, "A3"),
            (489, "A2"),
            {"expired": -114},
            "From 603 points down to 489: 114 points expired. The tier went from A3 to A2.",
            "Было 603 балла, стало 489: сгорело 114 баллов. Уровень A3 сменился уровнем A2.",
        ),
        (
            (0, "A0"),
            (1, "A1"),
            {"earned": 1},
            "From 0 up to 1 point: 1 point earned. The tier went from A0 to A1.",
            "Было 0, стало 1 балл: заработан 1 балл. Уровень A0 сменился уровнем A1.",
        ),
        (
            (603, "A3"),
            (603, "A3"),
            {},
            "Nothing changed: 603 points. The tier is still A3.",
            "Ничего не изменилось: 603 балла. Уровень прежний, A3.",
        ),
        (
            (10, "A1"),
            (10, "A1"),
            {"earned": 5, "expired": -5},
            "10 points before and after: 5 points earned, 5 expired. The tier is still A1.",
            "10 баллов и до, и после: заработано 5 баллов, сгорело 5. Уровень прежний, A1.",
        ),
    ],
)
def test_the_difference_between_two_moments(
    opening: tuple[int, str], closing: tuple[int, str], causes: dict[str, int], english: str, russian: str
) -> None:
    ends = [{"measure": measure, "tier": tier} for measure, tier in (opening, closing)]
    assert EN.difference(CLUB, ends[0], ends[1], causes) == english
    assert RU.difference(CLUB, ends[0], ends[1], causes) == russian


@pytest.mark.parametrize(
    ("before", "now", "english", "russian"),
    [
        ("none", "none", "There is still no tier.", "Уровня по-прежнему нет."),
        ("none", "Gold", "Gold was reached.", "Достигнут уровень Gold."),
        ("Gold", "none", "Gold was lost.", "Уровень Gold утрачен."),
    ],
)
def test_the_difference_where_there_is_no_tier(before: str, now: str, english: str, russian: str) -> None:
    ends = [{"measure": 1_00, "tier": before}, {"measure": 2_00, "tier": now}]
    assert EN.difference(VIP, ends[0], ends[1], {"earned": 1_00}) == (
        f"From 1.00 USD up to 2.00 USD: 1.00 USD spent. {english}"
    )
    assert RU.difference(VIP, ends[0], ends[1], {"earned": 1_00}).endswith(russian)


# --- ahead ---------------------------------------------------------------------------------------------------------


def test_what_to_earn_by_when() -> None:
    keep = {"tier": "A3", "earn": 11, "from": "2026-12-01", "counts_at_once": True, "by": "2027-02-02"}
    assert EN.keep(CLUB, keep) == "Earn 11 points by 2 February 2027 to keep A3."
    assert EN.keep(CLUB, {**keep, "earn": 1}) == "Earn 1 point by 2 February 2027 to keep A3."
    assert RU.keep(CLUB, {**keep, "earn": 21}) == (
        "Заработайте 21 балл до 2 февраля 2027 года включительно, чтобы сохранить уровень A3."
    )
    assert EN.keep(VIP, {**keep, "tier": "Gold", "earn": 1_000_00}) == (
        "Spend 1,000.00 USD by 2 February 2027 to keep Gold."
    )
    assert RU.keep(VIP, {**keep, "tier": "Gold"}).startswith("Потратьте 0,11 USD до ")
    later = {**keep, "counts_at_once": False}
    assert EN.keep(CLUB, later) == "Earn 11 points between 1 December 2026 and 2 February 2027 to keep A3."
    assert EN.keep(VIP, later) == "Spend 0.11 USD between 1 December 2026 and 2 February 2027 to keep A3."
    assert RU.keep(CLUB, later) == (
        "Заработайте 11 баллов с 1 декабря 2026 года по 2 февраля 2027 года, чтобы сохранить уровень A3."
    )
    assert RU.keep(VIP, later).startswith("Потратьте 0,11 USD с 1 декабря 2026 года по 2 ")


@pytest.mark.parametrize(
    ("program", "before", "now", "expires", "english", "russian"),
    [
        (
            CLUB,
            "A3",
            "A2",
            114,
            "On 3 February 2027, 114 points expire and you move from A3 to A2.",
            "3 февраля 2027 года сгорят 114 баллов, и вы перейдёте с уровня A3 на уровень A2.",
        ),
        (CLUB, "A3", "A3", 1, "On 3 February 2027, 1 point expires.", "3 февраля 2027 года сгорит 1 балл."),
        (CLUB, "A1", "A1", -5, "On 3 February 2027, 5 points come back.", "3 февраля 2027 года вернутся 5 баллов."),
        (
            VIP,
            "Silver",
            "none",
            999_00,
            "On 3 February 2027, 999.00 USD expires and you lose Silver.",
            "3 февраля 2027 года сгорят 999,00 USD, и вы лишитесь уровня Silver.",
        ),
        (
            CROWNS,
            "none",
            "Gold",
            0,
            "On 3 February 2027, you reach Gold.",
            "3 февраля 2027 года вы достигнете уровня Gold.",
        ),
        (
            CROWNS,
            "Gold",
            "Gold",
            0,
            "On 3 February 2027, you have 7 points.",
            "3 февраля 2027 года у вас будет 7 баллов.",
        ),
    ],
)
def test_a_day_ahead(program: Program, before: str, now: str, expires: int, english: str, russian: str) -> None:
    change = {"date": "2027-02-03", "tier_before": before, "tier": now, "measure": 7, "expires": expires}
    assert (EN.change(program, change), RU.change(program, change)) == (english, russian)


# --- privileges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "missing", "english", "russian"),
    [
        (
            {"code": "expedited_refund", "granted": True, "limit": "25.00", "currency": "USD"},
            None,
            "A full refund of up to 25.00 USD is paid once the seller has approved it and the return is on its way.",
            "Полный возврат до 25,00 USD выплачивается, как только продавец его одобрил и возврат отправлен.",
        ),
        (
            {"code": "dispute_acceleration", "granted": False, "unlocked_by": "A4", "days": 5},
            1388,
            "Once escalated, your dispute goes to a queue of its own and its review is due 5 days earlier. "
            "Yours from A4 on: 1,388 points to go.",
            "Переданный на рассмотрение спор попадает в отдельную очередь, и срок решения наступает на 5 дней раньше. "
            f"Доступно с уровня A4: до него 1{NBSP}388 баллов.",
        ),
        (
            {"code": "dispute_acceleration", "granted": False, "unlocked_by": "A4", "days": 1},
            0,
            "Once escalated, your dispute goes to a queue of its own and its review is due 1 day earlier. "
            "Yours from A4 on.",
            "Переданный на рассмотрение спор попадает в отдельную очередь, и срок решения наступает на 1 день раньше. "
            "Доступно с уровня A4.",
        ),
        (
            {"code": "price_alerts", "granted": False, "switched_off": True},
            None,
            "A notice when the price of something on your wish list or in your cart falls. Switched off at present.",
            "Сообщение, когда дешевеет товар из списка желаний или корзины. Сейчас отключено.",
        ),
        (
            {"code": "exclusive_prices", "granted": True, "percent": 3},
            None,
            "3% off the price of selected goods.",
            f"Скидка 3{NBSP}% на избранные товары.",
        ),
    ],
    ids=["granted", "missing", "nothing missing", "switched off", "percent"],
)
def test_a_privilege(view: dict[str, Any], missing: int | None, english: str, russian: str) -> None:
    assert EN.privilege(CLUB, view, missing)["text"] == english
    assert RU.privilege(CLUB, view, missing)["text"] == russian
    for messages in (EN, RU):
        title = messages.privilege(CLUB, view, missing)["title"]
        assert said_well(title)
        assert title != view["code"]


def test_a_privilege_that_the_catalogue_does_not_know_is_called_by_its_code() -> None:
    view = {"code": "free_shipping.v2", "granted": False, "unlocked_by": "Gold"}
    assert EN.privilege(VIP, view, 12_00) == {
        "title": "Free shipping v2",
        "text": "A privilege of this club. Yours from Gold on: 12.00 USD to go.",
    }
    assert RU.privilege(VIP, view)["text"] == "Привилегия клуба. Доступно с уровня Gold."
    assert EN.privilege(VIP, {"code": "-", "granted": True})["title"] == "-"


def test_every_privilege_of_the_programs_is_said_at_every_tier() -> None:
    from club_rules.views import _privilege

    for program in (CLUB, CROWNS, VIP):
        for tier in range(len(program.codes)):
            for data in program.privileges:
                view = _privilege(data, program, tier)
                for messages in EVERY:
                    found = messages.privilege(program, view, 5)
                    assert said_well(found["title"])
                    assert said_well(found["text"])
                    unlocks = {"en": "Yours from", "ru": "Доступно с"}[messages.language]
                    assert (unlocks in found["text"]) == (not view["granted"])
