"""Two nodes that know each other by pins: one with a certificate whose time is over, which renews
it while both work (SPEC 13.7).
"""

import time
from collections.abc import Callable
from pathlib import Path

from ledger.crypto import encrypt_private_key
from node.tls import DAY_S, DAYS, new_certificate, shown_by
from tests.cli.conftest import call
from tests.net.conftest import Network
from tests.support.node import PASSPHRASE

Make = Callable[..., Network]


def with_tls(net: Network, org: str, now_s: int) -> str:
    """A certificate for a home, and TLS on loopback; gives the pin."""
    settings = net.homes[org] / "node.toml"
    settings.write_text("tls = true\n" + settings.read_text())
    keys = net.homes[org] / "keys"
    officer = encrypt_private_key(net.world.keys[org].officer, PASSPHRASE)
    (keys / "officer.pem").write_bytes(officer)
    (keys / "officer.pem").chmod(0o600)
    return new_certificate(keys / "tls", ["127.0.0.1"], PASSPHRASE, now_s).pin


def tell(home: Path, port: int, pin: str) -> None:
    """Where the other one listens, and by what it is known."""
    settings = home / "node.toml"
    plain = f"http://127.0.0.1:{port}"
    assert plain in settings.read_text()
    settings.write_text(settings.read_text().replace(plain, f"https://127.0.0.1:{port}#{pin}"))


def test_members_know_each_other_by_pins_and_renew_them_at_work(network: Make) -> None:
    net = network("h1", "h2")
    now_s = int(time.time())
    old = with_tls(net, "h1", now_s - 2 * DAYS * DAY_S)
    tell(net.homes["h2"], net.ports["h1"], old)
    tell(net.homes["h1"], net.ports["h2"], with_tls(net, "h2", now_s))
    net.start()
    seqs = iter(range(1, 100))

    def agree() -> None:
        """Both are needed for that: each reaches the other."""
        for org in ("h1", "h2"):
            (raw,) = net.world.accesses(1, first_seq=next(seqs))
            assert net.nodes[org].client.submit(raw)["status"] == "published"

    agree()
    begun = call("tls", "renew", "--home", net.homes["h1"], "--json").json
    assert (begun["step"], begun["old"]) == ("begun", old)
    assert shown_by(net.homes["h1"] / "keys" / "tls").pin == old
    agree()
    done = call("tls", "renew", "--home", net.homes["h1"], "--json").json
    assert (done["step"], done["new"]) == ("done", begun["new"])
    shown = call("tls", "show", "--home", net.homes["h1"], "--json").json
    assert shown["shown"]["pin"] == done["new"]
    assert shown["address"].endswith(f"#{done['new']}")
    # Whoever comes anew meets the new certificate, and what h2 was told first counts no more.
    net.kill("h2")
    net.start("h2")
    agree()
