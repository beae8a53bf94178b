"""Planted defects: mistakes that a competent builder could make, each of which the simulation has to find.

A defect is a replacement in the club's source. It is planted in a process of its own, before any of the club is loaded
there: the modules it changes are compiled from the changed text, nothing on disk is touched. A replacement whose old
text does not stand in its file exactly once is an error, so that a defect can't quietly become none.
"""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

STORE = "layers/ledger/club_ledger/store.py"
POSTING = "layers/ledger/club_ledger/posting.py"
INBOX = "layers/ledger/club_ledger/inbox.py"
SWEEPING = "layers/ledger/club_ledger/sweeping.py"
SWEEP_HANDLER = "layers/ledger/club_ledger/sweep_handler.py"
BRAKE = "layers/ledger/club_ledger/brake.py"
DECIDING = "layers/ledger/club_ledger/deciding.py"
ADJUSTING = "layers/ledger/club_ledger/adjusting.py"
ERASING = "layers/ledger/club_ledger/erasing.py"
ALERTING = "layers/ledger/club_ledger/alerting.py"
WATCHING = "layers/ledger/club_ledger/watching.py"
STANDING = "layers/ledger/club_ledger/standing.py"
REWARDING = "layers/ledger/club_ledger/rewarding.py"
READING = "layers/ledger/club_ledger/reading.py"
OUTBOX = "layers/ledger/club_ledger/outbox.py"
SETTLING = "layers/rules/club_rules/settling.py"
RULES_POSTING = "layers/rules/club_rules/posting.py"
RULES_DECISIONS = "layers/rules/club_rules/decisions.py"
CALLERS = "layers/http/club_http/callers.py"
POST_LEDGER = "functions/post_ledger/app.py"
PUBLISH = "functions/publish_changes/app.py"
DROPS = "functions/publish_changes/price_drops.py"
INGEST = "functions/ingest_activity/app.py"


class Replacement(NamedTuple):
    """In a file (from the repository's root), ``old`` becomes ``new``."""

    file: str
    old: str
    new: str


class Defect(NamedTuple):
    """What somebody got wrong, and what it breaks."""

    name: str
    breaks: str
    changes: tuple[Replacement, ...]


def defect(name: str, breaks: str, file: str, old: str, new: str, *more: Replacement) -> Defect:
    """A defect of one replacement, or of some that belong together."""
    return Defect(name, breaks, (Replacement(file, old, new), *more))


