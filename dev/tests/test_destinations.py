"""Our calls go to the public internet and to networks that were named, whatever a name server says. Needs no Odoo."""

import io
import ipaddress
import socket

import addon_tools
import pytest
from hostile_ssh import HostileSsh
from test_hostile_webhook import BODY, OK, Raw

webhook, sftp, destination = (addon_tools.load(name) for name in ("webhook", "sftp", "destination"))

WHOLE = OK + b"Content-Length: 5\r\n\r\nwhole"
PUBLIC = ("8.8.8.8", "193.0.6.139", "2a02:898:62:f6::5", "::ffff:8.8.8.8", "64:ff9b::808:808")
FORBIDDEN = (
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.5", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:5"),
    *("64:ff9b:1::808:808", "2002:7f00:1::1", "2002:808:808::1", "2001:0:7f00:1::1", "3fff::1", "5f00::1"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_may_be_called(address):
    destination.check(address)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_address_that_is_not_public_may_not_be_called(address):
    with pytest.raises(destination.DestinationRefused) as caught:
        destination.check(address)
    assert caught.value.address == str(ipaddress.ip_address(address))


def test_named_network_may_be_called_and_no_other():
    networks = destination.read_networks("10.1.2.3/16, fd00::/8\n192.168.7.7;")
    for address in ("10.1.255.255", "::ffff:10.1.0.1", "64:ff9b::a01:1", "fd12::1", "192.168.7.7"):
        destination.check(address, networks)
    for address in ("10.2.0.0", "192.168.7.8", "fc00::1", "127.0.0.1"):
        with pytest.raises(destination.DestinationRefused):
            destination.check(address, networks)
    assert destination.read_networks("") == destination.read_networks(None) == ()
    with pytest.raises(ValueError, match="intranet"):
        destination.read_networks("10.0.0.0/8, intranet")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost.", "odoo.localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1",
     "[::1]", "::1", "10.0.0.5", "fe80::1%eth0", "0"],
)  # fmt: skip
def test_address_is_known_without_a_name_server_however_it_is_written(host):
    with pytest.raises(destination.DestinationRefused):
        destination.check_literal(host)


@pytest.mark.parametrize("host", ["portal.iused.nl", "localhost.iused.nl", "8.8.8.8", "10.0.0.5.iused.nl", "a b", ""])
def test_other_names_are_left_to_the_call(host):
    destination.check_literal(host)


# -- calls --------------------------------------------------------------------


class Names:
    """A name server for every name, which answers each question with the next of its answers.

    :ivar tried: the addresses that somebody tried to connect to beyond this computer, where nobody answers
    """

    def __init__(self, monkeypatch, *answers):
        self.answers, self.asked, self.tried = list(answers), 0, []
        connect = socket.socket.connect

        def connect_near(sock, address):
            if not ipaddress.ip_address(address[0]).is_loopback:
                self.tried.append(address[0])
                raise ConnectionRefusedError
            connect(sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", self.answer)
        monkeypatch.setattr(socket.socket, "connect", connect_near)

    def answer(self, _host, port, *_args, **_kwargs):
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]


def call(server, scheme="http", networks=()):
    with webhook.Webhook(
        f"{scheme}://portal.example:{server.port}/webhook/shipment/18/token", networks=networks
    ) as hook:
        return hook.send(BODY, "event")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_webhook_that_is_near_gets_nothing_and_the_update_waits_with_words(monkeypatch, scheme):
    with Raw(WHOLE) as server:
        names = Names(monkeypatch, ["127.0.0.1"])
        outcome = call(server, scheme)
        assert (outcome.verdict, outcome.reached) == ("retry", False)
        assert "127.0.0.1" in outcome.text
        assert "sale_iused.allowed_networks" in outcome.text
        assert "token" not in outcome.text
        assert "portal.example" not in outcome.text
        probe = webhook.probe("OPTIONS", f"{scheme}://portal.example:{server.port}/")
        assert (probe.trouble, probe.address) == ("destination", "127.0.0.1")
        assert not server.connections
        assert names.asked == 2, "once for each call"


