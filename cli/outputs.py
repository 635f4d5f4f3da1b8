"""Commands for results, for what of them leaves the alliance, and for publications."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from cli.fingerprints import Fingerprint, content_digest, fingerprint, fingerprints
from cli.home import read_file
from cli.options import TAKES_ID, Place, signing
from cli.records import Reason, ValidDays, report, write
from cli.session import Session
from cli.statements import clock_ms
from cli.studies import Title, texts
from ledger.encoding import UNREADABLE, b64url, encode_time
from ledger.errors import MalformedError
from ledger.rules.entitlement import EgressState, ResultState

result = typer.Typer(no_args_is_help=True, help="Results of runs.")
egress = typer.Typer(
    no_args_is_help=True, help="What leaves the alliance: request, two reviews, decision."
)
publication = typer.Typer(no_args_is_help=True, help="Where results appeared.")

MEDIA: Final[Mapping[str, str]] = {
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml",
    ".html": "text/html",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.ms-excel",
}
BUCKETS: Final = (
    (1, "0"),
    (10_000, "1-9kB"),
    (100_000, "10-99kB"),
    (1_000_000, "100-999kB"),
    (10_000_000, "1-9MB"),
    (100_000_000, "10-99MB"),
)
STATUSES: Final = frozenset({"pass", "fail", "review"})
NAMED: Final = (
    "result",
    "version",
    "indicator-version",
    "egress",
    "certificate",
    "notice",
    "dispute",
)
"""Where a name that people use stands in the rule state."""

Name = Annotated[str, typer.Argument(metavar="RESULT", help="Id, or leaf hash, of the result.")]
Request = Annotated[
    str, typer.Argument(metavar="REQUEST", help="Id, or leaf hash, of the request.")
]


def object_leaf(session: Session, name: str) -> str:
    """The leaf hash of an object by the name that people use, else by leaf hash, id or index."""
    for namespace in NAMED:
        value: Any = session.proven_state(namespace, name)[0]
        if value is not None:
            leaf: str = value.leaf
            return leaf
    return session.leaf_of(name)


# --- results ---


def register_result(
    place: Place,
    name: Annotated[str, typer.Argument(help="Id of the result.")],
    files: Annotated[list[Path], typer.Argument(help="Its files, or directories of them.")],
    study: Annotated[str, typer.Option(help="Number, or leaf hash, of the study.")],
    kind: Annotated[str, typer.Option(help="paper, report, algorithm-model, data-product, ...")],
    run: Annotated[
        list[str] | None, typer.Option(help="Leaf hash or id of a run's record.")
    ] = None,
    indicator: Annotated[
        list[str] | None, typer.Option(help="CODE@VERSION of an indicator.")
    ] = None,
    supersedes: Annotated[str | None, typer.Option(help="The result that it replaces.")] = None,
    title: Title = None,
) -> None:
    """Register a result, bound to its files by their digests."""
    prints = fingerprints(files)
    with Session(place) as session:
        fields = {
            "content_digest": content_digest(prints)[0],
            "files": [described(one) for one in prints],
            "generated_by": [session.leaf_of(leaf) for leaf in run or ()],
            "indicators": [object_leaf(session, leaf) for leaf in indicator or ()],
            "kind": kind,
            "result_id": name,
            "study": study_leaf(session, study),
            "supersedes": object_leaf(session, supersedes) if supersedes else None,
        }
        payloads = texts(session, "result", {"title": title})
        report(session, write(session, "result", fields, payloads=payloads))


def described(found: Fingerprint) -> dict[str, str]:
    """A file as a result names it: its digest, what it is, and roughly how large."""
    bucket = next((name for limit, name in BUCKETS if found.size < limit), "100MB+")
    return {
        "digest": b64url(found.digest),
        "media": MEDIA.get(Path(found.file).suffix.lower(), "application/octet-stream"),
        "size_bucket": bucket,
    }


def study_leaf(session: Session, name: str) -> str:
    """The leaf hash of a study, by its number or as `leaf_of` takes it."""
    state: Any = session.proven_state("study", name)[0]
    return state.leaf if state is not None else session.leaf_of(name)


# --- egress ---


def submit(
    place: Place,
    name: Annotated[str, typer.Argument(help="Id of the request.")],
    of: Annotated[str, typer.Option("--result", help="Id, or leaf hash, of the result.")],
    permit: Annotated[str, typer.Option(help="Id of the permit that the runs were under.")],
    sdc: Annotated[Path, typer.Option(help="results.json of the disclosure check (acro).")],
    profile: Annotated[Path, typer.Option(help="File of the check's thresholds.")],
    destination: Annotated[str, typer.Option(help="publication, member, regulator, partner.")],
    file: Annotated[list[Path] | None, typer.Option(help="A file; default: all.")] = None,
    revises: Annotated[str | None, typer.Option(help="The request that was returned.")] = None,
    tool: Annotated[str, typer.Option(help="The tool that checked.")] = "acro",
    justification: Annotated[str | None, typer.Option(help="Why it may leave; vault.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Ask that files of a result may leave the alliance."""
    version, outputs = read_sdc(sdc)
    with Session(place) as session:
        leaf = object_leaf(session, of)
        digests = [b64url(fingerprint(path).digest) for path in file or ()]
        fields = {
            "author": session.subject_of_key,
            "destination_class": destination,
            "files": digests or list(files_of(session, of)),
            "permit": permit,
            "request_id": name,
            "result": leaf,
            "revises": object_leaf(session, revises) if revises else None,
            "sdc": {
                "outputs": outputs,
                "profile_hash": b64url(fingerprint(profile).digest),
                "tool": tool,
                "version": version,
            },
        }
        payloads = texts(session, "egress-request", {"justification": justification}, tier="T2")
        recorded = write(
            session, "egress-request", fields, payloads=payloads, valid_days=valid_days
        )
        report(session, recorded)


