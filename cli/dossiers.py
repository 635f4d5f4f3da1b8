"""`alliance dossier verify`: a dossier and the pin or the genesis file, no node and no network."""

from pathlib import Path
from typing import Annotated

import typer

from cli.audit import EXIT_STEP, read_file
from cli.certificate_texts import LIMITS
from cli.dossier_texts import NOT_INSIDE
from cli.dossier_texts import explain as explanations
from cli.options import Json, Lang, TrustedGenesis, TrustedPin
from cli.screen import (
    UsageError,
    code_text,
    explain,
    finding_text,
    local_time,
    meaning_of,
    say,
    show,
    wants_json,
)
from ledger.chain import check_genesis
from ledger.crypto import verify
from ledger.dossier import STEPS, VerifiedDossier, verify_dossier
from ledger.encoding import b64url
from ledger.errors import AllianceError, ProofError


def verify_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dossier (zip).")],
    genesis: TrustedGenesis = None,
    pin: TrustedPin = None,
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Check a dossier offline; exit code 0, or 20 + the step that fails."""
    trusted = _trusted(genesis, pin)
    data = read_file(file)
    passed: list[str] = []
    try:
        found = verify_dossier(data, trusted, explanations, verify, passed.append)
    except AllianceError as error:
        _show_steps(passed, error)
        raise typer.Exit(EXIT_STEP + len(passed) + 1) from None
    if not wants_json():
        _show_steps(passed, None)
    show(as_value(found), as_lines(found))


def _trusted(genesis: Path | None, pin: str | None) -> str:
    """The pin that is trusted. Raises `UsageError` (V43) where there is none, or `ProofError` (V12)
    where two are given that differ.
    """
    if genesis is None:
        if pin is None:
            raise UsageError("V43")
        return pin
    found = b64url(check_genesis(read_file(genesis), verify).seal.leaf)
    if pin not in (None, found):
        raise ProofError("V12")
    return found


def _show_steps(passed: list[str], error: AllianceError | None) -> None:
    for number, name in enumerate(STEPS[: len(passed) + (error is not None)], 1):
        mark = say("mark-ok" if name in passed else "mark-FAILED")
        typer.echo(f"{number}  {say(f'step-dossier-{name}')}: {mark}", err=wants_json())
    if error is not None:
        typer.echo(say("dossier-verdict-invalid"), err=True)
        explain(error)


def limits() -> list[str]:
    """What no dossier proves, in the language of this run."""
    return [
        *(say(f"no-limits-{name}") for name in LIMITS),
        *(say(f"dossier-no-{name}") for name in NOT_INSIDE),
    ]


def as_value(found: VerifiedDossier) -> dict[str, object]:
    """What a dossier says, for scripts."""
    checkpoint, seal = found.head.checkpoint, found.head.seal.seal
    return {
        "verdict": "valid",
        "subject": found.subject,
        "pin": found.pin,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64url(checkpoint.root),
        "height": seal.height,
        "as_of_ms": seal.time_ms,
        "cosigners": [{"org": org, "time_s": time_s} for org, time_s in found.head.cosigners],
        "records": [
            {
                "about": leaf in found.about,
                "decision": found.standing(leaf),
                "findings": list(record.findings),
                "index": record.index,
                "leaf": leaf,
                "org": record.entry.statement.iss,
                "recorded_ms": record.time_ms,
                "type": record.entry.record.type,
            }
            for leaf, record in found.records.items()
        ],
        "certificates": {one.body.cert_no: one.status for one in found.certificates},
        "certificates_as_records_only": found.bare,
        "not_proven": limits(),
    }


def _record_lines(found: VerifiedDossier, leaf: str) -> list[str]:
    """One record: what and whose it is, whether it took effect, what it showed."""
    record, standing = found.records[leaf], found.standing(leaf)
    line = say(
        "dossier-record",
        mark="*" if leaf in found.about else " ",
        index=record.index,
        time=local_time(record.time_ms),
        type=meaning_of(record.entry.record.type),
        org=record.entry.statement.iss,
        standing="" if standing is None else meaning_of(standing),
    )
    findings = (f"{'':>14}{code}  {finding_text(code)}" for code in record.findings)
    return [line.rstrip(), *findings]


def as_lines(found: VerifiedDossier) -> list[str]:
    """What a dossier says, for people."""
    seal = found.head.seal.seal
    about = len(found.about)
    rest = len(found.records) - about
    when = local_time(seal.time_ms)
    signers = ", ".join(
        f"{org} ({local_time(time_s * 1000)})" for org, time_s in found.head.cosigners
    )
    lines = [
        "",
        say(
            "dossier-line",
            subject=found.subject, about=about, rest=rest, height=seal.height, time=when,
        ),
        say("audit-origin", origin=found.head.checkpoint.origin, pin=found.pin),
        say("dossier-signers", signers=signers),
    ]  # fmt: skip
    for leaf in found.records:
        lines += _record_lines(found, leaf)
    lines.append(say("dossier-marks"))
    lines += [
        say("dossier-certificate", no=one.body.cert_no, status=code_text(one.status))
        for one in found.certificates
    ]
    lines += [say("dossier-bare", no=number) for number in found.bare]
    lines += ["", say("dossier-verdict-valid"), "", say("dossier-limits")]
    return [*lines, *(f"   - {text}" for text in limits())]