def test_name_that_changes_its_address_after_it_was_checked_gains_nothing(monkeypatch):
    with Raw(WHOLE) as server:
        names = Names(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
        assert "failed or was closed" in call(server).text
        assert names.tried == ["8.8.8.8"], "which is the one that was checked"
        assert "not on the public internet" in call(server).text
        assert not server.connections


def test_name_that_changes_its_address_between_connections_gains_nothing(monkeypatch):
    with Raw(OK + b"Connection: close\r\n\r\nwhole") as server:
        Names(monkeypatch, ["127.0.0.1"], ["::1"])
        with webhook.Webhook(f"http://portal.example:{server.port}/", networks=["127.0.0.1/32"]) as hook:
            assert hook.send(BODY, "event").verdict == "accepted"
            outcome = hook.send(BODY, "event")
        assert "the address ::1," in outcome.text


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "fd00::1"]])
def test_name_that_is_near_and_public_is_near(monkeypatch, addresses):
    with Raw(WHOLE) as server:
        names = Names(monkeypatch, addresses)
        assert "not on the public internet" in call(server).text
        assert not names.tried
        assert not server.connections


def test_address_is_looked_up_and_checked_once_for_a_connection(monkeypatch):
    with Raw(WHOLE, keep=True) as server:
        names = Names(monkeypatch, ["127.0.0.1"])
        with webhook.Webhook(f"http://portal.example:{server.port}/", networks=destination.LOOPBACK) as hook:
            assert [hook.send(BODY, "event").verdict for _call in range(3)] == ["accepted"] * 3
        assert (names.asked, len(server.connections)) == (1, 1)


def test_next_address_is_tried_where_one_does_not_answer(monkeypatch):
    with Raw(WHOLE) as server:
        names = Names(monkeypatch, ["8.8.8.8", "127.0.0.1"])
        assert call(server, networks=destination.LOOPBACK).verdict == "accepted"
        assert names.tried == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["portal.example", "a" * 64 + ".example", "a..b"])
def test_name_that_is_none_is_an_outcome(monkeypatch, host):
    def fail(name, *_args, **_kwargs):
        name.encode("idna")
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with webhook.Webhook(f"https://{host}/token") as hook:
        outcome = hook.send(BODY, "event")
    assert outcome.verdict == "retry"
    assert "iUsed failed" in outcome.text


def test_proxy_is_the_servers_own_but_does_not_lead_to_an_address_that_is_near(monkeypatch):
    with Raw(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        for host in ("10.0.0.5", "127.1", "localhost"):
            with webhook.Webhook(f"https://{host}/token") as hook:
                assert "not on the public internet" in hook.send(BODY, "event").text
        assert not proxy.connections
        with webhook.Webhook("https://portal.example/token") as hook:
            assert hook.send(BODY, "event").verdict == "retry"
        assert proxy.connections


def test_what_is_near_is_not_called_through_a_proxy(monkeypatch):
    with Raw(WHOLE) as proxy, Raw(WHOLE) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        with webhook.Webhook(server.url, networks=destination.LOOPBACK) as hook:
            assert hook.send(BODY, "event").verdict == "accepted"
        assert not proxy.connections


def test_sftp_server_that_is_near_gets_nothing(monkeypatch):
    with HostileSsh("silence") as server:
        names = Names(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
        target = sftp.Target("sftp.example", server.port, "user", "", "offers.json", "ssh-ed25519 AAAA", "secret")
        calls = (
            lambda: sftp.upload(target, io.BytesIO(b"[]"), 20),
            lambda: sftp.probe(target),
            lambda: sftp.fetch_host_key(target.host, target.port),
        )
        with pytest.raises(sftp.SftpError, match="refuses connections"):
            calls[0]()
        assert names.tried == ["8.8.8.8"]
        for function in calls:
            with pytest.raises(sftp.SftpError, match=r"127\.0\.0\.1, which is not.*sale_iused\.allowed_networks"):
                function()
        server.listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.listener.accept()
