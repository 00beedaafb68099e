"""dev/bench NAME [options]: runs the benchmark in `bench_NAME.py`, by its function `main(arguments)`."""

import importlib
import sys
from pathlib import Path

from bootstrap import stop

PREFIX = "bench_"


def main():
    names = sorted(path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        stop(f"usage: dev/bench NAME [options]\nNAME is one of: {', '.join(names)}. See dev/bench NAME --help.")
    return importlib.import_module(PREFIX + sys.argv[1]).main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
