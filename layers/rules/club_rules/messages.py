"""What the club says to people: one catalogue, keyed by the code of the reason (rules 1.12), in two languages.

The texts of a language stand in a module of its own, which is loaded when that language is first asked for. This one
picks the text, fills it in and puts sentences together. The structured facts always stand beside a text; nothing is
decided by reading one.

How a text is written: ``{amount}`` and the like are filled in, ``[was|were]`` is the form that goes with the amount,
one for each form that the language has. A key such as ``refunded`` may have variants: ``refunded/none`` where the
amount is 0, ``expired/up`` where points came rather than went, ``spam/support`` for who may read the fuller wording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from club_rules.money import format_money
from club_rules.programs import Program

LANGUAGES = ("en", "ru")
"""What the catalogue is written in; the first is for who asks for none."""

LOTS_NAMED = 3
"""So many expired lots a receipt names by their day; the others are summed."""

PARTS_NAMED = 4
"""So many parts of what was earned a receipt names; the others are summed."""

NO_TIER = "none"
"""The code of a lowest tier that is no tier at all (rules 1.5, 1.6)."""

_FORMS = re.compile(r"\[([^\[\]]*)\]")
_UNDONE = ("refunded", "cancelled", "found_fraudulent")


class Wording(NamedTuple):
    """A language: how it writes amounts and days, and its texts by key."""

    thousands: str
    decimal: str
    form: Callable[[int], int]  # which of a noun's forms goes with a number
    money_form: int  # and which with an amount of money
    points: tuple[str, ...]
    units: tuple[str, ...]
    some_units: str
    months: tuple[str, ...]
    day: str
    no_tier: str
    rules: Mapping[str, str]  # what earned: "order {ref}"
    kinds: Mapping[str, str]  # of violations
    earned: Mapping[str, str]  # by rule
    reasons: Mapping[str, str]  # by code
    causes: Mapping[str, str]  # by kind of cause
    because: Mapping[str, str]  # what brought a change of tier, by code
    sentences: Mapping[str, str]
    privileges: Mapping[str, tuple[str, str]]  # title, and what it grants


def _wording(language: str) -> Wording:
    """The texts of a language. Raises ``ValueError`` for one that the catalogue lacks."""
    if language == "en":
        from club_rules.messages_en import WORDING as ENGLISH

        return ENGLISH
    if language == "ru":
        from club_rules.messages_ru import WORDING as RUSSIAN

        return RUSSIAN
    raise ValueError(f"the catalogue has {', '.join(LANGUAGES)}, not {language}")


@cache
def messages_for(language: str, support: bool = False) -> Messages:
    """The catalogue in one of ``LANGUAGES``; ``support``: with the fuller wording of security reasons.

    Raises ``ValueError`` for another language.
    """
    return Messages(language, support)


class Messages:
    """The catalogue in one language, for a member or for support.

    ``program`` is always the version whose codes, currency and measure the facts are in. Amounts are whole points, or
    minor units of spend.
    """

    def __init__(self, language: str, support: bool = False) -> None:
        """``language`` is one of ``LANGUAGES``; see ``messages_for``."""
        self.language = language
        self.support = support
        self._words = _wording(language)

    # --- amounts, days, tiers

    def amount(self, program: Program, value: int) -> str:
        """An amount with its unit: "1 point", "12,500 points", "-12.00 USD"."""
        if program.measures_spend:
            return self.number(program, value)
        return f"{self.number(program, value)} {self._words.points[self._words.form(value)]}"

    def number(self, program: Program, value: int) -> str:
        """An amount as it stands beside others: "12,500"; money keeps its currency, "12.00 USD"."""
        words = self._words
        if not program.measures_spend:
            return f"{value:,}".replace(",", words.thousands)
        return self._money(format_money(value, program.currency), program.currency)

    def _money(self, text: str, currency: str) -> str:
        whole, point, rest = text.partition(".")
        sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
        grouped = f"{int(whole):,}".replace(",", self._words.thousands)
        return f"{sign}{grouped}{self._words.decimal if point else ''}{rest} {currency}"

    def day(self, iso: str) -> str:
        """A day as it is read: "2027-02-03" is "3 February 2027"."""
        day = date.fromisoformat(iso)
        return self._words.day.format(day=day.day, month=self._words.months[day.month - 1], year=day.year)

    def tier(self, program: Program, code: str) -> str:  # noqa: ARG002 - a program may come to name its tiers
        """A tier as it is shown: its code, and words for what is no tier."""
        return self._words.no_tier if code == NO_TIER else code

    # --- reasons and causes

    def reason(self, program: Program, reason: Mapping[str, Any]) -> str:
        """The text for a reason of a ledger entry: {rule, points, code, and maybe ref, units}.

        Raises ``KeyError`` for a code that the catalogue lacks: every code has a text. A violation's kind is the
        program's to name, so that one which is not known here has the general text.
        """
        rule, code, points = reason["rule"], reason["code"], reason["points"]
        words = self._words
        fields = {"ref": _ref(reason), "of": "", "kind": ""}
        if code == "earned":
            return self._say(program, words.earned[rule], points, fields)
        if code in ("expired", "demotion_undone"):
            fields["ref"] = self.day(reason["ref"])
        elif code == "item_unit_cap":
            units = reason.get("units")
            fields["units"] = words.some_units if units is None else self._units(units)
        elif rule in ("daily_shopping", "variety") and points:
            fields["of"] = words.sentences["of"].format(what=words.rules[rule])
        elif rule == "penalty" and code not in words.reasons:
            fields["kind"] = words.kinds.get(code, code)
            code = "penalty"
        return self._say(program, self._pick(words.reasons, code, points), points, fields)

    def _units(self, units: int) -> str:
        return f"{units:,} {self._words.units[self._words.form(units)]}".replace(",", self._words.thousands)

    def cause(self, program: Program, kind: str, value: int, recorded_later: bool = False) -> str:
        """What one cause did to the measure: "114 points expired".

        ``kind`` as in ``club_rules.account.CAUSES``; ``value`` its part of the ledger's sum; ``recorded_later``:
        whether it was posted after it had occurred, so that it was not known at the time.
        """
        text = self._cause(program, kind, value, self.amount(program, abs(value)))
        return self._words.sentences["recorded_later"].format(text=text) if recorded_later else text

    def _cause(self, program: Program, kind: str, value: int, amount: str) -> str:
        key = "spent" if kind == "earned" and program.measures_spend else kind
        return self._say(program, self._pick(self._words.causes, key, value), value, {"amount": amount})

    def _causes(self, program: Program, causes: Mapping[str, int]) -> str:
        """Several causes in one row; the unit stands with the first."""
        said: list[str] = []
        for kind, value in causes.items():
            if value:
                amount = self.number(program, abs(value)) if said else self.amount(program, abs(value))
                said.append(self._cause(program, kind, value, amount))
        return ", ".join(said)

    # --- receipts

    def receipt(
        self,
        program: Program,
        receipt: Mapping[str, Any],
        trigger: list[dict[str, Any]],
        lots: Mapping[str, list[dict[str, Any]]],
    ) -> str:
        """Why a tier changed, as a person would say it (rules 1.9).

        ``receipt`` is as ``club_rules.tiers`` stores it. ``program`` is best the receipt's own version: of another,
        less is told. ``trigger`` holds the reasons of the entry that brought the change, and where that is a review
        those of the last expiry before it as well. ``lots`` says what expired lots were made of, by their day (ISO):
        the reasons that raised and lowered each. A lot that it lacks, or whose reasons don't add up to what expired,
        is told without what it was made of.
        """
        rises = program.tier_index(receipt["to"]) > program.tier_index(receipt["from"])
        violations = [each for each in trigger if each["rule"] == "penalty" and each["code"] not in self._words.reasons]
        if rises or _takes_at_once(trigger) or program.period is None:
            cause = _causal(program, receipt, trigger, rises)
            because = self._because(program, receipt, cause, lots, rises)
        else:
            cause = []
            because = self._sentence("period_over", days=self._days(program.period))
        said = [
            self._sentence(
                "receipt",
                moved=self._moved(program, receipt),
                because=because,
                standing=self._standing(program, receipt, rises, any(reason["points"] for reason in cause)),
            )
        ]
        if not rises:
            said += self._way_back(program, receipt, violations)
        said += self._since(program, receipt, sum(reason["points"] for reason in cause))
        if violations and not self.support:
            said.append(self._sentence("ask_support", ref=_ref(violations[0])))
        return " ".join(said)

    def _moved(self, program: Program, receipt: Mapping[str, Any]) -> str:
        before, after = receipt["from"], receipt["to"]
        names = {"before": self.tier(program, before), "after": self.tier(program, after)}
        return self._sentence(_between("moved", before, after), day=self.day(receipt["on"]), **names)

    def _because(
        self,
        program: Program,
        receipt: Mapping[str, Any],
        trigger: list[dict[str, Any]],
        lots: Mapping[str, list[dict[str, Any]]],
        rises: bool,
    ) -> str:
        """What brought the change, most of all."""
        clauses = [
            *self._taken_back(program, trigger),
            *self._earned(program, trigger),
            *self._expired(program, trigger, lots),
            *self._by_people(program, trigger),
        ]
        if clauses:
            return ", ".join(clauses)
        if _is_first_day(program, receipt):
            return self._sentence("new_rules")
        return self._sentence("measure_up" if rises else "measure_down")

    def _taken_back(self, program: Program, trigger: list[dict[str, Any]]) -> list[str]:
        """An order that was undone, with all that it took: its own points and the day's."""
        taken: dict[tuple[str, str], int] = {}
        for reason in trigger:
            if reason["code"] in _UNDONE:
                key = (reason["code"], _ref(reason))
                taken[key] = taken.get(key, 0) + reason["points"]
        return [self._clause(program, code, points, ref=ref) for (code, ref), points in taken.items() if points]

    def _clause(self, program: Program, code: str, points: int, **fields: str) -> str:
        return self._say(program, self._pick(self._words.because, code, points), points, fields)

    def _earned(self, program: Program, trigger: list[dict[str, Any]]) -> list[str]:
        earned = [reason for reason in trigger if reason["code"] == "earned"]
        points = sum(reason["points"] for reason in earned)
        if not points:
            return []
        code = "spent" if program.measures_spend else "earned"
        return [self._clause(program, code, points, made_of=self._made_of(program, earned, points))]

    def _expired(
        self, program: Program, trigger: list[dict[str, Any]], lots: Mapping[str, list[dict[str, Any]]]
    ) -> list[str]:
        """The lots that expired, each with its day and what it was made of; negative ones give points back."""
        clauses = []
        expired = [reason for reason in trigger if reason["code"] == "expired" and reason["points"]]
        for down in (True, False):
            of_sign = [reason for reason in expired if (reason["points"] < 0) == down]
            # where some have to be left unnamed, these are the smallest
            of_sign.sort(key=lambda reason: (-abs(reason["points"]), reason["ref"]))
            for reason in sorted(of_sign[:LOTS_NAMED], key=lambda each: str(each["ref"])):
                points = -reason["points"]
                made_of = self._made_of(program, lots.get(reason["ref"], []), points)
                clauses.append(self._clause(program, "expired", -points, day=self.day(reason["ref"]), made_of=made_of))
            rest = sum(reason["points"] for reason in of_sign[LOTS_NAMED:])
            if rest:
                clauses.append(self._clause(program, "expired_others", rest))
        return clauses

    def _by_people(self, program: Program, trigger: list[dict[str, Any]]) -> list[str]:
        """Penalties, their end and their undoing, adjustments, falls that the club undid."""
        clauses = []
        for reason in trigger:
            code, points = reason["code"], reason["points"]
            if reason["rule"] == "adjustment":
                if points:
                    clauses.append(self._clause(program, "adjusted", points))
            elif code == "demotion_undone":
                clauses.append(self._sentence("undone", day=self.day(reason["ref"])))
            elif reason["rule"] == "penalty":
                known = code in self._words.because
                fields = {"ref": _ref(reason), "kind": "" if known else self._words.kinds.get(code, code)}
                if known or code not in self._words.reasons:  # what says only that nothing was done is no cause
                    clauses.append(self._clause(program, code if known else "penalty", points, **fields))
        return clauses

    def _made_of(self, program: Program, parts: list[dict[str, Any]], whole: int) -> str:
        """In brackets, what an amount was made of; nothing where the parts don't tell it truly."""
        words = self._words
        sums: dict[str, int] = {}
        for part in parts:
            if part["rule"] not in words.rules:
                return ""
            text = words.rules[part["rule"]]
            if "{ref}" in text and not part.get("ref"):
                return ""
            label = text.format(ref=_ref(part))
            sums[label] = sums.get(label, 0) + part["points"]
        sums = {label: points for label, points in sums.items() if points}
        if not sums or sum(sums.values()) != whole or any(points < 0 for points in sums.values()):
            return ""
        if len(sums) == 1:
            return f" ({next(iter(sums))})"
        named = sorted(sums, key=lambda label: -sums[label])[:PARTS_NAMED]
        said = [f"{label}: {self.number(program, sums[label])}" for label in sums if label in named]
        rest = whole - sum(sums[label] for label in named)
        if rest:
            said.append(f"{words.sentences['others']}: {self.number(program, rest)}")
        return f" ({', '.join(said)})"

    def _standing(self, program: Program, receipt: Mapping[str, Any], rises: bool, moved: bool) -> str:
        """The measure after the change, beside the threshold that decided; ``moved``: it is what changed."""
        after = receipt["after"]
        tier = receipt["to"] if rises else receipt["from"]
        key = "enough" if receipt.get("way_back") == 0 else "remained" if not rises else "makes" if moved else "had"
        if after < 0:
            key = "below_zero"
        elif after == 0:
            key = "nothing_remained"
        elif program.measures_spend and key == "remained":
            key = "counted"
        fields = {"tier": tier, "threshold": self.number(program, receipt["threshold"])}
        return self._say(program, self._words.sentences[key], after, fields, signed=True)

    def _way_back(self, program: Program, receipt: Mapping[str, Any], violations: list[dict[str, Any]]) -> list[str]:
        """What is missing to the tier that was lost, and what else is in the way."""
        said = []
        missing = receipt.get("way_back", 0)
        qualified = program.tier_for(receipt["after"]) if program.version == receipt["version"] else None
        held = program.codes.index(receipt["to"])
        if missing:
            said.append(self._say(program, self._words.sentences["way_back"], missing, {}))
        if not missing or (qualified is not None and qualified > held):
            key = ("capped" if missing else "only_capped") + ("/case" if violations else "")
            ref = _ref(violations[0]) if violations else ""
            said.append(self._sentence(key, ref=ref, tier=self.tier(program, receipt["to"])))
        elif program.one_down and qualified is not None and qualified < held:
            said.append(self._sentence("one_down"))
        return said

    def _since(self, program: Program, receipt: Mapping[str, Any], told: int) -> list[str]:
        """All that came and went since the last change of tier, where that is more than what was told."""
        causes = {kind: points for kind, points in receipt["causes"].items() if points}
        if not causes or (len(causes) == 1 and told == sum(causes.values())):
            return []
        return [self._sentence("since" if receipt["since_seq"] else "so_far", causes=self._causes(program, causes))]

    # --- two moments, and the days ahead

    def difference(
        self, program: Program, opening: Mapping[str, Any], closing: Mapping[str, Any], causes: Mapping[str, int]
    ) -> str:
        """What lies between two moments: ``opening`` and ``closing`` are {measure, tier}, ``causes`` sums by kind."""
        before, after = opening["measure"], closing["measure"]
        told = self._causes(program, causes)
        fields = {"before": self.amount(program, before), "causes": told}
        fields["after"] = self.number(program, after) if before else self.amount(program, after)
        if not before:
            fields["before"] = self.number(program, before)
        if before == after:
            key = "same/causes" if told else "same"
            fields["before"] = self.amount(program, before)
        else:
            key = "rose" if after > before else "fell"
        said = [self._sentence(key, **fields)]
        tiers = {"before": self.tier(program, opening["tier"]), "after": self.tier(program, closing["tier"])}
        if opening["tier"] == closing["tier"]:
            said.append(self._sentence("tier_kept/none" if closing["tier"] == NO_TIER else "tier_kept", **tiers))
        else:
            said.append(self._sentence(_between("tier_moved", opening["tier"], closing["tier"]), **tiers))
        return " ".join(said)

    def keep(self, program: Program, keep: Mapping[str, Any]) -> str:
        """What to earn by when: {tier, earn, from, counts_at_once, by, ...}, ``earn`` as an amount, days as ISO."""
        key = "keep/spend" if program.measures_spend else "keep"
        if not keep["counts_at_once"]:
            key += "/from"
        fields = {
            "tier": self.tier(program, keep["tier"]),
            "first": self.day(keep["from"]),
            "day": self.day(keep["by"]),
        }
        return self._say(program, self._words.sentences[key], keep["earn"], fields)

    def change(self, program: Program, change: Mapping[str, Any]) -> str:
        """A day ahead on which something changes: {date, tier_before, tier, measure, expires}, as the outlook has it.

        ``expires`` is what goes, in points or minor units; below 0 it is what comes back.
        """
        said = []
        expires = change["expires"]
        if expires:
            said.append(self._say(program, self._words.sentences["expire" if expires > 0 else "return"], expires, {}))
        before, after = change["tier_before"], change["tier"]
        tiers = {"before": self.tier(program, before), "after": self.tier(program, after)}
        if before != after:
            said.append(self._sentence(_between("move", before, after), **tiers))
        elif not said:
            said.append(self._say(program, self._words.sentences["have"], change["measure"], {}))
        return self._sentence("ahead", day=self.day(change["date"]), what=self._words.sentences["and"].join(said))

    # --- privileges

    def privilege(self, program: Program, view: Mapping[str, Any], missing: int | None = None) -> dict[str, str]:
        """A privilege's title and text. ``view`` as in the summary; ``missing`` to the tier that unlocks it, if known.

        Privileges are the program's to name: one that is not known here is called by its code.
        """
        words = self._words
        code = view["code"]
        title, grants = words.privileges.get(code) or (_spelt(code), words.sentences["privilege"])
        limit = self._money(view["limit"], view["currency"]) if "limit" in view else ""
        days = self._days(view.get("days", 0))
        said = [grants.format(limit=limit, percent=view.get("percent", ""), days=days)]
        if view.get("switched_off"):
            said.append(words.sentences["switched_off"])
        elif not view["granted"] and "unlocked_by" in view:
            tier = self.tier(program, view["unlocked_by"])
            key = "unlocks/missing" if missing else "unlocks"
            said.append(self._say(program, words.sentences[key], missing or 0, {"tier": tier}))
        return {"title": title, "text": " ".join(said)}

    def reward(self, program: Program, view: Mapping[str, Any]) -> dict[str, str]:
        """A reward's title and text. ``view``: as it is listed; ``program`` the version that it was granted by."""
        words, kind, form = self._words.sentences, view["kind"], self._words.form(view["count"])
        fields = {
            "count": str(view["count"]),
            "value": self._money(view["value"], view["currency"]) if "value" in view else "",
            "tier": self.tier(program, view.get("tier", "")),
            "from": self.day(view["valid_from"]),
            "to": self.day(view["valid_to"]),
        }
        gift = None if "tier" in view else program.rewards.get(kind, {}).get("gift")  # the program's to name
        if gift is None:
            title = self._resolve(words[f"{kind}/title"], form).format(**fields)
        else:
            title = gift.get("titles", {}).get(self.language, gift["title"])
        key = f"{kind}/value" if "value" in view and f"{kind}/value" in words else kind
        said = (self._resolve(words[each], form).format(**fields) for each in (key, "valid"))
        return {"title": title, "text": " ".join(said)}

    def _days(self, days: int) -> str:
        return self._resolve(self._words.sentences["days"], self._words.form(days)).format(days=f"{days:,}")

    # --- filling in

    def _pick(self, texts: Mapping[str, str], key: str, value: int) -> str:
        """The variant that fits: support's own, none at all, or up."""
        variants = ["/none"] if value == 0 else ["/up"] if value > 0 else []
        for variant in [*(f"{each}/support" for each in variants if self.support), *variants]:
            if f"{key}{variant}" in texts:
                return texts[f"{key}{variant}"]
        return texts.get(f"{key}/support", texts[key]) if self.support else texts[key]

    def _say(self, program: Program, text: str, value: int, fields: Mapping[str, str], *, signed: bool = False) -> str:
        """Fills a text in; ``value`` is its amount, written without its sign unless ``signed``."""
        shown = value if signed else abs(value)
        form = self._words.money_form if program.measures_spend else self._words.form(shown)
        return self._resolve(text, form).format(**{"amount": self.amount(program, shown), **fields})

    def _sentence(self, key: str, **fields: str) -> str:
        return self._words.sentences[key].format(**fields)

    @staticmethod
    def _resolve(text: str, form: int) -> str:
        return _FORMS.sub(lambda found: found[1].split("|")[form], text)


