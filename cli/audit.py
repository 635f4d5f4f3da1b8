"""`alliance audit`: an offline copy, a receipt, or the drill. Needs files and the genesis, no node
and no network.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.cells import set_cell_size

from cli.copies import read_at_most
from cli.drill import run_drill
from cli.forks import Comparison, compare
from cli.offline import Audit, Held, Report, Step
from cli.options import Json, Lang, TrustedGenesis, TrustedPin
from cli.screen import (
    explain,
    finding_text,
    language,
    local_time,
    meaning_of,
    progress,
    say,
    show,
    wants_json,
)
from cli.usage import Group
from ledger.chain import check_genesis
from ledger.consensus import Certificate
from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import AllianceError, MalformedError, NotFoundError, ProofError
from ledger.verify import Receipt, decode_receipt, verify_receipt

EXIT_STEP: Final = 20
"""Added to the number of the first step that fails."""
MAX_WORKERS: Final = 256
MAX_GIVEN: Final = 1 << 28
"""Bytes of one file that the auditor names: more than any certificate or receipt has."""
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, max=MAX_WORKERS, help="Processes that check signatures."),
]
NOT_CHECKED: Final = ("truth", "unrecorded", "payloads", "anchors", "others", "old-keys")


def read_file(path: Path) -> bytes:
    """A file that the auditor names, of `MAX_GIVEN` bytes at most. Raises `NotFoundError` (V10) or
    `MalformedError` (V11).
    """
    try:
        with path.open("rb") as file:
            data = read_at_most(file, MAX_GIVEN)
    except OSError:
        raise NotFoundError("V10", file=path.name) from None
    if len(data) > MAX_GIVEN:
        raise MalformedError("V11", file=path.name)
    return data


def read_trusted(path: Path | None, *folders: Path) -> bytes | None:
    """The genesis file that the auditor trusts; None where it is a copy's own, which says nothing
    of whose chain the copy is. Raises as `read_file` does.
    """
    if path is None or any(_is_same(path, folder / "genesis") for folder in folders):
        return None
    return read_file(path)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def audit_copy(
    folder: Annotated[Path, typer.Argument(help="Folder that `alliance export` made.")],
    genesis: TrustedGenesis = None,
    pin: TrustedPin = None,
    since: Annotated[
        list[Path] | None,
        typer.Option("--since", help="Older checkpoint, or older copy, that you hold."),
    ] = None,
    receipt: Annotated[
        list[Path] | None, typer.Option("--receipt", help="Receipt that you hold.")
    ] = None,
    continues: Annotated[
        Path | None,
        typer.Option("--continues", help="Last copy of the chain that this one continues."),
    ] = None,
    workers: Workers = None,
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Check everything in an offline copy; exit code 0, or 20 + the first step that fails."""
    if not any(os.path.lexists(folder / name) for name in ("checkpoint", "genesis")):
        raise NotFoundError("V24")
    older = [path for path in since or [] if os.path.isdir(path)]
    heads = [(path.name, read_file(path)) for path in since or [] if path not in older]
    held = Held(
        genesis=read_trusted(genesis, folder),
        pin=pin,
        since=tuple(heads),
        receipts=tuple((path.name, read_file(path)) for path in receipt or []),
        older=tuple(older),
        before=continues,
    )
    audit = Audit(folder, held, workers)
    with progress("auditing", 2 * audit.entries()) as advance:
        report = audit.run(advance)
    show(as_value(report, held), as_lines(report, held))
    if report.failed is not None:
        raise typer.Exit(EXIT_STEP + report.failed.number)


