"""Commands that build, sign and post one record each; the receipt is kept under `receipts/`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from cli.founding import parameters_in
from cli.home import read_file
from cli.options import TAKES_ID, AttributionFile, Place, signing
from cli.screen import code_text, finding_text, say, show
from cli.session import Recorded, Session
from cli.statements import clock_ms, make_body, make_record, new_id, sign
from ledger.encoding import UNREADABLE, encode_time
from ledger.errors import AuthenticationError, MalformedError
from ledger.records import BODIES
from ledger.records.envelope import Payload, Ref, Shape
from ledger.records.governance import KeyDescription, PolicyBody
from ledger.rules.governance import kid_of
from ledger.rules.values import PolicyState

member = typer.Typer(
    no_args_is_help=True, help="Members of the alliance (signed by the committee)."
)
key = typer.Typer(no_args_is_help=True, help="Keys that the chain knows.")
dataset = typer.Typer(no_args_is_help=True, help="Data resources, and fingerprints of files.")
version = typer.Typer(no_args_is_help=True, help="Versions of data resources.")
access = typer.Typer(no_args_is_help=True, help="Uses of data.")

ValidDays = Annotated[
    int, typer.Option("--valid-days", min=1, max=365, help="May be included for so many days.")
]
Resolution = Annotated[
    str | None, typer.Option("--resolution", help="Number, id or leaf hash of the resolution.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Code of the reason.")]


def write(
    session: Session,
    kind: str,
    fields: Mapping[str, object],
    *,
    refs: tuple[Ref, ...] = (),
    payloads: tuple[Payload, ...] = (),
    valid_days: int = 30,
) -> Recorded:
    """Build, sign and post a record, keep its receipt, and say what became of it."""
    body: Shape = make_body(BODIES[kind], fields)
    now = clock_ms()
    author = session.author
    record: Any = make_record(
        kind,
        body,
        chain=author.chain,
        at_ms=now,
        record_id=new_id(now),
        refs=refs,
        payloads=(*payloads, *session.attached()),
        valid_days=valid_days,
    )
    return session.post(sign(author, record))


def report(
    session: Session, recorded: Recorded, further: Sequence[str] = (), target: str | None = None
) -> None:
    """Print what became of a record; of one that confers a right, how its decision stands, and of
    an endorsement how that on its `target` does.
    """
    lines = [
        say(
            "recorded",
            type=recorded.type,
            id=recorded.id,
            index=recorded.index,
            height=recorded.height,
        ),
        say("leaf", leaf=recorded.leaf),
        *(say("finding", code=code, meaning=finding_text(code)) for code in recorded.findings),
    ]
    decision = session.decision_on(recorded, target)
    if decision is not None:
        lines.append(say("decision", status=code_text(decision.status), votes=len(decision.votes)))
    lines += [say("receipt-saved", file=recorded.receipt), *further]
    status = decision.status if decision else None
    show({**recorded.to_json(), "decision": status}, lines)


def write_and_report(
    place: Place,
    kind: str,
    fields: Mapping[str, object],
    *,
    refs: tuple[Ref, ...] = (),
    valid_days: int = 30,
) -> None:
    """The whole of a simple command."""
    with Session(place) as session:
        report(session, write(session, kind, fields, refs=refs, valid_days=valid_days))


def resolution_ref(session: Session, given: str | None) -> tuple[Ref, ...]:
    """The reference to a resolution, by its number, id or leaf hash."""
    return () if given is None else (Ref(leaf=session.resolution_leaf(given), rel="resolution"),)


# --- members, keys ---


def read_description(path: Path) -> KeyDescription:
    """The description that `alliance keys public` prints. Raises `MalformedError` (X2.file)."""
    try:
        return msgspec.json.decode(read_file(path), type=KeyDescription)
    except UNREADABLE:
        raise MalformedError("X2.file", file=path.name) from None


Org = Annotated[str, typer.Argument(help="Code of the organisation.")]


def admit(
    place: Place,
    org: Org,
    kind: Annotated[str, typer.Option(help="hospital, centre, institute or operator.")],
    key_file: Annotated[
        list[Path], typer.Option("--key-file", help="Description of an officer key.")
    ],
    resolution: Resolution = None,
    region: Annotated[str | None, typer.Option(help="Code of the region.")] = None,
    uscc: Annotated[str | None, typer.Option(help="Unified social credit code.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Admit an organisation with its first officer keys."""
    fields = {
        "action": "admit",
        "keys": [msgspec.to_builtins(read_description(path)) for path in key_file],
        "kind": kind,
        "org": org,
        "region": region,
        "uscc": uscc,
    }
    with Session(place) as session:
        refs = resolution_ref(session, resolution)
        report(session, write(session, "member", fields, refs=refs, valid_days=valid_days))


