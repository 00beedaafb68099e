"""The door before iUsed's routes: so many at a time, in the order of coming, and nobody waits for ever."""

import importlib.util
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("iused_door", Path(__file__).resolve().parents[2] / "tools/door.py")
door_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(door_module)
Door, Full = door_module.Door, door_module.Full


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def occupy(pool, door, until):
    """Have somebody inside the door until an event."""
    entered = threading.Event()

    def stay():
        with door.passed():
            entered.set()
            until.wait(10)

    future = pool.submit(stay)
    assert entered.wait(10)
    return future


def test_never_more_inside_than_there_are_places():
    door = Door(inside=3, waiting=100, seconds=10)
    inside, most = 0, 0
    lock = threading.Lock()

    def work(_number):
        nonlocal inside, most
        with door.passed():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(work, range(100)))
    assert most == 3
    assert door.take_turned_away() == 0


def test_first_come_first_served_also_by_newcomers():
    door = Door(inside=1, waiting=100, seconds=10)
    free, order = threading.Event(), []

    def work(number):
        with door.passed():
            order.append(number)

    with ThreadPoolExecutor(20) as pool:
        occupy(pool, door, free)
        for number in range(10):
            pool.submit(work, number)
            wait_until(lambda number=number: len(door._queue) == number + 1)
        free.set()
    assert order == list(range(10))


def test_who_finds_too_many_waiting_is_turned_away_at_once_and_counted_once():
    door = Door(inside=1, waiting=2, seconds=10)
    free = threading.Event()

    def work():
        with door.passed():
            return "done"

    with ThreadPoolExecutor(5) as pool:
        occupy(pool, door, free)
        waiting = [pool.submit(work), pool.submit(work)]
        wait_until(lambda: len(door._queue) == 2)
        for _call in range(3):
            with pytest.raises(Full), door.passed():
                pass
        assert door.take_turned_away() == 0, "somebody still waits"
        free.set()
        assert [future.result(10) for future in waiting] == ["done", "done"]
    assert (door.take_turned_away(), door.take_turned_away()) == (3, 0)


def test_who_waited_too_long_is_turned_away_and_the_place_is_not_lost():
    door = Door(inside=1, waiting=10, seconds=0.1)
    free = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        occupied = occupy(pool, door, free)
        with pytest.raises(Full), door.passed():
            pass
        free.set()
        occupied.result(10)
    with door.passed():
        pass


def test_nobody_waits_for_a_server_that_stops():
    closing = threading.Event()
    door = Door(inside=1, waiting=10, seconds=600, is_closing=closing.is_set)
    free = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        occupy(pool, door, free)
        waiting = pool.submit(lambda: door.passed().__enter__())
        wait_until(lambda: door._queue)
        closing.set()
        with pytest.raises(Full):
            waiting.result(10)
        free.set()


def test_an_error_inside_gives_the_place_back():
    door = Door(inside=1, waiting=0, seconds=1)
    for _call in range(3):
        with pytest.raises(KeyError), door.passed():
            raise KeyError
