"""What left the alliance (Q6), and whether a certificate is genuine and current (Q12)."""

from typing import Any

import msgspec

from ledger.encoding import encode_time
from ledger.errors import AllianceError, NotFoundError
from ledger.records.outputs import EgressDecisionBody, EgressRequestBody, PublicationBody
from ledger.records.rights import CertificateBody
from ledger.rules.credit import noticed_credit
from ledger.rules.entitlement import CertificateState, Disputed, EgressState, NoticeState
from ledger.rules.values import DecisionState
from node.reports.answer import Answer, Asked, Row, tally, unique
from node.reports.ground import Ground
from node.reports.known import check_organisation


class EgressRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A request to let files out, or a publication that no release preceded."""

    request: str | None = None
    result: str
    org: str
    permit: str | None = None
    destination: str | None = None
    status: str
    """As in SPEC 5.11; PUBLISHED_WITHOUT_RELEASE."""
    files: int | None = None
    released: int | None = None
    reviewers: tuple[str, ...] = ()
    """`org/person` of each, with the org before the pid."""
    organisations: int | None = None
    """Different organisations of the reviewers."""
    sdc: dict[str, int] = msgspec.field(default_factory=dict)
    exceptions: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()


def egress(ground: Ground, asked: Asked) -> Answer:
    """Q6: what left, or was to leave, the alliance: reviewers, disclosure checks, exceptions; what
    was published without a release, and what was recalled. Raises `NotFoundError` (O6, O6.near).
    """
    org = asked.take("org")
    if org is not None:
        check_organisation(ground, org)
    rows = [
        _egress_row(ground, name, state)
        for name, state in ground.all(EgressState, "egress").items()
        if org in (None, state.org)
    ]
    rows += _unreleased(ground, org)
    facts = {"statuses": tally((row.status, 1) for row in rows)}
    return Answer(rows, ("recorded-only", "left-unrecorded"), facts)


def _egress_row(ground: Ground, name: str, state: EgressState) -> EgressRow:
    record = ground.record(state.leaf)
    body = record.body if record else None
    sdc = body.sdc.outputs if isinstance(body, EgressRequestBody) else ()
    decisions = ground.after([state.leaf], "decides", "egress-decision")
    bodies = [found.body for leaf in decisions if (found := ground.record(leaf))]
    papers = ground.after([state.result], "about", "publication")
    node = ground.graph.nodes.get(state.result)
    return EgressRow(
        request=name,
        result=node.name if node else state.result,
        org=state.org,
        permit=state.permit,
        destination=body.destination_class if isinstance(body, EgressRequestBody) else None,
        status=state.status,
        files=len(state.files),
        released=len(state.released),
        reviewers=tuple(f"{one.org}/{one.reviewer}" for one in state.reviews),
        organisations=len({one.org for one in state.reviews}),
        sdc=tally((one.status, 1) for one in sdc),
        exceptions=tuple(
            code for one in bodies if isinstance(one, EgressDecisionBody)
            and (code := one.exception_code) is not None
        ),
        publications=tuple(sorted(ground.graph.nodes[leaf].name for leaf in papers)),
        records=unique(state.leaf, *decisions, *papers),
    )  # fmt: skip


def _unreleased(ground: Ground, org: str | None) -> list[EgressRow]:
    """Publications that no release preceded, as the finding says for ever."""
    rows = []
    for node in ground.graph.nodes.values():
        if node.kind != "publication" or "NOT_RELEASED" not in ground.found(node.leaf):
            continue
        record = ground.record(node.leaf)
        body = record.body if record else None
        result = ground.graph.nodes.get(body.result) if isinstance(body, PublicationBody) else None
        index = ground.index_of(node.leaf)
        author = "" if index is None else ground.author_of(index)
        if org in (None, author):
            rows.append(
                EgressRow(
                    result=result.name if result else "",
                    org=author,
                    status="PUBLISHED_WITHOUT_RELEASE",
                    publications=(node.name,),
                    records=(node.leaf,),
                )
            )
    return sorted(rows, key=lambda row: row.publications)


# --- Q12 ---


class CheckRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at, and what was found."""

    check: str
    outcome: str
    detail: str | None = None


def certificate(ground: Ground, asked: Asked) -> Answer:
    """Q12: whether a certificate is on the chain, decided by the committee, worked out to the same
    shares again, and current. Raises `NotFoundError` (O6).
    """
    name = asked.need("number")
    state = ground.get(CertificateState, "certificate", name)
    if state is None:
        raise NotFoundError("O6", what="certificate", name=name[:80])
    record = ground.record(state.leaf)
    body: Any = record.body if record else None
    decision = ground.get(DecisionState, "decision", state.leaf)
    disputes = [
        dispute
        for leaf in (state.leaf, state.object)
        if (found := ground.get(Disputed, "disputed", leaf)) is not None
        for dispute in found.by
    ]
    expired = state.status == "ISSUED" and state.until_ms < ground.now_ms
    status = "EXPIRED" if expired else state.status
    rows = [
        CheckRow(check="record", outcome="ok" if record else "missing", records=(state.leaf,)),
        _decided(decision, state.leaf),
        _calculated(ground, state),
        CheckRow(check="status", outcome=status, detail=encode_time(state.until_ms)[:10]),
        CheckRow(
            check="disputes",
            outcome="open" if disputes else "none",
            detail=" ".join(disputes) or None,
        ),
    ]
    followers = ground.after([state.leaf], "supersedes", "certificate")
    if followers:
        names = " ".join(sorted(ground.graph.nodes[leaf].name for leaf in followers))
        rows.append(
            CheckRow(check="superseded", outcome="yes", detail=names, records=tuple(followers))
        )
    facts = {
        "leaf": state.leaf,
        "object": state.object,
        "status": status,
        "limits_version": body.limits_version if isinstance(body, CertificateBody) else None,
        "valid": status == "ISSUED" and not disputes and all(row.outcome in GOOD for row in rows),
    }
    return Answer(rows, ("certificate-offline", "certificate-limits"), facts)


GOOD = frozenset({"ISSUED", "changed-since", "none", "ok"})
"""Outcomes of a certificate that is genuine and current."""


def _decided(decision: DecisionState | None, leaf: str) -> CheckRow:
    votes = decision.votes if decision else ()
    approving = sorted(f"{one.org} ({one.capacity})" for one in votes if one.verdict == "approve")
    status = decision.status if decision else "none"
    return CheckRow(
        check="decision",
        outcome="ok" if status == "EFFECTIVE" else status,
        detail=", ".join(approving) or None,
        records=(leaf,),
    )


def _calculated(ground: Ground, state: CertificateState) -> CheckRow:
    """The shares worked out again from the records as they are now, under the notice's policy."""
    node = ground.graph.nodes.get(state.notice)
    notice = ground.get(NoticeState, "notice", node.name) if node else None
    try:
        found = noticed_credit(ground.draft, state.object, state.notice).digest
    except AllianceError as error:
        return CheckRow(check="calculation", outcome="failed", detail=error.rule)
    same = found == state.calc_digest
    return CheckRow(
        check="calculation",
        outcome="ok" if same else "changed-since",
        detail=found,
        records=unique(state.notice, notice.policy if notice else None),
    )
