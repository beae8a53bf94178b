"""Who may call what, on the deployed stack: the matrix of tests/access, over HTTP, with tokens of a real issuer."""

from __future__ import annotations

from functools import partial

import pytest

from tests.access import matrix
from tests.access.matrix import ROWS, Cell
from tests.deployed.club import Club, until


@pytest.fixture(scope="module")
def cells(club: Club) -> list[Cell]:
    club.post(*matrix.seed())
    for member in (matrix.MEMBER, matrix.OTHER, matrix.GONE):
        until(partial(club.summary, member), f"{member} is not there")
    return matrix.cells(club.template)


# DELETE comes last: it leaves one member fewer.
@pytest.mark.parametrize(("method", "path"), sorted(ROWS, reverse=True))
def test_every_caller_at_a_route(club: Club, cells: list[Cell], method: str, path: str) -> None:
    wrong = []
    for cell in cells:
        if (cell.method, cell.path) == (method, path):
            try:
                matrix.check(cell, club.call, club.issuer.mint)
            except AssertionError as error:
                wrong.append(str(error))
    assert wrong == []