def as_value(report: Report, held: Held) -> dict[str, Any]:
    """The report as JSON."""
    n, quorum, offline, lying = report.members
    return {
        "verdict": "valid" if report.is_valid else "invalid",
        "steps": [_step_value(step) for step in report.steps],
        "pin": report.pin,
        "origin": report.origin,
        "size": report.size,
        "root": report.root,
        "height": report.height,
        "final_height": report.final_height,
        "time_ms": {"first": report.first_ms, "last": report.last_ms},
        "entries": dict(sorted(report.entries.items())),
        "findings": dict(sorted(report.findings.items())),
        "cosigners": [{"org": org, "time_s": time_s} for org, time_s in report.cosigners],
        "members": {"n": n, "q": quorum, "may_be_absent": offline, "may_lie": lying},
        "compared": report.compared,
        "seam": _seam_value(report),
        "not_checked": [say(f"unchecked-{name}") for name in _unchecked(report, held)],
    }


def _seam_value(report: Report) -> dict[str, Any] | None:
    """The chain before this one; `checked` when its copy was given."""
    if report.continues is None:
        return None
    value: dict[str, Any] = {"checked": report.seam is not None}
    value |= msgspec.to_builtins(report.continues)
    if report.seam is not None:
        seam = report.seam
        value |= {"accepted": list(seam.accepted), "of": seam.admitted, "share": seam.share}
    return value


def _step_value(step: Step) -> dict[str, Any]:
    value: dict[str, Any] = {"step": step.number, "name": step.name, "passed": step.error is None}
    if step.error is not None:
        value |= {
            "where": step.where,
            "rule": step.error.rule,
            "detail": step.error.sentence("en"),
            "detail_zh": step.error.sentence("zh"),
        }
    return value


def _unchecked(report: Report, held: Held) -> list[str]:
    names = list(NOT_CHECKED)
    if not held.is_pinned:
        names.insert(0, "pin")
    if not report.compared:
        names.insert(0, "older")
    if report.continues is not None and report.seam is None:
        names.insert(0, "seam")
    return names


def as_lines(report: Report, held: Held) -> list[str]:
    """The report as a person reads it."""
    lines = []
    for step in report.steps:
        lines.append(
            f"{step.number}  {say(f'step-{step.name}')}: {say(f'mark-{_mark(step, report)}')}"
        )
        if step.error is not None:
            lang = language()
            where = f"{_place(step.where)}: " if step.where else ""
            lines.append(f"   {where}{step.error.rule}: {step.error.sentence(lang)}")
            lines.append(f"   {step.error.next_step(lang)}")
    lines.append("")
    if report.is_valid:
        lines += _verdict_lines(report)
    verdict = "valid" if report.is_valid else "invalid"
    lines += [f"7  {say(f'verdict-{verdict}')}", "", say("unchecked-title")]
    lines += [f"   - {say(f'unchecked-{name}')}" for name in _unchecked(report, held)]
    return lines


def _mark(step: Step, report: Report) -> str:
    """How a step ended; nothing passes that was compared with nothing."""
    if step.error is not None:
        return "FAILED"
    return "ok" if step.name != "older" or report.compared or report.seam else "none"


def _place(where: str) -> str:
    """Where in a copy: a block, an entry or a file."""
    kind, _, number = where.partition(" ")
    if kind in ("block", "entry") and number.isdecimal():
        return say(f"audit-{kind}", number=number)
    return where


def _verdict_lines(report: Report) -> list[str]:
    n, quorum, offline, lying = report.members
    signers = ", ".join(f"{org} ({local_time(time_s * 1000)})" for org, time_s in report.cosigners)
    lines = [
        say("audit-origin", origin=report.origin, pin=report.pin),
        say("audit-size", size=report.size, height=report.height, final=report.final_height),
        say("audit-time", first=local_time(report.first_ms), last=local_time(report.last_ms)),
        say("audit-signers", signers=signers),
        say("audit-members", n=n, q=quorum, offline=offline, lying=lying),
    ]
    if lying == 0:
        lines.append(say("audit-alone" if n == 1 else "audit-no-liar"))
    lines += _seam_lines(report)
    lines += [f"   {kind:<22}{count:>10}" for kind, count in sorted(report.entries.items())]
    if report.findings:
        lines.append(say("audit-findings"))
    lines += [
        f"   {code:<22}{count:>10}  {finding_text(code)}"
        for code, count in sorted(report.findings.items())
    ]
    return [*lines, *(say("audit-compared", name=name) for name in report.compared), ""]


