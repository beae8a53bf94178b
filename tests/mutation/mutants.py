"""What is mutated: every function of the configured paths, by mutmut's operators."""

from __future__ import annotations
import __future__

import difflib
import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from types import FunctionType
from typing import Any

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.configuration import config
from mutmut.mutation import file_mutation


@dataclass(frozen=True)
class Mutant:
    """One function with one small defect."""

    name: str
    """Module, function and number: ``club_rules.money.parse_money#3``."""
    module: str
    function: str
    """The function's name in its module; ``Class.method`` for a method."""
    path: str
    lines: tuple[int, int]
    """First and last line of what was changed."""
    body: tuple[int, int]
    """First and last line of the function's statements."""
    before: str
    after: str
    """The function's source, without its decorators."""

    @property
    def digest(self) -> str:
        """Changes where the function or the mutation does."""
        return hashlib.sha256(f"{self.before}\0{self.after}".encode()).hexdigest()[:16]

    @property
    def difference(self) -> str:
        """The changed lines, as diff shows them."""
        rows = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0)
        return "\n".join(row for row in list(rows)[2:] if not row.startswith("@@"))

    def plant(self) -> None:
        """Gives the function, wherever it has been imported to, the mutant's code. For good: call it in a process
        that ends afterwards."""
        module = importlib.import_module(self.module)
        owner: Any = module
        *classes, name = self.function.split(".")
        for each in classes:
            owner = getattr(owner, each)
        found = vars(owner)[name]
        target: FunctionType = getattr(found, "__func__", found)
        free = target.__code__.co_freevars
        mutated = self._made(dict(vars(module)), free)
        # A mutant without the `super()` takes nothing from around it; the original's closure keeps the place.
        target.__code__ = mutated.__code__.replace(co_freevars=free)
        target.__defaults__ = mutated.__defaults__
        target.__kwdefaults__ = mutated.__kwdefaults__

    def _made(self, names: dict[str, Any], free: tuple[str, ...]) -> FunctionType:
        """The mutated function; ``free``: what the original takes from around it (``__class__``, for ``super()``)."""
        indented = "".join(f"    {line}\n" for line in self.after.splitlines())
        name = self.function.rpartition(".")[2]
        # `global`: a function that calls itself calls what the module has of its name.
        source = f"def _around({', '.join(free)}):\n    global {name}\n{indented}    return {name}\n"
        exec(compile(source, self.path, "exec", __future__.annotations.compiler_flag, True), names)
        made: FunctionType = names["_around"](*(None for _ in free))
        return made


def all_mutants(names: Sequence[str] = ()) -> Iterator[Mutant]:
    """The mutants of every configured file, file by file; with ``names`` only those of these layers or modules, or
    those whose name is as such a pattern."""
    for root in config().source_paths:
        for path in sorted(root.rglob("*.py")):
            module = ".".join(path.with_suffix("").relative_to(root.parent).parts)
            whole = not names or not {module, root.name}.isdisjoint(names)
            patterns = [name for name in names if name.startswith(f"{module}.")]
            if config().should_mutate(path) and (whole or patterns):
                for mutant in mutants_of(path, module):
                    if whole or any(fnmatch(mutant.name, each) for each in patterns):
                        yield mutant


def mutants_of(path: Path, module: str) -> Iterator[Mutant]:
    """The mutants of one file."""
    source = path.read_text("utf-8")
    tree, mutations, _, _ = file_mutation.create_mutations(str(path), source)
    positions = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    names = dict(_functions(tree))
    number: dict[str, int] = {}
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if not isinstance(function, libcst.FunctionDef) or _only_of_case(mutation):
            continue
        name = names[function]
        number[name] = number.get(name, 0) + 1
        bare = function.with_changes(decorators=[], leading_lines=[])
        changed = file_mutation.deep_replace(bare, mutation.original_node, mutation.mutated_node)
        assert isinstance(changed, libcst.FunctionDef)
        after = tree.code_for_node(changed).strip()
        if _only_of_assertion(tree.code_for_node(bare).strip(), after):
            continue
        where, body = positions[mutation.original_node], positions[function.body]
        yield Mutant(
            name=f"{module}.{name}#{number[name]}",
            module=module,
            function=name,
            path=str(path),
            lines=(where.start.line, where.end.line),
            body=(body.start.line, body.end.line),
            before=tree.code_for_node(bare).strip(),
            after=after,
        )


def _functions(tree: libcst.Module) -> Iterator[tuple[libcst.CSTNode, str]]:
    for statement in tree.body:
        if isinstance(statement, libcst.FunctionDef):
            yield statement, statement.name.value
        elif isinstance(statement, libcst.ClassDef):
            for each in statement.body.body:
                if isinstance(each, libcst.FunctionDef):
                    yield each, f"{statement.name.value}.{each.name.value}"


def _only_of_case(mutation: file_mutation.Mutation) -> bool:
    """Whether a text is only written in other letters: mutmut makes three mutants of every text, and who catches the
    one that says something else ("XX...XX") catches these."""
    before, after = mutation.original_node, mutation.mutated_node
    return (
        isinstance(before, libcst.SimpleString)
        and isinstance(after, libcst.SimpleString)
        and before.value.lower() == after.value.lower()
    )


def _only_of_assertion(before: str, after: str) -> bool:
    """Whether only the ``strict=True`` of a ``zip`` is gone: it asserts that two lists are as long as each other, which
    they are, so that no test could tell."""
    return _STRICT.sub("", before) == _STRICT.sub("", after)


_STRICT = re.compile(r",\s*(?:strict=\w+)?\s*(?=\))")
