"""Where `python -m local verify` reads from, and how it puts a table in order that no memory would hold.

A table comes in no order, and what has to be compared lies all over it. So every item is written to one of some
hundred temporary files, by its member; then one file after the other is read and its members are compared. A file that
is larger than ``BYTES_AT_ONCE`` is parted once more. What is held in memory at a time is one file's items, never a list
of the table's items or members; it takes as much room on the disk as the table has.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import pickle
import tempfile
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Full, Queue
from typing import Any, Protocol

from local.verify.kinds import Item

FILES = 128
"""So many temporary files are open at a time: fewer than a process may have."""

BYTES_AT_ONCE = 24 * 1024 * 1024
"""A temporary file up to this size is read at once; its items take some times as much in memory."""

PARTED_AT_MOST = 3
"""So often a file that is too large is parted: what then still is belongs to few members."""

QUEUED_PAGES = 8
"""So many pages of a scan wait to be written, however many segments are read."""


class IncompleteExport(Exception):
    """An export that lacks a file, or has one that is not what was exported; it says which."""


# --- in order


class Groups(Protocol):
    """Records by the names of their groups, in no order; each group comes once, whole."""

    def add(self, group: str, record: Any) -> None:
        """Adds a record to a group."""

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        """Every group with its records."""


class GroupsInMemory:
    """The groups of a table that is in memory anyway."""

    def __init__(self) -> None:
        self._groups: dict[str, list[Any]] = defaultdict(list)

    def add(self, group: str, record: Any) -> None:
        """Adds a record to a group."""
        self._groups[group].append(record)

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        """Every group with its records."""
        yield from self._groups.items()


class GroupsOnDisk:
    """The groups of a table of any size, in temporary files below a folder, which is its owner's to take away."""

    def __init__(self, folder: Path, depth: int = 0) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._depth = depth
        self._files: dict[int, Any] = {}

    def add(self, group: str, record: Any) -> None:
        """Adds a record to a group."""
        place = zlib.crc32(f"{self._depth}{group}".encode()) % FILES
        if place not in self._files:
            self._files[place] = (self._folder / str(place)).open("wb")
        pickle.dump((group, record), self._files[place], protocol=5)

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        """Every group with its records. A file is taken away when it has been read."""
        for file in self._files.values():
            file.close()
        for place in sorted(self._files):
            path = self._folder / str(place)
            inner: Groups = GroupsInMemory()
            if path.stat().st_size > BYTES_AT_ONCE and self._depth < PARTED_AT_MOST:
                inner = GroupsOnDisk(self._folder, self._depth + 1)
            for group, record in _records(path):
                inner.add(group, record)
            path.unlink()
            yield from inner


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)  # noqa: S301 - this process wrote it, into a folder of its own
            except EOFError:
                return


# --- a table


def scan(client: Any, table_name: str, segments: int = 1) -> Iterator[Item]:
    """Every item of a table, with binary as bytes, read consistently. ``client`` is a boto3 DynamoDB client.

    ``segments``: so many parts of the table are read at a time. Raises what the client raises.
    """
    if segments == 1:
        yield from _segment(client, table_name, 0, 1)
        return
    pages: Queue[Any] = Queue(QUEUED_PAGES)
    stopped = threading.Event()

    def put(what: Any) -> None:
        while not stopped.is_set():
            try:
                pages.put(what, timeout=0.2)
                return
            except Full:
                continue

    def read(segment: int) -> None:
        try:
            for page in _pages(client, table_name, segment, segments):
                put(page)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            put(error)
        put(None)

    threads = [threading.Thread(target=read, args=(segment,), daemon=True) for segment in range(segments)]
    for thread in threads:
        thread.start()
    try:
        left = segments
        while left:
            page = pages.get()
            if isinstance(page, BaseException):
                raise page
            left -= page is None
            yield from page or ()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _segment(client: Any, table_name: str, segment: int, segments: int) -> Iterator[Item]:
    for page in _pages(client, table_name, segment, segments):
        yield from page


