"""`alliance invite` and `alliance join`: how an institution comes to a chain that runs.

a member    invite ORG --out FILE       -> the invitation, to the institution
the joiner  join FILE                   -> its part, back to the member; the node follows the chain
a member    admit PART, config add PART    and the committee endorses both
the joiner  goes on by itself: it declares itself ready when it lacks nothing
the others  ready                          until the quorum of the new epoch is complete

An invitation is not signed. Whoever changes the genesis in it leads to another pin, which people
compare by another way; whoever changes addresses leads nowhere.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer

from cli import home as homes
from cli.following import Follower, report_step
from cli.founding import KEY_NAMES, OFFICE_KEYS, make_part, new_signers, save_home
from cli.membership import declare, pending_of
from cli.operate import org_of, serve_followed, settings_text
from cli.options import DEFAULT_HOME, Home, Host, Json, Kind, Lang, PassphraseFile, Place, Port
from cli.screen import say, show
from cli.session import Session
from cli.statements import clock_ms, make_body
from cli.tls import address_of
from ledger.chain import check_genesis
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, unb64url
from ledger.errors import AllianceError, ConfigError, ConflictError, MalformedError, ProofError
from ledger.members import Label
from ledger.records.envelope import ENCODE, Shape, decode_canonical
from node.config import DEFAULT_PORT, is_address, load_config, names_at
from node.keyring import OBSERVER, OBSERVER_CAPACITY

JOIN_KEYS: Final = (*KEY_NAMES, OBSERVER)
InviteFile = Annotated[Path, typer.Argument(metavar="FILE", help="The invitation.")]
Pin = Annotated[str | None, typer.Option("--pin", help="The pin as you heard it by another way.")]
JOIN_OFFICES: Final = {**OFFICE_KEYS, OBSERVER: OBSERVER_CAPACITY}


class Invite(Shape, frozen=True, kw_only=True):
    """Everything that a node needs to find the chain; nothing in it is secret."""

    genesis: str
    """Block 0 in entry-bundle form, base64url."""
    org: Label
    """Who is invited."""
    peers: dict[str, str]
    """Where members listen: organisation to URL."""
    pin: str
    v: Literal[1]


INVITES: Final = msgspec.json.Decoder(Invite)


def read_invite(file: Path, pin: str | None) -> tuple[Invite, bytes]:
    """An invitation and its genesis. Raises `ConfigError` (X1.file), `MalformedError` (X8.invite),
    or `ProofError` when its parts do not belong together (X8.damaged), or when it leads to another
    chain than the pin that was heard (X8.pin).
    """
    data = homes.read_file(file)
    try:
        invite = decode_canonical(data, INVITES)
        bundle = unb64url(invite.genesis)
        block = check_genesis(bundle, verify)
    except AllianceError as error:
        raise MalformedError("X8.invite", file=file.name, inner=error.rule) from error
    if not all(map(is_address, invite.peers.values())):
        raise MalformedError("X8.invite", file=file.name, inner="O1.field")
    if b64url(block.tip.seal_leaf) != invite.pin:
        raise ProofError("X8.damaged", file=file.name)
    if pin is not None and pin != invite.pin:
        raise ProofError("X8.pin", given=pin, pin=invite.pin)
    return invite, bundle


def invite(
    org: Annotated[
        str, typer.Argument(help="Code of the institution that joins, or that an observer is of.")
    ],
    out: Annotated[Path, typer.Option("--out", help="New file for it.")],
    address: Annotated[
        str | None,
        typer.Option("--address", help="Where others reach this node: https://HOST:PORT#PIN."),
    ] = None,
    home: Home = DEFAULT_HOME,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Make the one file that an institution needs to join: genesis, pin, addresses."""
    if out.exists():
        raise ConflictError("X1.exists", file=out.name)
    config = load_config(home, b"-")
    block = homes.load_genesis(home)
    peers = dict(config.peers)
    if address is None:
        address = address_of(config)
    if address is not None:
        peers[org_of(home, None)] = address.rstrip("/")
    if not peers:
        raise ConfigError("X8.address")
    pin = b64url(block.tip.seal_leaf)
    fields = {"genesis": b64url(homes.read_file(home / "genesis")), "org": org, "peers": peers}
    made = make_body(Invite, {**fields, "pin": pin, "v": 1})
    homes.write_new(out, ENCODE(made))
    lines = [
        say("invite-made", org=org, file=str(out)),
        say("init-pin", pin=pin),
        say("invite-next", org=org),
    ]
    show({"file": str(out), "org": org, "peers": peers, "pin": pin}, lines)