_LEDGER = (
    defect(
        "entry-and-balance-apart",
        "the entry is written in one step, the account in another: a crash between them loses the balance",
        STORE,
        """                for item, put_condition, _ in self._puts:
                    transaction.save(item, condition=put_condition, return_values="ALL_OLD")
""",
        """                for item, put_condition, _ in self._puts:
                    if isinstance(item, EntryItem):
                        transaction.save(item, condition=put_condition, return_values="ALL_OLD")
            with TransactWrite(connection=RecordItem._get_connection().connection) as transaction:
                for item, put_condition, _ in self._puts:
                    if not isinstance(item, EntryItem):
                        transaction.save(item, condition=put_condition, return_values="ALL_OLD")
""",
    ),
    defect(
        "token-not-key",
        "a repeat is told by the client's token, which is forgotten after ten minutes, and not by the entry's key",
        STORE,
        "            EntryItem.pk.does_not_exist(),\n            # a sweep",
        "            None,\n            # a sweep",
        Replacement(
            STORE,
            "            with TransactWrite(connection=RecordItem._get_connection().connection) as transaction:",
            """            token = zlib.crc32(repr([(item.pk, item.sk) for item, _, _ in self._puts]).encode())
            with TransactWrite(
                connection=RecordItem._get_connection().connection, client_request_token=f"once-{token}"
            ) as transaction:""",
        ),
    ),
    defect(
        "unversioned-account",
        "an account is read, changed and written back, whoever has written it meanwhile",
        STORE,
        "    return item, unchanged, Stale(account.member_id)\n",
        "    return item, None, Stale(account.member_id)\n",
    ),
    defect(
        "any-cancellation-is-a-duplicate",
        "a conflict with another transaction is taken for an entry that is there already",
        STORE,
        'if reason is not None and reason.code == "ConditionalCheckFailed":',
        'if reason is not None and reason.code not in (None, "None"):',
    ),
    defect(
        "stale-is-a-duplicate",
        "an account that somebody else has changed is taken for an event that is posted already",
        POSTING,
        """        except OrderExists as found:
""",
        """        except Stale:
            return False
        except OrderExists as found:
""",
    ),
    defect(
        "no-answer-is-success",
        "a write whose answer never came is taken for done",
        STORE,
        "        except TransactWriteError as error:\n            raise self._failure(error) from error",
        """        except TransactWriteError as error:
            if code_of(error) is None:
                return
            raise self._failure(error) from error""",
    ),
    defect(
        "order-written-blindly",
        "an order that arrives overwrites what has been parked for it",
        POSTING,
        "put_order(transaction, account.member_id, posting.order, new=order_is_new)",
        "put_order(transaction, account.member_id, posting.order, new=False)",
    ),
    defect(
        "parked-but-the-first-twenty",
        "more than one transaction's worth of parked events never takes effect",
        POSTING,
        """        self._write(account, [*settled, *posting.entries], posting, is_new)
        if may_release(posting.order):
            self._release(account, [])
""",
        """        self._write(account, [*settled, *posting.entries], posting, is_new)
""",
    ),
    defect(
        "released-only-the-first-time",
        "neither a repeat after a crash nor what comes later goes on with what was parked",
        POSTING,
        """            if self.event.type == "order.completed":
                self._release(*self._settled())
            return False
""",
        """            return False
""",
        Replacement(
            POSTING,
            """        if may_release(order):
            # a release""",
            """        if False:
            # a release""",
        ),
        Replacement(
            POSTING,
            """        if may_release(posting.order):
            marks = self.store.older_marks(account)
            released = release_parked(account, self.programs, account.not_before(self.moment), posting.order, marks)
            posting = Posting(posting.entries + released.entries, posting.order)
""",
            "",
        ),
    ),
    defect(
        "other-content-is-a-repeat",
        "the same event id with other content is taken for a repeat, and its message is gone",
        POSTING,
        "            if found.digest != self.event.digest:\n",
        "            if found.digest is None:\n",
    ),
    defect(
        "posted-without-settling",
        "what fell due before a posting is left for the sweep",
        POSTING,
        "return account, settle_and_write(self.store, self.programs, account, account.not_before(self.moment))",
        "return account, []",
    ),
    defect(
        "settled-for-one-transaction",
        "of what fell due only as much is settled as fits into one transaction",
        STORE,
        "        if len(entries) < SETTLED_AT_ONCE:\n            return entries\n",
        "        return entries\n",
    ),
    defect(
        "older-marks-forgotten",
        "what counted once is counted again when its mark has left the account for a page",
        STORE,
        "        if not account.marks_pages:\n",
        "        if account.marks_pages:\n",
    ),
    defect(
        "a-lot-lives-a-day-longer",
        "points expire on the day after the one they should",
        SETTLING,
        "            first = min(state.lots) + versions[0].window\n",
        "            first = min(state.lots) + versions[0].window + 1\n",
    ),
    defect(
        "expiry-without-its-marker",
        "what has expired is posted first and taken out of the account afterwards: in between it expires again",
        SWEEPING,
        """            if entries:
                transaction = Transaction()
""",
        """            if entries:
                for entry in entries:
                    body = EntryItem(items.entry_key(entry["key"]), items.SINGLE, digest="", body=entry)
                    self._store.put(body, EntryItem.pk.does_not_exist() | EntryItem.pk.exists(), Busy(member_id))
                entries, transaction = [], Transaction()
""",
        Replacement(
            SWEEPING,
            "from club_ledger.items import SweepRunItem",
            "from club_ledger.items import EntryItem, SweepRunItem",
        ),
        Replacement(SWEEPING, "    SETTLED_AT_ONCE,\n    Store,", "    SETTLED_AT_ONCE,\n    Busy,\n    Store,"),
    ),
)

