"""Commands for contributions, credit, notices, certificates, disputes and resolved findings."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from cli.certificate_page import milli, pools_text
from cli.certificates import print_certificate, verify_file
from cli.home import write_over
from cli.options import TAKES_ID, Place, at_place, signing
from cli.outputs import object_leaf
from cli.records import Reason, Resolution, ValidDays, report, resolution_ref, write
from cli.screen import progress, say, show
from cli.session import Session
from cli.statements import DAY_MS, clock_ms
from cli.studies import texts
from ledger.attribution import CREDITED, Calculation
from ledger.certificates import (
    CertificateFile,
    Opening,
    encode_certificate,
    evidence_of,
    state_keys,
    verify_certificate,
)
from ledger.crypto import verify
from ledger.encoding import encode_time
from ledger.errors import ErasedError, ForbiddenError, MalformedError, NotFoundError
from ledger.provenance import backward
from ledger.records.rights import CertificateBody
from ledger.rules.entitlement import CertificateState
from ledger.verify import Receipt, StateAnswer

contribution = typer.Typer(no_args_is_help=True, help="Who did what for data and results.")
certificate = typer.Typer(no_args_is_help=True, help="Certificates of rights (权益凭证).")
dispute = typer.Typer(no_args_is_help=True, help="Objections, and the committee's rulings.")
finding = typer.Typer(no_args_is_help=True, help="Findings, one by one.")

NAME: Final = "contribution/name"
"""How a person wants to be named on certificates; the claim that commits to it is the consent."""

Object = Annotated[
    str, typer.Argument(metavar="OBJECT", help="RESULT, SERIES@VERSION, CODE@VERSION or leaf hash.")
]


def party_of(text: str) -> dict[str, str]:
    """`ORG`, `ORG/UNIT` or `ORG:PID` as a party."""
    org, colon, person = text.partition(":")
    if colon:
        return {"org": org, "person": person}
    org, slash, unit = text.partition("/")
    return {"org": org, "unit": unit} if slash else {"org": org}


# --- contributions ---


def claim(
    place: Place,
    target: Object,
    role: Annotated[str, typer.Option(help="Role of CRediT, like formal-analysis.")],
    degree: Annotated[str, typer.Option(help="lead, equal or supporting.")] = "equal",
    party: Annotated[
        str | None, typer.Option(help="ORG/UNIT or ORG:PID; default: who signs.")
    ] = None,
    local_role: Annotated[str | None, typer.Option(help="The house's own word for it.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="How you want to be named on certificates: your consent; vault."),
    ] = None,
) -> None:
    """Claim a part in an object; it counts once it is confirmed. Who gives a name consents to its
    disclosure on certificates; `alliance erase` withdraws that for later ones.
    """
    with Session(place) as session:
        claimed = party_of(party or f"{session.author.org}:{session.subject_of_key}")
        fields = {
            "credit_role": role,
            "degree": degree,
            "local_role": local_role,
            "object": object_leaf(session, target),
            "party": claimed,
        }
        person = claimed.get("person")
        if name is not None and person is None:
            raise MalformedError("X2", field="name")
        group = f"person:{person}"
        payloads = texts(session, "contribution", {"name": name}, group=group, tier="T2")
        further = [say("claim-name", commit=one.commit) for one in payloads]
        report(session, write(session, "contribution", fields, payloads=payloads), further)


def confirm(
    place: Place,
    target: Annotated[str, typer.Argument(metavar="CLAIM", help="Leaf hash or id of the claim.")],
    degree: Annotated[str | None, typer.Option(help="Confirm another degree.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Refuse it.")] = False,
    reason: Reason = None,
    valid_days: ValidDays = 30,
) -> None:
    """Confirm a claim; never one's own."""
    decision = "reject" if reject else "amend" if degree else "confirm"
    with Session(place) as session:
        fields = {
            "contribution": session.leaf_of(target),
            "decision": decision,
            "degree": degree,
            "reason_code": reason,
        }
        report(session, write(session, "contribution-confirm", fields, valid_days=valid_days))


# --- credit ---


def credit(place: Place, target: Object) -> None:
    """Show who must be credited for an object, with what share, and why."""
    with Session(place) as session:
        leaf = object_leaf(session, target)
        answer = session.credit(leaf)
    found = answer.calculation
    names = {node.leaf: node for node in found.nodes}
    start = names[found.object]
    lines = [
        say(
            "credit-title",
            name=start.name,
            kind=start.kind,
            height=answer.height,
            policy=found.policy,
        ),
        *_share_lines(found),
        say("credit-set", count=len(found.acknowledgements)),
        *(
            say(
                "credit-ack",
                party=row.party,
                role=row.local_role or row.credit_role or row.role,
                type=row.contributor_type,
                path=" ← ".join(names[one].name for one in path_of(found, row.object)),
            )
            for row in found.acknowledgements
        ),
        say("credit-digest", digest=found.digest),
    ]
    value: dict[str, Any] = msgspec.to_builtins(answer)
    digests = {"calc_digest": found.digest, "ack_root": found.ack_root}
    show({**value, **digests, "share_root": found.share_root}, lines)


