"""The table of hostile cases: what every door is given.

A door is whatever takes text from outside: the routes, the queue behind the bus, the parser by itself. Nothing is sent
from here; what each door has to answer stands with its tests.
"""

import base64
import gzip
import json
import unicodedata
from typing import Any

DEEP = 100_000

Place = tuple[str | int, ...]
"""The way from the top of a document to a field: names, and places in lists."""

TWINS = {
    "composed": unicodedata.normalize("NFC", "caf\u00e9"),
    "decomposed": unicodedata.normalize("NFD", "caf\u00e9"),
}
"""One word to the eye, two to the club: nothing is normalised."""

IDS_REFUSED: dict[str, str] = {
    "nothing": "",
    "a blank": " ",
    # what keys are made of, plain and as a path has it
    "hash": "m-42#x",
    "another's partition": "m-42#M#m-43",
    "an entry": "E#e-1",
    "tilde": "m-42~2",
    "two tildes": "adjustment~~a-1",
    "bar": "m-42|m-43",
    "slash": "m-42/../m-43",
    "backslash": "m-42\\m-43",
    "encoded hash": "m-42%23",
    "encoded slash": "m-42%2Fm-43",
    "encoded NUL": "m-42%00",
    "twice encoded": "m-42%2523",
    "dollar": "D$",
    "comma": "m-42,m-43",
    "at": "m-42@x",
    "plus": "m-42+x",
    "star": "*",
    "dots": "..",
    "begins with a dot": ".m-42",
    "begins with a dash": "-1",
    "begins with a colon": ":m-42",
    "underscores": "__proto__",
    # what ends a text, or a line of it, elsewhere
    "NUL": "m-42\x00",
    "NUL within": "m-42\x00m-43",
    "newline": "m-42\n",
    "carriage return": "m-42\r",
    "both": "m-42\r\nx-injected: 1",
    "tab": "m-42\t",
    "vertical tab": "m-42\x0b",
    "file separator": "m-42\x1c",
    "delete": "m-42\x7f",
    "next line": "m-42\x85",
    "line separator": "m-42\u2028",
    "blank before": " m-42",
    "blank behind": "m-42 ",
    "no-break space": "m-42\u00a0",
    # what looks like an id, or like nothing
    "full-width digits": "m-\uff14\uff12",
    "Arabic digits": "m-\u0664\u0662",
    "superscript": "m-4\u00b2",
    "Cyrillic m": "\u043c-42",
    "Kelvin sign": "\u212a-42",
    "long s": "\u017f-42",
    "dotless i": "\u0131-42",
    "ligature": "\ufb01-42",
    "mathematical m": "\U0001d426-42",
    "another hyphen": "m\u201042",
    "minus sign": "m\u221242",
    "zero-width space": "m-4\u200b2",
    "zero-width joiner": "m-4\u200d2",
    "soft hyphen": "m\u00ad-42",
    "byte order mark": "\ufeffm-42",
    "right to left": "\u202em-42",
    "isolate": "\u2067m-42\u2069",
    "tag characters": "m-42\U000e0032",
    "variation selector": "m-42\ufe0f",
    "combining mark": "m-42\u0301",
    **{f"an accent, {name}": text for name, text in TWINS.items()},
    # what is no text
    "high surrogate": "m-42\ud800",
    "low surrogate": "\udc00m-42",
    "surrogates the wrong way round": "\udc00\ud800",
    "noncharacter": "m-42\uffff",
    # what is too much
    "65 characters": "x" * 65,
    "64 characters and a newline": "x" * 64 + "\n",
    "4 KiB": "x" * 4096,
    # what other machines would run
    "SQL": "' OR 1=1 --",
    "JNDI": "${jndi:ldap://x}",
    "template": "{{7*7}}",
    "markup": "<script>alert(1)</script>",
}
"""What is no id (rules 1.3), by what is wrong with it."""

IDS_TAKEN: tuple[str, ...] = (
    "x" * 64,
    "0",
    "00",
    "0x10",
    "1e999",
    "NaN",
    "null",
    "true",
    "undefined",
    "constructor",
    "a..b",
    "a--b",
    "a:",
    "A.b_c:d-e",
    # a member like any other: ids are compared as they stand
    "Me",
    "ME",
    "me.",
    "me2",
    "M-42",
    "m-42.",
    "m-42:2",
    # words that keys are made of
    "M",
    "E",
    "P",
    "V",
    "J",
    "J:000000",
    "D",
    "W",
    "O",
    "K",
    "C",
    "S",
    "R",
    "PAYOUT",
    "DISPUTE",
    "SWEEP",
    "STANDING",
    "DUE",
    "REWARD",
    "WATCH",
    "ALERT",
    "ADJUSTMENT",
    "adjustment",
    "erasure",
    "undo",
    "expiry",
    "tier_review",
    "club",
    "2",
    "2026-11-22T10:15:00Z",
)
"""Ids that look like something else, and are ids like any other."""

