"""Authorisation: studies, ethics, requests, reviews, decisions and permits (domain.md D14).

Titles, summaries and documents are payloads.
"""

from typing import Annotated, Literal

import msgspec

from ledger.members import Label
from ledger.records.catalogue import Day, Term
from ledger.records.envelope import Code, Digest, Instant, Pid, Shape

PurposeClass = Literal[
    "DUO:0000031",
    "DUO:0000032",
    "DUO:0000033",
    "DUO:0000034",
    "DUO:0000035",
    "DUO:0000036",
    "DUO:0000037",
    "DUO:0000038",
    "DUO:0000039",
    "DUO:0000040",
    "EC:CARE",
]
"""DUO's classes of investigation (method development, population, ancestry, age, gender, control,
biomedical, genetic, drug development, disease), and clinical care, which DUO has no class for.
"""

Concern = Literal[
    "illegal-behaviour",
    "one-gender",
    "paediatric",
    "psychological-traits",
    "stigmatised-disease",
    "vulnerable-population",
]
"""What a study says of itself that a person has to look at (domain.md D1)."""

Role = Literal[
    "principal-investigator",
    "co-investigator",
    "analyst",
    "clinical-contributor",
    "indicator-author",
    "compute-operator",
]
Codes = Annotated[tuple[Code, ...], msgspec.Meta(max_length=64)]
Leaves = Annotated[tuple[Digest, ...], msgspec.Meta(max_length=64)]
People = Annotated[tuple[Pid, ...], msgspec.Meta(max_length=256)]
Purposes = Annotated[tuple[PurposeClass, ...], msgspec.Meta(max_length=11)]


class Period(Shape, frozen=True, kw_only=True):
    """From the first to the last day, both included."""

    from_: Day = msgspec.field(name="from")
    to: Day


class TeamMember(Shape, frozen=True, kw_only=True):
    """A person of a study, under the pid of this study."""

    org: Label
    person: Pid
    role: Role


Team = Annotated[tuple[TeamMember, ...], msgspec.Meta(min_length=1, max_length=256)]


class StudyBody(Shape, frozen=True, kw_only=True):
    """A study: who leads it, who works in it, for what, where its computing takes place."""

    accredited: bool | None = None
    category: Code | None = None
    collaborators: Codes = ()
    commercial: bool
    compute_nodes: Codes = ()
    concerns: Annotated[tuple[Concern, ...], msgspec.Meta(max_length=6)] = ()
    design_digest: Digest
    diseases: Codes = ()
    for_profit_org: bool
    foreign_party: bool = False
    funders: Codes = ()
    lead_org: Label
    linkage: Code | None = None
    model_training: bool = False
    period: Period
    purpose_classes: Annotated[tuple[PurposeClass, ...], msgspec.Meta(min_length=1, max_length=11)]
    registry_no: Code | None = None
    study_no: Code
    team: Team
    topics: Codes = ()


class EthicsBody(Shape, frozen=True, kw_only=True):
    """What an ethics committee says of a study. `approval_id` is the alliance's name for it; the
    committee's own number is a payload.
    """

    approval_id: Code
    committee_org: Label
    decision: Literal["approved", "exempt"]
    exempt_code: Code | None = None
    scope_datasets: Annotated[tuple[Code, ...], msgspec.Meta(max_length=256)] = ()
    status: Literal["grant", "renew", "suspend", "withdraw"]
    study: Digest
    valid_from: Day
    valid_until: Day


class StudyEventBody(Shape, frozen=True, kw_only=True):
    """What happens to a study: an amendment, its yearly report, its end, or that a request of it is
    withdrawn.
    """

    kind: Literal["amend", "annual-report", "completion", "termination", "withdraw-request"]
    new_period: Period | None = None
    new_team: Team | None = None
    request: Digest | None = None
    study: Digest


class Match(Shape, frozen=True, kw_only=True):
    """What the use terms say of a study; every node computes it again.

    `vocabulary` is the disease vocabulary of the policy in force, where it names one.
    """

    obligations: Annotated[tuple[Term, ...], msgspec.Meta(max_length=256)] = ()
    reasons: Annotated[tuple[Code, ...], msgspec.Meta(max_length=256)] = ()
    verdict: Literal["ALLOW", "HUMAN", "DENY"]
    vocabulary: Digest | None = None


class AccessRequestBody(Shape, frozen=True, kw_only=True):
    """A study asks for data. Which variables and why they are needed are payloads; `revises` is the
    submission that was returned.
    """

    datasets: Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=64)]
    duration_months: Annotated[int, msgspec.Meta(ge=1, le=1_200)]
    ethics: Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=16)]
    linkage: bool
    match: Match
    outputs_planned: Codes = ()
    override_request: bool = False
    request_id: Code
    revises: Digest | None = None
    scenario: Code
    study: Digest


class ReviewBody(Shape, frozen=True, kw_only=True):
    """One reviewer's opinion on a request, at one stage."""

    coi: Literal["none", "declared"]
    opinion: Literal["approve", "reject", "return", "abstain"]
    reason_codes: Codes = ()
    request: Digest
    stage: Literal["completeness", "custodian", "scientific", "security", "committee"]


class Obligation(Shape, frozen=True, kw_only=True):
    """What the holder of a permit owes, and until when."""

    code: Code
    due: Day | None = None
    params: tuple[Code, ...] = ()


class Reasons(Shape, frozen=True, kw_only=True):
    """Why access is given, point by point."""

    necessity: Code
    pseudonymisation: Code
    purpose: Code
    qualification: Code
    safeguards: Code


class AccessDecisionBody(Shape, frozen=True, kw_only=True):
    """The answer to a request; an approval is the permit. `amends` is the decision that it
    replaces once the permit is extended.
    """

    amends: Digest | None = None
    compute_nodes: Codes = ()
    datasets: Leaves = ()
    decision: Literal["approve", "reject", "return"]
    frequency: Literal["once", "ongoing"] = "ongoing"
    legal_basis_codes: Codes = ()
    obligations: Annotated[tuple[Obligation, ...], msgspec.Meta(max_length=256)] = ()
    permit_id: Code | None = None
    persons: People = ()
    purposes: Purposes = ()
    reason_codes: Codes = ()
    reasons: Reasons | None = None
    request: Digest
    reviews: Leaves = ()
    sublicence: Literal[False] = False
    valid_from: Day | None = None
    valid_until: Day | None = None


class PermitStatusBody(Shape, frozen=True, kw_only=True):
    """A step in the life of a permit. The attestation that data were removed is a payload."""

    action: Literal["activate", "suspend", "resume", "extend", "revoke", "close"]
    effective_at: Instant
    permit: Digest
    reason_code: Code | None = None
