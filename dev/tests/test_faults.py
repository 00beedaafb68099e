"""The short form of `dev/fault_run.py`: real servers, a portal that misbehaves, and kill -9 while sending."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fault_run import breaking, fault_run, two_senders


def test_every_update_arrives_once_whatever_breaks():
    with fault_run(seed=1) as run:
        together = two_senders(run, updates=200)
        assert together["repeated"] == 0
        broken = breaking(run, updates=120, kills=3, timeout=300)
        assert broken["kills"] == 3
        assert broken["updates"] == 120
