"""`alliance invite` and `alliance join`: how an institution comes to a chain that runs.

a member    invite ORG --out FILE       -> the invitation, to the institution
the joiner  join FILE                   -> its part, back to the member; the node follows the chain
a member    admit PART, config add PART    and the committee endorses both
the joiner  goes on by itself: it declares itself ready when it lacks nothing
the others  ready                          until the quorum of the new epoch is complete

An invitation is not signed. Whoever changes the genesis in it leads to another pin, which people
compare by another way; whoever changes addresses leads nowhere.
"""

import contextvars
import json
import secrets
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer

from cli import home as homes
from cli.founding import KEY_NAMES, OFFICE_KEYS, make_part, new_signers, save_home
from cli.membership import declare, pending_of
from cli.operate import open_config, org_of, settings_text
from cli.options import DEFAULT_HOME, Home, Host, Json, Kind, Lang, PassphraseFile, Place, Port
from cli.screen import language, say, show, tell, wants_json
from cli.session import Session
from cli.statements import clock_ms, make_body
from ledger.chain import check_genesis
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, unb64url
from ledger.errors import AllianceError, ConfigError, ConflictError, MalformedError, ProofError
from ledger.members import Label
from ledger.records.envelope import ENCODE, Shape, decode_canonical
from node import main as nodes
from node.config import DEFAULT_PORT, check_host, load_config
from node.keyring import OBSERVER, OBSERVER_CAPACITY
from node.logs import set_up

LOOK_S: Final = 0.5
JOIN_KEYS: Final = (*KEY_NAMES, OBSERVER)
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


def read_invite(file: Path) -> tuple[Invite, bytes]:
    """An invitation and its genesis. Raises `ConfigError` (X1.file), `MalformedError` (X8.invite),
    or `ProofError` (X8.damaged) when its parts do not belong together.
    """
    data = homes.read_file(file)
    try:
        invite = decode_canonical(data, INVITES)
        bundle = unb64url(invite.genesis)
        block = check_genesis(bundle, verify)
    except AllianceError as error:
        raise MalformedError("X8.invite", file=file.name, inner=error.rule) from error
    if not all(url.startswith(("http://", "https://")) for url in invite.peers.values()):
        raise MalformedError("X8.invite", file=file.name, inner="O1.field")
    if b64url(block.tip.seal_leaf) != invite.pin:
        raise ProofError("X8.damaged", file=file.name)
    return invite, bundle


