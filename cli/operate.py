"""`alliance init`, `alliance node ...`, `alliance export`, `alliance backup`, `alliance restore`:
founding, running, copying a chain.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import home as homes
from cli.doctor import LAST_BACKUP
from cli.exporting import copy_chain
from cli.following import Follower
from cli.founding import Plan, found_alone, parameters_in
from cli.options import (
    DEFAULT_HOME,
    AttributionFile,
    BackfillDays,
    DecisionDays,
    Home,
    Host,
    Json,
    Kind,
    Lang,
    NameEn,
    NameZh,
    Org,
    Origin,
    PassphraseFile,
    Place,
    Port,
    VaultBackup,
    at_place,
)
from cli.screen import code_text, local_time, progress, say, show, tell
from cli.session import Session
from cli.standing import as_value, standing_lines, standing_of
from cli.statements import clock_ms
from ledger.encoding import b64url
from ledger.errors import ConfigError, ConflictError, MalformedError, StorageError
from node.config import DEFAULT_PORT, SETTINGS, Config, is_address, load_config, names_at
from node.keyring import OBSERVER
from node.logs import set_up

LogFormat = Literal["text", "json"]

app = typer.Typer(no_args_is_help=True, help="The node of this home directory.")


def init(
    org: Org,
    name_en: NameEn = "Alliance",
    name_zh: NameZh = "联盟",
    origin: Origin = "chain.example.org/alliance",
    kind: Kind = "hospital",
    backfill_days: BackfillDays = 30,
    decision_days: DecisionDays = 30,
    attribution: AttributionFile = None,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    vault_backup: VaultBackup = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Found a chain of one member: keys, genesis, settings, and a vault with its first copy. Never
    overwrites.
    """
    credit = None if attribution is None else parameters_in(attribution)
    plan = Plan(name_en, name_zh, origin, backfill_days, decision_days, attribution=credit)
    passphrase = homes.known_passphrase(home, passphrase_file)
    block, made = found_alone(home, org, kind, plan, passphrase, host, port, vault_backup)
    pin, chain = b64url(block.tip.seal_leaf), block.tip.config.chain_id
    lines = [
        say("init-made", org=org, home=str(home)),
        say("init-origin", origin=origin),
        say("init-chain", chain=chain),
        say("init-pin", pin=pin),
        *([say("init-passphrase")] if made else []),
        say("init-vault", folder=os.path.normpath(home / load_config(home, b"-").vault_backup)),
        say("init-next", home=str(home)),
    ]
    result = {
        "home": str(home),
        "org": org,
        "origin": origin,
        "chain_id": chain,
        "pin": pin,
        "passphrase_made": made,
    }
    show(result, lines)


def open_config(home: Path, passphrase_file: Path | None) -> Config:
    """The node's configuration with its passphrase. Raises `ConfigError` (O1.*, X1.file)."""
    return load_config(home, homes.known_passphrase(home, passphrase_file))


def org_of(home: Path, passphrase_file: Path | None) -> str:
    """Whose node this home is: a founder's by its key, another one's by its settings; an observer
    may have neither, then it is the home's name.

    Raises `ConfigError` (O1.file, O1.org), `NotFoundError` (X1.key), or what the genesis breaks.
    """
    stated = load_config(home, b"-").org
    if stated:
        return stated
    config = homes.load_genesis(home).tip.config
    if (home / "keys" / f"{OBSERVER}.pem").exists():
        return home.name
    member = config.node_kids.get(homes.load_public(home, "node", passphrase_file).kid)
    if member is None:
        raise ConfigError("O1.org")
    return member.org


@app.command("run")
def run_node(
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    port: Annotated[int | None, typer.Option(help="Instead of the one in node.toml.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write down all that consensus takes in and gives out.")
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="Of events, on the error stream.")
    ] = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Run the node until it is stopped; what was taken in is finished first."""
    config = open_config(home, passphrase_file)
    if port is not None:
        config = replace(config, port=port)
    if record is not None:
        config = replace(config, record=str(record.absolute()))
    set_up(log_format or config.log_format)
    said = {"org": org_of(home, passphrase_file), "url": homes.url_of(config)}
    _serve(config, lambda: tell("node-start", **said))


def _serve(config: Config, started: Callable[[], None] = lambda: None) -> None:
    # What answers over HTTP takes as long to load as all the rest: who only asks does without it.
    from node.main import serve

    serve(config, started)


def serve_followed(home: Path, passphrase_file: Path | None, follower: Follower) -> None:
    """Run the node of a home directory until it is stopped, and watch it meanwhile."""
    config = open_config(home, passphrase_file)
    set_up(config.log_format)
    try:
        # Not before: on a port in use, another node would answer it.
        _serve(config, follower.start)
    finally:
        follower.stop()


@app.command("rebuild")
def rebuild_node(
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Make every index of the database again from its blocks; the node must not run."""
    from node.main import rebuild  # late, as for `_serve`

    config = open_config(home, passphrase_file)
    blocks = 0
    with progress("rebuilding", None) as advance:
        for _height in rebuild(config):
            blocks += 1
            advance(1)
    show({"blocks": blocks}, [say("rebuilt", blocks=blocks)])


