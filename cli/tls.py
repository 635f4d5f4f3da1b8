"""`alliance tls ...`: the certificate of this home's node, and how it is renewed (SPEC 13.7).

    renew   makes the next certificate, and says so on the chain: both are good from then on
    renew   again, once the others have read that: the next one is shown, and the old one ends

Nothing stops in between: a running node shows what its file holds at the next connection.
"""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import typer

from cli import home as homes
from cli.founding import hosts_of
from cli.options import DEFAULT_HOME, Home, Json, Lang, Place, signing
from cli.records import write
from cli.screen import local_time, say, show
from cli.session import Session
from cli.statements import clock_ms
from ledger.errors import ConfigError
from ledger.rules.values import EndpointState
from node.config import OWN_TLS, Config, is_loopback, load_config, names_at, speaks_tls
from node.tls import NEXT_TLS, Shown, new_certificate, own_pins, shown_by, take_over

VALID_DAYS: Final = 30

app = typer.Typer(no_args_is_help=True, help="The TLS certificate of this home's node.")


def pins_of(home: Path) -> frozenset[str]:
    """The pins of a home's certificates; none where a reverse proxy shows its own, or there is no
    node. Raises `ConfigError` (O1.*).
    """
    if not (home / "node.toml").is_file():
        return frozenset()
    config = load_config(home, b"-")
    return frozenset() if config.proxies and not config.tls_key else own_pins(config)


def address_of(config: Config) -> str | None:
    """Where other members reach this node, with the pin of its certificate; None where they cannot.
    Raises `ConfigError` (O1.file, O1.tls).
    """
    if not config.peer_host:
        return None
    host = f"[{config.peer_host}]" if ":" in config.peer_host else config.peer_host
    if not speaks_tls(config, config.peer_host):
        return f"http://{host}:{config.peer_port}"
    pin = shown_by(_file(config)).pin
    return f"https://{host}:{config.peer_port}#{pin}"


def _file(config: Config) -> Path:
    """The file of the certificate that the node shows."""
    if config.tls_certificate:
        return config.home / config.tls_certificate
    return config.key_dir / OWN_TLS


@app.command("show")
def show_certificates(home: Home = DEFAULT_HOME, _lang: Lang = None, _json: Json = False) -> None:
    """By what others know this node: its pin, the next one, and where they reach it."""
    config = load_config(home, b"-")
    found = {"shown": shown_by(_file(config))}
    if not config.tls_certificate and (config.key_dir / NEXT_TLS).exists():
        found["next"] = shown_by(config.key_dir / NEXT_TLS)
    address = address_of(config)
    result: dict[str, object] = {"address": address}
    for use, one in found.items():
        result[use] = {"pin": one.pin, "until_s": one.until_s}
    lines = [say(f"tls-{use}", **_facts(one)) for use, one in found.items()]
    show(result, [*lines, say("tls-address", address=address or "-")])


def _facts(shown: Shown) -> dict[str, str]:
    return {"pin": shown.pin, "until": local_time(shown.until_s * 1000)}


def renew(place: Place) -> None:
    """Renew the certificate without downtime: run it twice, with time for the others in between."""
    config = load_config(place.home, homes.known_passphrase(place.home, place.passphrase_file))
    if config.tls_certificate:
        raise ConfigError("X12.given")
    path, following = config.key_dir / OWN_TLS, config.key_dir / NEXT_TLS
    if not path.exists():
        made = _make(place, config, path)
        show(
            {"step": "made", "pin": made.pin},
            [say("tls-shown", **_facts(made)), say("tls-restart")],
        )
        return
    old = shown_by(path)
    new = shown_by(following) if following.exists() else _make(place, config, following)
    with Session(place) as session:
        state = session.state(EndpointState, "endpoint", session.author.org)
        urls = state.urls if state else _urls(config)
        if state is None or new.pin not in state.tls_pins:
            _declare(session, urls, old.pin, new.pin)
            step = "begun"
        else:
            take_over(config)
            _declare(session, urls, new.pin)
            step = "done"
    result = {"step": step, "old": old.pin, "new": new.pin, "until_s": new.until_s}
    show(result, [say(f"tls-{step}", old=old.pin, new=new.pin)])


def _make(place: Place, config: Config, path: Path) -> Shown:
    """Raises `ConfigError` (X1.file, X1.passphrase)."""
    passphrase = config.passphrase or homes.new_passphrase(place.home, place.passphrase_file)
    addresses = [config.host, config.peer_host, *map(_host_of, config.names)]
    hosts = hosts_of(*(address for address in addresses if address))
    return new_certificate(path, hosts, passphrase, clock_ms() // 1000)


def _host_of(name: str) -> str:
    return urlsplit(f"//{name}").hostname or ""


def _urls(config: Config) -> tuple[str, ...]:
    """Where this node says that it is, where the chain does not say it yet."""
    address = address_of(config)
    if address is None or is_loopback(config.peer_host):
        return ()
    names_at(config.peer_host, config.peer_port)
    return (address.partition("#")[0],)


def _declare(session: Session, urls: tuple[str, ...], *pins: str) -> None:
    fields = {"org": session.author.org, "tls_pins": pins, "urls": urls or None}
    write(session, "endpoint", fields, valid_days=VALID_DAYS)


app.command("renew")(signing("officer")(renew))
