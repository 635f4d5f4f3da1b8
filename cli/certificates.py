"""`alliance certificate verify` and `print`: the file and the genesis, no node and no network."""

from pathlib import Path
from typing import Annotated

import typer

from cli.audit import EXIT_STEP, read_file
from cli.certificate_page import as_html, named, page_of
from cli.certificate_texts import LIMITS
from cli.options import Json, Lang
from cli.screen import code_text, explain, local_time, say, show, wants_json
from ledger.certificates import STEPS, VerifiedCertificate, decode_certificate, verify_certificate
from ledger.chain import Applied, check_genesis
from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import AllianceError, ConfigError, MalformedError

CertificatePath = Annotated[Path, typer.Argument(metavar="FILE", help="Certificate file.")]
GenesisPath = Annotated[Path, typer.Option("--genesis", help="Genesis file that you trust.")]
ORDER = ("trust", "form", *STEPS)


def verify_file(
    file: CertificatePath,
    genesis: GenesisPath,
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Check a certificate file offline; exit code 0, or 20 + the step that fails."""
    passed: list[str] = []
    try:
        founded = check_genesis(read_file(genesis), verify)
        passed.append("trust")
        certificate = decode_certificate(read_file(file))
        passed.append("form")
        found = verify_certificate(certificate, founded, verify, passed.append)
    except AllianceError as error:
        _show_steps(passed, error)
        raise typer.Exit(EXIT_STEP + len(passed) + 1) from None
    if not wants_json():
        _show_steps(passed, None)
    show(as_value(found, founded), as_lines(found, founded))


def _show_steps(passed: list[str], error: AllianceError | None) -> None:
    for number, name in enumerate(ORDER[: len(passed) + (error is not None)], 1):
        mark = say("mark-ok" if name in passed else "mark-FAILED")
        typer.echo(f"{number}  {say(f'step-{name}')}: {mark}", err=wants_json())
    if error is not None:
        explain(error)


def as_value(found: VerifiedCertificate, genesis: Applied) -> dict[str, object]:
    """What a certificate says, for scripts."""
    names = {node.leaf: node.name for node in found.calculation.nodes}
    return {
        "verdict": "valid",
        "status": found.status,
        "disputed": list(found.disputed),
        "number": found.body.cert_no,
        "object": names[found.body.object],
        "object_kind": found.body.object_kind,
        "as_of": found.body.as_of,
        "valid_until": found.body.valid_until,
        "leaf": b64url(found.own.entry.leaf),
        "pin": b64url(genesis.seal.leaf),
        "height": found.head.seal.seal.height,
        "as_of_ms": found.head.seal.seal.time_ms,
        "calc_digest": found.body.calc_digest,
        "shares": {row.party: row.basis_points for row in found.calculation.shares.rows},
        "acknowledgements": sorted({row.party for row in found.calculation.acknowledgements}),
        "titles": {
            names.get(leaf, leaf): text
            for (leaf, schema), text in sorted(found.disclosed.items())
            if schema.endswith("/title")
        },
        "names": named(found),
        "egress": {name: state.status for name, state in sorted(found.egress.items())},
        "ethics": sorted(found.ethics),
        "records": len(found.records),
        "not_proven": [say(f"no-limits-{name}") for name in LIMITS],
    }


def as_lines(found: VerifiedCertificate, genesis: Applied) -> list[str]:
    """What a certificate says, for people."""
    names = {node.leaf: node.name for node in found.calculation.nodes}
    seal = found.head.seal.seal
    order = sorted(found.calculation.shares.rows, key=lambda row: (-row.basis_points, row.party))
    lines = [
        "",
        say(
            "certificate-line",
            no=found.body.cert_no,
            object=names[found.body.object],
            status=code_text(found.status),
        ),
        say(
            "certificate-until",
            as_of=found.body.as_of,
            until=found.body.valid_until,
            height=seal.height,
            time=local_time(seal.time_ms),
        ),
        say(
            "certificate-hash",
            leaf=b64url(found.own.entry.leaf),
            pin=b64url(genesis.seal.leaf),
        ),
    ]
    if found.disputed:
        lines.append(say("certificate-disputed", ids=", ".join(found.disputed)))
    people = named(found)
    lines += [
        f"   {row.basis_points:>6}  {row.party}  {people.get(row.party, '')}".rstrip()
        for row in order
    ]
    lines.append(say("certificate-limits-title"))
    return [*lines, *(f"   - {say(f'no-limits-{name}')}" for name in LIMITS)]


def print_certificate(
    file: CertificatePath,
    genesis: GenesisPath,
    out: Annotated[Path, typer.Option(help="A file that ends in .pdf or .html.")],
    check_at: Annotated[
        str | None, typer.Option("--check-at", help="Address for the QR code, if there is one.")
    ] = None,
    font: Annotated[
        Path | None, typer.Option(help="TrueType font for characters beyond GB 2312.")
    ] = None,
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Verify a certificate file, then write its page, in both languages."""
    founded = check_genesis(read_file(genesis), verify)
    found = verify_certificate(decode_certificate(read_file(file)), founded, verify)
    page = page_of(found, founded, check_at)
    if out.suffix == ".pdf":
        from cli.certificate_pdf import as_pdf  # late: every command would wait for it

        data = as_pdf(page, font)
    elif out.suffix == ".html":
        data = as_html(page).encode()
    else:
        raise MalformedError("X2", field="out")
    try:
        out.write_bytes(data)
    except OSError:
        raise ConfigError("X1.file", file=out.name) from None
    show({"file": str(out), "bytes": len(data)}, [say("certificate-printed", file=str(out))])