def _share_lines(found: Calculation) -> Iterable[str]:
    for row in sorted(found.shares.rows, key=lambda row: (-row.basis_points, row.party)):
        yield say(
            "credit-share",
            points=f"{row.basis_points:>6}",
            party=row.party,
            held=say("credit-held") if row.held else "",
            pools=pools_text(row.pools),
        )
    for pool, value in sorted(found.shares.pools.items()):
        yield say("credit-pool", pool=pool, points=milli(value))


def path_of(found: Calculation, leaf: str) -> list[str]:
    """The leaf hashes from a record to the object that was made from it."""
    nodes = {node.leaf: node for node in found.nodes}
    return list(reversed(backward(nodes.get, [found.object], CREDITED).path(leaf)))


# --- where things come from, and what rests on them ---


def trace(
    place: Place,
    target: Object,
    cause: Annotated[
        str | None,
        typer.Option(
            help="Forwards instead: dataset-withdrawn, ethics-withdrawn, key-compromised, "
            "person-erased."
        ),
    ] = None,
) -> None:
    """Show what an object comes from; with a cause, what rests on it and has to be done."""
    with Session(place) as session:
        answer = session.trace(object_leaf(session, target), cause)
    lines = [
        say(
            "trace-row",
            indent="  " * row.depth,
            kind=row.kind,
            name=row.name,
            rel=row.rel or "-",
            action=say(f"action-{row.action}") if row.action else "",
        )
        for row in answer.rows
    ]
    lines += [say("trace-missing", leaf=leaf) for leaf in answer.missing]
    lines.append(say("trace-height", count=len(answer.rows), height=answer.height))
    show(msgspec.to_builtins(answer), lines)


def obligations(
    place: Place, permit: Annotated[str, typer.Argument(help="Id of the permit.")]
) -> None:
    """Show what a permit owes, and whether it was done."""
    with Session(place) as session:
        answer = session.obligations(permit)
    lines = [
        say(
            "owed",
            code=one.code,
            params=", ".join(one.params),
            due=one.due or "-",
            standing=say(f"owed-{one.standing}"),
            by=one.by or "-",
        )
        for one in answer.obligations
    ] or [say("owed-none")]
    show(msgspec.to_builtins(answer), lines)


# --- notices and certificates ---


