"""The operations, and what holds them together: capacity, tokens, transactions in progress, what is told of commits."""

from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.simulation.dynamodb.capacity import Bill, Units, read_units, write_units
from tests.simulation.dynamodb.errors import CONFLICT, Fault, Invalid, client_error, metadata
from tests.simulation.dynamodb.expressions import Expressions, read_expressions
from tests.simulation.dynamodb.projections import project
from tests.simulation.dynamodb.reads import (
    check_limit,
    check_projected,
    check_select,
    index_of,
    page_of,
    queried,
    scanned,
    start_of,
)
from tests.simulation.dynamodb.table import Change, Key, Table, View, not_found
from tests.simulation.dynamodb.values import MORE_THAN_ONE, Item, checked_item, copied_item, item_size
from tests.simulation.dynamodb.writes import Outcome, Write, attributes_of, key_of, outcome_of, read_write

TOKEN_S = 600.0
"""For so long after a transaction has been carried out its token stands for it."""

MOST_PARTS = 100
MOST_BYTES = 4 * 1024 * 1024
MOST_PUT_AT_ONCE = 25
MOST_GOT_AT_ONCE = 100
MOST_BYTES_GOT = 16 * 1024 * 1024

Seconds = Callable[[], float] | float
Place = tuple[str, Key]


class _Carried(NamedTuple):
    """A transaction that was carried out: what it asked for, and the units that reading its items takes."""

    asked: bytes
    at: float
    items: Sequence[Place]


class Snapshot(NamedTuple):
    """Tables as they were at a moment: see ``Model.snapshot``."""

    tables: Mapping[str, Table]
    tokens: Mapping[str, _Carried]
    tokens_by_age: deque[tuple[float, str]]
    requests: int


class _Cancelled(Exception):
    """A transaction that is not carried out, with a reason for each of its parts: its fault, or ``None``."""

    def __init__(self, reasons: list[Fault | None]) -> None:
        super().__init__()
        self.reasons = reasons

    def fault(self) -> Fault:
        """What the caller gets."""
        codes = [_REASONS.get(fault.code, fault.code) if fault else "None" for fault in self.reasons]
        shown = [
            {"Code": code, "Message": fault.message, **fault.more} if fault else {"Code": code}
            for code, fault in zip(codes, self.reasons, strict=True)
        ]
        text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
        return Fault("TransactionCanceledException", text, CancellationReasons=shown)


_REASONS = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "TransactionConflictException": "TransactionConflict",
    "ValidationException": "ValidationError",
}