def join(
    file: InviteFile,
    pin: Pin = None,
    kind: Kind = "hospital",
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where others can reach this node, if they can."),
    ] = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Join a chain: make keys if needed, follow it, declare readiness, take part. The same command
    again goes on where it stopped.
    """
    names_at(host, port)
    invited, bundle = read_invite(file, pin)
    part = home / f"{invited.org}.part"
    if (home / "genesis").exists():
        check_same(home, bundle)
        if (mine := org_of(home, passphrase_file)) != invited.org:
            raise ConflictError("X8.home", org=mine, invited=invited.org)
    else:
        signers = {**new_signers(), OBSERVER: signer_from_seed(secrets.token_bytes(32))}
        made_home(home, signers, passphrase_file, host, port)
        # A home that was begun for something else lacks some of them, and stays as it is.
        signers = {name: homes.load_signer(home, name, passphrase_file) for name in JOIN_KEYS}
        _settle(home, invited, listen)
        chain = check_genesis(bundle, verify).tip.chain
        made = make_part(invited.org, kind, signers, clock_ms(), chain=chain, offices=JOIN_OFFICES)
        homes.write_over(part, ENCODE(made))
        # The genesis comes last: a home that has one is complete.
        homes.write_new(home / "genesis", bundle)
    shown: dict[str, str | int] = {"org": invited.org, "pin": invited.pin, "part": str(part)}
    report_step("join-start", **shown)
    serve_followed(home, passphrase_file, Newcomer(home, passphrase_file, invited.org))


def check_same(home: Path, bundle: bytes) -> None:
    """This home is on the chain of the invitation. Raises `ConflictError` (X8.other)."""
    if homes.read_file(home / "genesis") != bundle:
        raise ConflictError("X8.other")


def made_home(
    home: Path,
    signers: Mapping[str, homes.AnySigner],
    passphrase_file: Path | None,
    host: str,
    port: int,
) -> None:
    """Keys and settings; a home that was begun keeps what it has.

    Raises `ConflictError` (X1.exists) or `ConfigError` (X1.file).
    """
    if not (home / "node.toml").exists():
        save_home(home, signers, homes.known_passphrase(home, passphrase_file), host, port)


def _settle(home: Path, invited: Invite, listen: str | None) -> None:
    """The settings of a joiner. Raises `ConfigError` (X1.file) or `MalformedError` (X2)."""
    # Whoever comes again is among the addresses, from when it was a member.
    others = {org: url for org, url in invited.peers.items() if org != invited.org}
    config = replace(load_config(home, b"-"), org=invited.org, peers=others, dial_out=True)
    if listen is not None:
        at, _colon, number = listen.rpartition(":")
        if not (at and number.isascii() and number.isdigit() and 0 < int(number) <= 65_535):
            raise MalformedError("X2", field="listen")
        names = config.names or names_at(at, int(number))
        config = replace(config, peer_host=at, peer_port=int(number), names=names)
    homes.write_over(home / "node.toml", settings_text(config))


class Newcomer(Follower):
    """Watches the own node while it joins, says how far it is, and declares it ready when it lacks
    nothing and the committee has decided.
    """

    def __init__(self, home: Path, passphrase_file: Path | None, org: str) -> None:
        super().__init__(Place(home, None, passphrase_file, "node"))
        self._org = org

    def look(self, session: Session) -> bool:
        """One look; whether there is nothing left to do."""
        health = session.client.health()
        behind = health["behind"]
        if health["status"] == "ok":
            members = health["members"]
            n, q = members["n"], members["q"]
            self.say("join-member", org=self._org, epoch=health["epoch"], n=n, q=q)
            return True
        if behind is None:
            self.say("join-waiting", org=self._org)
        elif behind > 0:
            self.say("join-behind", count=behind, height=health["height"])
        else:
            self._decide(session)
        return False

    def _decide(self, session: Session) -> None:
        """Up to date: ready as soon as the committee has decided."""
        pending = pending_of(session)
        mine = session.signer.public_key
        if pending is None or pending.config.index_of(mine) is None:
            self.say("join-current")
        elif self._org not in pending.ready:
            declare(session, pending, "node", self._org)
        else:
            missing = pending.config.q - len(pending.ready)
            self.say("join-ready", epoch=pending.config.epoch, count=max(0, missing))
