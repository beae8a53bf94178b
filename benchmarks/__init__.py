"""What the figures in the docs are made with: `python -m benchmarks.NAME`, from the root."""

import sys
from pathlib import Path

# On AWS the layers lie on the path; here they are put there.
sys.path[:0] = [str(path) for path in sorted((Path(__file__).resolve().parent.parent / "layers").iterdir())]