def _takes_at_once(trigger: list[dict[str, Any]]) -> bool:
    """Whether what brought a fall was no review: in a program with periods, an order undone or an adjustment."""
    return any(reason["points"] and (reason["code"] in _UNDONE or reason["rule"] == "adjustment") for reason in trigger)


def _causal(
    program: Program, receipt: Mapping[str, Any], trigger: list[dict[str, Any]], rises: bool
) -> list[dict[str, Any]]:
    """The reasons that can have brought the change.

    A review comes with the last expiry before it, which may be long ago: it raised no tier by what it took, and on
    the first day of new rules it counts only where it is of that day.
    """
    if not any(reason["rule"] == "tier" for reason in trigger):
        return trigger
    if rises:
        return [reason for reason in trigger if reason["points"] >= 0]
    if not _is_first_day(program, receipt):
        return trigger
    ends = {_ordinal(reason["ref"]) + program.window for reason in trigger if reason["code"] == "expired"}
    return trigger if _ordinal(receipt["on"]) in ends else []


def _is_first_day(program: Program, receipt: Mapping[str, Any]) -> bool:
    """Whether the change is of the day on which the version came into force that it was made by."""
    return program.version == receipt["version"] and _ordinal(receipt["on"]) == program.effective_from


def _between(key: str, before: str, after: str) -> str:
    """The variant of a sentence for a move from or to what is no tier."""
    return f"{key}/from_none" if before == NO_TIER else f"{key}/to_none" if after == NO_TIER else key


def _ref(reason: Mapping[str, Any]) -> str:
    """What a reason is about, as an id: some are stored with the word "item" before it."""
    return str(reason.get("ref") or "").removeprefix("item ")


def _ordinal(iso: str) -> int:
    return date.fromisoformat(iso).toordinal()


def _spelt(code: str) -> str:
    """A code as words: "members_sale" is "Members sale"."""
    words = re.sub(r"[._-]+", " ", code).strip() or code
    return words[0].upper() + words[1:]
