"""Six changes to moto's DynamoDB, so that its cost follows what is touched and not what is stored.

1. A transaction. moto copies every table that it names, whole, to be able to roll back: half a second at 1,000
   items. Here the items that the transaction names are copied, and the length of the stream is kept; on a failure
   those items are put back and the stream is cut to that length.
2. A query. moto sorts and walks the whole table, for an index as well. Here it is shown only the items that could
   match: a partition, or the slice of an index that the range condition leaves (plus a neighbour on either side,
   because moto tells from the next item, matching or not, that there is another page). moto's own code then does
   everything else on those.
3. An answer. moto asks of each attribute value, for each of ten types and under several spellings, whether it is one:
   a quarter of a millisecond for an item. Here a value is written as what it is. So is an index's projection of keys.
4. The stream. moto keeps each record for ever and stamps it with the machine's clock. Here records are taken out
   when they are read, and carry the stack's clock.
5. Memory. moto lists every model that was ever made, in `instances_tracked`, for a dashboard: each old version of
   each item. Here it does not.
6. The way in. moto finds its service among two hundred by trying their URLs, dresses a request up for a web framework,
   and lists the methods of its class, for every call. Here a data operation goes to moto's handler straight away.

Nothing about results changes: tests/local/test_moto_patch.py runs the same random work with and without.
"""

import base64
import copy
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.model import StructureShape
from moto.core import responses as responses_module
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.parse import JSONParser
from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import get_service_model, method_names_from_class
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models import table as table_module
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import SecondaryIndex, Table
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

from local.swapping import swapped
from local.template import ACCOUNT

_MISSING = object()
# Sorts after every key that an index can hold behind the same range value.
_LAST = (2,)

_Key = tuple[Any, ...]


class _Index:
    """The members of one secondary index: per hash value, sorted by range value and then by the table's key."""

    def __init__(self, hash_attr: str, range_attr: str | None) -> None:
        self.hash_attr = hash_attr
        self.range_attr = range_attr
        self.partitions: dict[Any, list[_Key]] = {}
        self.items: dict[Any, dict[_Key, Item]] = {}
        self._placed: dict[_Key, tuple[Any, _Key]] = {}

    def place(self, key: _Key, item: Item | None) -> None:
        """Put an item where it belongs now, and take it from where it was; None = the item is gone."""
        before = self._placed.pop(key, None)
        if before is not None:
            partition, entry = before
            keys = self.partitions[partition]
            del keys[bisect_left(keys, entry)]
            del self.items[partition][entry]
        if item is None or self.hash_attr not in item.attrs:
            return
        if self.range_attr is not None and self.range_attr not in item.attrs:
            return
        # moto compares values and not types within an index; an index attribute has one type.
        range_value = item.attrs[self.range_attr].cast_value if self.range_attr else ""
        partition, entry = item.attrs[self.hash_attr], ((1, range_value), key)
        insort(self.partitions.setdefault(partition, []), entry)
        self.items.setdefault(partition, {})[entry] = item
        self._placed[key] = (partition, entry)

    def candidates(self, hash_value: DynamoType, comparison: str | None, values: list[DynamoType]) -> list[Item]:
        """Give the items that a range condition leaves, and one more on either side."""
        keys = self.partitions.get(hash_value, [])
        low, high = 0, len(keys)
        if comparison and self.range_attr and values:
            operator = comparison.upper()
            first, last = values[0].cast_value, values[-1].cast_value
            if operator in {"=", ">=", ">", "BETWEEN", "EQ", "GE", "GT"}:
                low = bisect_left(keys, ((1, first), ()))
            if operator in {"=", "<=", "<", "BETWEEN", "EQ", "LE", "LT"}:
                high = bisect_right(keys, ((1, last), _LAST))
        items = self.items.get(hash_value, {})
        return [items[key] for key in keys[max(0, low - 1) : high + 1]]


def _indexes(table: Table) -> dict[str, _Index]:
    """Give a table's indexes, made from its items the first time."""
    indexes: dict[str, _Index] | None = table.__dict__.get("_club_indexes")
    if indexes is None:
        indexes = {}
        for index in table.all_indexes():
            hashes = [key["AttributeName"] for key in index.schema if key["KeyType"] == "HASH"]
            ranges = [key["AttributeName"] for key in index.schema if key["KeyType"] == "RANGE"]
            if len(hashes) == 1 and len(ranges) <= 1:  # anything richer is left to moto
                indexes[index.name] = _Index(hashes[0], ranges[0] if ranges else None)
        table.__dict__["_club_indexes"] = indexes
        for item in _ALL_ITEMS(table):
            for known in indexes.values():
                known.place(_sortable(table, item.hash_key, item.range_key), item)
    return indexes


