"""Two nodes that know each other by pins: one with a certificate whose time is over, which renews
it while both work (SPEC 13.7).
"""

import time
from collections.abc import Callable
from pathlib import Path

from cli.screen import EXIT_CODES
from ledger.crypto import encrypt_private_key
from ledger.errors import BusyError
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


def is_published(net: Network, org: str, raw: bytes) -> bool:
    """Whether an entry is on the chain by now."""
    try:
        return net.nodes[org].client.submit(raw)["status"] == "published"
    except BusyError:
        return False


def renew(net: Network, home: Path) -> dict[str, str]:
    """One step; the same command again where the node was too busy to say that it is done."""
    found: list[dict[str, str]] = []

    def stepped() -> bool:
        result = call("tls", "renew", "--home", home, "--json")
        if result.code != EXIT_CODES["busy"]:
            found.append(result.json)
        return bool(found)

    net.wait(stepped, "the command is through")
    return found[0]


def test_members_know_each_other_by_pins_and_renew_them_at_work(network: Make) -> None:
    net = network("h1", "h2")
    now_s = int(time.time())
    old = with_tls(net, "h1", now_s - 2 * DAYS * DAY_S)
    tell(net.homes["h2"], net.ports["h1"], old)
    tell(net.homes["h1"], net.ports["h2"], with_tls(net, "h2", now_s))
    net.start()
    seqs = iter(range(1, 100))

    def agree() -> None:
        """Both are needed for that: each reaches the other. The same again is harmless."""
        for org in ("h1", "h2"):
            (raw,) = net.world.accesses(1, first_seq=next(seqs))
            net.wait(lambda org=org, raw=raw: is_published(net, org, raw), f"{org} is answered")  # type: ignore[misc]

    agree()
    steps = [renew(net, net.homes["h1"])]
    assert steps[0]["old"] == old
    while steps[-1]["step"] != "done":
        assert shown_by(net.homes["h1"] / "keys" / "tls").pin == old
        agree()
        steps.append(renew(net, net.homes["h1"]))
    done = steps[-1]
    assert len({step["new"] for step in steps}) == 1
    shown = call("tls", "show", "--home", net.homes["h1"], "--json").json
    assert shown["shown"]["pin"] == done["new"]
    assert shown["address"].endswith(f"#{done['new']}")
    # Whoever comes anew meets the new certificate, and what h2 was told first counts no more.
    net.kill("h2")
    net.start("h2")
    agree()
