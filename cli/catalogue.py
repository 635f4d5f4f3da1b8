"""Commands on data: fingerprints, datasets and versions, and reading a file on the record."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

import typer

from cli.fingerprints import (
    PIECE,
    Fingerprint,
    content_digest,
    fingerprint,
    fingerprints,
    manifest_digest,
)
from cli.options import Json, Lang, Place, signing
from cli.outbox import Outbox
from cli.records import (
    Resolution,
    ValidDays,
    access,
    dataset,
    report,
    resolution_ref,
    version,
    write,
)
from cli.screen import say, show, tell, wants_json
from cli.session import Recorded, Session
from cli.studies import Title, texts
from ledger.encoding import b64url
from ledger.errors import AllianceError, ConfigError, ConflictError, MalformedError
from ledger.records.use import Source

Resume = Annotated[
    Path | None,
    typer.Option(help="Keep here which files were read; after an interruption, go on with it."),
]


@dataset.command("fingerprint")
def fingerprint_files(
    files: Annotated[list[Path], typer.Argument(help="Files and directories.")],
    resume: Resume = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Print the SHA-256 of files, as `sha256sum` does, and the digest of all together; of a
    directory all files in it.
    """
    prints = fingerprints(files, resume)
    digest, scope = content_digest(prints)
    lines = [
        say("fingerprint", digest=item.digest.hex(), file=item.file, size=item.size)
        for item in prints
    ]
    if len(prints) > 1:
        all_hex = manifest_digest(prints).hex()
        lines.append(say("fingerprint-all", digest=all_hex, count=len(prints)))
    result = {
        "files": [
            {"file": item.file, "sha256": item.digest.hex(), "size": item.size} for item in prints
        ],
        "content_digest": digest,
        "digest_scope": scope,
    }
    show(result, lines)


# --- datasets and versions ---

_PAIR = re.compile(r"\A([^=]{1,64})=([^=]{1,256})\Z")


def read_pairs(given: Sequence[str], field: str) -> list[tuple[str, str]]:
    """`A=B` options. Raises `MalformedError` (X2)."""
    found = [_PAIR.match(text) for text in given]
    pairs = [(match[1], match[2]) for match in found if match]
    if len(pairs) != len(given):
        raise MalformedError("X2", field=field)
    return pairs


