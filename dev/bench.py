"""dev/bench NAME [options]: runs the benchmark in `benches/NAME.py`, by its function `main(arguments)`."""

import importlib
import sys
from pathlib import Path

from bootstrap import stop


def main():
    names = sorted(path.stem for path in (Path(__file__).parent / "benches").glob("[a-z]*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        stop(f"usage: dev/bench NAME [options]\nNAME is one of: {', '.join(names)}. See dev/bench NAME --help.")
    return importlib.import_module(f"benches.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