def backup(
    file: Annotated[Path, typer.Argument(help="New file for the copy.")],
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Copy the node's database into a file, consistently, while the node runs or not."""
    from node.store import copying  # late, as for `_serve`

    config = open_config(home, passphrase_file)
    with progress("backing-up", None) as advance:
        copied = copying.back_up(config.database_file, file, _pages(advance))
    result = _copied(file, copied.height, copied.size)
    made = {**result, "file": str(file.absolute()), "time_ms": clock_ms()}
    homes.write_over(home / LAST_BACKUP, json.dumps(made).encode())
    show(result, [say("backed-up", **result)])


def restore(
    file: Annotated[Path | None, typer.Argument(help="A copy that `alliance backup` made.")] = None,
    no_copy: Annotated[
        bool, typer.Option("--no-copy", help="There is none: the node begins with nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Put a copy in the place of a lost database. Never overwrites; the node must not run."""
    from node.store import copying  # late, as for `_serve`

    if (file is None) != no_copy:
        raise MalformedError("X2", field="FILE")
    config = open_config(home, passphrase_file)
    org, founders = org_of(home, passphrase_file), homes.load_genesis(home).tip.config.members
    alone = [founder.org for founder in founders] == [org]
    result = _copied("", 0, 0)
    if file is None:
        _begin_anew(config, org if alone else "")
        lines = [say("restored-nothing", org=org)]
    else:
        bundle = config.genesis_file.read_bytes()
        with progress("backing-up", None) as advance:
            copied = copying.restore(file, config.database_file, bundle, _pages(advance))
        alone = alone and not copied.epoch
        result = _copied(file, copied.height, copied.size)
        lines = [say("restored", org=org, **result)]
    lines.append(say("restored-alone" if alone else "restored-doubt"))
    show({**result, "org": org, "in_doubt": not alone}, lines)


def _copied(file: Path | str, height: int, size: int) -> dict[str, str | int]:
    return {"file": str(file), "height": height, "size": size}


def _begin_anew(config: Config, alone: str) -> None:
    """The next database is one in doubt. Raises `ConflictError` (X1.exists) where there is one, or
    `StorageError` (O2.lost) for who decided alone.
    """
    if config.database_file.exists():
        raise ConflictError("X1.exists", file=config.database_file.name)
    if alone:
        raise StorageError("O2.lost", org=alone)
    if not config.spoken_file.exists():
        homes.write_new(config.spoken_file, b"", 0o600)


def _pages(advance: Callable[[int], None]) -> Callable[[int, int], None]:
    """Progress from how much is done in all."""
    before = 0

    def report(done: int, _all: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return report


def node_status(place: Place) -> None:
    """Say how far the node is, what it holds, who is silent, and what is tolerated now."""
    with Session(place) as session:
        health, summary = session.client.health(), session.client.summary()
    when, now_ms = local_time(summary["time_ms"]), clock_ms()
    lines = [
        say("status", height=summary["height"], size=summary["size"], time=when),
        say("status-node", status=code_text(health["status"]), pending=health["pending"]),
        *standing_lines(health, now_ms),
        *(say("status-type", type=kind, count=n) for kind, n in summary["types"].items()),
    ]
    standing = as_value(standing_of(health, now_ms))
    show({**summary, "node": health, "standing": standing}, lines)


@app.command("peers")
def peers(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ORG=URL[#PIN]...", help="Where members listen.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where this node listens for them.")
    ] = None,
    dial_out: Annotated[
        bool | None,
        typer.Option("--dial-out/--no-dial-out", help="The others cannot reach this node."),
    ] = None,
    home: Home = DEFAULT_HOME,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Show, or change, where the other members are; acts when the node starts again."""
    config = load_config(home, b"-")
    change: dict[str, object] = {}
    if addresses:
        change["peers"] = {**config.peers, **dict(map(_address, addresses))}
    if listen is not None:
        host, _colon, port = listen.rpartition(":")
        if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
            raise MalformedError("X2", field="listen")
        change |= {"peer_host": host, "peer_port": int(port)}
        change["names"] = config.names or names_at(host, int(port))
    if dial_out is not None:
        change["dial_out"] = dial_out
    if change:
        homes.write_over(home / "node.toml", settings_text(replace(config, **change)))  # type: ignore[arg-type]
        config = load_config(home, b"-")
    listening = f"{config.peer_host}:{config.peer_port}" if config.peer_host else ""
    shown = {
        "dial_out": config.dial_out,
        "listen": listening or None,
        "peers": dict(sorted(config.peers.items())),
    }
    lines = [
        say("peers-listen", address=listening or "-"),
        *([say("peers-dial-out")] if config.dial_out else []),
        *(f"  {org}  {url}" for org, url in sorted(config.peers.items())),
    ]
    show(shown, lines)


def _address(text: str) -> tuple[str, str]:
    org, sign, url = text.partition("=")
    url = url.rstrip("/")
    if not (org and sign and is_address(url)):
        raise MalformedError("X2", field="peers")
    return org, url


def settings_text(config: Config) -> bytes:
    """The node.toml of a configuration: what differs from the defaults."""
    lines, tables = [], []
    plain = Config(home=config.home)
    for name in sorted(SETTINGS):
        value = getattr(config, name)
        if name == "peers":
            pairs = [f"{json.dumps(org)} = {json.dumps(url)}" for org, url in sorted(value.items())]
            tables = ["", "[peers]", *pairs] if pairs else []
        elif value != getattr(plain, name) or name in ("host", "port"):
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables, ""]).encode()


def export(
    place: Place, folder: Annotated[Path, typer.Argument(help="New folder for the copy.")]
) -> None:
    """Copy the chain into files that anybody can check offline (C2SP tlog-tiles)."""
    with Session(place) as session:
        copied = copy_chain(session, folder)
    line = say("exported", size=copied.size, folder=str(folder), files=copied.files)
    show(
        {"folder": str(folder), "size": copied.size, "files": copied.files, "root": copied.root},
        [line],
    )


app.command("status")(at_place(node_status))