def invite(
    org: Annotated[str, typer.Argument(help="Code of the institution that is to join.")],
    out: Annotated[Path, typer.Option("--out", help="New file for it.")],
    address: Annotated[
        str | None, typer.Option("--address", help="Where others reach this node: http(s)://...")
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
    if address is None and config.peer_host:
        address = f"http://{config.peer_host}:{config.peer_port}"
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
        say("create-compare"),
        say("invite-next", org=org),
    ]
    show({"file": str(out), "org": org, "peers": peers, "pin": pin}, lines)


def join(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The invitation.")],
    pin: Annotated[
        str | None, typer.Option("--pin", help="The pin as you heard it by another way.")
    ] = None,
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
    check_host(host)
    invited, bundle = read_invite(file)
    if pin is not None and pin != invited.pin:
        raise ProofError("X8.pin", given=pin, pin=invited.pin)
    part = home / f"{invited.org}.part"
    if (home / "genesis").exists():
        _check_same(home, bundle)
    else:
        _make_home(home, invited, passphrase_file, host, port, listen)
        signers = {name: homes.load_signer(home, name, passphrase_file) for name in JOIN_KEYS}
        chain = check_genesis(bundle, verify).tip.chain
        made = make_part(invited.org, kind, signers, clock_ms(), chain=chain, offices=JOIN_OFFICES)
        homes.write_over(part, ENCODE(made))
        # The genesis comes last: a home that has one is complete.
        homes.write_new(home / "genesis", bundle)
    shown: dict[str, str | int] = {"org": invited.org, "pin": invited.pin, "part": str(part)}
    _report("join-start", **shown)
    config = open_config(home, passphrase_file)
    set_up(config.log_format)
    newcomer = Newcomer(home, passphrase_file, invited.org)
    newcomer.start()
    try:
        nodes.serve(config)
    finally:
        newcomer.stop()


def _check_same(home: Path, bundle: bytes) -> None:
    """This home is on the chain of the invitation. Raises `ConflictError` (X8.other)."""
    if homes.read_file(home / "genesis") != bundle:
        raise ConflictError("X8.other")


def _make_home(
    home: Path,
    invited: Invite,
    passphrase_file: Path | None,
    host: str,
    port: int,
    listen: str | None,
) -> None:
    """Keys and settings; a home that was begun keeps what it has.

    Raises `ConflictError` (X1.exists), `ConfigError` (X1.file), `MalformedError` (X2).
    """
    if not (home / "node.toml").exists():
        signers = {**new_signers(), OBSERVER: signer_from_seed(secrets.token_bytes(32))}
        passphrase = homes.known_passphrase(home, passphrase_file)
        save_home(home, signers, passphrase, host, port)
    config = load_config(home, b"-")
    change: dict[str, object] = {"org": invited.org, "peers": invited.peers}
    if listen is None:
        change["dial_out"] = True
    else:
        at, _colon, number = listen.rpartition(":")
        if not (at and number.isascii() and number.isdigit() and 0 < int(number) <= 65_535):
            raise MalformedError("X2", field="listen")
        change |= {"peer_host": at, "peer_port": int(number), "dial_out": True}
    homes.write_over(home / "node.toml", settings_text(replace(config, **change)))  # type: ignore[arg-type]


def _report(name: str, **facts: str | int) -> None:
    """One step, as a sentence or as a line of JSON."""
    if wants_json():
        typer.echo(json.dumps({"step": name, **facts}, ensure_ascii=False))
    else:
        tell(name, **facts)


class Newcomer:
    """Watches the own node from outside while it joins, says how far it is, and declares it ready
    when it lacks nothing and the committee has decided.
    """

    def __init__(self, home: Path, passphrase_file: Path | None, org: str) -> None:
        self._place = Place(home, None, passphrase_file, "node")
        self._org = org
        self._said: tuple[object, ...] = ()
        self._stopping = threading.Event()
        # A thread of its own speaks the language of the command.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._run), name="join", daemon=True
        )

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """The node has stopped."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                with Session(self._place) as session:
                    if self._look(session):
                        return
            except AllianceError as error:
                # It has not begun to answer, or cannot prove anything yet: looked at again.
                if error.code not in ("busy", "unreachable"):
                    self._say("join-trouble", sentence=error.sentence(language()))

    def _look(self, session: Session) -> bool:
        """One look; whether there is nothing left to do."""
        health = session.client.health()
        behind = health["behind"]
        if health["status"] == "ok":
            members = health["members"]
            n, q = members["n"], members["q"]
            self._say("join-member", org=self._org, epoch=health["epoch"], n=n, q=q)
            return True
        if behind is None:
            self._say("join-waiting", org=self._org)
        elif behind > 0:
            self._say("join-behind", count=behind, height=health["height"])
        else:
            self._decide(session)
        return False

    def _decide(self, session: Session) -> None:
        """Up to date: ready as soon as the committee has decided."""
        pending = pending_of(session)
        mine = session.signer.public_key
        if pending is None or pending.config.index_of(mine) is None:
            self._say("join-current")
        elif self._org not in pending.ready:
            declare(session, pending, "node", self._org)
        else:
            missing = pending.config.q - len(pending.ready)
            self._say("join-ready", epoch=pending.config.epoch, count=max(0, missing))

    def _say(self, name: str, /, **facts: str | int) -> None:
        said = (name, *facts.values())
        if said != self._said:
            self._said = said
            _report(name, **facts)