CHANGES: Final = {
    "suspend": "Suspend a member's rights, as the committee decided.",
    "restore": "Give a suspended member its rights back, as the committee decided.",
    "exit": "End a membership, as the committee decided.",
}


def _member_action(action: str) -> Any:  # noqa: ANN401
    def change(
        place: Place,
        org: Org,
        resolution: Resolution = None,
        reason: Reason = None,
        valid_days: ValidDays = 30,
    ) -> None:
        fields = {"action": action, "org": org, "reason_code": reason}
        with Session(place) as session:
            refs = resolution_ref(session, resolution)
            report(session, write(session, "member", fields, refs=refs, valid_days=valid_days))

    change.__doc__ = CHANGES[action]
    return change


def register(
    place: Place,
    file: Annotated[Path, typer.Argument(help="The key's description, by `keys public`.")],
    valid_days: ValidDays = 30,
) -> None:
    """Register a key; it may sign from the next block on."""
    description = read_description(file)
    fields = {
        "action": "register",
        "key": msgspec.to_builtins(description),
        "kid": kid_of(description),
    }
    write_and_report(place, "key", fields, valid_days=valid_days)


def revoke(
    place: Place,
    kid: Annotated[str, typer.Argument(help="The key's id.")],
    reason: Reason = None,
    suspect_from: Annotated[
        str | None, typer.Option(help="Not to be trusted from this time on (UTC, three decimals).")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Revoke a key; it may no longer sign from the next block on."""
    fields = {
        "action": "revoke",
        "kid": kid,
        "reason_code": reason,
        "suspect_from": suspect_from,
    }
    write_and_report(place, "key", fields, valid_days=valid_days)


# --- committee ---


def resolution(
    place: Place,
    no: Annotated[str, typer.Argument(help="The resolution's own number.")],
    kind: Annotated[str, typer.Option(help="admit, decide, policy, assess, discipline, other.")],
    date: Annotated[str, typer.Option(help="Day of the meeting, 2026-11-23.")],
    present: Annotated[int, typer.Option(help="People present.")],
    in_favour: Annotated[int, typer.Option("--for", help="Votes in favour.")],
    against: Annotated[int, typer.Option(help="Votes against.")] = 0,
    abstain: Annotated[int, typer.Option(help="Abstentions.")] = 0,
    recused: Annotated[list[str] | None, typer.Option(help="Role that took no part.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Record a resolution of the management committee."""
    fields = {
        "kind": kind,
        "meeting_date": date,
        "no": no,
        "present": present,
        "recused": recused,
        "votes": {"abstain": abstain, "against": against, "in_favour": in_favour},
    }
    write_and_report(place, "resolution", fields, valid_days=valid_days)


_RATIO = re.compile(r"\A([A-Za-z-]{1,32})=([1-9][0-9]?)/([1-9][0-9]?)\Z", re.ASCII)


def read_quorums(given: Sequence[str]) -> dict[str, tuple[int, int]]:
    """`TYPE=N/D` options as quorums. Raises `MalformedError` (X2)."""
    quorums = {}
    for text in given:
        found = _RATIO.match(text)
        if found is None:
            raise MalformedError("X2", field="quorum")
        quorums[found[1]] = (int(found[2]), int(found[3]))
    return quorums


_MONTHS = re.compile(r"\A([A-Za-z0-9][A-Za-z0-9._:/-]{0,63})=([0-9]{1,4})\Z", re.ASCII)


def read_retention(given: Sequence[str]) -> dict[str, int]:
    """`SCHEMA=MONTHS` options. Raises `MalformedError` (X2)."""
    months = {}
    for text in given:
        found = _MONTHS.match(text)
        if found is None:
            raise MalformedError("X2", field="retain")
        months[found[1]] = int(found[2])
    return months


def read_attribution(path: Path | None, before: PolicyBody) -> object:
    """The parameters of credit in a file, else those of the policy before. Raises
    `MalformedError` (X2.file).
    """
    if path is None:
        return before.attribution and msgspec.to_builtins(before.attribution)
    return parameters_in(path)


def policy(
    place: Place,
    name: Annotated[str, typer.Argument(help="Name of the policy.")],
    resolution: Resolution = None,
    backfill_days: Annotated[int | None, typer.Option(min=0, help="Later is BACKFILLED.")] = None,
    decision_days: Annotated[int | None, typer.Option(min=1, help="Time to endorse.")] = None,
    min_reviewers: Annotated[int | None, typer.Option(help="At least 2.")] = None,
    quorum: Annotated[list[str] | None, typer.Option(help="TYPE=N/D, or default=N/D.")] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="Tree hash of the disease vocabulary.")
    ] = None,
    retain: Annotated[
        list[str] | None,
        typer.Option(help="SCHEMA=MONTHS: payloads of it are not erased before; 0 ends that."),
    ] = None,
    attribution: AttributionFile = None,
    effective_from: Annotated[str | None, typer.Option(help="UTC; default: in a minute.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Set a policy; what is not given stays as in the newest one."""
    with Session(place) as session:
        newest: PolicyState = session.newest_policy()
        before = newest.body
        fields = {
            "attribution": read_attribution(attribution, before),
            "backfill_days": before.backfill_days if backfill_days is None else backfill_days,
            "decision_days": before.decision_days if decision_days is None else decision_days,
            "effective_from": effective_from or encode_time(clock_ms() + 60_000),
            "min_reviewers": before.min_reviewers if min_reviewers is None else min_reviewers,
            "name": name,
            "quorum": {**before.quorum, **read_quorums(quorum or ())},
            "retention_months": {**before.retention_months, **read_retention(retain or ())},
            "version": before.version + 1,
            "vocabulary": vocabulary or before.vocabulary,
        }
        refs = (*resolution_ref(session, resolution), Ref(leaf=newest.leaf, rel="previous"))
        report(session, write(session, "policy", fields, refs=refs, valid_days=valid_days))


def endorse(
    place: Place,
    target: Annotated[str, typer.Argument(help="Leaf hash, id or index of the record.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse instead of approving.")] = False,
    reason: Reason = None,
) -> None:
    """Approve or reject a record that waits for a co-decision."""
    with Session(place) as session:
        leaf = session.leaf_of(target)
        fields = {
            "capacity": session.capacity,
            "reason_code": reason,
            "target": leaf,
            "verdict": "reject" if reject else "approve",
        }
        recorded = write(session, "endorse", fields)
        try:
            report(session, recorded, target=leaf)
        except AuthenticationError:
            # It ended what this key may ask: its own membership, or itself.
            report(session, recorded)


def correction(
    place: Place,
    target: Annotated[str, typer.Argument(help="Leaf hash, id or index of the record.")],
    field: Annotated[str, typer.Option("--field", help="Path of the field, like body.person.")],
    reason: Annotated[str, typer.Option("--reason", help="Code of the reason.")],
    value: Annotated[str | None, typer.Option("--value", help="The right value.")] = None,
    commit: Annotated[
        str | None, typer.Option(help="Commitment to a value kept elsewhere.")
    ] = None,
) -> None:
    """Correct a field of an earlier record; the earlier record stays as it is."""
    with Session(place) as session:
        fields = {
            "commit": commit,
            "field_path": field,
            "new_value": value,
            "reason_code": reason,
            "target": session.leaf_of(target),
        }
        report(session, write(session, "correction", fields))


def close(
    place: Place,
    system: Annotated[str, typer.Argument(help="The observing system.")],
    day: Annotated[str | None, typer.Option(help="The day; default: today (UTC).")] = None,
    last_seq: Annotated[int | None, typer.Option(help="Last number; default: as recorded.")] = None,
    count: Annotated[int | None, typer.Option(help="Numbers since the last close.")] = None,
) -> None:
    """State that there was nothing more from a system up to a number."""
    with Session(place) as session:
        report(session, close_source(session, system, day, last_seq, count))


def close_source(
    session: Session,
    system: str,
    day: str | None = None,
    last_seq: int | None = None,
    count: int | None = None,
) -> Recorded:
    """Post a `source-close`; what is not given is taken from what is recorded."""
    source = session.source(system)
    last = last_seq if last_seq is not None else (source.last if source else 0)
    closed = source.closed if source else 0
    fields = {
        "count": count if count is not None else max(0, last - closed),
        "day": day or encode_time(clock_ms())[:10],
        "last_seq": last,
        "system": system,
    }
    return write(session, "source-close", fields)


member.command("admit")(signing("committee")(admit))
for _action in ("suspend", "restore", "exit"):
    member.command(_action)(signing("committee")(_member_action(_action)))
key.command("register")(signing("officer")(register))
key.command("revoke", context_settings=TAKES_ID)(signing("officer")(revoke))
