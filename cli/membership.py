"""`alliance admit`, `alliance config ...`, `alliance ready`, `alliance leave`, `alliance endpoint`,
`alliance node rotate`: who runs the next epoch, and with which keys.

Each proposes the complete configuration of the next epoch (`config` record, signed by an officer);
the committee endorses it (`alliance endorse`); each node that it lists declares itself ready. With
the last word that is needed the epoch begins.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from cli import home as homes
from cli.founding import NODE_KEYS
from cli.handover import read_part
from cli.operate import settings_text
from cli.options import Place, at_place, signing
from cli.records import Resolution, ValidDays, report, resolution_ref, write
from cli.screen import say, show
from cli.session import Recorded, Session
from cli.statements import Author, clock_ms, make_body, make_record, new_id, sign
from cli.tls import pins_of
from ledger.crypto import signer_from_seed
from ledger.encoding import b64url, unb64url
from ledger.errors import BusyError, ConfigError, ConflictError, NotFoundError
from ledger.members import EpochConfig, Member, check_config, default_quorum
from ledger.records.epochs import ReadyBody
from ledger.rules import RULES_VERSION
from ledger.rules.values import ConfigState
from node.config import load_config
from node.keyring import NEXT

app = typer.Typer(no_args_is_help=True, help="Who runs nodes: the configuration of the next epoch.")
Quorum = Annotated[
    int | None, typer.Option("--quorum", min=1, help="q of the next epoch; default: two thirds.")
]
OrgName = Annotated[str, typer.Argument(help="Code of the organisation.")]
PartFile = Annotated[Path, typer.Argument(metavar="PART", help="What `alliance join` made.")]
SETS: Final = ("", NEXT)


# --- what is so ---


def config_in_force(session: Session) -> EpochConfig:
    """The configuration that the next block belongs to, proven."""
    _value, head, _answer = session.proven_state("config", "next")
    config = head.configs[-1]
    activated = session.state(ConfigState, "config", str(config.epoch + 1))
    return activated.config if activated else config


def pending_of(session: Session) -> ConfigState | None:
    """The configuration that the committee decided on and whose epoch has not begun."""
    newest = session.state(ConfigState, "config", "next")
    in_force = config_in_force(session)
    return newest if newest and newest.config.epoch == in_force.epoch + 1 else None


def waiting_for(current: EpochConfig, pending: ConfigState) -> tuple[list[str], int]:
    """Which members must still declare themselves, because their keys are new; and how many of
    the others besides.
    """
    known = {member.node_pk for member in current.members}
    new = [m.org for m in pending.config.members if m.node_pk not in known]
    missing = [org for org in new if org not in pending.ready]
    return missing, max(0, pending.config.q - len(pending.ready) - len(missing))


def config_lines(config: EpochConfig) -> list[str]:
    """A configuration as people read it."""
    orgs = ", ".join(member.org for member in config.members)
    return [
        say("config-members", epoch=config.epoch, orgs=orgs),
        say("audit-members", n=config.n, q=config.q, offline=config.offline, lying=config.lying),
    ]


def show_config(place: Place) -> None:
    """Show the configuration in force, the pending one, and who must still declare readiness."""
    with Session(place) as session:
        current, pending = config_in_force(session), pending_of(session)
    lines = [say("config-current"), *config_lines(current)]
    result: dict[str, object] = {"current": msgspec.to_builtins(current), "pending": None}
    if pending is None:
        lines.append(say("config-none-pending"))
    else:
        new, count = waiting_for(current, pending)
        lines += [say("config-pending"), *config_lines(pending.config)]
        lines.append(say("config-ready", orgs=", ".join(pending.ready) or "-"))
        lines.append(say("config-missing", orgs=", ".join(new) or "-", count=count))
        result["pending"] = {**msgspec.to_builtins(pending), "must": new, "besides": count}
    show(result, lines)


# --- proposals ---


def next_config(current: EpochConfig, members: Sequence[Member], quorum: int | None) -> EpochConfig:
    """The configuration after this one. Raises `MalformedError` (R30 to R36)."""
    following = msgspec.structs.replace(
        current,
        epoch=current.epoch + 1,
        members=tuple(sorted(members, key=lambda member: unb64url(member.node_pk, 32))),
        q=default_quorum(len(members)) if quorum is None else quorum,
    )
    check_config(following)
    return following


def propose(
    session: Session, following: EpochConfig, valid_days: int, further: Sequence[str] = ()
) -> None:
    """Record the proposal, and say what it would mean."""
    replaced = pending_of(session)
    recorded = write(
        session, "config", {"config": msgspec.to_builtins(following)}, valid_days=valid_days
    )
    lines = config_lines(following)
    if replaced is not None:
        lines.append(say("config-replaces", epoch=following.epoch))
    report(session, recorded, [*lines, say("config-next", leaf=recorded.leaf), *further])


def admit(
    place: Place, file: PartFile, resolution: Resolution = None, valid_days: ValidDays = 30
) -> None:
    """Admit the institution of a part to the alliance, with its keys."""
    with Session(place) as session:
        part = read_part(file, session.genesis.tip.chain)
        fields = {
            "action": "admit",
            "keys": [msgspec.to_builtins(key) for key in part.keys],
            "kind": part.kind,
            "org": part.org,
        }
        refs = resolution_ref(session, resolution)
        report(session, write(session, "member", fields, refs=refs, valid_days=valid_days))


def add(place: Place, file: PartFile, quorum: Quorum = None, valid_days: ValidDays = 30) -> None:
    """Propose that the node of a part votes from the next epoch on."""
    with Session(place) as session:
        part = read_part(file, session.genesis.tip.chain)
        current = config_in_force(session)
        if any(member.org == part.org for member in current.members):
            raise ConflictError("X8.member", org=part.org)
        propose(session, next_config(current, [*current.members, part.member], quorum), valid_days)


def remove(place: Place, org: OrgName, quorum: Quorum = None, valid_days: ValidDays = 30) -> None:
    """Propose that an organisation's node votes no more; its records stay."""
    with Session(place) as session:
        current = config_in_force(session)
        left = [member for member in current.members if member.org != org]
        if len(left) == current.n:
            raise NotFoundError("X8.absent", org=org)
        propose(session, next_config(current, left, quorum), valid_days)


