"""`alliance erase` and `alliance vault ...`: what is forgotten, who has answered, copies, keys."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.attachments import attach, fetch
from cli.options import DEFAULT_HOME, TAKES_ID, Home, Json, Lang, Place, at_place
from cli.screen import local_time, say, show
from cli.session import Session
from ledger.encoding import decode_time
from ledger.errors import ConfigError, MalformedError
from node.config import load_config
from node.vault import open_vault
from node.vaultcopies import restore_vault
from node.vaultkeys import VaultKeys, keys_in_file, load_keys, save_keys

app = typer.Typer(no_args_is_help=True, help="The vault of this node: payloads beside the chain.")
KEY_BYTES = 32


def erase(
    place: Place,
    commits: Annotated[
        list[str] | None, typer.Argument(metavar="COMMITMENT...", help="Single payloads.")
    ] = None,
    person: Annotated[str, typer.Option(help="All payloads about this pid.")] = "",
    study: Annotated[str, typer.Option(help="All payloads of this study.")] = "",
    ground: Annotated[str, typer.Option(help="Why, as a code: REQUEST, EXPIRY, ...")] = "REQUEST",
) -> None:
    """Destroy payloads, their salts and keys, here and at every other holder, and say so on the
    chain.
    """
    if bool(person) and bool(study):
        raise MalformedError("X2", field="study")
    group = f"person:{person}" if person else f"study:{study}" if study else ""
    with Session(place) as session:
        erased = session.client.erase(commits or [], group, ground)
    show({"erased": erased}, [say("erased", count=len(erased)), *(f"  {one}" for one in erased)])


def read(
    place: Place,
    commit: Annotated[str, typer.Argument(metavar="COMMITMENT", help="As its record names it.")],
    purpose: Annotated[str, typer.Option(help="What it is read for, as a code.")] = "",
    permit: Annotated[str, typer.Option(help="The permit that it is read under.")] = "",
) -> None:
    """Show a payload that the node releases; the reading of a restricted one is put on the chain
    before.
    """
    with Session(place) as session:
        value = session.payload(commit, purpose, permit)
    show(value, [json.dumps(value, ensure_ascii=False, indent=2)])


def status(place: Place) -> None:
    """What the vault holds and misses, and which holders have not answered an erasure yet."""
    with Session(place) as session:
        found = session.client.vault()
    show(found, status_lines(found))


def status_lines(found: dict[str, Any]) -> list[str]:
    """The same as `GET /api/v1/vault` in words."""
    lines = [say("vault-counts", **found["counts"], missing=len(found["missing"]))]
    for item in found["erasures"]:
        waiting = item.get("waiting", [])
        lines.append(
            say(
                "vault-erasure" if waiting else "vault-erasure-done",
                commit=item["commit"],
                ground=item["ground"],
                time=local_time(decode_time(item["at"])),
                orgs=", ".join(waiting),
            )
        )
    return lines


@app.command("backup")
def backup(
    folder: Annotated[Path, typer.Argument(help="Folder for the copy; the newest keys only.")],
    home: Home = DEFAULT_HOME,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Copy the vault, encrypted as it is, while the node runs or not; without the vault's key."""
    vault = open_vault(load_config(home, b"-"))
    try:
        vault.back_up(folder)
        counts = vault.counts()
    finally:
        vault.close()
    show({"counts": counts, "folder": str(folder)}, [say("vault-backed-up", folder=str(folder))])


@app.command("restore")
def restore(
    folder: Annotated[Path, typer.Argument(help="A copy that `alliance vault backup` made.")],
    home: Home = DEFAULT_HOME,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Put a copy in the place of a lost vault; what was erased since is erased before anything is
    served. Never overwrites; the node must not run.
    """
    restore_vault(load_config(home, b"-"), folder)
    show({"folder": str(folder)}, [say("vault-restored", folder=str(folder))])


@app.command("rotate")
def rotate(home: Home = DEFAULT_HOME, _lang: Lang = None, _json: Json = False) -> None:
    """Give the vault a new key, and its declared copy, too; the node must not run. Where the key
    comes from the environment or a command, that gives the new one first and the old one after it.
    Copies of the keys made before are void.
    """
    config = load_config(home, b"-")
    keys = load_keys(config)
    if keys is None:
        raise ConfigError("T6")
    is_own = keys_in_file(config)
    if not is_own and len(keys) < 2:
        raise ConfigError("T17")
    both = keys.with_newest(secrets.token_bytes(KEY_BYTES)) if is_own else keys
    if is_own:
        save_keys(home, both)
    vault = open_vault(config)
    try:
        count = vault.rewrap(both)
        if config.vault_backup:
            vault.back_up(home / config.vault_backup)
    finally:
        vault.close()
    if is_own:
        save_keys(home, VaultKeys(dict([both.newest])))
    show({"groups": count}, [say("vault-rotated" if is_own else "vault-rewrapped", count=count)])


app.command("status")(at_place(status))
app.command("attach")(at_place(attach))
app.command("fetch", context_settings=TAKES_ID)(at_place(fetch))
app.command("read", context_settings=TAKES_ID)(at_place(read))