_38, _39 = "9" * 38, "9" * 39

VALUES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "minus zero": "-0",
    "minus zero with a point": "-0.0",
    "a fraction": "0.1",
    "one with a point": "1.0",
    "one with an exponent": "1e0",
    "minus one": "-1",
    "beyond all floats": "1e999",
    "below all floats": "-1E+999",
    "nearly nothing": "1e-999",
    "an exponent of 1,000 digits": "1e" + "9" * 1000,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "2^31": "2147483648",
    "2^53 + 1": "9007199254740993",
    "2^63": "9223372036854775808",
    "38 digits": _38,
    "39 digits": _39,
    "minus 39 digits": f"-{_39}",
    "38 digits and a fraction": f"{_38}.5",
    "4,300 digits": "9" * 4300,
    "4,301 digits": "9" * 4301,
    "100,000 digits": "9" * 100_000,
    "a fraction of 100,000 digits": "0." + "3" * 100_000,
    "an empty list": "[]",
    "an empty object": "{}",
    "a list of one": '["m-42"]',
    "an object of one": '{"m-42":"m-42"}',
    "the same key twice": '{"a":1,"a":2}',
    "the same key as an escape": '{"a":1,"\\u0061":2}',
    "200 lists deep": "[" * 200 + "]" * 200,
    "200 objects deep": '{"a":' * 200 + "1" + "}" * 200,
    "a long list": "[" + "0," * 9_999 + "0]",
    "a long list of objects": "[" + "{}," * 9_999 + "{}]",
    "a long object": "{" + ",".join(f'"k{n}":0' for n in range(5_000)) + "}",
    "a long text": '"' + "x" * 50_000 + '"',
    "a long text of escapes": '"' + "\\u0000" * 8_000 + '"',
    "a long text of surrogates": '"' + "\\ud800" * 8_000 + '"',
    "an escaped NUL": '"m-42\\u0000"',
    "an escaped newline": '"m-42\\n"',
    "an escaped surrogate": '"\\ud83d"',
    "a surrogate pair": '"\\ud83d\\ude00"',
    "an overlong date": '"99999-12-31T23:59:59Z"',
    "a leap second": '"2016-12-31T23:59:60Z"',
    "a year nobody has": '"0000-01-01T00:00:00Z"',
    "the first instant": '"0001-01-01T00:00:00+23:59"',
    "the last instant": '"9999-12-31T23:59:59-23:59"',
    "29 February that isn't": '"2025-02-29"',
    "other digits in a day": '"\u0662\u0660\u0662\u0665-01-01"',
    "money with a sign": '"-1.00"',
    "money with an exponent": '"1e2"',
    "money in other digits": '"\u0661.\u0660\u0660"',
    "money of 40 digits": '"' + "9" * 40 + '.99"',
    "money with a newline": '"1.00\\n"',
    "money with a comma": '"1,000.00"',
}
"""JSON values, as text, to stand in any field, by what they are. None is right wherever an id, money or a number is."""


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "NUL": b"\x00",
    "one brace": b"{",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1e999",
    "a word": b"NaN",
    "two objects": b"{}{}",
    "something behind": b"{} x",
    "a comma too many": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a comment": b"{/**/}",
    "a newline in a text": b'{"a":"\n"}',
    "a bad escape": b'{"a":"\\x41"}',
    "half an escape": b'{"a":"\\u00"}',
    "a leading zero": b'{"a":01}',
    "a hexadecimal number": b'{"a":0x10}',
    "a plus": b'{"a":+1}',
    "a number cut short": b'{"a":1.}',
    "the same key twice": b'{"events":[],"events":[]}',
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "UTF-8 cut short": b'{"a":"\xe2\x82',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"events":[]}'.encode("utf-16"),
    "UTF-32": '{"events":[]}'.encode("utf-32"),
    "gzip": gzip.compress(b'{"events":[]}'),
    "a gzip bomb": gzip.compress(b'{"events":[' + b" " * 50_000_000 + b"]}"),
    "base64": base64.b64encode(b'{"events":[]}'),
    "a form": b"events=1&events=2",
    "multipart": b'--x\r\ncontent-disposition: form-data; name="events"\r\n\r\n[]\r\n--x--\r\n',
    "XML": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
    "lists without end": b"[" * DEEP,
    "objects without end": b'{"a":' * DEEP,
    "deep lists": b'{"events":[' + b"[" * DEEP + b"]" * DEEP + b"]}",
    "deep objects": b'{"events":[' + b'{"a":' * (DEEP // 4) + b"1" + b"}" * (DEEP // 4) + b"]}",
    "deep and unknown": b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "many unknown fields": b"{" + b",".join(b'"k%d":0' % n for n in range(20_000)) + b"}",
    "keys twice, many times": b"{" + b",".join(b'"k%d":0' % (n % 10_000) for n in range(20_000)) + b"}",
    "one byte too many": b'{"a":"' + b"x" * (256 * 1024 - 7) + b'"}',
    "a megabyte": b'{"a":"' + b"x" * 1_000_000 + b'"}',
    "a megabyte of brackets": b"[" * 1_000_000,
}
"""Bodies that no route takes, by what they are."""

