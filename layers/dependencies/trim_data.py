"""Takes out of botocore's data what no function reads: `python3 trim_data.py DATA SERVICE ...`, run by the Makefile.

Every cold start reads the descriptions of the services that it calls, and where in the world they are: a megabyte and
a half of JSON, of which it needs a twentieth. What goes are other services and texts for people. Every partition, every
region, every operation and every shape stays as it is, so that the layer is right wherever it is deployed.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def without_texts(described: Any) -> Any:
    """A description without what it says to people. What is only called "documentation" and is no text stays."""
    if isinstance(described, dict):
        return {
            name: without_texts(value)
            for name, value in described.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    return [without_texts(each) for each in described] if isinstance(described, list) else described


def with_services(endpoints: dict[str, Any], services: set[str]) -> dict[str, Any]:
    """The endpoints of all partitions, without those of other services."""
    partitions = [
        {**partition, "services": {name: value for name, value in partition["services"].items() if name in services}}
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def trim(data: Path, services: set[str]) -> None:
    """Trims the folder ``botocore/data``, of which the ``services`` are called. Raises ``KeyError`` for other content.

    Nothing of the machine or of the hour is in what comes out.
    """
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    for path in data.glob("*/*/service-2.json.gz"):
        described = without_texts(json.loads(gzip.decompress(path.read_bytes())))
        path.write_bytes(gzip.compress(_compact(described), mtime=0))
    path = data / "endpoints.json"
    path.write_bytes(_compact(with_services(json.loads(path.read_bytes()), services)))


def _compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