def register_dataset(
    place: Place,
    series: Annotated[str, typer.Argument(help="Id of the series.")],
    openness: Annotated[str, typer.Option(help="unconditional, conditional or closed.")],
    alias: Annotated[list[str] | None, typer.Option(help="NAMESPACE=NAME.")] = None,
    catalogue_class: Annotated[str | None, typer.Option(help="Class in the catalogue.")] = None,
    reg_no: Annotated[str | None, typer.Option(help="Registration as a public resource.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Register a data resource of this organisation."""
    aliases = [
        {"namespace": namespace, "name": name}
        for namespace, name in read_pairs(alias or (), "alias")
    ]
    with Session(place) as session:
        fields = {
            "aliases": aliases,
            "catalogue_class": catalogue_class,
            "custodian": session.author.org,
            "openness": openness,
            "public_resource_reg_no": reg_no,
            "series_id": series,
        }
        report(session, write(session, "dataset", fields, valid_days=valid_days))


def read_terms(given: Sequence[str]) -> list[dict[str, object]]:
    """`CODE` or `CODE=P1,P2` options as use terms. Raises `MalformedError` (X2) by the schema."""
    terms: list[dict[str, object]] = []
    for text in given:
        code, _equals, params = text.partition("=")
        terms.append({"code": code, "params": params.split(",") if params else []})
    return terms


def register_version(
    place: Place,
    series: Annotated[str, typer.Argument(help="Id of the series.")],
    name: Annotated[str, typer.Argument(help="Name of the version.")],
    files: Annotated[list[Path] | None, typer.Argument(help="The files; or give --digest.")] = None,
    digest: Annotated[str | None, typer.Option(help="Content digest, base64url.")] = None,
    scope: Annotated[str, typer.Option(help="Of --digest: files, manifest or query.")] = "files",
    identifiability: Annotated[str, typer.Option(help="identified, deid or anon.")] = "deid",
    class_level: Annotated[str, typer.Option(help="core, important or general.")] = "general",
    level: Annotated[int, typer.Option(min=1, max=5, help="GB/T 39725 level.")] = 3,
    records: Annotated[int, typer.Option(min=0, help="Number of records, roughly.")] = 0,
    hgr: Annotated[bool, typer.Option("--hgr", help="Holds human genetic resources.")] = False,
    hgr_no: Annotated[str | None, typer.Option(help="Approval for these.")] = None,
    deid_method: Annotated[str | None, typer.Option(help="Code of the method.")] = None,
    standard: Annotated[str | None, typer.Option(help="Data standard.")] = None,
    coverage: Annotated[str | None, typer.Option(help="FROM=TO, two dates.")] = None,
    term: Annotated[list[str] | None, typer.Option(help="Use term, CODE or CODE=P1,P2.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Leaf hash of a source version.")] = None,
    resume: Resume = None,
    title: Title = None,
    acknowledgement: Annotated[
        str | None, typer.Option(help="How to acknowledge it; kept in the vault.")
    ] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite it; vault.")] = None,
    resolution: Resolution = None,
    valid_days: ValidDays = 30,
) -> None:
    """Register a version of a data resource, bound to the content of files."""
    if (digest is None) == (not files):
        raise MalformedError("X2", field="digest")
    if files:
        digest, scope = content_digest(fingerprints(files, resume))
    period = read_pairs([coverage], "coverage")[0] if coverage else None
    with Session(place) as session:
        fields = {
            "class_level": class_level,
            "content_digest": digest,
            "coverage": {"from": period[0], "to": period[1]} if period else None,
            "deid_method_code": deid_method,
            "digest_scope": scope,
            "gbt39725_level": level,
            "hgr_info": hgr,
            "hgr_no": hgr_no,
            "identifiability": identifiability,
            "records_bucket": records,
            "series_id": series,
            "sources": [session.leaf_of(leaf) for leaf in source or ()],
            "standard": standard,
            "terms": read_terms(term or ()),
            "version": name,
        }
        refs = resolution_ref(session, resolution)
        given = {"title": title, "acknowledgement": acknowledgement, "citation": citation}
        payloads = texts(session, "dataset-version", given)
        recorded = write(
            session, "dataset-version", fields, refs=refs, payloads=payloads, valid_days=valid_days
        )
        report(session, recorded)


# --- uses ---

Dataset = Annotated[str, typer.Option("--dataset", help="SERIES or SERIES@VERSION.")]
Person = Annotated[str | None, typer.Option(help="Pid, or ext:SYSTEM:CODE.")]
Permit = Annotated[str | None, typer.Option(help="The permit that allows it.")]
Purpose = Annotated[str | None, typer.Option(help="Code of the purpose.")]
System = Annotated[str, typer.Option(help="The observing system.")]


def record_access(
    place: Place,
    dataset: Dataset,
    activity: Annotated[str, typer.Option(help="The system's own word for it.")],
    action: Annotated[str, typer.Option(help="read, execute, export, request, unknown.")] = "read",
    channel: Annotated[str, typer.Option(help="query, file, api, notebook, unknown.")] = "query",
    outcome: Annotated[str, typer.Option(help="ok, denied, error, unknown.")] = "ok",
    person: Person = None,
    permit: Permit = None,
    purpose: Purpose = None,
    request: Annotated[str | None, typer.Option(help="SYSTEM=SEQ, or a leaf hash or id.")] = None,
    count_bucket: Annotated[str | None, typer.Option(help="0, 1-9, 10-99, 100-999, 1000+.")] = None,
    system: System = "gateway",
    seq: Annotated[int | None, typer.Option(min=1, help="Its number; default: the next.")] = None,
) -> None:
    """Record one use that a system observed."""
    outbox = Outbox(place.home)
    with Session(place) as session, outbox.alone():
        fields = {
            "action": action,
            "activity": activity,
            "channel": channel,
            "count_bucket": count_bucket,
            "dataset": dataset,
            "outcome": outcome,
            "permit": permit,
            "person": person,
            "purpose": purpose,
            "request": read_request(session, request),
            "source": {
                "seq": seq or outbox.next_number(session, system),
                "system": system,
            },
        }
        report(session, write(session, "access", fields))


def read_request(session: Session, given: str | None) -> Source | str | None:
    """The request that a use belongs to. Raises `MalformedError` (X2) or `NotFoundError` (O6)."""
    if given is None:
        return None
    if "=" not in given:
        return session.leaf_of(given)
    system, number = read_pairs([given], "request")[0]
    if not number.isascii() or not number.isdigit():
        raise MalformedError("X2", field="request")
    return Source(seq=int(number), system=system)


def read_on_record(
    place: Place,
    file: Annotated[Path, typer.Argument(help="The file to read.")],
    dataset: Dataset,
    out: Annotated[Path | None, typer.Option(help="Where its content goes; default: here.")] = None,
    person: Person = None,
    permit: Permit = None,
    purpose: Purpose = None,
    system: System = "gateway",
) -> None:
    """Read a file: the use is on the chain before its content is handed out."""
    if out is None and wants_json():
        raise MalformedError("X2", field="out")
    fields: dict[str, object] = {"permit": permit, "person": person, "purpose": purpose}
    with Session(place) as session:
        recorded, found = use_file(session, file, dataset, system, fields)
        hand_out(file, out)
        if out is not None:
            tell("read-done", file=file.name, size=found.size, seq=recorded.seq, system=system)
            report(session, recorded.recorded)


class Use(NamedTuple):
    """A recorded use, and the number that it has."""

    recorded: Recorded
    seq: int


def use_file(
    session: Session, file: Path, dataset: str, system: str, fields: dict[str, object]
) -> tuple[Use, Fingerprint]:
    """Fingerprint a file, compare it with the registered version, and record that it is read.

    A file that cannot be read is a use that failed: it is recorded too, then the error is raised.
    Raises `ConflictError` (X5.content) when the file is not the version named.
    """
    body = {
        **fields,
        "action": "read",
        "activity": "FILE_READ",
        "channel": "file",
        "dataset": dataset,
    }
    outbox = Outbox(session.place.home)
    with outbox.alone():
        seq = outbox.next_number(session, system)
        body["source"] = {"seq": seq, "system": system}
        try:
            found = fingerprint(file)
        except AllianceError:
            write(session, "access", {**body, "outcome": "error"})
            raise
        registered = session.content_digest_of(dataset)
        if registered is not None and registered != b64url(found.digest):
            raise ConflictError("X5.content", file=file.name, dataset=dataset)
        return Use(write(session, "access", {**body, "outcome": "ok"}), seq), found


def hand_out(file: Path, out: Path | None) -> None:
    """Copy a file's content to a file or to the standard output. Raises `ConfigError` (X1.file)."""
    try:
        with file.open("rb") as source:
            if out is None:
                _copy(source, sys.stdout.buffer)
            else:
                with out.open("wb") as target:
                    _copy(source, target)
    except OSError:
        raise ConfigError("X1.file", file=(out or file).name) from None


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while piece := source.read(PIECE):
        target.write(piece)
    target.flush()


dataset.command("register")(signing("officer")(register_dataset))
version.command("register")(signing("officer")(register_version))
access.command("record")(signing("system")(record_access))
access.command("read")(signing("system")(read_on_record))