_INBOX = (
    defect(
        "unavailable-is-done",
        "an event that the table did not take in time is taken off the queue",
        INBOX,
        '            outcome.again.append(record["messageId"])\n        except ClubError as error:',
        "            outcome.repeated += 1\n        except ClubError as error:",
    ),
    defect(
        "refused-without-a-letter",
        "an event that can't be posted is dropped, with a line in the log",
        INBOX,
        """        except ClubError as error:
            outcome.dead.append((record, error))
        except Exception as error:  # noqa: BLE001 - whatever""",
        """        except ClubError:
            outcome.repeated += 1
        except Exception as error:  # noqa: BLE001 - whatever""",
    ),
    defect(
        "letter-lost",
        "where the dead letter can't be sent, the message is taken off the queue all the same",
        POST_LEDGER,
        '            again.append(record["messageId"])\n',
        "",
    ),
    defect(
        "whoever-came-first-is-first",
        "a message is posted as of when it was received, so a retried one has another time than the first",
        INBOX,
        'int(record["attributes"]["SentTimestamp"])',
        'int(record["attributes"]["ApproximateFirstReceiveTimestamp"])',
    ),
    defect(
        "accepted-before-it-is-sent",
        "the door says that events are accepted which the queue did not take",
        INGEST,
        "outcomes = settle(outcomes, unsent)",
        "outcomes = settle(outcomes, {})",
    ),
)

_DECISIONS = (
    defect(
        "payout-checked-then-put",
        "that an order was not paid is read, and then written, without a condition",
        DECIDING,
        'transaction.put(item, RecordItem.pk.does_not_exist(), Stale(decision["order_id"]))',
        'transaction.put(item, None, Stale(decision["order_id"]))',
    ),
    defect(
        "payout-before-the-record",
        "the payout is written before the decision that it belongs to",
        DECIDING,
        '    transaction.put(item, RecordItem.pk.does_not_exist(), Stale(decision["order_id"]))',
        """    first = Transaction()
    first.put(item, RecordItem.pk.does_not_exist(), Stale(decision["order_id"]))
    first.commit()""",
    ),
    defect(
        "velocity-unversioned",
        "two approvals at once each know nothing of the other: one is forgotten by the limits",
        DECIDING,
        "    transaction.put(item, unchanged, Stale(member_id))\n",
        "    transaction.put(item, None, Stale(member_id))\n",
    ),
    defect(
        "approved-on-what-was",
        "what an approval rests on may have changed by the time it is written",
        DECIDING,
        "        _demand_unchanged(transaction, account)\n",
        "        pass\n",
    ),
    defect(
        "decided-without-settling",
        "a decision rests on a tier that has expired, as long as no sweep has said so",
        DECIDING,
        "return account, settle_and_write(store, programs, account, account.not_before(moment))",
        "return account, []",
    ),
    defect(
        "repeat-without-a-look",
        "the same request id with another body gets the first one's decision",
        DECIDING,
        "    if digest != request.digest:\n",
        "    if not digest:\n",
    ),
    defect(
        "decision-by-content",
        "a decision's id follows from its request's content, and not from its request id alone",
        RULES_DECISIONS,
        "        order_eligible=order_eligible is True,\n        decision_id=decision_id(REFUND, request_id),",
        "        order_eligible=order_eligible is True,\n        decision_id=decision_id(REFUND, _digest(says)),",
    ),
    defect(
        "accelerated-twice",
        "a dispute is accelerated for whoever asks, however often",
        DECIDING,
        "DisputeFacts(account, store.acceleration(request.dispute_id) is not None)",
        "DisputeFacts(account, False)",
        Replacement(
            DECIDING,
            'transaction.put(item, RecordItem.pk.does_not_exist(), Stale(decision["dispute_id"]))',
            'transaction.put(item, None, Stale(decision["dispute_id"]))',
        ),
    ),
)

