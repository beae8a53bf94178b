"""A local stack with a part of CDNOW's sample in it, served over HTTP until standard input ends.

`python -m tests.browser.served` in a process of its own: a stack belongs to its process, and there is one at a time.
"""

import json
import sys
from datetime import UTC, datetime

from local import demo
from local.server import Server
from local.stack import Stack

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
HOST = "https://shop.example"  # may embed the page and hand tokens to it


def main() -> None:
    """Fill, serve, and say in one line of JSON where and with whom."""
    with Stack(NOW, parameters={"ClubPageHosts": HOST}, log=sys.stderr) as stack:
        filled = demo.fill(stack)
        server = Server(stack, 0, lambda line: None)
        server.start()
        print(json.dumps({"url": server.url, "member_id": filled.member_id}), flush=True)  # noqa: T201 - a command
        sys.stdin.read()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
