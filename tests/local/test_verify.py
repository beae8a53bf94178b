"""`python -m local verify` of a running stack, a table by its name, and an export; a table larger than memory."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from club_rules.programs import load_programs
from local import verify
from local.__main__ import main
from local.server import Server
from local.stack import Stack
from local.verify import reading
from local.verify.kinds import Club as Judge
from local.verify.reading import GroupsOnDisk, IncompleteExport, export, scan
from tests.local.test_club import NOW, Club, table_of

ITEM = dict[str, Any]
JUDGE = Judge(load_programs(), 8)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack with two members and three orders."""
    with Stack(NOW) as running:
        club = Club(running)
        club.send(club.order("anna", "o-1", price="700.00"), club.order("bert", "o-2"), club.order("bert", "o-3"))
        yield running


def spoil(stack: Stack) -> None:
    """An order of anna's has another status."""
    key = {"pk": {"S": "M#anna"}, "sk": {"S": "O#o-1"}}
    client = stack.client("dynamodb")
    client.delete_item(TableName=table_of(stack), Key=key)


def test_a_running_stack_is_proven_and_put_right(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(stack, 0, lambda line: None)
    server.start()
    try:
        port = str(server.server_address[1])
        assert main(["verify", "--port", port]) == 0
        assert capsys.readouterr().out == "2 members, 3 entries: 0 problems\n"
        spoil(stack)
        assert main(["verify", "--port", port]) == 1
        said = capsys.readouterr().out
        assert "anna: order o-1: stored None, the entries give {'order_id': 'o-1'" in said
        assert "  1 of them: --repair puts it right\n" in said
        assert main(["verify", "--repair", "--port", port]) == 0
        assert "anna: M#anna O#o-1: put right\n" in capsys.readouterr().out
        assert main(["verify", "--port", port]) == 0
    finally:
        server.shutdown()
        server.server_close()


def test_a_table_is_proven_in_segments_and_put_right(
    stack: Stack, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["verify", "--table", table_of(stack), "--segments", "3", "--scratch", str(tmp_path)]
    stack.work_streams()
    assert main(arguments) == 0
    spoil(stack)
    assert main(arguments) == 1
    assert "anna: order o-1: stored None" in capsys.readouterr().out
    assert main([*arguments, "--repair"]) == 0
    assert main(arguments) == 0
    assert list(tmp_path.iterdir()) == [], "what was put in order has been taken away"


def test_a_table_that_is_not_there_is_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--table", "nowhere"]) == 2
    assert "The table nowhere can't be worked on" in capsys.readouterr().err


def test_segments_give_every_item_once(stack: Stack) -> None:
    client, name = stack.client("dynamodb"), table_of(stack)
    one = sorted(json.dumps(item, default=str) for item in scan(client, name))
    assert sorted(json.dumps(item, default=str) for item in scan(client, name, 5)) == one
    taken = scan(client, name, 5)
    next(taken)
    taken.close()  # type: ignore[attr-defined]  # who stops early leaves no thread behind


# --- an export


def written(folder: Path, items: list[ITEM], files: int = 3) -> Path:
    """Such an export as DynamoDB writes it, in a folder as S3 has it."""
    home = folder / "AWSDynamoDB" / "01795342501250-0a1b2c3d"
    (home / "data").mkdir(parents=True)
    lines = []
    for number in range(files):
        mine = items[number::files]
        content = "".join(json.dumps({"Item": as_exported(item)}) + "\n" for item in mine)
        packed = gzip.compress(content.encode())
        (home / "data" / f"file{number}.json.gz").write_bytes(packed)
        checksum = base64.b64encode(hashlib.md5(packed).digest()).decode()
        key = f"{home.relative_to(folder)}/data/file{number}.json.gz"
        lines.append({"itemCount": len(mine), "md5Checksum": checksum, "etag": "x-1", "dataFileS3Key": key})
    (home / "manifest-files.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = {"version": "2020-06-30", "itemCount": len(items), "outputFormat": "DYNAMODB_JSON"}
    (home / "manifest-summary.json").write_text(json.dumps({**summary, "exportType": "FULL_EXPORT"}))
    for name in ("manifest-summary", "manifest-files"):
        digest = hashlib.md5((home / f"{name}.json").read_bytes()).digest()
        (home / f"{name}.md5").write_text(base64.b64encode(digest).decode())
    return home


def as_exported(item: ITEM) -> ITEM:
    """An item with binary as base64, and maps likewise."""

    def plain(value: ITEM) -> ITEM:
        ((kind, content),) = value.items()
        if kind == "M":
            return {"M": {name: plain(each) for name, each in content.items()}}
        return {"B": base64.b64encode(content).decode()} if kind == "B" else value

    return {name: plain(value) for name, value in item.items()}


@pytest.fixture
def items(stack: Stack) -> list[ITEM]:
    """Everything in the table, a run of a sweep among it."""
    stack.fire("ExpirySweep", NOW)
    stack.work_streams()
    return list(scan(stack.client("dynamodb"), table_of(stack)))


def test_an_export_is_proven(items: list[ITEM], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = written(tmp_path, items)
    assert list(export(home)()) == list(export(tmp_path)())
    assert sorted(map(str, export(home)())) == sorted(map(str, items))
    assert main(["verify", "--export", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 members, 3 entries: 0 problems\n"

    assert main(["verify", "--export", str(tmp_path), "--repair"]) == 2
    assert "--table" in capsys.readouterr().err

    written(tmp_path / "spoilt", [item for item in items if item["sk"]["S"] != "O#o-1"])
    assert main(["verify", "--export", str(tmp_path / "spoilt")]) == 1
    assert "anna: order o-1: stored None" in capsys.readouterr().out


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def other_count(path: Path) -> None:
    path.write_text(path.read_text().replace('"itemCount": ', '"itemCount": 1'))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("data/file1.json.gz", Path.unlink),
        ("data/file1.json.gz", shorten),
        ("data/file1.json.gz", lambda path: path.write_bytes(b"")),
        ("manifest-files.json", Path.unlink),
        ("manifest-files.json", shorten),
        ("manifest-files.json", other_count),
        ("manifest-summary.json", other_count),
        ("manifest-summary.json", shorten),
    ],
    ids=["no file", "cut", "empty", "no manifest", "cut manifest", "other counts", "other sum", "cut summary"],
)
@pytest.mark.parametrize("beside", [True, False], ids=["with checksums", "without"])
def test_an_incomplete_export_is_refused_and_the_file_named(
    items: list[ITEM], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, spoil: Any, beside: bool
) -> None:
    home = written(tmp_path, items)
    if not beside:
        for path in home.glob("*.md5"):
            path.unlink()
    spoil(home / name)

    with pytest.raises(IncompleteExport) as refused:
        list(export(tmp_path)())
    assert name.partition(".")[0].split("-")[0] in str(refused.value)
    assert main(["verify", "--export", str(tmp_path)]) == 2
    assert "The export is not complete: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{"outputFormat": "ION"}, {"exportType": "INCREMENTAL_EXPORT"}], ids=["ion", "incremental"]
)
def test_another_kind_of_export_is_refused(items: list[ITEM], tmp_path: Path, changes: ITEM) -> None:
    home = written(tmp_path, items)
    path = home / "manifest-summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(IncompleteExport, match="a full export as DYNAMODB_JSON is needed"):
        export(tmp_path)


def test_a_folder_without_an_export_or_with_two_is_refused(items: list[ITEM], tmp_path: Path) -> None:
    with pytest.raises(IncompleteExport, match=r"one manifest-summary\.json, found none"):
        export(tmp_path)
    written(tmp_path / "one", items)
    written(tmp_path / "two", items)
    with pytest.raises(IncompleteExport, match=r"one manifest-summary\.json"):
        export(tmp_path)


# --- in order


def test_a_table_is_put_in_order_on_disk_as_in_memory(
    items: list[ITEM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are too large are parted again, as often as may be; the findings are the same."""
    monkeypatch.setattr(reading, "FILES", 2)
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", 1)
    spoilt = [item for item in items if item["sk"]["S"] not in ("O#o-1", "O#o-3")]
    folder = tmp_path / "order"
    folder.mkdir()

    found = verify.check(spoilt, JUDGE, GroupsOnDisk(folder), GroupsOnDisk(folder))

    assert found == verify.check(spoilt, JUDGE)
    assert len(found.problems) == 2
    assert not [path for path in folder.rglob("*") if path.is_file()]
