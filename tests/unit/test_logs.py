"""The readers of real logs: what each row becomes, what is skipped and why, and how a bad row is named."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.logs import LogError, open_log
from local.logs.cdnow import split_amount
from local.logs.files import as_id
from local.logs.uci import _NOT_GOODS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.logs import Log

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "log.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def events(log: Log) -> list[dict]:
    return [event for _, of_day in log.days() for event in of_day]


def total(event: dict) -> Decimal:
    return sum((Decimal(line["unit_price"]) * line["quantity"] for line in event["data"]["lines"]), Decimal(0))


# --- CDNOW ---


@pytest.fixture(scope="module")
def sample() -> Log:
    return open_log()


def test_the_sample_is_the_log_without_a_path(sample: Log) -> None:
    assert (sample.rows, sample.events, sample.members) == (6919, 6919, 2357)
    assert (sample.first_day, sample.last_day) == (date(1997, 1, 1), date(1998, 6, 30))
    assert sample.skipped == {}
    assert sample.counts() == {"order.completed": 6919}


def test_every_day_comes_once_and_in_order_and_days_without_a_purchase_too(sample: Log) -> None:
    days = [day for day, _ in sample.days()]
    assert days == [date.fromordinal(n) for n in range(days[0].toordinal(), days[-1].toordinal() + 1)]
    assert len(days) == 546
    for day, of_day in sample.days():
        assert all(event["occurred_at"].startswith(day.isoformat()) for event in of_day)


def test_the_sample_keeps_every_cent_and_every_cd(sample: Log) -> None:
    # Both sums were taken from the file with awk.
    assert sum(total(event) for event in events(sample)) == Decimal("244091.94")
    assert sum(line["quantity"] for event in events(sample) for line in event["data"]["lines"]) == 16479


def test_the_first_customer_of_the_sample_line_by_line(sample: Log) -> None:
    first = next(event for event in events(sample) if event["event_id"] == "cdnow-sample-1:completed")
    assert first == {
        "event_id": "cdnow-sample-1:completed",
        "type": "order.completed",
        "member_id": "cdnow-00004",
        "occurred_at": "1997-01-01T12:00:00Z",
        "data": {
            "order_id": "cdnow-sample-1",
            "currency": "USD",
            "lines": [
                {
                    "item_id": "cdnow-sample-1:cds",
                    "seller_id": "cdnow-sample-1:seller",
                    "unit_price": price,
                    "quantity": 1,
                }
                for price in ("14.66", "14.67")
            ],
        },
    }


def test_ids_and_times_of_the_sample_are_its_own(sample: Log) -> None:
    every = events(sample)
    assert len({event["event_id"] for event in every}) == len(every)
    assert len({event["occurred_at"] for event in every}) == len(every)
    assert all(ID.fullmatch(event["event_id"]) and ID.fullmatch(event["member_id"]) for event in every)
    assert events(open_log()) == every, "read twice, a log gives the same events"


def test_rows_of_no_dollars_stay_orders(sample: Log) -> None:
    free = [event for event in events(sample) if total(event) == 0]
    assert len(free) == 8
    assert all(line["unit_price"] == "0.00" for event in free for line in event["data"]["lines"])


@pytest.mark.slow
def test_all_of_cdnow_agrees_with_its_sample(sample: Log) -> None:
    full = open_log(full=True)
    assert (full.rows, full.events, full.members) == (69_659, 69_659, 23_570)

    def purchases(log: Log) -> Counter:
        return Counter((e["member_id"], e["occurred_at"][:10], total(e)) for e in events(log))

    assert not purchases(sample) - purchases(full), "a customer has the same id in both"


@given(cents=st.integers(0, 10**9), units=st.integers(1, 10**6))
def test_a_total_is_split_without_a_rest(cents: int, units: int) -> None:
    lines = split_amount(cents, units)
    assert sum(quantity * price for quantity, price in lines) == cents
    assert sum(quantity for quantity, _ in lines) == units
    assert len(lines) <= 2
    assert max(price for _, price in lines) - min(price for _, price in lines) <= 1
    assert all(quantity > 0 for quantity, _ in lines)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (" 00004 0001 19970101  2   29.3", "expected customer, day, number of CDs and dollars"),
        (" 00004 0001 19970230  2   29.33", "'19970230' is not a day"),
        (" 00004 0001 19970101  0   29.33", "the number of CDs 0"),
        (" 00004 0001 19970101  -2   29.33", "expected customer"),
    ],
)
def test_a_bad_row_of_cdnow_is_named_by_its_line(written: Callable[..., Path], row: str, said: str) -> None:
    path = written(" 00004 0001 19970101  2   29.33", "", row, name="cdnow.txt")
    with pytest.raises(LogError, match=rf"^cdnow\.txt, line 3: {re.escape(said)}"):
        open_log(path)


# --- UCI Online Retail ---

UCI_352 = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
UCI_502 = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"


def uci(*rows: str) -> list[str]:
    return [UCI_352, *rows]


def test_an_invoice_is_an_order_and_its_customer_registers_first(written: Callable[..., Path]) -> None:
    log = open_log(
        written(
            *uci(
                "536385,22783,SET 3 BASKETS,1,2010-12-01 09:56:00,19.95,17420,Germany",
                '536385,84536B,"CARDS, BOXED",12,2010-12-01 09:56:00,0.0,17420,Germany',
            )
        )
    )
    assert events(log) == [
        {
            "event_id": "uci-17420:registered",
            "type": "member.registered",
            "member_id": "uci-17420",
            "occurred_at": "2010-12-01T09:56:00Z",
            "data": {"country": "DE"},
        },
        {
            "event_id": "uci-536385:completed",
            "type": "order.completed",
            "member_id": "uci-17420",
            "occurred_at": "2010-12-01T09:56:00Z",
            "data": {
                "order_id": "uci-536385",
                "currency": "USD",
                "lines": [
                    {
                        "item_id": item,
                        "seller_id": "uci-online-retail",
                        "unit_price": price,
                        "quantity": quantity,
                    }
                    for item, price, quantity in (("22783", "19.95", 1), ("84536B", "0.00", 12))
                ],
            },
        },
    ]


@pytest.mark.parametrize("stamp", ["2010-12-01 08:26:00", "2010-12-01 08:26", "12/1/2010 8:26", "12/1/10 8:26"])
def test_the_successor_s_columns_and_the_usual_dates_are_read(written: Callable[..., Path], stamp: str) -> None:
    path = written(UCI_502, f"489434,85048,LIGHTS,12,{stamp},6.95,13085.0,United Kingdom")
    assert [(e["member_id"], e["occurred_at"]) for e in events(open_log(path))] == [
        ("uci-13085", "2010-12-01T08:26:00Z")
    ] * 2


def test_a_packed_file_is_read_like_an_unpacked_one(written: Callable[..., Path], tmp_path: Path) -> None:
    plain = written(*uci("536385,22783,SET,1,2010-12-01 09:56:00,19.95,17420,Germany"))
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert events(open_log(packed)) == events(open_log(plain))
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(LogError, match=r"log\.csv\.gz: it can't be read"):
        open_log(packed)


def test_a_cancellation_takes_from_the_latest_purchase_first_and_says_what_it_cannot_find(
    written: Callable[..., Path],
) -> None:
    log = open_log(
        written(
            *uci(
                "536001,22783,SET,10,2010-12-01 09:00:00,2.00,17420,France",
                "536002,22783,SET,4,2010-12-02 09:00:00,2.00,17420,France",
                "536003,22783,SET,9,2010-12-03 09:00:00,2.00,99999,France",  # somebody else's
                "C536004,22783,SET,-6,2010-12-04 09:00:00,2.00,17420,France",
                "C536005,22783,SET,-10,2010-12-05 09:00:00,2.00,17420,France",
                "536006,22783,SET,7,2010-12-06 09:00:00,2.00,17420,France",  # later than what it would undo
            )
        )
    )
    refunds = [
        (event["event_id"], event["member_id"], event["data"])
        for event in events(log)
        if event["type"] == "order.refunded"
    ]
    assert refunds == [
        (
            event_id,
            "uci-17420",
            {"order_id": order, "lines": [{"item_id": "22783", "quantity": quantity}]},
        )
        for event_id, order, quantity in (
            ("uci-C536004:refund-1", "uci-536002", 4),
            ("uci-C536004:refund-2", "uci-536001", 2),
            ("uci-C536005:refund-1", "uci-536001", 8),
            ("uci-C536005:refund-2", "uci-C536005:unknown", 2),
        )
    ]
    assert any(note.startswith("Cancelled lines that match no earlier purchase in the log: 1.") for note in log.notes)


def test_two_lines_of_one_item_are_taken_back_as_one(written: Callable[..., Path]) -> None:
    log = open_log(
        written(
            *uci(
                "536001,22783,SET,3,2010-12-01 09:00:00,2.00,17420,France",
                "536001,22783,SET,5,2010-12-01 09:00:00,1.75,17420,France",
                "C536002,22783,SET,-7,2010-12-02 09:00:00,1.75,17420,France",
            )
        )
    )
    assert events(log)[-1]["data"] == {
        "order_id": "uci-536001",
        "lines": [{"item_id": "22783", "quantity": 7}],
    }


def test_what_is_no_purchase_of_goods_by_a_customer_is_skipped_and_counted(
    written: Callable[..., Path],
) -> None:
    good = "536001,22783,SET,3,2010-12-01 09:00:00,2.00,17420,France"
    log = open_log(
        written(
            *uci(
                good,
                good,
                "536001,22783,SET,3,2010-12-01 09:00:00,2.10,17420,France",  # another price: another row
                "536001,POST,POSTAGE,1,2010-12-01 09:00:00,18.00,17420,France",
                "536001,m,Manual,1,2010-12-01 09:00:00,18.00,17420,France",
                "536001,gift_0001_20,VOUCHER,1,2010-12-01 09:00:00,18.00,17420,France",
                "536001,BANK CHARGES,Bank Charges,1,2010-12-01 09:00:00,18.00,17420,France",
                "536002,22783,SET,3,2010-12-01 09:00:00,2.00,,France",
                "536003,22783,lost,-3,2010-12-01 09:00:00,0.00,17420,France",
                "A536004,B,Adjust bad debt,1,2010-12-01 09:00:00,-11062.06,,United Kingdom",
                "536005,PADS,PADS TO MATCH,1,2010-12-01 09:00:00,0.001,17420,France",
            )
        )
    )
    assert log.rows == 11
    assert log.skipped == {
        "exact duplicate of another row": 1,
        "not goods: POST": 1,
        "not goods: M": 1,
        "not goods: gift voucher": 1,
        "not goods: BANK CHARGES": 1,
        "no customer": 1,
        "quantity of the wrong sign": 1,
        "adjustment of the books (invoice A…)": 1,
        "price below 0 or not in whole pence": 1,
    }
    assert [line["unit_price"] for line in events(log)[-1]["data"]["lines"]] == ["2.00", "2.10"]


def test_goods_are_told_from_charges_by_the_whole_code() -> None:
    assert all(_NOT_GOODS.fullmatch(code) for code in ("POST", "DOT", "D", "M", "C2", "AMAZONFEE", "TEST001"))
    assert not any(_NOT_GOODS.fullmatch(code) for code in ("22783", "84536B", "DCGS0003", "SP1002", "C2000", "POSTER"))


def test_an_invoice_of_more_than_500_lines_becomes_several_orders(written: Callable[..., Path]) -> None:
    rows = [f"536001,{10000 + n},SET,1,2010-12-01 09:00:00,2.00,17420,France" for n in range(1001)]
    back = "C536002,11000,SET,-1,2010-12-02 09:00:00,2.00,17420,France"
    every = events(open_log(written(*uci(*rows, back))))
    orders = [event["data"] for event in every if event["type"] == "order.completed"]
    assert [(order["order_id"], len(order["lines"])) for order in orders] == [
        ("uci-536001", 500),
        ("uci-536001:2", 500),
        ("uci-536001:3", 1),
    ]
    assert every[-1]["data"]["order_id"] == "uci-536001:3"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("536001,22783,SET,many,2010-12-01 09:00:00,2.00,17420,France", "the quantity 'many'"),
        ("536001,22783,SET,1.5,2010-12-01 09:00:00,2.00,17420,France", "the quantity '1.5'"),
        ("536001,22783,SET,3,2010-13-01 09:00:00,2.00,17420,France", "the date '2010-13-01 09:00:00'"),
        ("536001,22783,SET,3,2010-12-01 09:00:00,NaN,17420,France", "the price 'NaN'"),
        ("536001,22783,SET,3,2010-12-01 09:00:00,2.00,17420", "8 columns were expected, 7 found"),
        ("536000,22783,SET,3,2010-12-01 09:00:00,2.00,17420,France", "invoice 536000 is customer 1's above"),
    ],
)
def test_a_bad_row_of_uci_is_named_by_its_line(written: Callable[..., Path], row: str, said: str) -> None:
    path = written(*uci("536000,22783,SET,3,2010-12-01 09:00:00,2.00,1,France", row))
    with pytest.raises(LogError, match=rf"^log\.csv, line 3: {re.escape(said)}"):
        open_log(path)


@given(st.text(), st.text())
def test_ids_are_valid_and_never_shared(one: str, other: str) -> None:
    assert ID.fullmatch(f"uci-{as_id(one)}:refund-99")
    assert len(as_id(one)) <= 40
    assert (as_id(one) == as_id(other)) == (one == other)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True))
def test_a_plain_code_is_its_own_id(code: str) -> None:
    assert as_id(code) == code


def test_codes_that_would_meet_stay_apart() -> None:
    codes = [
        "a b",
        "a.20b",
        ".20a",
        " a",
        "x:.20a",
        "0.20a",
        "A",
        "a",
        "ä",
        "",
        "a" * 41,
        "a" * 42,
        as_id("a" * 41),
    ]
    assert len({as_id(code) for code in codes}) == len(codes)


# --- The plain CSV ---

PLAIN = "member_id,occurred_at,order_id,item_id,seller_id,category,unit_price,quantity"


def test_rows_of_one_order_are_one_event_wherever_they_stand(written: Callable[..., Path]) -> None:
    log = open_log(
        written(
            PLAIN,
            "m-1,2026-01-02T12:00:00+02:00,o-1,i-1,s-1,books,12.50,2",
            "m-2,2026-01-02T09:00:00Z,o-1,i-1,s-1,,3.00,1",
            "m-1,2026-01-02T10:00:00Z,o-1,i-2,s-2,,4.00,1",
            name="shop.csv",
        )
    )
    assert (log.name, log.title, log.rows, log.events, log.members) == ("shop", "shop.csv", 3, 2, 2)
    assert events(log) == [
        {
            "event_id": "csv:3",
            "type": "order.completed",
            "member_id": "m-2",
            "occurred_at": "2026-01-02T09:00:00Z",
            "data": {
                "order_id": "o-1",
                "currency": "USD",
                "lines": [{"item_id": "i-1", "seller_id": "s-1", "unit_price": "3.00", "quantity": 1}],
            },
        },
        {
            "event_id": "csv:2",
            "type": "order.completed",
            "member_id": "m-1",
            "occurred_at": "2026-01-02T10:00:00Z",
            "data": {
                "order_id": "o-1",
                "currency": "USD",
                "lines": [
                    {
                        "item_id": "i-1",
                        "seller_id": "s-1",
                        "category": "books",
                        "unit_price": "12.50",
                        "quantity": 2,
                    },
                    {"item_id": "i-2", "seller_id": "s-2", "unit_price": "4.00", "quantity": 1},
                ],
            },
        },
    ]


def test_the_column_type_brings_the_other_events(written: Callable[..., Path]) -> None:
    log = open_log(
        written(
            PLAIN + ",type,flags",
            "m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,books,12.50,2,,gift preorder",
            "m-1,2026-01-03T10:00:00Z,o-1,i-1,,,,,review.posted,",
            "m-1,2026-01-04T10:00:00Z,,,,,,,visit.recorded,",
            "m-1,2026-01-05T10:00:00Z,o-1,i-1,,,,1,order.refunded,",
            "m-1,2026-01-06T10:00:00Z,o-1,i-1,,,,1,order.refunded,",
            "m-1,2026-01-07T10:00:00Z,o-1,,,,,,order.refunded,",
            "m-1,2026-01-08T10:00:00Z,o-1,,,,,,order.cancelled,",
            "m-1,2026-01-09T10:00:00Z,o-1,,,,,,order.flagged_fraudulent,",
        )
    )
    assert [(event["type"], event["data"]) for event in events(log)] == [
        (
            "order.completed",
            {
                "order_id": "o-1",
                "currency": "USD",
                "flags": ["gift", "preorder"],
                "lines": [
                    {
                        "item_id": "i-1",
                        "seller_id": "s-1",
                        "category": "books",
                        "unit_price": "12.50",
                        "quantity": 2,
                    }
                ],
            },
        ),
        ("review.posted", {"order_id": "o-1", "item_id": "i-1"}),
        ("visit.recorded", {}),
        ("order.refunded", {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 1}]}),
        ("order.refunded", {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 1}]}),
        ("order.refunded", {"order_id": "o-1", "full": True}),
        ("order.cancelled", {"order_id": "o-1"}),
        ("order.flagged_fraudulent", {"order_id": "o-1"}),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00,1,", "member_id is missing"),
        ("me,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00,1,", "the member id 'me' is reserved"),
        ("m#1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00,1,", "member_id 'm#1' is not an id"),
        (
            "m-1,2026-01-02T10:00:00,o-1,i-1,s-1,,1.00,1,",
            "occurred_at '2026-01-02T10:00:00' is not an instant",
        ),
        ("m-1,yesterday,o-1,i-1,s-1,,1.00,1,", "occurred_at 'yesterday' is not an instant"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1,1,", "the unit_price '1' is not an amount"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1e2,1,", "the unit_price '1e2' is not an amount"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00,0,", "the quantity '0' is not a whole number from 1"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00,1٣,", "the quantity '1٣' is not a whole number from 1"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,,,1.00,1,", "seller_id is missing"),
        ("m-1,2026-01-02T10:00:00Z,o-0,i-1,s-1,,1.00,1,", "order o-0 has another occurred_at"),
        ("m-1,2026-01-02T10:00:00Z,o-1,,,,,1,order.refunded", "item_id is missing"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,,,1.00,1,order.refunded", "unit_price means nothing in a row"),
        ("m-1,2026-01-02T10:00:00Z,o-1,,,,,,order.lost", "the type 'order.lost' is none of"),
        ("m-1,2026-01-02T10:00:00Z,o-1,i-1,s-1,,1.00", "9 columns were expected, 7 found"),
    ],
)
def test_a_bad_row_of_a_plain_csv_is_named_by_its_line(written: Callable[..., Path], row: str, said: str) -> None:
    path = written(PLAIN + ",type", "m-1,2026-01-01T10:00:00Z,o-0,i-1,s-1,,1.00,1,", row)
    with pytest.raises(LogError, match=rf"^log\.csv, line 3: {re.escape(said)}"):
        open_log(path)


def test_a_refund_in_full_beside_one_of_items_is_refused(written: Callable[..., Path]) -> None:
    in_full = "m-1,2026-01-02T10:00:00Z,o-1,,,,,,order.refunded"
    of_items = "m-1,2026-01-02T10:00:00Z,o-1,i-1,,,,1,order.refunded"
    for rows in ((in_full, of_items), (of_items, in_full), (in_full, in_full)):
        with pytest.raises(LogError, match=r"line 3: line 2 refunds the same order at the same time"):
            open_log(written(PLAIN + ",type", *rows))


# --- Files that are no log ---


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("a,b,c", "log.csv, line 1: no known format starts with 'a,b,c'"),
        ("", "log.csv, line 1: no known format starts with ''"),
        (UCI_352, "log.csv: no row of it became an event (0 rows read)"),
        (PLAIN + ",colour", "log.csv, line 1: the column 'colour' is not known"),
    ],
)
def test_a_file_that_is_no_log_is_refused_in_plain_words(written: Callable[..., Path], first: str, said: str) -> None:
    with pytest.raises(LogError, match=f"^{re.escape(said)}"):
        open_log(written(first))


def test_no_file_a_folder_and_an_excel_file_are_refused(tmp_path: Path) -> None:
    excel = tmp_path / "retail.xlsx"
    excel.write_bytes(b"PK\x03\x04rest")
    for path, said in (
        (tmp_path / "none.csv", "none.csv: there is no such file"),
        (tmp_path, f"{tmp_path.name}: it can't be read"),
        (excel, "retail.xlsx: a zip archive or an Excel file"),
    ):
        with pytest.raises(LogError, match=f"^{re.escape(said)}"):
            open_log(path)


def test_full_goes_with_no_other_log(written: Callable[..., Path]) -> None:
    with pytest.raises(LogError, match="FULL"):
        open_log(written(PLAIN), full=True)


def test_events_are_json_as_they_are(sample: Log) -> None:
    assert json.loads(json.dumps(events(sample)[0])) == events(sample)[0]
