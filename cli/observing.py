"""`alliance observe`: a node without a vote, an auditor's or a read replica (consensus.md 2.16).

a member     invite ORG --out FILE            -> the invitation, to whoever observes
the observer observe FILE                     -> its key's description, back to that member
a member     key register observer.key        the node follows from then on, by itself

The key belongs to the organisation that the invitation names, which can revoke it at any time. It
reads, checks every block, answers readers, and counts in no quorum.
"""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli import home as homes
from cli.following import Follower, report_step
from cli.joining import Invite, InviteFile, Pin, check_same, made_home, read_invite
from cli.operate import serve_followed, settings_text
from cli.options import DEFAULT_HOME, Home, Host, Json, Lang, PassphraseFile, Place, Port
from cli.session import Session
from cli.statements import clock_ms, describe_key
from ledger.chain import check_genesis
from ledger.crypto import signer_from_seed, verify
from ledger.errors import AuthenticationError
from ledger.records.envelope import ENCODE
from node.config import DEFAULT_PORT, load_config, names_at
from node.keyring import OBSERVER, OBSERVER_CAPACITY


def observe(
    file: InviteFile,
    pin: Pin = None,
    subject: Annotated[
        str, typer.Option("--subject", help="Who or what holds the key, as the chain names it.")
    ] = OBSERVER,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Run a node without a vote: make its key if needed, then fetch and check everything, and
    answer readers. The same command again goes on where it stopped.
    """
    names_at(host, port)
    invited, bundle = read_invite(file, pin)
    described = home / f"{OBSERVER}.key"
    if (home / "genesis").exists():
        check_same(home, bundle)
    else:
        _make(home, invited, bundle, passphrase_file, subject, host, port)
    report_step("observe-start", org=invited.org, pin=invited.pin, key=str(described))
    serve_followed(home, passphrase_file, Watcher(home, passphrase_file, invited.org))


def _make(
    home: Path,
    invited: Invite,
    bundle: bytes,
    passphrase_file: Path | None,
    subject: str,
    host: str,
    port: int,
) -> None:
    """A home with one key, and what a member registers of it. Raises as `made_home`, or
    `MalformedError` (X2) for the name of nobody.
    """
    signers = {OBSERVER: signer_from_seed(secrets.token_bytes(32))}
    made_home(home, signers, passphrase_file, host, port)
    described = describe_key(
        homes.load_signer(home, OBSERVER, passphrase_file),
        org=invited.org,
        capacity=OBSERVER_CAPACITY,
        subject=subject,
        chain=check_genesis(bundle, verify).tip.chain,
        valid_from_ms=clock_ms(),
    )
    homes.write_over(home / f"{OBSERVER}.key", ENCODE(described))
    config = replace(load_config(home, b"-"), org=invited.org, peers=invited.peers, dial_out=True)
    homes.write_over(home / "node.toml", settings_text(config))
    # The genesis comes last: a home that has one is complete.
    homes.write_new(home / "genesis", bundle)


class Watcher(Follower):
    """Says how far the own node is, for as long as it runs."""

    def __init__(self, home: Path, passphrase_file: Path | None, org: str) -> None:
        super().__init__(Place(home, None, passphrase_file, OBSERVER))
        self._org = org

    def look(self, session: Session) -> bool:
        """One look; it never ends: the chain goes on."""
        try:
            health = session.client.health()
        except AuthenticationError:
            # The key stands in no block that this node has: nobody has registered it, or it was
            # revoked, or nothing has arrived.
            self.say("observe-waiting", org=self._org)
            return False
        if health["behind"] is None:
            self.say("observe-unreached")
        elif health["behind"]:
            self.say("join-behind", count=health["behind"], height=health["height"])
        else:
            self.say("observe-current")
        return False
