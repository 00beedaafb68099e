"""Clients that trickle: a body that never ends keeps neither a place nor a connection for long."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import order_server
import pytest
from conftest import DEV_FOLDER, WAREHOUSE

from portal import sample_order
from services import Odoo, odoo_script

TRICKLERS = 12  # more than there are places in a process


@pytest.fixture(scope="module")
def threaded(postgres, make_database):
    """Odoo as it installs itself, without workers, and a key."""
    database = make_database()
    made = odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)
    with Odoo(postgres, database.config, database.log) as odoo:
        yield odoo.url, made["api_key"]


def trickle(url, key):
    """Begin a push and send its body byte by byte; return the status of the answer and the seconds until it came."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=40) as sock:
        sock.sendall(
            f"POST /iused/v1/orders HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
        )
        start = time.monotonic()
        sock.settimeout(0.5)
        for _second in range(80):
            try:
                sock.sendall(b" ")
                if answer := sock.recv(65536):
                    return int(answer.split()[1]), time.monotonic() - start
            except TimeoutError:
                continue
            except OSError:
                break
        return None, time.monotonic() - start


def test_bodies_that_trickle_are_given_up_and_orders_get_through(threaded):
    url, key = threaded
    with ThreadPoolExecutor(TRICKLERS + 1) as pool:
        tricklers = [pool.submit(trickle, url, key) for _client in range(TRICKLERS)]
        time.sleep(1)
        order = sample_order("IU-BETWEEN", sku="IP12-64-WHT-C", price=149.0)
        pushed = pool.submit(order_server.push, url, key, order, seconds=40)
        answers = [trickler.result() for trickler in tricklers]
    assert not pushed.result().failure
    assert {status for status, _seconds in answers} <= {400, 503, None}, answers
    assert 400 in {status for status, _seconds in answers}, answers
    assert max(seconds for _status, seconds in answers) < 30, "somebody was left hanging"


def test_body_that_comes_in_pieces_but_in_time_is_taken(threaded):
    url, key = threaded
    body = json.dumps(sample_order("IU-PIECES", sku="IP12-64-WHT-C", price=149.0)).encode()
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=40) as sock:
        sock.sendall(
            f"POST /iused/v1/orders HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        for start in range(0, len(body), 100):
            sock.sendall(body[start : start + 100])
            time.sleep(0.05)
        assert b" 201 " in sock.recv(65536)


@pytest.mark.parametrize(("path", "status"), [("/orders/x", 404), ("/offers", 200)])
def test_body_of_a_get_is_not_waited_for(threaded, path, status):
    url, key = threaded
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=8) as sock:
        sock.sendall(
            f"GET /iused/v1{path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\n".encode()
        )
        assert int(sock.recv(100).split()[1]) == status


def test_caller_without_any_key_is_answered_without_a_place(threaded):
    url, _key = threaded
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=8) as sock:
        sock.sendall(
            f"POST /iused/v1/orders HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000\r\n\r\n".encode()
        )
        answer = sock.recv(65536)
    assert int(answer.split()[1]) == 401
    assert b"problem+json" in answer
