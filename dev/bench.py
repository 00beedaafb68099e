"""dev/bench NAME: runs `bench_NAME`, which measures a flow and compares it with what is promised of it."""

import importlib
import sys

from bootstrap import ROOT, stop


def main():
    names = sorted(path.stem.partition("_")[2] for path in (ROOT / "dev").glob("bench_*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        stop(f"usage: dev/bench {{{','.join(names)}}} [--json FILE]")
    return importlib.import_module(f"bench_{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
