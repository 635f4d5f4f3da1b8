"""Who is at the other end: pins, and nothing else, where there are any; certificates that change
under a running server.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.crypto import certificate_end_s, certificate_pin
from ledger.errors import ConfigError, SignatureError
from ledger.rules.values import EndpointState
from ledger.state import state_key
from node.client import NodeClient, UnreachableError
from node.peerclient import PeerClient
from node.roster import Roster
from node.tls import (
    DAY_S,
    DAYS,
    Served,
    Trust,
    context_of,
    new_certificate,
    shown_by,
    split_pin,
)
from tests.support.node import PASSPHRASE
from tests.support.world import make_world, seed, signer_from_seed

NOW_S = int(time.time())
BODY = b'{"status":"ok","time_ms":1}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
PROBLEM = ANSWER.replace(b"200 OK", b"400 Bad Request")
SIGNER = signer_from_seed(seed("tls"))


def certificate(path: Path, now_s: int = NOW_S, *hosts: str) -> str:
    """A certificate in a file; gives its pin."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return new_certificate(path, hosts or ("127.0.0.1",), PASSPHRASE, now_s).pin


class Server:
    """Shows the certificate of a file, and answers one thing."""

    def __init__(self, path: Path) -> None:
        self.served = Served((path, path), PASSPHRASE)
        self._context = self.served.context()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(link, server_side=True) as secure:
                    if secure.recv(65_536):
                        secure.sendall(ANSWER)
            except OSError:
                link.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    certificate(tmp_path / "keys" / "tls")
    made = Server(tmp_path / "keys" / "tls")
    yield made
    made.close()


def rule_of(server: Server, trust: Trust) -> str:
    """What either client says of the server: nothing where it is who they know."""
    found = set()
    try:
        with NodeClient(server.url, SIGNER, 5, trust=trust) as client:
            found.add("" if client.alive()["status"] == "ok" else "?")
    except UnreachableError as error:
        found.add(error.rule)
    try:
        with PeerClient(server.url, SIGNER, 5, trust) as peer:
            peer.probe(NOW_S, bytes(16))
    except UnreachableError as error:
        # It answered, and in no form of ours: so it was let speak.
        found.add("" if error.rule == "O7.answer" else error.rule)
    (rule,) = found
    return rule


def pinned(*pins: str) -> Trust:
    return Trust(frozenset(pins))


def test_who_has_the_pinned_key_is_reached_and_nobody_else(server: Server, tmp_path: Path) -> None:
    pin = shown_by(tmp_path / "keys" / "tls").pin
    other = certificate(tmp_path / "keys" / "other")
    assert rule_of(server, pinned(pin)) == ""
    assert rule_of(server, pinned(other, pin)) == ""
    assert rule_of(server, pinned(other)) == "O7.pin"
    assert rule_of(server, Trust()) == "O7"


def test_a_date_stops_nobody_who_knows_the_pin(tmp_path: Path) -> None:
    long_ago = certificate(tmp_path / "keys" / "tls", NOW_S - 2 * DAYS * DAY_S)
    assert shown_by(tmp_path / "keys" / "tls").until_s < NOW_S
    server = Server(tmp_path / "keys" / "tls")
    try:
        assert rule_of(server, pinned(long_ago)) == ""
    finally:
        server.close()


def test_a_running_server_shows_what_its_file_holds(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys" / "tls"
    caplog.set_level("INFO", "alliance.node")
    old = shown_by(path).pin
    new = certificate(path)
    assert rule_of(server, pinned(new)) == ""
    assert rule_of(server, pinned(old)) == "O7.pin"
    path.write_bytes(b"half a certificate")
    assert rule_of(server, pinned(new)) == ""
    said = [record.getMessage() for record in caplog.records]
    assert said == ["certificate-changed", "certificate-unreadable"]


def test_no_pin_is_no_way_around(server: Server) -> None:
    """A context that pins nothing takes nobody."""
    context = context_of(pinned("x"))
    context.pins = frozenset()  # type: ignore[attr-defined]
    port = int(server.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), 5) as link,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(link)
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        assert shake_hands(context, link) == "WrongCertificateError"


def shake_hands(context: ssl.SSLContext, link: socket.socket) -> str:
    """As asyncio does it, on buffers; the error at the end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            link.sendall(outgoing.read())
            incoming.write(link.recv(65_536))
        except ssl.SSLError as error:
            return type(error).__name__
        else:
            return ""


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"O1\.file"):
        shown_by(tmp_path / "none")
    for text in ("", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(ConfigError, match=r"O1\.tls"):
            shown_by(tmp_path / "bad")
    certificate(tmp_path / "keys" / "tls")
    path = tmp_path / "keys" / "tls"
    with pytest.raises(ConfigError, match=r"O1\.tls"):
        Served((path, path), b"another passphrase")
    for read in (certificate_pin, certificate_end_s):
        with pytest.raises(SignatureError, match="C6"):
            read(b"\x30\x03\x02\x01\x01")


def test_an_address_may_bring_its_pin_along_until_the_chain_holds_one() -> None:
    pin, told = "a" * 43, "b" * 43
    assert split_pin("http://h2:1") == ("http://h2:1", frozenset())
    world = make_world(("h1", "h2"))
    tip = world.genesis.tip
    urls = {"h2": f"https://10.0.0.2:8471#{pin}"}
    roster = Roster(tip, frozenset(), urls)
    assert (roster.urls["h2"], roster.pins["h2"]) == ("https://10.0.0.2:8471", {pin})
    state = EndpointState(height=1, leaf="", tls_pins=(told,), urls=("https://h2.example",))
    changed = tip.state.update({state_key("endpoint", "h2"): state})
    roster = Roster(tip._replace(state=changed), frozenset(), urls)
    assert (roster.urls["h2"], roster.pins["h2"]) == ("https://10.0.0.2:8471", {told})
    roster = Roster(tip._replace(state=changed), frozenset(), {})
    assert (roster.urls["h2"], roster.pins["h2"]) == ("https://h2.example", {told})