def notice(
    place: Place,
    name: Annotated[str, typer.Argument(help="Id of the notice.")],
    target: Object,
    days: Annotated[int, typer.Option(min=1, help="Open for so many days.")] = 15,
    closes: Annotated[str | None, typer.Option(help="Or until then (UTC, three decimals).")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Show what is to be certified, and open it to objections (公示)."""
    with Session(place) as session:
        leaf = object_leaf(session, target)
        found = session.credit(leaf).calculation
        now = clock_ms()
        fields = {
            "as_of": encode_time(now)[:10],
            # An hour on top: the policy's days count from the block that takes the notice.
            "closes": closes or encode_time(now + days * DAY_MS + 3_600_000),
            "draft_hash": found.digest,
            "notice_id": name,
            "object": leaf,
            "opens": encode_time(now),
            "policy": found.policy,
        }
        report(session, write(session, "notice", fields, valid_days=valid_days))


def read_rights(session: Session, given: Sequence[str]) -> list[dict[str, object]]:
    """`RIGHT=PARTY@BASIS` options. Raises `MalformedError` (X2)."""
    rights: list[dict[str, object]] = []
    for text in given:
        right, equals, rest = text.partition("=")
        holder, at, basis = rest.partition("@")
        if not (equals and at):
            raise MalformedError("X2", field="right")
        rights.append(
            {
                "basis": session.leaf_of(basis),
                "holder": party_of(holder),
                "right": right,
                "scope": "alliance",
            }
        )
    return rights


def issue(
    place: Place,
    number: Annotated[str, typer.Argument(metavar="NO", help="Number of the certificate.")],
    of: Annotated[str, typer.Option("--notice", help="Id, or leaf hash, of the notice.")],
    kind: Annotated[str, typer.Option(help="paper, standard-dataset, indicator, ...")],
    right: Annotated[list[str], typer.Option(help="RIGHT=PARTY@BASIS, several times.")],
    until: Annotated[str, typer.Option(help="Last day, 2029-11-23.")],
    supersedes: Annotated[
        str | None, typer.Option(help="Number of the one that it replaces.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where its data come from; vault.")] = None,
    processing: Annotated[str | None, typer.Option(help="How they were processed; vault.")] = None,
    scenario: Annotated[str | None, typer.Option(help="What it is good for; vault.")] = None,
    update_period: Annotated[str | None, typer.Option(help="How often it is renewed.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Sign a certificate; it takes effect when committee and custodians have endorsed it."""
    with Session(place) as session:
        leaf = object_leaf(session, of)
        shown: Any = session.entry(leaf).entry.record.body
        found = session.credit(shown.object, leaf).calculation
        fields = {
            "ack_root": found.ack_root,
            "as_of": encode_time(clock_ms())[:10],
            "calc_digest": found.digest,
            "cert_no": number,
            "limits_version": 1,
            "notice": leaf,
            "object": shown.object,
            "object_kind": kind,
            "rights": read_rights(session, right),
            "share_root": found.share_root,
            "supersedes": object_leaf(session, supersedes) if supersedes else None,
            "valid_until": until,
        }
        given = {
            "source": source,
            "processing": processing,
            "scenario": scenario,
            "update-period": update_period,
        }
        payloads = texts(session, "certificate", given)
        recorded = write(session, "certificate", fields, payloads=payloads, valid_days=valid_days)
        report(session, recorded)


def export_certificate(
    place: Place,
    number: Annotated[str, typer.Argument(metavar="NO", help="Number of the certificate.")],
    out: Annotated[
        Path | None, typer.Option(help="The file; default: NO.certificate.json.")
    ] = None,
    nameless: Annotated[
        bool, typer.Option("--without-names", help="Pseudonyms only, in spite of consent.")
    ] = False,
) -> None:
    """Write a certificate file: all that proves it to whoever holds the genesis file, with titles,
    and with the names of those who consented as far as the key in use may read them.
    """
    with Session(place) as session:
        file = certificate_file(session, number, nameless)
        verify_certificate(file, session.genesis, verify)
    data = encode_certificate(file)
    path = out or Path(f"{number.replace('/', '-')}.certificate.json")
    write_over(path, data)
    lines = [say("certificate-written", file=str(path), count=len(file.receipts), size=len(data))]
    show({"file": str(path), "receipts": len(file.receipts), "bytes": len(data)}, lines)


def certificate_file(session: Session, number: str, nameless: bool = False) -> CertificateFile:
    """All that proves a certificate, asked for piece by piece. Raises `NotFoundError` (O6) or, when
    the node can no longer work it out as it was, W66.
    """
    state = session.state(CertificateState, "certificate", number)
    if state is None:
        raise NotFoundError("O6", what="certificate", name=number)
    own = session.receipt(state.leaf)
    body: Any = session.verified(own).entry.record.body
    if not isinstance(body, CertificateBody):
        raise NotFoundError("O6", what="certificate", name=number)
    found = session.credit(body.object, body.notice).calculation
    if found.digest != body.calc_digest:
        raise NotFoundError("W66", policy=found.policy)
    leaves = [body.notice, *evidence_of(found)]
    if found.policy not in (*leaves, session.genesis_leaf):
        leaves.insert(1, found.policy)
    more, keys = _around(session, body.object, found)
    leaves += [leaf for leaf in more if leaf not in leaves]
    receipts: list[Receipt] = [own]
    with progress("collecting", len(leaves)) as advance:
        for leaf in leaves:
            receipts.append(session.receipt(leaf))
            advance(1)
    states: list[StateAnswer] = [
        session.proven_state(*key.split("/", 1))[2]
        for key in (*state_keys(body, state.leaf), *keys)
    ]
    return CertificateFile(
        calculation=found,
        format="alliance-certificate/1",
        openings=_openings(session, receipts, nameless),
        receipts=tuple(receipts),
        states=tuple(states),
    )


def _around(session: Session, leaf: str, found: Calculation) -> tuple[list[str], list[str]]:
    """What else belongs on the page, as the node tells of it: records (requests, publications) by
    leaf hash, and values of the state (egress, ethics) by key.
    """
    before = session.trace(leaf).rows
    after = session.trace(leaf, "dataset-withdrawn").rows
    decided = [node.leaf for node in found.nodes if node.kind == "access-decision"]
    asked: list[str] = [session.entry(one).entry.record.body.request for one in decided]
    leaves = [*asked, *(row.leaf for row in after if row.kind == "publication")]
    keys = [f"ethics/{row.name}" for row in before if row.kind == "ethics"]
    keys += [f"egress/{row.name}" for row in after if row.kind == "egress-request"]
    return leaves, sorted(set(keys))


DISCLOSED: Final = frozenset({
    "certificate/processing", "certificate/scenario", "certificate/source",
    "certificate/update-period", "contribution/name", "dataset-version/acknowledgement",
    "dataset-version/citation", "dataset-version/title", "result/title", "study/title",
})  # fmt: skip
"""What a certificate's page prints of what people wrote."""


def _openings(session: Session, receipts: Sequence[Receipt], nameless: bool) -> tuple[Opening, ...]:
    """The payloads that the page prints, as far as they are there and the key may read them."""
    openings: dict[str, Opening] = {}
    for receipt in receipts:
        for payload in session.verified(receipt).entry.record.payloads:
            if payload.schema not in DISCLOSED or (nameless and payload.schema == NAME):
                continue
            try:
                held = session.client.payload(payload.commit)
            except (NotFoundError, ErasedError, ForbiddenError):
                continue
            openings[payload.commit] = Opening(
                commit=payload.commit, payload=held.payload, salt=held.salt
            )
    return tuple(openings[commit] for commit in sorted(openings))


# --- disputes, findings ---


def open_dispute(
    place: Place,
    name: Annotated[str, typer.Argument(help="Id of the dispute.")],
    target: Annotated[str, typer.Argument(help="The object, or leaf hash, objected to.")],
    code: Annotated[str, typer.Option(help="Code of the claim, like credit or ownership.")],
    claimant: Annotated[
        str | None, typer.Option(help="ORG/UNIT or ORG:PID; default: the signer's organisation.")
    ] = None,
    detail: Annotated[str | None, typer.Option(help="The reasons; kept in the vault.")] = None,
) -> None:
    """Object to a record: its shares are held until the committee rules."""
    with Session(place) as session:
        fields = {
            "claim_code": code,
            "claimant": party_of(claimant or session.author.org),
            "dispute_id": name,
            "target": object_leaf(session, target),
        }
        payloads = texts(session, "dispute", {"detail": detail}, tier="T2")
        report(session, write(session, "dispute", fields, payloads=payloads))


def rule_dispute(
    place: Place,
    name: Annotated[str, typer.Argument(metavar="DISPUTE", help="Id of the dispute.")],
    outcome: Annotated[str, typer.Argument(help="upheld, partly or rejected.")],
    resolution: Resolution = None,
    order: Annotated[
        list[str] | None, typer.Option(help="revoke=CERTIFICATE or withdraw=CONTRIBUTION.")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Rule on a dispute, as a member that is no party of it."""
    with Session(place) as session:
        orders = []
        for text in order or ():
            action, equals, ref = text.partition("=")
            if not equals:
                raise MalformedError("X2", field="order")
            orders.append({"action": action, "ref": object_leaf(session, ref)})
        fields = {
            "dispute": object_leaf(session, name),
            "orders": orders or None,
            "outcome": outcome,
        }
        refs = resolution_ref(session, resolution)
        recorded = write(session, "dispute-ruling", fields, refs=refs, valid_days=valid_days)
        report(session, recorded)


def resolve_finding(
    place: Place,
    record: Annotated[str, typer.Argument(help="Leaf hash, id or index of the record.")],
    code: Annotated[str, typer.Argument(help="The finding's code.")],
    outcome: Annotated[str, typer.Argument(help="justified, remedied or sanctioned.")],
    dataset: Annotated[
        str | None, typer.Option(help="The custodian's dataset that it is about.")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Close one finding of a record; the record stays as it is."""
    with Session(place) as session:
        leaf = session.leaf_of(record)
        fields = {"code": code, "dataset": dataset, "outcome": outcome, "record": leaf}
        report(session, write(session, "finding-resolution", fields, valid_days=valid_days))


contribution.command("claim", context_settings=TAKES_ID)(signing("person")(claim))
contribution.command("confirm", context_settings=TAKES_ID)(signing("officer")(confirm))
certificate.command("notice", context_settings=TAKES_ID)(signing("committee")(notice))
certificate.command("issue", context_settings=TAKES_ID)(signing("committee")(issue))
certificate.command("export")(at_place(export_certificate))
certificate.command("verify")(verify_file)
certificate.command("print")(print_certificate)
dispute.command("open", context_settings=TAKES_ID)(signing("officer")(open_dispute))
dispute.command("rule", context_settings=TAKES_ID)(signing("committee")(rule_dispute))
finding.command("resolve", context_settings=TAKES_ID)(signing("officer")(resolve_finding))