_BY_HAND = (
    defect(
        "confirmed-by-the-same",
        "who asked for a large adjustment confirms it by asking again",
        ADJUSTING,
        '    if waiting["requested_by"] == actor:\n        return waiting\n',
        "",
    ),
    defect(
        "adjustment-id-of-anything",
        "an adjustment id that is known gets its first answer, whatever is asked",
        ADJUSTING,
        "    if digest != adjustment.digest:\n",
        "    if not digest:\n",
    ),
    defect(
        "waits-over-another",
        "an adjustment that waits is written over one of the same id",
        ADJUSTING,
        "    transaction.put(item, EntryItem.pk.does_not_exist(), failure)\n",
        "    transaction.put(item, None, failure)\n",
    ),
    defect(
        "erased-but-the-profile",
        "an erased member's birthday and country stay",
        ERASING,
        "    transaction.put(RecordItem(items.member_key(member_id), items.PROFILE, body={}), None, "
        "Stale(member_id))\n",
        "",
    ),
    defect(
        "posted-to-the-erased",
        "events of an erased member are not refused, but fail for ever",
        POSTING,
        "        if account.erased:\n",
        "        if account.erased and not self.event.member_id:\n",
    ),
)

_SWEEPS = (
    defect(
        "cursor-saved-too-early",
        "a chunk is noted as done before its members are swept: killed in between, nobody sweeps them",
        SWEEPING,
        """        members, after = store.due(shard, until, message["after"], CHUNK, index_of(message["sweep"]))
""",
        """        members, after = store.due(shard, until, message["after"], CHUNK, index_of(message["sweep"]))
        if store.sweep_run(message["run_id"]).progress.attribute_values[str(shard)] >= message["chunk"]:
            return counts
        after = retrying(lambda: _note(store, message, counts, after), time_left())
""",
        Replacement(
            SWEEPING,
            "    after = retrying(lambda: _note(store, message, counts, after), time_left())\n"
            "    if after is not None:",
            "    if after is not None:",
        ),
    ),
    defect(
        "next-chunk-from-the-start",
        "the next chunk begins where the first one began, and who is left there is swept for ever",
        SWEEPING,
        'send({**message, "chunk": message["chunk"] + 1, "after": after})',
        'send({**message, "chunk": message["chunk"] + 1, "after": None})',
    ),
    defect(
        "chunk-counted-twice",
        "a chunk that is delivered again is noted again, and its shard ends twice",
        SWEEPING,
        "        run.update(actions, condition=progress == chunk - 1)\n",
        "        run.update(actions, condition=progress <= chunk)\n",
    ),
    defect(
        "run-begun-again",
        "an invocation that is repeated begins its run again, over the one that goes on",
        SWEEPING,
        "        run.save(SweepRunItem.pk.does_not_exist())\n",
        "        run.save()\n",
    ),
    defect(
        "chunk-failed-and-forgotten",
        "a chunk that failed is taken off its queue",
        SWEEP_HANDLER,
        '            again.append({"itemIdentifier": record["messageId"]})\n',
        "",
    ),
    defect(
        "no-brake",
        "a sweep lowers whom it likes, however many",
        BRAKE,
        "        if added and not held:\n",
        "        if added and held is None:\n",
        Replacement(
            BRAKE,
            "        self._note(wanted, added, {} if held else limits)\n",
            "        self._note(wanted, added, {})\n",
        ),
    ),
    defect(
        "rewards-swept-blindly",
        "two reward sweeps at once issue the same coupon twice, with different codes",
        REWARDING,
        "            item, as_read = _item(store, programs, member_id, version, rewards)\n"
        "            past.put(item, as_read)",
        "            item, _ = _item(store, programs, member_id, version, rewards)\n"
        "            past.put(item, RewardsItem.pk.exists())",
    ),
)