QUERIES: dict[str, str] = {
    "an unknown one": "programme=club",
    "in capitals": "PROGRAM=club",
    "twice": "program=club&program=club",
    "two of them": "program=club&program=crowns",
    "a list": "program[]=club",
    "an object": "program[a]=club",
    "nothing": "program=",
    "a NUL": "program=club%00",
    "a newline": "program=club%0d%0ax-injected:%201",
    "no UTF-8": "program=%ff%fe",
    "overlong": "program=%c0%af",
    "half an escape": "program=club%2",
    "a homoglyph": "program=\u0441lub".encode().decode("latin-1"),
    "another partition": "program=club%23M%23m-43",
    "limit twice": "program=club&limit=1&limit=100",
    "limit of 39 digits": f"program=club&limit={_39}",
    "limit below zero": "program=club&limit=-1",
    "limit in other digits": "program=club&limit=%D9%A1",
    "limit with an exponent": "program=club&limit=1e2",
    "limit of 5,000 digits": "program=club&limit=" + "9" * 5000,
    "cursor of nothing": "program=club&cursor=",
    "cursor of 7 KB": "program=club&cursor=" + "A" * 7000,
    "cursor of lists": "program=club&cursor=" + base64.urlsafe_b64encode(b"[" * 150).decode().rstrip("="),
    "cursor of a huge number": "program=club&cursor="
    + base64.urlsafe_b64encode(b"[" + b"9" * 150 + b',"0"]').decode().rstrip("="),
    "cursor of NaN": "program=club&cursor="
    + base64.urlsafe_b64encode(b'[NaN,"0000000000000000"]').decode().rstrip("="),
    "from long ago": "program=club&from=0001-01-01",
    "to the end": "program=club&to=9999-12-31",
    "the end and a bit": "program=club&to=9999-12-31T23:59:59-23:59",
    "the beginning and a bit": "program=club&from=0001-01-01T00:00:00%2B23:59",
    "a day that isn't": "program=club&from=2025-02-29",
    "a day in other digits": "program=club&from=%D9%A2%D9%A0%D9%A2%D9%A5-01-01",
    "a thousand parameters": "&".join(f"p{n}=1" for n in range(1000)),
}
"""Queries of a member's statement, with ``program`` where it is not the point."""

LANGUAGES: dict[str, str] = {
    "a long list": ",".join(["ru;q=0.1"] * 100),
    "commas": "," * 1000,
    "blanks": "en" + " " * 990 + "x",
    "tabs before a weight": "en" + "\t" * 990 + ";q=1",
    "hyphens": "en-" * 300,
    "subtags": "en" + "-a1b2c3d4" * 110,
    "semicolons": "en" + ";" * 990,
    "weights": "en" + ";q=0" * 240,
    "a weight of 900 digits": "en;q=0." + "0" * 900,
    "more than one": "en;q=1.001",
    "below zero": "en;q=-1",
    "infinite": "en;q=1e999",
    "stars": "*" * 1000,
    "a megabyte": "a" * 1_000_000,
    "other letters": "\u0435n",
    "a NUL": "en\x00",
    "a newline": "en\r\nx-injected: 1",
    "ours": "en-" + "x" * 64,
}
"""Values of Accept-Language."""


def put(document: Any, pointer: Place, value: str) -> bytes:
    """A document as JSON, with the raw JSON text ``value`` in the place of what stands at ``pointer``."""
    slot = "\u0001slot\u0001"
    copy = json.loads(json.dumps(document))
    holder = copy
    for step in pointer[:-1]:
        holder = holder[step]
    holder[pointer[-1]] = slot
    return json.dumps(copy).replace(json.dumps(slot), value).encode("utf-8", "surrogatepass")


def places(document: Any, at: Place = ()) -> list[Place]:
    """Where something stands in a document: every field and every place of a list, the outer ones first."""
    held: Any = ()
    if isinstance(document, (dict, list)):
        held = document.items() if isinstance(document, dict) else enumerate(document)
    return [place for step, each in held for place in [(*at, step), *places(each, (*at, step))]]


def pointer_of(place: Place) -> str:
    """A place as a JSON pointer. No field of ours has a character that it would have to escape."""
    return "".join(f"/{step}" for step in place)
