"""What was promised to whoever calls: I4 (refunds), I5 (events), I6 (answers) and I11 (nobody else's data)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from club_rules.errors import InvalidInput
from club_rules.events import parse_event
from tests.oracle.histories import dollars
from tests.oracle.oracle import minor, signed_minor
from tests.simulation.dynamodb import Change
from tests.simulation.judge_ledger import PERSONAL, Member, Seen, body_of, keys_of, on_the_wire, says_when
from tests.simulation.opinion import VELOCITY, Facts, content, dispute_outcome, refund_outcome
from tests.simulation.steps import Answer, ApiRequest, Invocation, Violation

Body = Mapping[str, Any]

DECISIONS = ("/refunds/expedited", "/disputes/acceleration")
MEMBERS_OWN = ("M#", "R#", "S#")
FAILED_FOR_NOW = ("temporarily_unavailable", "store_unavailable")


def member_of(request: ApiRequest) -> str | None:
    """The member whom a request is about; ``me`` is who asks."""
    if isinstance(request.body, Mapping) and request.path in DECISIONS:
        return str(request.body["member_id"])
    if not request.path.startswith("/members/"):
        return None
    named = request.path.split("/")[2]
    return request.sub if named == "me" else named


def is_allowed(request: ApiRequest) -> bool:
    """Whether who asks may ask this (contract 2.1), as far as no data tells."""
    scopes = set(request.scopes)
    if request.path == "/activities":
        return "club:ingest" in scopes
    if request.path in DECISIONS:
        return "club:decide" in scopes
    if request.path.startswith("/decisions/"):
        return bool(scopes & {"club:decide", "club:support"})
    if request.method != "GET" or request.path.endswith("/decisions"):
        return "club:admin" in scopes if request.method != "GET" else "club:support" in scopes
    return "club:support" in scopes or ("club:read" in scopes and member_of(request) == request.sub)


def keys_in(operation: str, params: Mapping[str, Any]) -> Iterator[str]:
    """The partitions that a call reads or writes."""
    if operation == "BatchGetItem":
        yield from (key["pk"]["S"] for asked in params["RequestItems"].values() for key in asked["Keys"])
    elif operation == "TransactWriteItems":
        for write in params["TransactItems"]:
            ((_, what),) = write.items()
            yield (what.get("Key") or what["Item"])["pk"]["S"]
    elif operation == "Query":
        values = params.get("ExpressionAttributeValues", {}).values()
        yield from (
            value["S"] for value in values if "S" in value and value["S"].startswith(("M#", "R#", "S#", "DUE#"))
        )
    elif "Key" in params or "Item" in params:
        yield (params.get("Key") or params["Item"])["pk"]["S"]


class CallersJudge:
    """I4, I5, I6 and I11."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.decisions: dict[str, dict[str, Any]] = {}
        """By path and request id, what is stored; ``under`` the body that it answers."""
        self.payouts: dict[str, dict[str, Any]] = {}
        self.accelerated: dict[str, str] = {}
        self.approvals: dict[str, list[tuple[datetime, int]]] = {}
        self.adjustments: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, dict[str, Any]] = {}
        self.erased: set[str] = set()
        self.touched: dict[str, int] = {}
        """By order or dispute or member, the last commit of a decision about it."""
        self.requests: dict[int, ApiRequest] = {}
        self.answers: dict[int, list[Answer | None]] = {}
        self.dead: list[tuple[str, Mapping[str, Any], str]] = []
        self.accepted: list[tuple[Mapping[str, Any], datetime]] = []

    # Calls and commits

    def called(self, by: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        """I11: a request touches its own member's data, and one that is denied touches none."""
        self.seen.began.setdefault(by.number, self.seen.commits)
        request = by.request
        if request is None:
            return
        self.seen.stats["I11"] += 1
        member_id = member_of(request)
        if not is_allowed(request):
            raise Violation("I11", f"{request.method} {request.path} by {request.sub} is denied, and asks", member_id)
        if params.get("IndexName") or operation == "Scan":
            raise Violation("I11", f"{request.method} {request.path} looks through an index", member_id)
        if member_id is None:
            return
        for key in keys_in(operation, params):
            owner = self._owner(key, request)
            if owner is not None and owner != member_id:
                raise Violation("I11", f"{request.method} {request.path} for {member_id} touches {key}", member_id)

    def _owner(self, key: str, request: ApiRequest) -> str | None:
        """Whose data it is, if anybody's: what a request names by its own id is not somebody's secret."""
        if key.startswith(MEMBERS_OWN):
            return key.partition("#")[2]
        body = request.body if isinstance(request.body, Mapping) else {}
        if key.startswith("E#") and key != f"E#adjustment~~{body.get('adjustment_id')}":
            owner = self.seen.entries.get(key[2:], {}).get("member_id")
            return None if owner is None else str(owner)
        return None

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        """I4, and what the answers are to be compared with."""
        for change in changes:
            pk, sk = keys_of(change)
            if change.new is not None and pk.startswith("M#") and sk == "V":
                self._velocity(pk[2:], body_of(change.new), changes)
            if change.new is None or change.old is not None:
                continue
            if pk.startswith("D#"):
                self._decided(by, body_of(change.new), changes)
            elif pk.startswith("ADJUSTMENT#"):
                self.waiting[pk.partition("#")[2]] = body_of(change.new)
            elif pk.startswith("E#adjustment~~"):
                self._adjusted(by, pk.partition("~~")[2])
            elif pk.startswith("E#erasure~~"):
                self.erased.add(pk.partition("~~")[2])
            elif pk.startswith(("PAYOUT#", "DISPUTE#")) and not any(keys_of(each)[0][:2] == "D#" for each in changes):
                raise Violation("I4", f"{pk} was written, and no decision with it")

    def _adjusted(self, by: Invocation, adjustment_id: str) -> None:
        """Rules 1.8: beyond what one operator may, by two; nothing that nobody asked for."""
        entry = self.seen.entries[f"adjustment~~{adjustment_id}"]
        self.adjustments[adjustment_id] = entry
        request = by.request
        if request is None or not isinstance(request.body, Mapping):
            raise Violation("I6", f"adjustment {adjustment_id} was posted, and nobody asked", entry["member_id"])
        data, ((program, part),) = entry["data"], entry["parts"].items()
        limit = 1000_00 if program == "vip" else 1000
        first, second = data["actor"], data.get("confirmed_by")
        if abs(part["points"]) > limit and (second is None or second == first):
            raise Violation("I6", f"adjustment {adjustment_id} was posted by {first} alone", entry["member_id"])
        if _says(entry, program, part["points"]) != _asks(request):
            raise Violation("I6", f"adjustment {adjustment_id} is not what was asked for", entry["member_id"])

    # I4: decisions

    def _decided(self, by: Invocation, decision: dict[str, Any], changes: Sequence[Change]) -> None:
        request, member_id = by.request, decision["member_id"]
        if request is None or not isinstance(request.body, Mapping) or request.path not in DECISIONS:
            raise Violation("I4", f"decision {decision['decision_id']} was made, and nobody asked", member_id)
        name = f"{request.path} {request.body['request_id']}"
        if name in self.decisions:
            raise Violation("I4", f"{name} was decided twice", member_id)
        self.decisions[name] = {"body": decision, "under": request.body}
        facts = request.body
        if any(decision[each] != facts[each] for each in ("request_id", "member_id", "order_id", "dispute_id")):
            raise Violation("I4", f"{name} was decided on something else", member_id)
        if request.path == DECISIONS[0]:
            self._refund(by, name, decision, changes)
        else:
            self._dispute(by, name, decision, changes)

    def _tier(self, member: Member, at: datetime) -> str:
        if member.account.erased or member.account.as_of is None:
            return "A0"
        return member.opinion.view(max(at, member.account.as_of))["club"].tier

    def _undisturbed(self, by: Invocation, member: Member, *names: str) -> bool:
        """Whether nothing that the decision rests on has changed since its invocation began to ask."""
        began = self.seen.began.get(by.number, 0)
        # the decision's own commit may have settled the account: that is no disturbance
        changed = member.changed if member.changed < self.seen.commits else member.changed_by_others
        changed = changed if changed < self.seen.commits else 0
        return max([changed, *(self.touched.get(name, 0) for name in names)]) <= began

    def _refund(self, by: Invocation, name: str, decision: dict[str, Any], changes: Sequence[Change]) -> None:
        member_id, order_id = decision["member_id"], decision["order_id"]
        member, at = self.seen.member(member_id), datetime.fromisoformat(decision["decided_at"])
        approvals = self.approvals.setdefault(member_id, [])
        remaining = None if member.account.erased else member.opinion.remaining(order_id)
        facts = Facts(self._tier(member, at), remaining, order_id in self.payouts, approvals)
        wanted = refund_outcome(self.decisions[name]["under"], facts, at)
        approved = decision["decision"] == "approved"
        names = (f"order {order_id}", f"member {member_id}")
        certain = approved or self._undisturbed(by, member, *names)
        self.seen.stats["I4"] += certain
        if certain and decision["decision"] != wanted:
            told = f"{name} was {decision['decision']}, the rules give {wanted}: {facts}"
            raise Violation("I4", told, member_id)
        paid = [each for each in changes if keys_of(each)[0] == f"PAYOUT#{order_id}"]
        if approved != ("payout" in decision) or approved != bool(paid):
            raise Violation("I4", f"{name}: approved is {approved}, the payout says otherwise", member_id)
        if approved:
            amount = minor(decision["payout"]["amount"])
            if amount != minor(self.decisions[name]["under"]["refund"]["amount"]):
                raise Violation("I4", f"{name} pays {amount}", member_id)
            self.payouts[order_id] = decision
            approvals.append((at, amount))
            self.touched.update(dict.fromkeys(names, self.seen.commits))

    def _velocity(self, member_id: str, rows: list[list[Any]], changes: Sequence[Change]) -> None:
        """What the next approval will be held against: every approval of late, that of this commit among them."""
        latest = [body_of(each.new) for each in changes if keys_of(each)[0].startswith("D#") and each.new is not None]
        known = list(self.approvals.get(member_id, []))
        known += [
            (datetime.fromisoformat(each["decided_at"]), minor(each["payout"]["amount"]))
            for each in latest
            if "payout" in each and f"{DECISIONS[0]} {each['request_id']}" not in self.decisions
        ]
        moment = max((at for at, _ in known), default=None)
        kept = sorted((datetime.fromisoformat(at), amount) for at, amount in rows)
        wanted = sorted((at, amount) for at, amount in known if moment is None or moment - at < VELOCITY)
        if [each for each in kept if moment is None or moment - each[0] < VELOCITY] != wanted:
            raise Violation("I4", f"{member_id} was approved {wanted} of late, kept is {kept}", member_id)

    def _dispute(self, by: Invocation, name: str, decision: dict[str, Any], changes: Sequence[Change]) -> None:
        member_id, dispute_id = decision["member_id"], decision["dispute_id"]
        member, at = self.seen.member(member_id), datetime.fromisoformat(decision["decided_at"])
        approved = decision["decision"] == "approved"
        wanted, due = dispute_outcome(
            self.decisions[name]["under"], self._tier(member, at), dispute_id in self.accelerated, at
        )
        certain = approved or self._undisturbed(by, member, f"dispute {dispute_id}")
        self.seen.stats["I4 disputes"] += certain
        said = decision["decision"], datetime.fromisoformat(decision["review_due_at"])
        if certain and said != (wanted, due):
            raise Violation("I4", f"{name} was {said}, the rules give {wanted, due}", member_id)
        if approved:
            if not any(keys_of(each)[0] == f"DISPUTE#{dispute_id}" for each in changes):
                raise Violation("I4", f"{name} was approved, and the dispute does not know", member_id)
            self.accelerated[dispute_id] = name
            self.touched[f"dispute {dispute_id}"] = self.seen.commits

    # I6: answers

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None) -> None:
        """I6: what is claimed is so; what was claimed before is claimed again."""
        self.requests[request.id] = request
        self.answers.setdefault(request.id, []).append(answer)
        if answer is None or answer.status >= 500:
            return
        self.seen.stats["I6"] += 1
        member_id = member_of(request)
        if not is_allowed(request):
            if answer.status not in (403, 404):
                raise Violation("I11", f"{request.method} {request.path} was answered {answer.status}", member_id)
        elif request.path == "/activities":
            self._ingested(request, answer)
        elif request.path in DECISIONS:
            self._answered_decision(request, answer)
        elif request.path.endswith("/adjustments"):
            self._answered_adjustment(by, request, answer)
        elif request.method == "DELETE":
            self._answered_erasure(by, request, answer)
        elif member_id is not None:
            self._answered_read(by, request, answer, member_id)

    def _ingested(self, request: ApiRequest, answer: Answer) -> None:
        """I5 begins here: what is accepted has reached the queue, and of the rest each is refused by name."""
        events = request.body["events"]
        told = [*answer.body["accepted"], *(refused["event_id"] for refused in answer.body["refused"])]
        if answer.status != 202 or sorted(map(str, told)) != sorted(str(each["event_id"]) for each in events):
            raise Violation("I6", f"{len(events)} events were answered {answer.status} with {told}")
        for event_id in answer.body["accepted"]:
            said = [content(each) for each in events if each["event_id"] == event_id]
            if said[0] not in self.seen.accepted.get(event_id, {}):
                raise Violation("I5", f"event {event_id} was accepted, and never reached the queue")
        refused_for = {refused["code"] for refused in answer.body["refused"]}
        if refused_for & {"internal_error"}:
            raise Violation("I6", f"events were refused for {refused_for}")

    def _answered_decision(self, request: ApiRequest, answer: Answer) -> None:
        name, member_id = f"{request.path} {request.body['request_id']}", member_of(request)
        stored = self.decisions.get(name)
        same = stored is not None and stored["under"] == request.body
        if answer.status == 409 and stored is not None and not same:
            return
        if answer.status != 200 or not same or stored is None or answer.body != stored["body"]:
            told = f"{name} was answered {answer.status} {answer.body}, stored is {stored}"
            raise Violation("I6", told, member_id)

    def _answered_adjustment(self, by: Invocation, request: ApiRequest, answer: Answer) -> None:
        adjustment_id, member_id = request.body["adjustment_id"], member_of(request)
        entry, waits = self.adjustments.get(adjustment_id), self.waiting.get(adjustment_id)
        if answer.status == 404:
            self._unknown(by, str(member_id))
            return
        stored = None
        if entry is not None:
            ((program, part),) = entry["parts"].items()
            stored = _says(entry, program, part["points"])
        elif waits is not None:
            amount = signed_minor(waits["spend"]) if "spend" in waits else waits["points"]
            stored = waits["member_id"], waits["program"], amount, waits["reason"]
        right = {
            200: entry is not None and stored == _asks(request),
            202: waits is not None and answer.body == waits,
            409: stored is not None and stored != _asks(request),
        }
        if not right.get(answer.status, False):
            raise Violation(
                "I6", f"adjustment {adjustment_id} was answered {answer.status}; stored: {stored}", member_id
            )

    def _answered_erasure(self, by: Invocation, request: ApiRequest, answer: Answer) -> None:
        member_id = str(member_of(request))
        if answer.status == 404:
            if self._existed(by, member_id):
                raise Violation("I6", f"{member_id} can't be erased: they are not found", member_id)
        elif answer.status != 204 or member_id not in self.erased:
            raise Violation("I6", f"the erasure of {member_id} was answered {answer.status}", member_id)

    def _existed(self, by: Invocation, member_id: str) -> bool:
        """Whether the member had an account when the invocation began, and it has not changed since."""
        member = self.seen.members.get(member_id)
        return member is not None and member.exists and member.changed <= self.seen.began.get(by.number, 0)

    def _unknown(self, by: Invocation, member_id: str) -> None:
        if self._existed(by, member_id) and member_id not in self.erased:
            raise Violation("I6", f"{member_id} is there, and was not found", member_id)

    def _answered_read(self, by: Invocation, request: ApiRequest, answer: Answer, member_id: str) -> None:
        """A read tells what is so: of its own member, settled to its moment, by the second opinion."""
        member = self.seen.members.get(member_id)
        if answer.status == 404:
            self._unknown(by, member_id)
            return
        if answer.status != 200:
            raise Violation(
                "I6", f"{request.path}?{request.query} was answered {answer.status} {answer.body}", member_id
            )
        if answer.body.get("member_id", member_id) != member_id:
            raise Violation("I11", f"{request.path} by {request.sub} tells of {answer.body['member_id']}", member_id)
        if member is None or not self._existed(by, member_id) or "programs" not in answer.body:
            return
        if member_id in self.erased or member.account.as_of is None or member.opinion.waits:
            return
        self.seen.stats["I3 reads"] += 1
        moment = max(datetime.fromisoformat(answer.body["as_of"]), member.account.as_of)
        for program, wanted in member.opinion.view(moment).items():
            shown, points = answer.body["programs"][program], max(0, wanted.points)
            measure = {"spend": dollars(points)} if program == "vip" else {"points": points}
            since = None if wanted.since is None else wanted.since.isoformat()
            told = {"tier": wanted.tier, "tier_since": since, **measure}
            if any(shown[field] != value for field, value in told.items()):
                raise Violation("I3", f"{member_id} is shown {shown} in {program}, the rules give {told}", member_id)

    # I5: the inbox

    def taken(self, entry: Mapping[str, Any], sent_at: datetime) -> None:
        """A message has reached the queue; it has to end somewhere."""
        detail = entry.get("detail")
        if isinstance(detail, Mapping):
            event = {**detail, "type": entry.get("detail-type")}
            self.accepted.append((event, sent_at))
            event_id = str(event.get("event_id"))
            self.seen.accepted.setdefault(event_id, {})[content(event)] = event
            self.seen.sent.setdefault(event_id, set()).add(sent_at)

    def buried(self, queue: str, message: Mapping[str, Any], reason: str) -> None:
        """A message is dead: with a reason that is true, then and there."""
        self.dead.append((queue, message, reason))
        event = _event_in(message)
        if event is None or reason == "retries_exhausted":
            return
        self.seen.stats["I5 letters"] += 1
        sent = self.seen.sent.get(str(event.get("event_id")), set())
        if not any(self._is_true(reason, event, sent_at) for sent_at in sent):
            told = f"event {event.get('event_id')} is dead for {reason}, which is not so"
            raise Violation("I5", told, event.get("member_id"))

    def raised(self, queue: str, message: Mapping[str, Any]) -> None:
        """A dead letter goes round again."""
        for place, (of, dead, _) in enumerate(self.dead):
            if of == queue and dead["message_id"] == message["message_id"]:
                del self.dead[place]
                return

    def finished(self) -> None:
        """I5: each accepted event is an entry, or a dead letter whose reason is true. I6: everybody has an answer."""
        letters: dict[str, list[str]] = {}
        for queue, message, reason in self.dead:
            if reason == "retries_exhausted":
                raise Violation("I10", f"{queue} holds what was only tried too often: {_text(message)[:300]}")
            event = _event_in(message)
            if event is not None:
                letters.setdefault(content(event), []).append(reason)
        for event, _ in self.accepted:
            self._ended(event, letters.get(content(event), []))
        for number, request in self.requests.items():
            answer = self.answers[number][-1]
            if request.method != "GET" and request.path != "/activities" and (answer is None or answer.status >= 500):
                told = "an answer" if answer is None else f"more than {answer}"
                raise Violation("I10", f"{request.method} {request.path} never got {told}", member_of(request))

    def _ended(self, event: Mapping[str, Any], reasons: list[str]) -> None:
        self.seen.stats["I5"] += 1
        posted = self.seen.entries.get(str(event.get("event_id")))
        if not reasons and (posted is None or not is_of(posted, event)):
            told = f"event {event.get('event_id')} was accepted, and is neither posted nor dead"
            raise Violation("I5", told, event.get("member_id"))

    def _is_true(self, reason: str, event: Mapping[str, Any], sent_at: datetime) -> bool:
        if reason == "event_id_reused":
            posted = self.seen.entries.get(str(event.get("event_id")))
            return posted is not None and (not is_of(posted, event) or posted.get("type") in PERSONAL)
        if reason == "member_erased":
            return event.get("member_id") in self.erased
        try:
            parse_event(event, now=sent_at, programs=self.seen.programs)
        except InvalidInput:
            return True
        return False


def is_of(entry: Body, event: Mapping[str, Any]) -> bool:
    """Whether an entry is that of an event; what a member's profile said is kept apart from it."""
    if entry["type"] in PERSONAL and event.get("type") == entry["type"]:
        return says_when(entry) == says_when(event)
    return content({**entry, "data": on_the_wire(entry["data"])}) == content(event)


def _says(entry: Body, program: str, points: int) -> tuple[Any, ...]:
    return entry["member_id"], program, points, entry["data"]["reason"]


def _asks(request: ApiRequest) -> tuple[Any, ...]:
    body = request.body
    amount = signed_minor(body["spend"]) if "spend" in body else body["points"]
    return member_of(request), body["program"], amount, body["reason"]


def _text(message: Mapping[str, Any]) -> str:
    body = message.get("body", message.get("Body", message.get("MessageBody", "")))
    return body if isinstance(body, str) else json.dumps(body, sort_keys=True)


def _event_in(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The event that a dead letter of the activity queue carries."""
    try:
        envelope = json.loads(_text(message))
    except ValueError:
        return None
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    return {**detail, "type": envelope.get("detail-type")} if isinstance(detail, dict) else None
