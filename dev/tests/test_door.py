"""The door before iUsed's routes: so many at a time, in the order of coming, and nobody waits for ever."""

import contextlib
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import addon_tools
import pytest

door_module = addon_tools.load("door")
Door, WorkerDoor, Full = door_module.ThreadDoor, door_module.WorkerDoor, door_module.Full


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


# Worker processes ------------------------------------------------------------------------------------------------

FORK = multiprocessing.get_context("fork")  # as Odoo makes its workers


def in_workers(count, work):
    """Run a function in so many processes at once; return what they put into a queue, in the order of coming."""
    told = FORK.Queue()
    start = FORK.Barrier(count)

    def run(number):
        start.wait(10)
        work(number, told)

    workers = [FORK.Process(target=run, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    results = [told.get(timeout=20) for _worker in workers]
    for worker in workers:
        worker.join(10)
    return results


def test_of_many_workers_so_many_work_and_so_many_wait(tmp_path):
    door = WorkerDoor(str(tmp_path / "door"), 5000, inside=3, waiting=2, seconds=10)
    inside, most = FORK.Value("i", 0), FORK.Value("i", 0)

    def work(_number, told):
        try:
            with door.passed():
                with inside.get_lock(), most.get_lock():
                    inside.value += 1
                    most.value = max(most.value, inside.value)
                time.sleep(0.5)
                with inside.get_lock():
                    inside.value -= 1
            told.put("worked")
        except Full:
            told.put("turned away")

    results = in_workers(9, work)
    assert most.value == 3
    assert sorted(results) == ["turned away"] * 4 + ["worked"] * 5
    assert results[:4] == ["turned away"] * 4, "at once, not after a wait"


def test_worker_that_waited_too_long_is_turned_away(tmp_path):
    door = WorkerDoor(str(tmp_path / "door"), 0, inside=1, waiting=1, seconds=0.1)
    free = FORK.Event()

    def work(_number, told):
        try:
            with door.passed():
                told.put("works")
                free.wait(10)
        except Full:
            told.put("turned away")
            free.set()

    assert sorted(in_workers(2, work)) == ["turned away", "works"]


def test_place_of_a_worker_that_was_killed_is_free(tmp_path):
    door = WorkerDoor(str(tmp_path / "door"), 0, inside=1, waiting=0, seconds=1)
    entered = FORK.Event()

    def work():
        with door.passed():
            entered.set()
            time.sleep(60)

    worker = FORK.Process(target=work)
    worker.start()
    assert entered.wait(10)
    with pytest.raises(Full), door.passed():
        pass
    worker.kill()
    worker.join(10)
    with door.passed():
        pass


def test_doors_of_two_servers_in_one_file_do_not_meet(tmp_path):
    ours, theirs = (WorkerDoor(str(tmp_path / "door"), first, 1, 0, 1) for first in (8069000, 8070000))
    free = FORK.Event()

    def work(number, told):
        with (ours, theirs)[number].passed():
            told.put(number)
            free.wait(2)

    assert sorted(in_workers(2, work)) == [0, 1]


def test_nobody_is_let_in_while_the_queue_for_workers_is_long(tmp_path):
    crowded = True
    door = WorkerDoor(str(tmp_path / "door"), 0, inside=1, waiting=1, seconds=10, is_crowded=lambda: crowded)
    with pytest.raises(Full), door.passed():
        pytest.fail("it was let in")
    assert door.take_turned_away() == 1
    crowded = False
    with door.passed():
        pass


def test_connections_that_wait_to_be_accepted_are_counted():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8))
        assert door_module.queue_length(listener) == 0
        for _client in range(5):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        assert door_module.queue_length(listener) == 5
        stack.enter_context(listener.accept()[0])
        assert door_module.queue_length(listener) == 4
    assert door_module.queue_length(listener) == 0, "it is closed"
    assert door_module.queue_length(None) == 0
