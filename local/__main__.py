"""`python -m local`: what stands behind the commands of the Makefile."""

import argparse
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, date, datetime
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

    serve = commands.add_parser(
        "serve",
        help="leave the stack running on 127.0.0.1",
        description="Leaves the stack running on 127.0.0.1. Before it answers, it replays a part of a real purchase "
        "log (some seconds), moved so that it ends now; with --now or --empty the club starts without members.",
    )
    serve.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    serve.add_argument("--now", type=_instant, help="an empty club, its clock here, such as 2026-11-22T10:15:00Z")
    serve.add_argument("--empty", action="store_true", help="an empty club, its clock at the machine's time")
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
    check.add_argument(
        "--deploy-on",
        metavar="DAY",
        type=_day,
        help="each file is a new version, to be deployed on this day (such as 2026-11-22): it must take effect later, "
        "and fit to the versions that there are",
    )
    check.set_defaults(run=_check_programs)

    template = commands.add_parser("template", help="look at the template")
    template_commands = template.add_subparsers(title="commands", metavar="COMMAND", required=True)
    expand = template_commands.add_parser(
        "expand", help="write it as CloudFormation gets it, as JSON: without SAM's short forms, its parameters open"
    )
    expand.add_argument("--out", metavar="FILE", type=Path, required=True)
    expand.set_defaults(run=_expand_template)

    _add_verify(commands)

    standing = commands.add_parser("standing", help="look after the counts of who holds which tier")
    standing_commands = standing.add_subparsers(title="commands", metavar="COMMAND", required=True)
    rebuilding = standing_commands.add_parser(
        "rebuild",
        help="bring the counts to what the accounts hold, of a running stack or of a deployed table",
        description="Brings the counts of who holds which tier to what the accounts hold, and says what was wrong. "
        "The club may go on meanwhile. Reads the whole table.",
    )
    _add_where(rebuilding)
    rebuilding.set_defaults(run=_standing)

    _add_sweeps(commands)
    commands.add_parser("replay", help="replay a purchase log through the whole stack; see replay --help")
    return parser


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="prove that accounts, and all else, are what the entries say: of a stack, a table or an export",
        description="Compares all that a table holds with what its entries and decisions give, and names whose item, "
        "and which field, differs. Exits with 1 where one does. See docs/verify.md.",
    )
    where = _add_where(verify)
    where.add_argument("--export", metavar="DIR", help="a full DynamoDB export to S3, copied to a local folder")
    verify.add_argument("--repair", action="store_true", help="put right what follows from entries and decisions")
    verify.add_argument("--segments", type=_count, default=4, help="of a table, read at a time (default: %(default)s)")
    verify.add_argument(
        "--due-shards", type=_count, default=8, help="the table's parameter DueShards (default: %(default)s)"
    )
    verify.add_argument("--scratch", metavar="DIR", help="a folder with room for the table (default: the system's own)")
    verify.add_argument(
        "--unsealed", action="store_true", help="take items without a seal as they are: from before there were seals"
    )
    verify.set_defaults(run=_verify)


def _add_sweeps(commands: Any) -> None:
    sweeps = commands.add_parser("sweeps", help="look at the runs of the sweeps, and undo what one demoted")
    sweeps_commands = sweeps.add_subparsers(title="commands", metavar="COMMAND", required=True)
    said = {
        "list": ("list the runs, by scheduled time; reads the whole table", ""),
        "show": ("show what a run did, or in a dry run would have done", ""),
        "undo": (
            "give back what a run demoted",
            "Posts the exact opposite of each demotion of a run, with a receipt that says so. May be repeated. A "
            "member whose tier has changed since is left and named; then the exit status is 1. What happens next "
            "stands in docs/rules.md.",
        ),
    }
    for action, (text, more) in said.items():
        command = sweeps_commands.add_parser(action, help=text, description=more or None)
        if action != "list":
            command.add_argument("run_id", metavar="RUN", help="its id, as the list and the announcements have it")
        _add_where(command)
        command.set_defaults(run=_sweeps, action=action)


def _add_where(command: argparse.ArgumentParser) -> Any:
    where = command.add_mutually_exclusive_group()
    where.add_argument("--port", type=_port, default=DEFAULT_PORT, help="of a running stack (default: %(default)s)")
    where.add_argument("--table", metavar="NAME", help="a deployed table, with the credentials that AWS's tools find")
    return where


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1000, not {text!r}")
    return int(text)


def _day(text: str) -> date:
    from club_rules.times import parse_day

    try:
        return parse_day(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from error


def _instant(text: str) -> datetime:
    from local.server import BadCall, instant

    try:
        return instant(text, "")
    except BadCall as error:
        raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from error


def _serve(options: argparse.Namespace) -> int:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if trouble := _taken(options.port):
        return _port_trouble(options.port, trouble)
    from local import demo
    from local.logs import LogError
    from local.replay.drive import Rejected
    from local.server import Server
    from local.stack import Stack

    parameters = {"LogLevel": options.log_level} if options.log_level else None
    now = options.now or datetime.now(UTC).replace(microsecond=0)
    with Stack(now, parameters=parameters, log=sys.stderr) as stack:
        filled = None
        try:
            if options.now is None and not options.empty:
                filled = demo.fill(stack, sys.stderr, stopped.is_set)
        except demo.Stopped:
            print("Stopped.")
            return 0
        except (demo.DemoFailed, LogError, Rejected) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        say = (lambda _: None) if options.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
        try:
            server = Server(stack, options.port, say)
        except OSError as error:
            return _port_trouble(options.port, error)
        server.start()
        print(demo.greeting(stack, server.url, filled), flush=True)
        stopped.wait()
        server.shutdown()
        server.server_close()
    print("Stopped.")
    return 0


def _taken(port: int) -> OSError | None:
    """Say whether a port can be listened on, before a replay is waited for; port 0 always can."""
    import socket

    from local.server import HOST

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def _port_trouble(port: int, error: OSError) -> int:
    print(f"Port {port} can't be used ({error.strerror}): name another with PORT=", file=sys.stderr)
    return 1


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


def _standing(options: argparse.Namespace) -> int:
    from local import standing

    try:
        return standing.main(options)
    except urllib.error.URLError as error:
        return _nobody_there(options.port, error)


def _sweeps(options: argparse.Namespace) -> int:
    from local import sweeps

    try:
        return sweeps.main(options)
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


def _expand_template(options: argparse.Namespace) -> int:
    from local.template import expand

    text = json.dumps(expand((ROOT / "template.yaml").read_text("utf-8")), indent=1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n", "utf-8")
    return 0


def _check_programs(options: argparse.Namespace) -> int:
    from club_rules.programs import check_file, check_new_version

    wrong = False
    for path in options.files:
        messages = check_new_version(path, options.deploy_on) if options.deploy_on else check_file(path)
        for message in messages:
            print(f"{path}: {message}")
        if not messages:
            print(f"{path}: good")
        wrong = wrong or bool(messages)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
