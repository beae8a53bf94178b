"""docs/dead-letters.md names every reason that the code can give, and every queue that holds dead letters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from local.stack import REASON_WITHOUT_ONE
from local.template import ROOT, Template

DOCS = ROOT / "docs" / "dead-letters.md"
# What a message of the activity queue passes through before it is posted or buried.
ON_ITS_WAY = (
    "layers/rules/club_rules/events.py",
    "layers/rules/club_rules/fields.py",
    "layers/rules/club_rules/json_text.py",
    "layers/ledger/club_ledger/inbox.py",
    "layers/ledger/club_ledger/posting.py",
    "layers/ledger/club_ledger/store.py",
    "functions/post_ledger/app.py",
)
# Errors that make a dead letter, and where their code stands among the arguments. `Unavailable` comes again.
FINAL = {"FieldError": 1, "Refused": 0, "NotFound": 0, "Conflict": 0, "Forbidden": 0, "TooLarge": 0}


def trees() -> list[ast.Module]:
    return [ast.parse((ROOT / path).read_text("utf-8")) for path in ON_ITS_WAY]


def takers(modules: list[ast.Module]) -> dict[str, int]:
    """Functions that are told the code of an error, and at which place."""
    found = dict(FINAL)
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args]
                if "code" in names:
                    found[node.name] = names.index("code")
    return found


def defaults(modules: list[ast.Module]) -> Iterator[str]:
    """The codes that these functions take where they are told none."""
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                with_default = node.args.args[len(node.args.args) - len(node.args.defaults) :]
                for argument, value in zip(with_default, node.args.defaults, strict=True):
                    if argument.arg == "code" and isinstance(value, ast.Constant):
                        yield str(value.value)


def reasons(modules: list[ast.Module]) -> set[str]:
    """Every code that stands in the source where an error is made."""
    places, found = takers(modules), set(defaults(modules))
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name not in places:
                    continue
                given = [*node.args[places[name] : places[name] + 1]]
                given += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                for value in given:
                    found |= {
                        each.value
                        for each in ast.walk(value)
                        if isinstance(each, ast.Constant) and isinstance(each.value, str)
                    }
    return found


def described() -> set[str]:
    """The reasons that have a paragraph or a row with something to do."""
    text = DOCS.read_text("utf-8")
    headed = set(re.findall(r"^### `([a-z_]+)`\n\n\S", text, re.MULTILINE))
    return headed | set(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE))


def test_every_reason_has_its_paragraph_and_no_paragraph_is_of_none() -> None:
    wanted = reasons(trees()) | {REASON_WITHOUT_ONE}

    assert {"event_id_reused", "member_erased", "record_too_large", "invalid_json", "unknown_type"} <= wanted
    assert described() == wanted


def test_a_reason_that_is_not_described_is_found() -> None:
    planted = ast.parse('def f(errors):\n    errors.append(FieldError("/x", "brand_new", "no"))\n')
    assert "brand_new" in reasons([planted])
    assert "told" in reasons([ast.parse('def g(a, code="other"):\n    pass\ng(1, "told")\n')])
    assert "other" in reasons([ast.parse('def g(a, code="other"):\n    pass\n')])


def dead_letter_queues(template: Template) -> dict[str, set[str]]:
    """Every queue of dead letters by its logical id, with those of the queues that feed it."""
    names = {queue.arn: queue.logical_id for queue in template.queues.values()}
    found: dict[str, set[str]] = {}
    for queue in template.queues.values():
        if queue.dead_letters is not None:
            found.setdefault(names[queue.dead_letters], set()).add(queue.logical_id)
    others = [spec.async_dead_letters for spec in template.functions.values()]
    others += [mapping.on_failure for mapping in template.stream_mappings]
    for arn in others:
        if arn is not None:
            found.setdefault(names[arn], set())
    return found


def test_every_queue_of_dead_letters_says_what_it_holds_and_how_it_goes_round() -> None:
    rows = {
        cells[1].strip("` "): cells
        for cells in (line.split("|") for line in DOCS.read_text("utf-8").splitlines())
        if len(cells) == 6 and "DeadLetters" in cells[1]
    }
    wanted = dead_letter_queues(Template(ROOT / "template.yaml"))

    assert rows.keys() == wanted.keys()
    for name, sources in wanted.items():
        assert all(cell.strip() for cell in rows[name][1:5]), name
        for source in sources:
            assert f"`{source}`" in rows[name][4], f"{name} goes round to {source}"


def test_no_queue_with_a_function_is_without_dead_letters() -> None:
    template = Template(ROOT / "template.yaml")
    worked = {mapping.queue for mapping in template.queue_mappings}
    assert [arn for arn in worked if template.queues[arn].dead_letters is None] == []
    assert all(mapping.on_failure for mapping in template.stream_mappings)
    assert all(mapping.bisect for mapping in template.stream_mappings)
    assert all(mapping.partial_failures for mapping in template.queue_mappings)


def test_the_commands_name_what_there_is() -> None:
    text = DOCS.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "make redrive" in text
    assert re.search(r"^redrive:", makefile, re.MULTILINE)
    assert "start-message-move-task --source-arn" in text
    assert "--destination-arn" in text
    for link in re.findall(r"\]\(([a-z-]+\.md)", text):
        assert (Path(DOCS).parent / link).is_file(), link
