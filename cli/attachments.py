"""`alliance vault attach` and `alliance vault fetch`: large files that go with a payload, piece by
piece (SPEC 14.7). Both go on where they were interrupted.
"""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from cli.fingerprints import Fingerprint, fingerprint
from cli.home import write_over
from cli.options import Place
from cli.screen import progress, say, show
from cli.session import Session
from ledger.encoding import b64url
from ledger.errors import (
    BusyError,
    ConfigError,
    ErasedError,
    MalformedError,
    NotFoundError,
    ProofError,
)
from ledger.records.envelope import ENCODE
from ledger.records.payloads import ATTACHED, CHUNK_BYTES, Attachment, attachment_of, encode_payload

if TYPE_CHECKING:
    from hashlib import _Hash

WAIT_S: Final = 600.0
"""How long `fetch` waits while its node brings the attachment from another holder and gets no
further.
"""
PAUSE_S: Final = 1.0


def attach(
    place: Place,
    file: Annotated[Path, typer.Argument(help="The file.")],
    tier: Annotated[str, typer.Option(help="T1 (all members) or T2 (named holders).")] = "T2",
    schema: Annotated[str, typer.Option(help="What it is, as a code.")] = "attachment/1",
    person: Annotated[str, typer.Option(help="It is about this pid.")] = "",
    study: Annotated[str, typer.Option(help="It belongs to this study.")] = "",
    holder: Annotated[
        list[str] | None, typer.Option(help="An organisation that is to hold it, too.")
    ] = None,
    media: Annotated[str, typer.Option(help="Its media type.")] = "",
) -> None:
    """Hand a large file in to the vault; the same again goes on where it stopped. A record names it
    with `--attachment COMMITMENT`.
    """
    if tier not in ("T1", "T2") or (person and study):
        raise MalformedError("X2", field="study" if person and study else "tier")
    group = f"person:{person}" if person else f"study:{study}" if study else ""
    with Session(place) as session:
        found = fingerprint(file)
        described = {"bytes": found.size, "name": found.file, "sha256": b64url(found.digest)}
        if media:
            described["media"] = media
        others = tuple(sorted({session.author.org, *holder})) if holder else ()
        asked = ENCODE([described, tier, schema, group, others, str(file.resolve())])
        note = place.home / "uploads" / b64url(sha256(asked).digest())
        commit = _begun(session, note)
        if commit is None:
            value: dict[str, object] = {ATTACHED: described}
            commit = session.deposit(
                value,
                "T1" if tier == "T1" else "T2",
                schema,
                holders=others,
                group=group,
            ).commit
            write_over(note, commit.encode())
        _upload(session, commit, file, found)
        named = session.client.attachment(commit).payload
        note.unlink(missing_ok=True)
    lines = [say("attached", file=found.file, bytes=found.size, commit=commit)]
    show({"attachment": described, "payload": msgspec.to_builtins(named)}, lines)


def _begun(session: Session, note: Path) -> str | None:
    """The payload of an upload of this very file that was interrupted, if the node still has it."""
    try:
        commit = note.read_text("ascii").strip()
        session.client.attachment(commit)
    except (OSError, UnicodeDecodeError, ErasedError, NotFoundError):
        return None
    return commit


def _upload(session: Session, commit: str, file: Path, found: Fingerprint) -> None:
    """The pieces that the node lacks."""
    have = session.client.attachment(commit).have
    count = -(-found.size // CHUNK_BYTES)
    with progress("uploading", count, file=found.file) as advance:
        advance(have)
        for number, piece in enumerate(_pieces(file, have), have):
            session.client.put_chunk(commit, number, piece)
            advance(1)


def _pieces(file: Path, first: int) -> Iterator[bytes]:
    """The pieces of a file from a number on. Raises `ConfigError` (X1.file)."""
    try:
        with file.open("rb") as opened:
            opened.seek(first * CHUNK_BYTES)
            while piece := opened.read(CHUNK_BYTES):
                yield piece
    except OSError:
        raise ConfigError("X1.file", file=file.name) from None


def fetch(
    place: Place,
    commit: Annotated[str, typer.Argument(metavar="COMMITMENT", help="As its record names it.")],
    file: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")],
    purpose: Annotated[str, typer.Option(help="What it is read for, as a code.")] = "",
    permit: Annotated[str, typer.Option(help="The permit that it is read under.")] = "",
) -> None:
    """Bring an attachment into a file, checked against its payload; the same again goes on where it
    stopped. The reading of a restricted one is put on the chain before.
    """
    if file.exists():
        raise ConfigError("X1.exists", file=file.name)
    with Session(place) as session:
        value = session.payload(commit, purpose, permit)
        named = attachment_of(encode_payload(value))
        if named is None:
            raise NotFoundError("T15", commit=commit)
        _download(session, commit, named, file, (purpose, permit))
    show(
        {"commit": commit, "file": str(file), "bytes": named.bytes, "sha256": named.sha256},
        [say("fetched", file=str(file), bytes=named.bytes)],
    )


def _download(
    session: Session, commit: str, named: Attachment, file: Path, why: tuple[str, str]
) -> None:
    """Raises `ProofError` (T12), `ConfigError` (X1.file)."""
    part = file.with_name(file.name + ".part")
    try:
        running, first = _resumed(part)
        with (
            part.open("ab") as opened,
            progress("fetching", named.chunks, file=file.name) as advance,
        ):
            part.chmod(0o600)
            advance(first)
            for number in range(first, named.chunks):
                piece = _piece(session, commit, number, why)
                running.update(piece)
                opened.write(piece)
                advance(1)
        if b64url(running.digest()) != named.sha256 or part.stat().st_size != named.bytes:
            part.unlink()
            raise ProofError("T12", commit=commit)
        part.rename(file)
    except OSError:
        raise ConfigError("X1.file", file=file.name) from None


def _resumed(part: Path) -> "tuple[_Hash, int]":
    """The hash over the whole pieces that an interrupted download left, and how many they are."""
    running, count = sha256(), 0
    if part.exists():
        with part.open("r+b") as opened:
            while len(piece := opened.read(CHUNK_BYTES)) == CHUNK_BYTES:
                running.update(piece)
                count += 1
            opened.truncate(count * CHUNK_BYTES)
    return running, count


def _piece(session: Session, commit: str, number: int, why: tuple[str, str]) -> bytes:
    """A piece, when the node has all of them. Raises `BusyError` (T13) when it gets no further."""
    seen, until_s = -1, 0.0
    while True:
        try:
            return session.client.chunk(commit, number, *why)
        except BusyError as error:
            have = error.facts.get("have")
            if error.rule != "T13" or not isinstance(have, int):
                raise
            if have > seen:
                seen, until_s = have, time.monotonic() + WAIT_S
            if time.monotonic() >= until_s:
                raise
            time.sleep(PAUSE_S)