def _sortable(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> _Key:
    return (1, hash_key.cast_value, range_key.cast_value if table.range_key_attr and range_key else "")


def _stored(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Any:
    """Give what is stored under a key, or _MISSING; unlike moto's own look-up it leaves no empty partition behind."""
    if table.range_key_attr is None:
        return table.items.get(hash_key, _MISSING)
    partition = table.items.get(hash_key)
    return _MISSING if partition is None else partition.get(range_key, _MISSING)


def _reindex(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> None:
    indexes = _indexes(table)
    if indexes:
        found = _stored(table, hash_key, range_key)
        item = None if found is _MISSING else found
        key = _sortable(table, hash_key, range_key)
        for index in indexes.values():
            index.place(key, item)


# ---------------------------------------------------------------- 1. transactions

_TRANSACT = DynamoDBBackend.transact_write_items
_PUT = Table.put_item
_DELETE = Table.delete_item
_UPDATE = DynamoDBBackend.update_item
_GET = Table.get_item
_QUERY = Table.query
_ALL_ITEMS = Table.all_items


def _transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Run moto's own transaction with the table standing in for its copy, and roll back by hand if it fails."""
    touched = [spot for item in transact_items[:100] for spot in _named(self, item)]
    before = [(table, key, copy.deepcopy(_stored_or_none(table, key))) for table, key in touched]
    streams = {
        id(table): (table.stream_shard, len(table.stream_shard.items)) for table, _ in touched if table.stream_shard
    }
    Table.__deepcopy__ = lambda table, _memo: table  # type: ignore[attr-defined]
    try:
        _TRANSACT(self, transact_items)
    except BaseException:
        for table, key, item in before:
            _put_back(table, key, item)
        for shard, length in streams.values():
            del shard.items[length:]
        raise
    finally:
        del Table.__deepcopy__  # type: ignore[attr-defined]


def _named(backend: DynamoDBBackend, item: dict[str, Any]) -> Iterator[tuple[Table, _Key]]:
    """Give the tables and keys that one part of a transaction names; a part that makes no sense is moto's to refuse."""
    for operation in item.values():
        table = backend.tables.get(operation.get("TableName", ""))
        key = operation.get("Key", operation.get("Item"))
        if table is None or not isinstance(key, dict) or any(name not in key for name in table.table_key_attrs):
            continue
        hash_key = DynamoType(key[table.hash_key_attr])
        yield table, (hash_key, DynamoType(key[table.range_key_attr]) if table.range_key_attr else None)


def _stored_or_none(table: Table, key: _Key) -> Item | None:
    found = _stored(table, *key)
    return None if found is _MISSING else found


def _put_back(table: Table, key: _Key, item: Item | None) -> None:
    hash_key, range_key = key
    if item is not None:
        if table.range_key_attr is None:
            table.items[hash_key] = item  # type: ignore[assignment]
        else:
            table.items[hash_key][range_key] = item
    elif table.range_key_attr is None:
        table.items.pop(hash_key, None)
    elif hash_key in table.items:
        table.items[hash_key].pop(range_key, None)
        if not table.items[hash_key]:
            del table.items[hash_key]
    _reindex(table, hash_key, range_key)


# ---------------------------------------------------------------- 2. queries


def _put_item(self: Table, item_attrs: dict[str, Any], *args: Any, **kwargs: Any) -> Item:
    item = _PUT(self, item_attrs, *args, **kwargs)
    _reindex(self, item.hash_key, item.range_key)
    return item


def _delete_item(self: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Item | None:
    item = _DELETE(self, hash_key, range_key)
    _reindex(self, hash_key, range_key)
    return item


def _update_item(self: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **kwargs: Any) -> Item:
    try:
        return _UPDATE(self, table_name, key, *args, **kwargs)
    finally:  # a failed update may have changed the item already, as moto changes it in place
        table = self.tables.get(table_name)
        if table is not None and all(name in key for name in table.table_key_attrs):
            range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
            _reindex(table, DynamoType(key[table.hash_key_attr]), range_key)


def _get_item(self: Table, hash_key: DynamoType, range_key: DynamoType | None = None, *args: Any, **kwargs: Any) -> Any:
    # moto's look-up of a partition that isn't there creates it, empty, for good.
    if range_key and hash_key not in self.items:
        return None
    return _GET(self, hash_key, range_key, *args, **kwargs)


def _query(
    self: Table,
    hash_key: DynamoType | None,
    range_comparison: str | None,
    range_objs: list[DynamoType],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Let moto query a table that, for as long as it lasts, shows only the items that can match."""
    index_name = kwargs.get("index_name", args[4] if len(args) > 4 else None)
    items: list[Item] | None = None
    if hash_key is not None and index_name is None:
        found: Any = self.items.get(hash_key, {})
        items = list(found.values()) if isinstance(found, dict) else [found]
    elif hash_key is not None and index_name in _indexes(self):
        items = _indexes(self)[index_name].candidates(hash_key, range_comparison, range_objs)
    if items is not None:
        self.__dict__["all_items"] = lambda: items
    try:
        return _QUERY(self, hash_key, range_comparison, range_objs, *args, **kwargs)
    finally:
        self.__dict__.pop("all_items", None)


# ---------------------------------------------------------------- 3. answers

_STRUCTURE = BaseJSONSerializer._serialize_type_structure
_PROJECT = SecondaryIndex.project


def _serialize_type_structure(
    self: BaseJSONSerializer, serialized: Any, value: Any, shape: StructureShape, key: str
) -> None:
    if shape.name == "AttributeValue" and key and isinstance(value, dict):
        serialized[self.get_serialized_name(shape, key)] = _written(value)
    else:
        _STRUCTURE(self, serialized, value, shape, key)


def _written(value: dict[str, Any]) -> dict[str, Any]:
    """Write an attribute value as it is on the wire."""
    ((kind, content),) = value.items()
    if kind == "B":
        content = _base64(content)
    elif kind == "BS":
        content = [_base64(item) for item in content]
    elif kind == "L":
        content = [_written(item) for item in content]
    elif kind == "M":
        content = {name: _written(item) for name, item in content.items()}
    return {kind: content}


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def _project(self: SecondaryIndex, item: Item) -> Item:
    """Project on the keys alone without a way there and back through Python's types; anything else is moto's."""
    names = [*self.table_key_attrs, *self.schema_key_attrs]
    kept = {name: item.attrs[name] for name in names if name in item.attrs}
    if self.projection.get("ProjectionType") != "KEYS_ONLY" or any(value.type != "S" for value in kept.values()):
        return _PROJECT(self, item)
    projected = Item(item.hash_key, item.range_key, {})
    dict.update(projected.attrs, kept)  # past the check of the size: the item as a whole has passed it
    return projected


# ---------------------------------------------------------------- 4. the stream


def take_stream_records(table: Table) -> list[dict[str, Any]]:
    """Take the records out of a table's stream, oldest first, so that they are not kept for ever."""
    shard = table.stream_shard
    if shard is None or not shard.items:
        return []
    records = [record.to_json() for record in shard.items]
    # moto counts a record's number from here.
    shard.starting_sequence_number += len(records)
    shard.items.clear()
    return records


def _new_untracked(cls: type, *_: object, **__: object) -> Any:
    """Make a model that moto does not list: it keeps every item and stream record that ever was, for its dashboard."""
    return object.__new__(cls)


# ---------------------------------------------------------------- 6. the way in

_PROCESS = BotocoreStubber.process_request
_METHOD_NAMES = cache(method_names_from_class)
_HOST = re.compile(r"https://dynamodb\.([a-z0-9-]+)\.amazonaws\.com/?")
_READS = {"GetItem", "BatchGetItem", "Query", "TransactGetItems"}
_DATA_OPERATIONS = _READS | {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


class _Handler(DynamoHandler):
    """moto's handler for one request, set up with what the data operations look at."""

    def __init__(self, region: str, target: str, body: bytes) -> None:
        super().__init__()
        self.region, self.current_account, self.partition = region, ACCOUNT, "aws"
        self.headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        self.querystring: dict[str, Any] = {}
        self.uri_match: dict[str, Any] = {}
        self.response_headers: dict[str, str] = {}
        operation = get_service_model("dynamodb").operation_model(self._get_action())
        self.params = JSONParser(operation, map_type=self.PROTOCOL_PARSER_MAP_TYPE).parse(
            {"method": "POST", "values": {}, "headers": {}, "body": body, "url_path": "/", "url_params": {}}  # type: ignore[typeddict-item]
        )

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """Roles are the boundary's business (local/permissions.py)."""


def _process_request(self: BotocoreStubber, request: AWSPreparedRequest) -> Any:
    host = _HOST.fullmatch(request.url)
    target = request.headers.get("X-Amz-Target", "")
    target = target.decode() if isinstance(target, bytes) else target
    if host is None or target.rsplit(".", 1)[-1] not in _DATA_OPERATIONS:
        return _PROCESS(self, request)
    body = request.body.encode() if isinstance(request.body, str) else request.body
    try:
        return _Handler(host.group(1), target, body).call_action()
    except HTTPException as error:
        return error.code, error.get_headers(), error.get_body()


def _request_id(headers: dict[str, str] | None = None) -> str:
    """Give an id that is as good as moto's 52 letters of chance."""
    if headers is not None:
        headers["x-amzn-requestid"] = "LOCAL"
    return "LOCAL"


@contextmanager
def patched(clock: Callable[[], datetime] | None = None) -> Iterator[None]:
    """Change moto as this module says, for as long as the context lasts; `clock` stamps the stream's records."""
    changes: list[tuple[Any, str, Any]] = [
        (DynamoDBBackend, "transact_write_items", _transact_write_items),
        (DynamoDBBackend, "update_item", _update_item),
        (Table, "put_item", _put_item),
        (Table, "delete_item", _delete_item),
        (Table, "get_item", _get_item),
        (Table, "query", _query),
        (SecondaryIndex, "project", _project),
        (BaseJSONSerializer, "_serialize_type_structure", _serialize_type_structure),
        (BaseModel, "__new__", _new_untracked),
        (BotocoreStubber, "process_request", _process_request),
        (responses_module, "method_names_from_class", _METHOD_NAMES),
        (responses_module, "gen_amzn_requestid_long", _request_id),
    ]
    if clock is not None:
        changes.append((table_module, "utcnow", clock))
    with swapped(changes):
        yield
