"""docs/conformance.md, made from the cases and the differences."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.simulation.conformance.differences import DIFFERENCES, known
from tests.simulation.conformance.suite import CASES

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"

_OPENING = """# How far the emulators are DynamoDB

The simulation runs on a small DynamoDB of our own (`tests/simulation/dynamodb`), the local stack and most tests on
moto. Neither is the real one. So {count} cases ask each of them the same, and what must come out is what AWS's
documentation says (`tests/simulation/conformance`). Our model does all of it. Where moto and ministack do otherwise is
listed below; the tests hold them to exactly this list, so a difference that goes with a new version is noticed as one
that comes.

| | cases | otherwise |
|---|---:|---:|
{figures}

moto is asked with our patch (`local/moto_patch.py`) and without it; both do the same.

## Asking others

```
python -m tests.simulation.conformance model moto ministack
CONFORMANCE=aws python -m tests.simulation.conformance
CONFORMANCE=http://127.0.0.1:8000 python -m tests.simulation.conformance
```

`aws` is the real DynamoDB, with the credentials and the region that boto3 finds in your environment. It makes four
tables, whose names begin with `conformance` (or what `CONFORMANCE_PREFIX` says) and a random part, pays by the request,
and removes them at the end. It has not been run by us: there was no account to run it in. Any other endpoint is
asked in the same way, DynamoDB local for example. ministack needs an environment of its own, because it pins botocore:
`make .venv-emulator/.ready`; without it its cases are skipped.

What no emulator can be asked is tested on the model alone (`tests/simulation/dynamodb/test_model.py`): two-phase
transactions and their conflicts, a token after its 10 minutes, indexes and reads that lag.

Where the documentation leaves something open, there is no case for it: whether a page of 1 MB holds the item with
which it gets full, what UPDATED_NEW shows of a list of which one element was written, and how a refusal is worded.

## The differences

Each row says what is right, by the page above it.
"""


def markdown() -> str:
    """The document as it is to stand."""
    by_who = Counter(who for _, who, _ in DIFFERENCES)
    figures = "\n".join(
        f"| {who} | {len(CASES)} | {by_who[name]} |"
        for who, name in (("our model", "model"), ("moto 5", "moto"), ("ministack 1.5", "ministack"))
    )
    lines = [_OPENING.format(count=len(CASES), figures=figures)]
    different = {case for case, _, _ in DIFFERENCES}
    for page in dict.fromkeys(case.page for case in CASES if case.name in different):
        lines += ["", f"**{page}**", "", "| | moto | ministack |", "|---|---|---|"]
        for case in CASES:
            if case.page == page and case.name in different:
                does = [known(case.name, who) or "" for who in ("moto", "ministack")]
                lines.append(f"| {_cell(case.name)} | {' | '.join(f'{_cell(each)}' for each in does)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
