"""dev/bench NAME: runs the measurements of `bench_NAME.py` with the arguments that follow."""

import importlib
import sys

from bootstrap import ROOT, stop


def main():
    names = sorted(path.stem.removeprefix("bench_") for path in (ROOT / "dev").glob("bench_*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        stop(f"usage: dev/bench {'|'.join(names)} [arguments]")
    return importlib.import_module(f"bench_{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
