"""`python -m local`: what stands behind the commands of the Makefile."""

import argparse
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the process's exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # On Lambda the layers lie on the path; here they are put there.
    sys.path[:0] = [str(path) for path in sorted((ROOT / "layers").iterdir()) if str(path) not in sys.path]
    if given[:1] == ["replay"]:  # it has options of its own, and says so itself
        from local import replay

        return replay.main(given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local", description="The buyers' club on this machine, without an account or Docker."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="leave the stack running on 127.0.0.1")
    serve.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    serve.add_argument("--now", type=_instant, help="the clock at the start, such as 2026-11-22T10:15:00Z")
    serve.add_argument("--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="of the functions")
    serve.add_argument("--quiet", action="store_true", help="no line for each request")
    serve.set_defaults(run=_serve)

    token = commands.add_parser("token", help="make a token that the local stack accepts")
    token.add_argument("--sub", required=True, help="whom it speaks for: a member id, or the name of a service")
    token.add_argument("--scopes", default="", help='separated by spaces, such as "club:read club:decide"')
    token.set_defaults(run=_token)

    redrive = commands.add_parser("redrive", help="send the dead letters of a running stack round again")
    redrive.add_argument("--port", type=_port, default=DEFAULT_PORT)
    redrive.set_defaults(run=_redrive)

    programs = commands.add_parser("programs", help="look after program files")
    program_commands = programs.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = program_commands.add_parser("check", help="say in plain words what is wrong in a program file, and where")
    check.add_argument("files", nargs="+", metavar="FILE", type=Path)
    check.set_defaults(run=_check_programs)

    verify = commands.add_parser("verify", help="prove that a running stack's accounts are what its entries say")
    verify.add_argument("--port", type=_port, default=DEFAULT_PORT)
    verify.set_defaults(run=_verify)

    commands.add_parser("replay", help="replay a purchase log through the whole stack; see replay --help")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _instant(text: str) -> datetime:
    from local.server import BadCall, instant

    try:
        return instant(text, "")
    except BadCall as error:
        raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from error


def _serve(options: argparse.Namespace) -> int:
    from local.server import Server, wire
    from local.stack import Stack

    parameters = {"LogLevel": options.log_level} if options.log_level else None
    now = options.now or datetime.now(UTC).replace(microsecond=0)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Stack(now, parameters=parameters, log=sys.stderr) as stack:
        say = (lambda _: None) if options.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
        try:
            server = Server(stack, options.port, say)
        except OSError as error:
            print(f"Port {options.port} can't be used ({error.strerror}): name another with PORT=", file=sys.stderr)
            return 1
        server.start()
        token = stack.token("m-42", ["club:read"])
        print(f"The buyers' club answers on {server.url}; its clock stands at {wire(now)}.")
        print(f'A token, made with: make token SUB=m-42 SCOPES="club:read"\n{token}')
        print(f"Try: curl -H 'Authorization: Bearer {token}' {server.url}/members/me")
        print("Stop it with Ctrl-C.", flush=True)
        stopped.wait()
        server.shutdown()
        server.server_close()
    print("Stopped.")
    return 0


def _token(options: argparse.Namespace) -> int:
    from local.template import Template
    from local.tokens import key_path, make_token

    authorizer = Template(ROOT / "template.yaml").routes_authorizer()
    print(make_token(key_path(ROOT), authorizer, options.sub, options.scopes.split(), {}))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from local import verify

    try:
        return verify.main(options)
    except urllib.error.URLError as error:
        return _nobody_there(options.port, error)


def _nobody_there(port: int, error: urllib.error.URLError) -> int:
    print(f"No stack answers on port {port} ({error.reason}): start one with make serve", file=sys.stderr)
    return 1


def _redrive(options: argparse.Namespace) -> int:
    try:
        answer = _post(f"http://127.0.0.1:{options.port}/_local/redrive")
    except urllib.error.URLError as error:
        return _nobody_there(options.port, error)
    print(f"delivered: {answer['delivered']}, dead letters again: {answer['dead_lettered']}")
    return 0


def _post(url: str) -> Any:
    request = urllib.request.Request(url, data=b"{}", headers={"content-type": "application/json"})  # noqa: S310
    # No proxy: it is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=600) as response:
        return json.load(response)


def _check_programs(options: argparse.Namespace) -> int:
    from club_rules.programs import check_file

    wrong = False
    for path in options.files:
        messages = check_file(path)
        for message in messages:
            print(f"{path}: {message}")
        if not messages:
            print(f"{path}: good")
        wrong = wrong or bool(messages)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
