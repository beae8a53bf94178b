"""`python -m benchmarks.scale [--write]`: prints the tables of docs/scale.md, and puts them there."""

from __future__ import annotations

import argparse
import sys

from benchmarks.scale import PAGE, TABLES, written


def main() -> int:
    """Prints the tables, and with ``--write`` puts them into docs/scale.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    write = parser.parse_args().write
    tables = {}
    for name, table in TABLES.items():
        tables[name] = table()
        print(f"{name}\n\n{tables[name]}\n", flush=True)
    if write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), tables), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