def set_quorum(
    place: Place,
    quorum: Annotated[int, typer.Argument(min=1, help="q of the next epoch.")],
    valid_days: ValidDays = 30,
) -> None:
    """Propose another quorum for the same members."""
    with Session(place) as session:
        current = config_in_force(session)
        propose(session, next_config(current, current.members, quorum), valid_days)


def leave(place: Place, quorum: Quorum = None, valid_days: ValidDays = 30) -> None:
    """Propose that this organisation's own node votes no more."""
    with Session(place) as session:
        org = session.author.org
    remove(place, org, quorum, valid_days)


def rotate(place: Place, valid_days: ValidDays = 30) -> None:
    """Make new node, log and cosigner keys, and propose them for the next epoch."""
    home = place.home
    with Session(place) as session:
        org, current = session.author.org, config_in_force(session)
        mine = next((member for member in current.members if member.org == org), None)
        if mine is None:
            raise NotFoundError("X8.absent", org=org)
        parts = _next_keys(home, place.passphrase_file)
        config = load_config(home, b"-")
        if config.org != org:
            # A later key is not in the genesis: without a database the settings say whose it is.
            homes.write_over(home / "node.toml", settings_text(replace(config, org=org)))
        changed = msgspec.structs.replace(
            mine, cosigner_pk=parts["cosigner"], log_pk=parts["log"], node_pk=parts["node"]
        )
        members = [changed if member.org == org else member for member in current.members]
        following = next_config(current, members, current.q)
        propose(session, following, valid_days, [say("rotate-next")])


def _next_keys(home: Path, passphrase_file: Path | None) -> dict[str, str]:
    """The public next keys of a home, made where they are missing."""
    passphrase = homes.new_passphrase(home, passphrase_file)
    parts = {}
    for role in NODE_KEYS:
        name = NEXT + role
        if not (home / "keys" / f"{name}.pem").exists():
            homes.save_signer(home, name, signer_from_seed(secrets.token_bytes(32)), passphrase)
        parts[role] = homes.load_public(home, name, passphrase_file).public_key
    return parts


def endpoint(
    place: Place,
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="URL...", help="None: it cannot be reached.")
    ] = None,
    pin: Annotated[
        list[str] | None,
        typer.Option("--pin", help="Of a certificate there; default over https: this home's own."),
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Tell all members where this organisation's node listens, and by which certificate they know
    it; acts at once.
    """
    if not pin and any(url.startswith("https:") for url in urls or ()):
        pin = sorted(pins_of(place.home))
    with Session(place) as session:
        fields = {"org": session.author.org, "tls_pins": pin or None, "urls": urls or None}
        report(session, write(session, "endpoint", fields, valid_days=valid_days))


# --- readiness ---


def ready(place: Place) -> None:
    """Declare that this node has caught up and can work in the next epoch."""
    home = place.home
    with Session(place._replace(key="node")) as session:
        current, pending = config_in_force(session), pending_of(session)
        if pending is None:
            raise NotFoundError("X8.pending")
        name, member = _listed_key(home, place.passphrase_file, pending.config)
        health = session.client.health()
        if homes.load_public(home, name, place.passphrase_file).kid not in health["node_keys"]:
            raise ConfigError("X8.restart")
        if health["behind"] != 0:
            raise BusyError("X8.behind", count=health["behind"] or 0)
        if member.org in pending.ready:
            new, count = waiting_for(current, pending)
            facts: dict[str, str | int] = {
                "epoch": pending.config.epoch,
                "orgs": ", ".join(new) or "-",
                "count": count,
            }
            show({"epoch": facts["epoch"], "declared": False}, [say("ready-already", **facts)])
            return
        report(session, declare(session, pending, name, member.org))


def _listed_key(
    home: Path, passphrase_file: Path | None, config: EpochConfig
) -> tuple[str, Member]:
    """Which key of this home a configuration lists. Raises `NotFoundError` (X8.unlisted)."""
    for prefix in SETS:
        if (home / "keys" / f"{prefix}node.pem").exists():
            kid = homes.load_public(home, f"{prefix}node", passphrase_file).kid
            if kid in config.node_kids:
                return f"{prefix}node", config.node_kids[kid]
    raise NotFoundError("X8.unlisted", epoch=config.epoch)


def declare(session: Session, pending: ConfigState, name: str, org: str) -> Recorded:
    """Post the word of the node key `name` that it is ready for the pending configuration."""
    place = session.place
    signer = homes.load_signer(place.home, name, place.passphrase_file)
    body = make_body(
        ReadyBody,
        {
            "config_hash": b64url(pending.config.config_hash),
            "rules_versions": (RULES_VERSION,),
        },
    )
    author = Author(signer, org, session.genesis.tip.chain)
    now = clock_ms()
    record = make_record("ready", body, chain=author.chain, at_ms=now, record_id=new_id(now))
    return session.post(sign(author, record))


app.command("show")(at_place(show_config))
app.command("add")(signing("officer")(add))
app.command("remove")(signing("officer")(remove))
app.command("quorum")(signing("officer")(set_quorum))