class Model:
    """DynamoDB in memory.

    ``clock`` gives seconds since the epoch: for tokens, the stream and what lags. ``index_lag_s`` and ``stale_s`` say
    for how many seconds an index, or a read that isn't consistent, may show what was before; a function is asked anew
    for each read. ``kept_s`` bounds both. ``commits`` are called after each write that changed something, before it is
    answered. ``units`` is what everything has cost, refused writes as well.
    """

    def __init__(self, clock: Callable[[], float], *, kept_s: float = 3600.0) -> None:
        self.clock = clock
        self.tables: dict[str, Table] = {}
        self.commits: list[Callable[[list[Change]], None]] = []
        self.index_lag_s: Seconds = 0.0
        self.stale_s: Seconds = 0.0
        self.units = Units()
        self._kept_s = kept_s
        self._requests = 0
        self._locked: dict[Place, Pending] = {}
        self._in_progress: dict[str, Pending] = {}
        self._tokens: dict[str, _Carried] = {}
        self._tokens_by_age: deque[tuple[float, str]] = deque()
        self._operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "GetItem": self._get_item,
            "PutItem": lambda params: self._write("Put", params),
            "UpdateItem": lambda params: self._write("Update", params),
            "DeleteItem": lambda params: self._write("Delete", params),
            "Query": self._query,
            "Scan": self._scan,
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "TransactWriteItems": self._transact_write,
            "TransactGetItems": self._transact_get,
            "DescribeTable": lambda params: {"Table": self._described(params["TableName"]).describe()},
            "CreateTable": self._create_table,
        }

    # ------------------------------------------------------------ from outside

    def create_table(self, **params: Any) -> None:
        """Makes a table, at once: parameters as botocore's CreateTable has them. Raises ``ClientError``."""
        self.call("CreateTable", params)

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out a request: parameters and answer as botocore's client has them. Raises ``ClientError``.

        Raises ``KeyError`` for an operation or a missing parameter that botocore itself would not send.
        """
        self._requests += 1
        try:
            answer = self._operations[operation](params)
        except Fault as fault:
            raise self._error(fault, operation) from None
        answer["ResponseMetadata"] = metadata(self._request_id())
        return answer

    def begin(self, params: Mapping[str, Any]) -> Pending:
        """Takes a TransactWriteItems, whose items are in progress until ``commit`` or ``abort``.

        Raises ``ClientError`` for a request that is refused as such, and where an item is in progress in another one.
        """
        self._requests += 1
        try:
            return self._begin(params)
        except Fault as fault:
            raise self._error(fault, "TransactWriteItems") from None

    def stream(self, table: str, after: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """A table's stream records as Lambda gets them, in the order of the commits, but for those forgotten.

        ``after``: only those behind this sequence number; ``limit``: at most so many.
        """
        return list(self._table(table).records(after, limit))

    def forget_stream(self, table: str, through: str) -> None:
        """Drops a table's stream records up to and with this sequence number."""
        self._table(table).forget_records(through)

    def items(self, table: str) -> list[Item]:
        """Every item of a table, in the order of the keys."""
        return self._table(table).items()

    def size(self, table: str) -> int:
        """The bytes of a table's items."""
        return self._table(table).size

    def snapshot(self) -> Snapshot:
        """All tables as they are, for ``restore`` of this model or of another. No transaction may be in progress."""
        if self._locked:
            raise RuntimeError("a transaction is in progress")
        tokens = dict(self._tokens), self._tokens_by_age.copy()
        return Snapshot({name: table.copied() for name, table in self.tables.items()}, *tokens, self._requests)

    def restore(self, snapshot: Snapshot) -> None:
        """Makes the tables what they were; the snapshot may be restored any number of times."""
        self.tables = {name: table.copied() for name, table in snapshot.tables.items()}
        self._tokens, self._tokens_by_age = dict(snapshot.tokens), snapshot.tokens_by_age.copy()
        self._requests = snapshot.requests

    def _error(self, fault: Fault, operation: str) -> ClientError:
        return client_error(fault, operation, self._request_id())

    def _request_id(self) -> str:
        return f"{self._requests:052d}"

    def _table(self, name: str) -> Table:
        found = self.tables.get(name)
        if found is None:
            raise not_found()
        return found

    # ------------------------------------------------------------ tables

    def _create_table(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["TableName"]
        if name in self.tables:
            raise Fault("ResourceInUseException", f"Table already exists: {name}")
        table = Table(_unshared(params))
        self.tables[name] = table
        return {"TableDescription": table.describe()}

    def _described(self, name: str) -> Table:
        if name not in self.tables:
            raise not_found(name)
        return self.tables[name]

    # ------------------------------------------------------------ single writes

    def _write(self, kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
        write = read_write(kind, params)
        table = self._table(write.table)
        key = key_of(write, table)
        if (write.table, key) in self._locked:
            raise Fault("TransactionConflictException", CONFLICT)
        bill = Bill()
        try:
            outcome = outcome_of(write, table, key)
        except Fault:
            self._bill_failed(table, key, bill, 1)
            self._add_up(bill)
            raise
        self._store([outcome], bill, 1)
        answer: dict[str, Any] = {}
        attributes = attributes_of(write, outcome)
        if attributes is not None:
            answer["Attributes"] = attributes
        self._show_one(answer, bill, params)
        return answer

    def _bill_failed(self, table: Table, key: Key, bill: Bill, factor: int) -> None:
        """A write that is refused costs what writing the item that is there would."""
        row = table.rows.get(key)
        bill.write[table.name, ""] += write_units(row.size if row else 1) * factor

    def _store(self, outcomes: Sequence[Outcome], bill: Bill, factor: int) -> None:
        """Makes what has been decided true, all at once, and tells of it."""
        now = self.clock()
        changes = []
        for table, key, old, new in outcomes:
            if not table.replace(key, old, new, now, bill, factor):
                continue
            old_item, new_item = old.item if old else None, new.item if new else None
            if callable(self.index_lag_s) or callable(self.stale_s) or self.index_lag_s > 0 or self.stale_s > 0:
                table.remember(key, old_item, now, self._kept_s)
            if self.commits:
                key_item = table.key_item(old_item or new_item or {})
                changes.append(
                    Change(
                        table.name,
                        copied_item(key_item),
                        copied_item(old_item) if old_item is not None else None,
                        copied_item(new_item) if new_item is not None else None,
                    )
                )
        self._add_up(bill)
        if changes:
            for tell in self.commits:
                tell(changes)

    def _add_up(self, bill: Bill) -> None:
        read, write = self.units
        self.units = Units(read + sum(bill.read.values()), write + sum(bill.write.values()))

    def _show_one(self, answer: dict[str, Any], bill: Bill, params: Mapping[str, Any]) -> None:
        consumed = bill.answer(params.get("ReturnConsumedCapacity"))
        if consumed:
            answer["ConsumedCapacity"] = consumed[0]

    def _show_all(
        self, answer: dict[str, Any], bill: Bill, params: Mapping[str, Any], *, transactional: bool = False
    ) -> None:
        consumed = bill.answer(params.get("ReturnConsumedCapacity"), transactional=transactional)
        if consumed is not None:
            answer["ConsumedCapacity"] = consumed

    # ------------------------------------------------------------ reads

    def _age(self, seconds: Seconds) -> float:
        return seconds() if callable(seconds) else seconds

    def _read_one(
        self, table: Table, key: Key, consistent: bool, expressions: Expressions, bill: Bill
    ) -> tuple[Item | None, int]:
        """An item as it is, or as it may have been, and the bytes that were read."""
        row = table.rows.get(key)
        item = None if row is None else row.item
        size = 0 if row is None else row.size
        if not consistent:
            older = table.older(self.clock(), self._age(self.stale_s))
            if key in older:
                item = older[key]
                size = 0 if item is None else item_size(item)
        bill.read[table.name, ""] += read_units(size, consistent=consistent)
        if item is None:
            return None, 0
        return copied_item(item if expressions.projection is None else project(item, expressions.projection)), size

    def _get_item(self, params: Mapping[str, Any]) -> dict[str, Any]:
        expressions = read_expressions(params, "ProjectionExpression")
        given = checked_item(params["Key"])
        table = self._table(params["TableName"])
        bill = Bill()
        found, _ = self._read_one(table, table.key_of(given), bool(params.get("ConsistentRead")), expressions, bill)
        self._add_up(bill)
        answer: dict[str, Any] = {} if found is None else {"Item": found}
        self._show_one(answer, bill, params)
        return answer

    def _query(self, params: Mapping[str, Any]) -> dict[str, Any]:
        check_limit(params)
        if params.get("KeyConditionExpression") is None:
            raise Invalid(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
            )
        expressions = read_expressions(params, "ProjectionExpression", "FilterExpression", "KeyConditionExpression")
        view = self._view(params)
        check_projected(view.order_of, expressions)
        start = start_of(view.table, view.order_of, params)
        entries = queried(view, expressions, start, params.get("ScanIndexForward", True))
        return self._page(view, entries, params, expressions)

    def _scan(self, params: Mapping[str, Any]) -> dict[str, Any]:
        check_limit(params)
        expressions = read_expressions(params, "ProjectionExpression", "FilterExpression")
        view = self._view(params)
        check_projected(view.order_of, expressions)
        start = start_of(view.table, view.order_of, params)
        return self._page(view, scanned(view, params, start), params, expressions)

    def _view(self, params: Mapping[str, Any]) -> View:
        table = self._table(params["TableName"])
        index = index_of(table, params)
        check_select(table, index, params)
        age = 0.0
        if index is not table.primary:
            age = self._age(self.index_lag_s)
        elif not params.get("ConsistentRead"):
            age = self._age(self.stale_s)
        return View(table, index, table.older(self.clock(), age))

    def _page(self, view: View, entries: Any, params: Mapping[str, Any], expressions: Expressions) -> dict[str, Any]:
        page = page_of(view, entries, params, expressions)
        bill = Bill()
        consistent = bool(params.get("ConsistentRead"))
        bill.read[view.table.name, view.order_of.name] += read_units(page.size, consistent=consistent)
        self._add_up(bill)
        answer: dict[str, Any] = {"Count": len(page.items), "ScannedCount": page.scanned}
        if params.get("Select") != "COUNT":
            answer["Items"] = page.items
        if page.last is not None:
            answer["LastEvaluatedKey"] = page.last
        self._show_one(answer, bill, params)
        return answer

    # ------------------------------------------------------------ batches

    def _batch_get(self, params: Mapping[str, Any]) -> dict[str, Any]:
        requests = params["RequestItems"]
        _check_batch(each["Keys"] for each in requests.values())
        if sum(len(each["Keys"]) for each in requests.values()) > MOST_GOT_AT_ONCE:
            raise Invalid("Too many items requested for the BatchGetItem call")
        wanted: list[tuple[Table, list[tuple[Key, Any]], Expressions, Mapping[str, Any]]] = []
        for name, request in requests.items():
            expressions = read_expressions(request, "ProjectionExpression")
            table = self._table(name)
            keys = [(table.key_of(checked_item(key)), key) for key in request["Keys"]]
            if len({key for key, _ in keys}) < len(keys):
                raise Invalid("Provided list of item keys contains duplicates")
            wanted.append((table, keys, expressions, request))
        bill = Bill()
        total = 0
        answer: dict[str, Any] = {"Responses": {name: [] for name in requests}, "UnprocessedKeys": {}}
        for table, keys, expressions, request in wanted:
            left: list[Any] = []
            for key, given in keys:
                if total >= MOST_BYTES_GOT:
                    left.append(_unshared(given))
                    continue
                found, size = self._read_one(table, key, bool(request.get("ConsistentRead")), expressions, bill)
                total += size
                if found is not None:
                    answer["Responses"][table.name].append(found)
            if left:
                answer["UnprocessedKeys"][table.name] = {**_unshared(request), "Keys": left}
        self._add_up(bill)
        self._show_all(answer, bill, params)
        return answer

    def _batch_write(self, params: Mapping[str, Any]) -> dict[str, Any]:
        requests = params["RequestItems"]
        _check_batch(requests.values())
        if sum(len(each) for each in requests.values()) > MOST_PUT_AT_ONCE:
            raise Invalid("Too many items requested for the BatchWriteItem call")
        planned: list[tuple[Table, Key, Write, Any]] = []
        for name, parts in requests.items():
            for part in parts:
                write = _batched(name, part)
                table = self._table(name)
                planned.append((table, key_of(write, table), write, part))
        places = {(table.name, key) for table, key, _, _ in planned}
        if len(places) < len(planned):
            raise Invalid("Provided list of item keys contains duplicates")
        bill = Bill()
        unprocessed: dict[str, list[Any]] = {}
        for table, key, write, part in planned:
            if (table.name, key) in self._locked:
                unprocessed.setdefault(table.name, []).append(_unshared(part))
            else:
                one = Bill()
                self._store([outcome_of(write, table, key)], one, 1)
                for place, units in one.write.items():
                    bill.write[place] += units
        answer: dict[str, Any] = {"UnprocessedItems": unprocessed}
        self._show_all(answer, bill, params)
        return answer

    # ------------------------------------------------------------ transactions

    def _transact_get(self, params: Mapping[str, Any]) -> dict[str, Any]:
        parts = params["TransactItems"]
        _check_length(parts)
        gets = [part["Get"] for part in parts]
        read = [(read_expressions(get, "ProjectionExpression"), checked_item(get["Key"]), get) for get in gets]
        tables = [self._table(get["TableName"]) for get in gets]
        places: list[Place | None] = []
        reasons: list[Fault | None] = []
        for (_, given, _), table in zip(read, tables, strict=True):
            try:
                places.append((table.name, table.key_of(given)))
                reasons.append(Fault("TransactionConflictException", CONFLICT) if places[-1] in self._locked else None)
            except Invalid as fault:
                places.append(None)
                reasons.append(fault)
        known = [place for place in places if place is not None]
        if len(set(known)) < len(known):
            raise Invalid("Transaction request cannot include multiple operations on one item")
        if any(reasons):
            raise _Cancelled(reasons).fault()
        bill = Bill()
        answers: list[dict[str, Any]] = []
        total = 0
        for (expressions, _, _), table, place in zip(read, tables, places, strict=True):
            assert place is not None
            found, size = self._read_one(table, place[1], True, expressions, bill)
            bill.read[table.name, ""] += read_units(size, consistent=True)  # as much again: it is transactional
            total += size
            answers.append({} if found is None else {"Item": found})
        if total > MOST_BYTES:
            raise Invalid("Transaction request is too large: the items exceed 4 MB")
        self._add_up(bill)
        answer: dict[str, Any] = {"Responses": answers}
        self._show_all(answer, bill, params, transactional=True)
        return answer

    def _transact_write(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._begin(params).finish()

    def _begin(self, params: Mapping[str, Any]) -> Pending:
        parts, token = params["TransactItems"], params.get("ClientRequestToken")
        _check_length(parts)
        asked = b""
        if token is not None:
            if not 1 <= len(token) <= 36:
                raise Invalid(
                    f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy "
                    f"constraint: Member must have length {'greater' if not token else 'less'} than or equal to "
                    f"{36 if token else 1}"
                )
            asked = _frozen(parts)
            carried = self._carried(token)
            if carried is not None:
                if carried.asked != asked and marshal.loads(carried.asked) != marshal.loads(asked):
                    raise Fault(
                        "IdempotentParameterMismatchException",
                        "The transaction was retried with other content under a token that has been used already",
                    )
                return Pending(self, params, token, asked, [], carried)
            if token in self._in_progress:
                raise Fault(
                    "TransactionInProgressException",
                    "The transaction with the given request token is already in progress",
                )
        writes = [_part(part) for part in parts]
        tables = [self._table(write.table) for write in writes]
        return Pending(self, params, token, asked, list(zip(writes, tables, strict=True)), None)

    def _carried(self, token: str) -> _Carried | None:
        """The transaction that was carried out under a token not long ago."""
        now = self.clock()
        while self._tokens_by_age and now - self._tokens_by_age[0][0] >= TOKEN_S:
            at, old = self._tokens_by_age.popleft()
            kept = self._tokens.get(old)
            if kept is not None and kept.at == at:
                del self._tokens[old]
        found = self._tokens.get(token)
        return None if found is None or now - found.at >= TOKEN_S else found

    def _keep_token(self, token: str, asked: bytes, items: Sequence[Place]) -> None:
        now = self.clock()
        self._tokens[token] = _Carried(asked, now, items)
        self._tokens_by_age.append((now, token))


class Pending:
    """A TransactWriteItems between its two phases: no other write gets at its items.

    Conditions are tried when it begins, for nothing can change afterwards; what came of it is told when it ends.
    """

    def __init__(
        self,
        model: Model,
        params: Mapping[str, Any],
        token: str | None,
        asked: bytes,
        writes: list[tuple[Write, Table]],
        carried: _Carried | None,
    ) -> None:
        self._model = model
        self._wanted = params.get("ReturnConsumedCapacity")
        self._token = token
        self._asked = asked
        self._carried = carried
        self._bill = Bill()
        self._outcomes: list[Outcome] = []
        self._cancelled: _Cancelled | None = None
        self._open = True
        self._places = self._take(writes)

    def _take(self, writes: list[tuple[Write, Table]]) -> list[Place]:
        """Tries every part, and takes the items. Raises ``Fault`` where another transaction has one of them."""
        places: list[Place | None] = []
        reasons: list[Fault | None] = []
        for write, table in writes:
            try:
                places.append((table.name, key_of(write, table)))
                reasons.append(None)
            except Invalid as fault:
                places.append(None)
                reasons.append(fault)
        known = [place for place in places if place is not None]
        if len(set(known)) < len(known):
            raise Invalid("Transaction request cannot include multiple operations on one item")
        conflict = False
        total = 0
        for at, ((write, table), place) in enumerate(zip(writes, places, strict=True)):
            if place is None:
                continue
            if place in self._model._locked:
                conflict = True
                reasons[at] = Fault("TransactionConflictException", CONFLICT)
                continue
            try:
                outcome = outcome_of(write, table, place[1])
                self._outcomes.append(outcome)
                total += outcome.new.size if outcome.new is not None and write.kind != "ConditionCheck" else 0
            except Fault as fault:
                reasons[at] = fault
        if total > MOST_BYTES:
            raise Invalid("Transaction request is too large: the items exceed 4 MB")
        if any(reasons):
            self._cancelled = _Cancelled(reasons)
            for (_, table), place in zip(writes, places, strict=True):
                if place is not None:
                    self._model._bill_failed(table, place[1], self._bill, 2)
        if conflict:
            self._model._add_up(self._bill)
            assert self._cancelled is not None
            raise self._cancelled.fault()
        for place in known:
            self._model._locked[place] = self
        if self._token is not None and self._carried is None:
            self._model._in_progress[self._token] = self
        return known

    def commit(self) -> dict[str, Any]:
        """Carries it out: the answer. Raises ``ClientError`` where it is cancelled."""
        try:
            answer = self.finish()
        except Fault as fault:
            raise self._model._error(fault, "TransactWriteItems") from None
        answer["ResponseMetadata"] = metadata(self._model._request_id())
        return answer

    def finish(self) -> dict[str, Any]:
        """As ``commit``, but raises the bare ``Fault``, and answers without what botocore adds."""
        self._close()
        if self._carried is not None:
            for name, key in self._carried.items:
                table = self._model.tables[name]
                row = table.rows.get(key)
                self._bill.read[name, ""] += 2 * read_units(row.size if row else 0, consistent=True)
            self._model._add_up(self._bill)
        elif self._cancelled is not None:
            self._model._add_up(self._bill)
            raise self._cancelled.fault()
        else:
            if self._token is not None:
                self._model._keep_token(self._token, self._asked, self._places)
            self._model._store(self._outcomes, self._bill, 2)
        consumed = self._bill.answer(self._wanted, transactional=True)
        return {} if consumed is None else {"ConsumedCapacity": consumed}

    def abort(self) -> None:
        """Lets go of the items; nothing has happened."""
        self._close()

    def _close(self) -> None:
        if not self._open:
            raise RuntimeError("a transaction ends once")
        self._open = False
        for place in self._places:
            del self._model._locked[place]
        if self._token is not None and self._carried is None:
            del self._model._in_progress[self._token]


def _part(part: Mapping[str, Any]) -> Write:
    if len(part) != 1:
        raise Invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    ((kind, params),) = part.items()
    if kind == "ConditionCheck" and params.get("ConditionExpression") is None:
        raise Invalid("The expression can not be empty;")
    if kind == "Update" and params.get("UpdateExpression") is None:
        raise Invalid(
            "1 validation error detected: Value null at 'transactItems.1.member.update.updateExpression' failed to "
            "satisfy constraint: Member must not be null"
        )
    return read_write(kind, params)


def _batched(table: str, part: Mapping[str, Any]) -> Write:
    if len(part) != 1:
        raise Invalid(MORE_THAN_ONE)
    ((kind, request),) = part.items()
    kind = kind.removesuffix("Request")
    name = "Item" if kind == "Put" else "Key"
    return read_write(kind, {"TableName": table, name: request[name]})


def _check_length(parts: Sequence[Any]) -> None:
    if not 1 <= len(parts) <= MOST_PARTS:
        bound = f"less than or equal to {MOST_PARTS}" if parts else "greater than or equal to 1"
        raise Invalid(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: "
            f"Member must have length {bound}"
        )


def _check_batch(parts: Iterable[Sequence[Any]]) -> None:
    lengths = [len(each) for each in parts]
    if not lengths or 0 in lengths:
        raise Invalid(
            "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )


def _frozen(parts: Any) -> bytes:
    """What a transaction asks for, to be told from something else later on."""
    try:
        return marshal.dumps(parts)
    except ValueError:  # mappings and the like that botocore takes as well
        return marshal.dumps(_unshared(parts))


def _unshared(value: Any) -> Any:
    """The same parameters, with nothing shared."""
    if isinstance(value, Mapping):
        return {name: _unshared(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unshared(each) for each in value]
    return bytes(value) if isinstance(value, bytearray) else value