def files_of(session: Session, name: str) -> tuple[str, ...]:
    """The digests of a result's files. Raises `NotFoundError` (O6) where the id is unknown."""
    state = session.state(ResultState, "result", name)
    if state is not None:
        return state.files
    body: Any = session.entry(name).entry.record.body
    return tuple(one.digest for one in getattr(body, "files", ()))


def read_sdc(path: Path) -> tuple[str, list[dict[str, object]]]:
    """The version and the outputs of acro's `results.json`. The command and the cells stay here:
    they carry code, labels and small numbers. Raises `MalformedError` (X2.file).
    """
    try:
        data: Any = msgspec.json.decode(read_file(path))
        found = data["results"].values()
        outputs: list[dict[str, object]] = [_output(one) for one in found]
        return str(data["version"]), outputs
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        raise MalformedError("X2.file", file=path.name) from None


def _output(found: Mapping[str, Any]) -> dict[str, object]:
    fair = found.get("fair") or {}
    checks = {
        _code(name): status
        for name, status in (fair.get("check_status") or {}).items()
        if status in STATUSES
    }
    return {
        "checks": checks,
        "statbarn": _code(fair.get("statbarn") or "unknown"),
        "status": found["status"],
        "uid": _code(found["uid"]),
    }


def _code(text: str) -> str:
    """A name of the tool as a code of the chain."""
    return re.sub(r"[^A-Za-z0-9._:/-]+", "-", text).strip("-._:/")[:64] or "unknown"


def review(
    place: Place,
    name: Request,
    checklist: Annotated[Path, typer.Option(help="The checklist that was filled in.")],
    vote: Annotated[
        list[str] | None, typer.Option(help="DIGEST=approve, changes or reject; default: approve.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Kept in the vault.")] = None,
) -> None:
    """Vote on every file of a request, as an output checker."""
    given = dict(read_votes(vote or ()))
    with Session(place) as session:
        leaf, files = _requested(session, name)
        fields = {
            "checklist_hash": b64url(fingerprint(checklist).digest),
            "file_votes": [
                {"digest": digest, "vote": given.pop(digest, "approve")} for digest in files
            ],
            "request": leaf,
        }
        if given:
            raise MalformedError("X2", field="vote")
        payloads = texts(session, "egress-review", {"comment": comment}, tier="T2")
        report(session, write(session, "egress-review", fields, payloads=payloads))


def read_votes(given: Sequence[str]) -> list[tuple[str, str]]:
    """`DIGEST=VOTE` options. Raises `MalformedError` (X2)."""
    pairs = []
    for text in given:
        digest, equals, vote = text.partition("=")
        if not equals:
            raise MalformedError("X2", field="vote")
        pairs.append((digest, vote))
    return pairs


def _requested(session: Session, name: str) -> tuple[str, tuple[str, ...]]:
    """The newest submission of a request, and its files."""
    state = session.state(EgressState, "egress", name)
    if state is not None:
        return state.leaf, state.files
    body: Any = session.entry(name).entry.record.body
    return session.leaf_of(name), tuple(getattr(body, "files", ()))


def decide(
    place: Place,
    name: Request,
    decision: Annotated[str, typer.Argument(help="release, return, reject, recall, withdraw.")],
    file: Annotated[list[str] | None, typer.Option(help="Digest; default: all.")] = None,
    exception: Annotated[str | None, typer.Option(help="Why a failed check does not hold.")] = None,
    reason: Reason = None,
    valid_days: ValidDays = 30,
) -> None:
    """Decide what becomes of a request; its author withdraws it with `--key person`."""
    with Session(place) as session:
        leaf, files = _requested(session, name)
        fields = {
            "decision": decision,
            "exception_code": exception,
            "reason_code": reason,
            "released": (file or list(files)) if decision == "release" else None,
            "request": leaf,
        }
        report(session, write(session, "egress-decision", fields, valid_days=valid_days))


def published(
    place: Place,
    name: Name,
    pid_type: Annotated[str, typer.Argument(help="doi, cstr, isbn, patent, software, report.")],
    pid_value: Annotated[str, typer.Argument(help="Its value, like 10.1234/abcd.")],
    on: Annotated[str | None, typer.Option(help="Day; default: today (UTC).")] = None,
    ack_root: Annotated[str | None, typer.Option(help="Of the set that it prints.")] = None,
    credit_missing: Annotated[
        bool, typer.Option("--credit-missing", help="Not everybody is acknowledged.")
    ] = False,
) -> None:
    """Record that a result appeared."""
    with Session(place) as session:
        fields = {
            "ack_root": ack_root,
            "acknowledgement_ok": not credit_missing,
            "pid_type": pid_type,
            "pid_value": pid_value,
            "published_on": on or encode_time(clock_ms())[:10],
            "result": object_leaf(session, name),
        }
        report(session, write(session, "publication", fields))


result.command("register", context_settings=TAKES_ID)(signing("person")(register_result))
egress.command("submit", context_settings=TAKES_ID)(signing("person")(submit))
egress.command("review", context_settings=TAKES_ID)(signing("checker")(review))
egress.command("decide", context_settings=TAKES_ID)(signing("checker")(decide))
publication.command("record", context_settings=TAKES_ID)(signing("person")(published))
