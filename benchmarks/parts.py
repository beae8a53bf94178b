"""The parts of the benchmarks, and one of them in a process of its own: `python -m benchmarks.parts NAME`.

By itself, since what one part has loaded or held in memory shall not stand in another's figures. The process says how
far it is by lines of JSON on its output, and writes ``build/bench/NAME.json``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Figure, Missing

OUT = Path(__file__).resolve().parent.parent / "build" / "bench"

MISSING = 3
"""The exit code of a part that lacks something."""


class Part(NamedTuple):
    """A part: what it is called on the table, and about how many seconds it takes on two cores."""

    title: str
    seconds: float


PARTS = {
    "cold_start": Part("Cold start, CPU of a fresh process", 240),
    "client_cpu": Part("CPU of one call, without the network", 60),
    "capacity": Part("What the table is asked for", 60),
    "sweeps": Part("Sweeps: 1,000 members due", 120),
    "rules": Part("The rules alone, on one core", 60),
    "replay": Part("The local replay of all of CDNOW", 240),
    "scale": Part("A burst, in the model of the queues", 20),
}
"""By module, in the order in which they run and are shown."""


@dataclass(frozen=True)
class Measured:
    """What a part found. ``details`` by name: what lies behind its figures, or why there are none."""

    part: str
    figures: list[Figure]
    details: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Puts it into the part's file."""
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{self.part}.json").write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, part: str) -> Measured:
        """What the part's file holds. Raises OSError where there is none."""
        found = json.loads((OUT / f"{part}.json").read_text("utf-8"))
        return cls(part, [Figure(**each) for each in found["figures"]], found["details"])


class _Saying:
    """The progress of a part, said to whoever started it."""

    def __init__(self) -> None:
        # what is said goes to the output as it was; what anything else prints goes to the errors
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        self.details: dict[str, Any] = {}

    def step(self, done: float, of: float, what: str = "") -> None:
        self.say(done=done, of=of, what=what)

    def keep(self, name: str, detail: Any) -> None:
        self.details[name] = detail

    def say(self, **said: Any) -> None:
        print(json.dumps(said), file=self._out, flush=True)


def main() -> int:
    """Runs the part that the command line names."""
    (name,) = sys.argv[1:]
    saying = _Saying()
    (OUT / f"{name}.json").unlink(missing_ok=True)
    try:
        figures = import_module(f"benchmarks.{name}").measure(saying)
    except Missing as missing:
        saying.say(missing=str(missing))
        return MISSING
    Measured(name, figures, saying.details).write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