_OUTBOX = (
    defect(
        "stream-position-skipped",
        "a record that could not be announced is passed over",
        PUBLISH,
        'position = records[failed]["dynamodb"]["SequenceNumber"]',
        'position = records[min(failed + 1, len(records) - 1)]["dynamodb"]["SequenceNumber"]',
    ),
    defect(
        "bus-answer-unread",
        "an event that the bus refused within an answer is taken for announced",
        PUBLISH,
        '            if "ErrorCode" in answer:\n                return place\n',
        '            if "ErrorCode" in answer:\n                logger.warning("not announced")\n',
    ),
    defect(
        "drop-half-sent",
        "messages that the queue refused within an answer are taken for sent",
        DROPS,
        '        if answer.get("Failed"):\n',
        '        if not answer.get("Successful"):\n',
    ),
    defect(
        "counted-twice",
        "a change that is delivered twice is counted twice in the standing",
        STANDING,
        "        transaction.put(item, as_read, Stale(held.member_id))\n",
        "        transaction.put(item, None, Stale(held.member_id))\n",
    ),
    defect(
        "standing-goes-back",
        "a change that comes late brings the standing back to what was",
        STANDING,
        "newer = [held for held in group if held.member_id not in notes or notes[held.member_id].of < held.version]",
        "newer = group",
    ),
    defect(
        "not-counted-is-counted",
        "where the standing's counters were busy, the member is passed over",
        STANDING,
        "        except Unavailable:\n            return group[0][0]\n",
        "        except Unavailable:\n            continue\n",
    ),
    defect(
        "coupon-passed-over",
        "where the rewards were busy, what an entry gives is passed over",
        REWARDING,
        "        except Unavailable:\n            return given[0][0]\n",
        "        except Unavailable:\n            continue\n",
    ),
    defect(
        "rewards-written-blindly",
        "the outbox writes rewards over what a sweep has issued meanwhile",
        REWARDING,
        "            store.put(item, as_read, Stale(member_id))\n\n    retrying(attempt, time_left)",
        "            store.put(item, RewardsItem.pk.exists() | RewardsItem.pk.does_not_exist(), Stale(member_id))\n\n"
        "    retrying(attempt, time_left)",
    ),
    defect(
        "alert-to-latecomers",
        "who came to an item after its price dropped is told of it when the chunk is late",
        ALERTING,
        "    return start - moment <= AHEAD_MAX\n",
        "    return True\n",
    ),
    defect(
        "alert-by-todays-tier",
        "a late alert goes by the tier held when it is worked off, not by that at the drop",
        ALERTING,
        "may_be_alerted(account, programs, moment, _entries_since(store, account, moment))",
        "may_be_alerted(account, programs, account.not_before(moment), _entries_since(store, account, moment))",
    ),
    defect(
        "list-by-arrival",
        "what arrives last counts on a list, not what occurred last",
        WATCHING,
        "        if (occurred_at, not is_there) <= (parse_instant(at), not was_there):\n            return known\n",
        "        if (parse_instant(at), was_there) == (occurred_at, is_there):\n            return known\n",
    ),
)

_READS = (
    defect(
        "read-without-settling",
        "a member is shown points that have expired, until a sweep has run",
        READING,
        "    settle_wholly(account, programs, moment)\n    country, rewards",
        "    country, rewards",
    ),
    defect(
        "anybody-reads",
        "a member reads another's summary by its path",
        CALLERS,
        '    if wanted != caller.sub and not caller.has("club:support"):\n',
        '    if not wanted and not caller.has("club:support"):\n',
    ),
)

DEFECTS: dict[str, Defect] = {
    each.name: each for group in (_LEDGER, _INBOX, _DECISIONS, _BY_HAND, _SWEEPS, _OUTBOX, _READS) for each in group
}


def changed_source(found: Defect, file: str, source: str) -> str:
    """A file's source with the defect in it. Raises ``ValueError`` where an old text is not there exactly once."""
    for change in found.changes:
        if change.file == file:
            if source.count(change.old) != 1:
                raise ValueError(f"defect {found.name}: {source.count(change.old)} times in {file}: {change.old!r}")
            source = source.replace(change.old, change.new)
    return source


def plant(name: str) -> None:
    """Makes every module of the club that is loaded from now on have the defect. Raises ``ValueError`` for a name
    that there is not, or where a module to change has been loaded already."""
    if name not in DEFECTS:
        raise ValueError(f"no defect is called {name!r}")
    found = DEFECTS[name]
    files = {str(ROOT / change.file): change.file for change in found.changes}
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())} & files.keys()
    if loaded:
        raise ValueError(f"too late to plant {name}: {sorted(map(str, loaded))}")
    compiled = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        file = files.get(str(Path(self.path).resolve()))
        if file is None:
            return compiled(self, fullname)
        return compile(changed_source(found, file, Path(self.path).read_text("utf-8")), self.path, "exec")

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