def _seam_lines(report: Report) -> list[str]:
    before, seam = report.continues, report.seam
    if before is None:
        return []
    facts = {"height": before.height, "size": before.size}
    lines = [say("seam-continues", chain=before.chain_id, pin=before.pin, **facts)]
    if seam is not None:
        orgs, count = ", ".join(seam.accepted), len(seam.accepted)
        lines.append(say("seam-checked", orgs=orgs, count=count, of=seam.admitted))
        if count < seam.share:
            lines.append(say("seam-below-share", count=count, share=seam.share))
    return lines


def audit_receipt(
    file: Annotated[Path, typer.Argument(help="Receipt file.")],
    genesis: Annotated[Path, typer.Option("--genesis", help="Genesis file that you trust.")],
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Check one receipt with the genesis file alone; exit code 0, or 20 + the step that fails."""
    work: list[tuple[str, AllianceError | None]] = []
    try:
        founded = check_genesis(read_file(genesis), verify)
        work.append(("trust", None))
        receipt: Receipt = decode_receipt(read_file(file))
        work.append(("receipt-form", None))
        verified = verify_receipt(receipt, founded.tip, verify)
    except AllianceError as error:
        work.append((("trust", "receipt-form", "receipt-proof")[len(work)], error))
        _show_steps(work)
        raise typer.Exit(EXIT_STEP + len(work)) from None
    work.append(("receipt-proof", None))
    entry = verified.entry
    value = {
        "verdict": "valid",
        "pin": b64url(founded.seal.leaf),
        "id": entry.record.id,
        "type": entry.record.type,
        "org": entry.statement.iss,
        "leaf": b64url(entry.leaf),
        "index": verified.index,
        "height": verified.height,
        "recorded_ms": verified.time_ms,
        "findings": list(verified.findings),
        "size": verified.head.checkpoint.size,
        "cosigners": [{"org": org, "time_s": time_s} for org, time_s in verified.head.cosigners],
        "record": entry.statement.payload.decode(),
    }
    lines = [
        say("receipt-entry", type=entry.record.type, id=entry.record.id, org=entry.statement.iss),
        say("receipt-place", index=verified.index, height=verified.height),
        say("receipt-time", at=entry.record.at, recorded=local_time(verified.time_ms)),
        *(f"   {code}  {finding_text(code)}" for code in verified.findings),
        say("receipt-limits"),
    ]
    if not wants_json():
        _show_steps(work)
    show(value, lines)


def _show_steps(work: list[tuple[str, AllianceError | None]]) -> None:
    for number, (name, error) in enumerate(work, 1):
        mark = "ok" if error is None else "FAILED"
        typer.echo(f"{number}  {say(f'step-{name}')}: {say(f'mark-{mark}')}", err=wants_json())
        if error is not None:
            explain(error)


def audit_drill(
    folder: Annotated[Path, typer.Argument(help="Sound copy to damage copies of.")],
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Damage copies in every known way and show that the audit finds each, and where."""
    with progress("auditing", None) as advance:
        results = run_drill(folder, advance)
    lines = [
        f"{set_cell_size(say('drill-found' if r.found else 'drill-missed'), 8)} "
        f"{set_cell_size(meaning_of(r.name), 28)} {r.step or '-'}  {r.rule:<12} {_place(r.where)}"
        for r in results
    ]
    missed = [result for result in results if not result.found]
    lines.append(say("drill-sum", found=len(results) - len(missed), count=len(results)))
    show([result._asdict() for result in results], lines)
    if missed:
        raise ProofError("V25", count=len(missed))


def audit_compare(
    first: Annotated[Path, typer.Argument(metavar="DIR1", help="A copy.")],
    second: Annotated[Path, typer.Argument(metavar="DIR2", help="Another member's copy.")],
    genesis: TrustedGenesis = None,
    pin: TrustedPin = None,
    workers: Workers = None,
    lang: Lang = None,  # noqa: ARG001
    as_json: Json = False,  # noqa: ARG001
) -> None:
    """Compare two copies: the same, a beginning, or two histories; and then who signed both."""
    for folder in (first, second):
        if not os.path.lexists(folder / "checkpoint"):
            raise NotFoundError("V24")
    held = Held(genesis=read_trusted(genesis, first, second), pin=pin)
    with progress("auditing", None) as advance:
        found = compare((first, second), held, workers, advance)
    value, lines = comparison_value(found), comparison_lines(found, (first, second), held)
    if found.are_valid and not held.is_pinned:
        value["not_checked"] = [say("unchecked-pin")]
        lines += [say("unchecked-title"), f"   - {say('unchecked-pin')}"]
    show(value, lines)
    failed = next((report.failed for report in found.reports if report.failed), None)
    if failed is not None:
        raise typer.Exit(EXIT_STEP + failed.number)
    if found.fork is not None:
        raise ProofError("V31", height=found.fork.height, count=len(found.fork.culprits))


def comparison_value(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON."""
    sizes = [report.size for report in found.reports]
    value: dict[str, Any] = {"valid": [report.is_valid for report in found.reports], "sizes": sizes}
    if not found.are_valid:
        return value
    value["relation"] = found.relation
    fork = found.fork
    if fork is not None:
        value["fork"] = {
            "height": fork.height,
            "epoch": fork.epoch,
            "blocks": list(fork.blocks),
            "at_least": fork.least,
            "culprits": {
                org: [[_word(first), _word(second)] for first, second in pairs]
                for org, pairs in sorted(fork.culprits.items())
            },
            "cosigned_both": fork.cosigned_both,
        }
    return value


def _word(cert: Certificate) -> dict[str, Any]:
    return {
        "kind": cert.kind,
        "view": cert.view,
        "height": cert.height,
        "block": b64url(cert.block),
    }


def comparison_lines(found: Comparison, folders: tuple[Path, Path], held: Held) -> list[str]:
    """A comparison as a person reads it."""
    for report, folder in zip(found.reports, folders, strict=True):
        if not report.is_valid:
            return [say("compare-invalid", folder=str(folder)), *as_lines(report, held)]
    fork = found.fork
    if fork is None:
        first, second = (report.size for report in found.reports)
        return [say(f"compare-{found.relation}", first=first, second=second)]
    lines = [say("compare-fork", height=fork.height, epoch=fork.epoch)]
    lines += [say("compare-block", block=block) for block in fork.blocks]
    for org, pairs in sorted(fork.culprits.items()):
        one, two = pairs[0]
        words = {"view": one.view, "one": one.kind, "two": two.kind}
        lines.append(say("compare-culprit", org=org, **words))
    if len(fork.culprits) < fork.least:
        lines.append(say("compare-too-few", count=len(fork.culprits), least=fork.least))
    else:
        lines.append(say("compare-enough", count=len(fork.culprits), least=fork.least))
    if fork.cosigned_both:
        lines.append(say("compare-cosigned", orgs=", ".join(fork.cosigned_both)))
    return lines


class AuditGroup(Group):
    """`alliance audit FOLDER` beside `audit receipt` and `audit drill`: what is no command is a
    folder. The command for it is called DIR, as hardly any folder is.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Put the command `DIR` before a folder or its options."""
        first = args[0] if args else ""
        before = args[: 2 if first == "--lang" else first.startswith("--lang=")]
        after = args[len(before) :]
        if after and after[0] not in self.commands and after[0] != "--help":
            args = [*before, "DIR", *after]
        return super().parse_args(ctx, args)


audit_app = typer.Typer(
    cls=AuditGroup,
    no_args_is_help=True,
    help="Check a copy (`alliance audit DIR`) or a receipt, compare two copies, or drill the audit "
    "itself. Offline.",
)
audit_app.command("DIR")(audit_copy)
audit_app.command("receipt")(audit_receipt)
audit_app.command("drill")(audit_drill)
audit_app.command("compare")(audit_compare)