def _pages(client: Any, table_name: str, segment: int, segments: int) -> Iterator[list[Item]]:
    parts: dict[str, Any] = {} if segments == 1 else {"Segment": segment, "TotalSegments": segments}
    for page in client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True, **parts):
        yield page["Items"]


# --- an export to S3


def export(folder: Path) -> Callable[[], Iterator[Item]]:
    """The items of a DynamoDB export to S3 that has been copied to a local ``folder``.

    The folder is that of the export (``AWSDynamoDB/<id>``), or any above it that has one export in it. Every file that
    the manifest names has to be there, whole, with its checksum and its number of items, or ``IncompleteExport`` is
    raised before the first item is given; so is it for an export that is not a full one, or not ``DYNAMODB_JSON``.
    """
    manifests = [folder] if (folder / "manifest-summary.json").is_file() else []
    manifests = manifests or sorted({path.parent for path in folder.rglob("manifest-summary.json")})
    if len(manifests) != 1:
        found = ", ".join(str(path) for path in manifests) or "none"
        raise IncompleteExport(f"{folder}: there has to be one manifest-summary.json, found {found}")
    (home,) = manifests
    summary = _json_in(home / "manifest-summary.json")
    kind, form = summary.get("exportType", "FULL_EXPORT"), summary.get("outputFormat")
    if (kind, form) != ("FULL_EXPORT", "DYNAMODB_JSON"):
        text = f"a full export as DYNAMODB_JSON is needed, this is {kind} as {form}"
        raise IncompleteExport(f"{home / 'manifest-summary.json'}: {text}")
    files = home / "manifest-files.json"
    for manifest in (home / "manifest-summary.json", files):
        _check_manifest(manifest)
    data = [(_data_file(home, each), each["itemCount"]) for each in _lines(files, files.read_bytes())]
    if sum(count for _, count in data) != summary["itemCount"]:
        raise IncompleteExport(
            f"{files}: its files hold other numbers of items than the summary's {summary['itemCount']}"
        )

    def items() -> Iterator[Item]:
        for path, count in data:
            given = 0
            for each in _lines(path, None):
                given += 1
                yield {name: _as_boto3_has_it(value) for name, value in each["Item"].items()}
            if given != count:
                raise IncompleteExport(f"{path}: it holds {given} items, the manifest says {count}")

    return items


def _json_in(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IncompleteExport(f"{path}: it can't be read: {error}") from error
    return found


def _check_manifest(path: Path) -> None:
    """A manifest by the checksum beside it (MD5, in base64 or hex), where that was copied along."""
    if not path.is_file():
        raise IncompleteExport(f"{path}: it is missing")
    for suffix in (".md5", ".checksum"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False)
            if beside.read_text("ascii", "replace").strip() not in (_base64(digest.digest()), digest.hexdigest()):
                raise IncompleteExport(f"{path}: its checksum is not that of {beside.name}")


def _data_file(home: Path, named: dict[str, Any]) -> Path:
    """The file that a line of the manifest names, once its checksum has been compared."""
    name = str(named["dataFileS3Key"]).rsplit("/", 1)[-1]
    path = home / "data" / name
    if not path.is_file():
        raise IncompleteExport(f"{path}: it is missing")
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            digest.update(block)
    if _base64(digest.digest()) != named["md5Checksum"]:
        raise IncompleteExport(f"{path}: its checksum is not that of the manifest")
    return path


def _lines(path: Path, content: bytes | None) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file: of its ``content`` where that is given, else of what is packed in it."""
    try:
        with io.BytesIO(content) if content is not None else gzip.open(path, "rb") as lines:
            for line in lines:
                if line.strip():
                    yield json.loads(line)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise IncompleteExport(f"{path}: it can't be read: {error}") from error


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _as_boto3_has_it(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": base64.b64decode(content)}
    if kind == "M":
        return {"M": {name: _as_boto3_has_it(each) for name, each in content.items()}}
    return value
