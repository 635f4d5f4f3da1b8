"""Commands on requests for data: ask, review, decide, and the life of a permit."""

from typing import Annotated, Any, Final

import msgspec
import typer

from cli.options import Place, at_place, signing
from cli.records import Reason, Resolution, ValidDays, report, resolution_ref, write
from cli.screen import code_text, reason_text, say, show
from cli.session import Session
from cli.statements import clock_ms
from cli.studies import ethics_named, purposes, study_named, texts
from ledger.encoding import encode_time
from ledger.records.authorisation import Match
from ledger.rules.machines import permit_status
from ledger.rules.permits import REMOVAL, add_months
from ledger.rules.standing import DiseaseState, PermitState, RequestState, StudyState
from ledger.rules.terms import TS, Ancestors, match
from ledger.rules.terms import Place as Surroundings
from ledger.rules.values import MemberState, PolicyState, VersionState

request = typer.Typer(no_args_is_help=True, help="Requests for data.")
decide = typer.Typer(
    no_args_is_help=True, help="Decisions on requests (signed by the committee; others endorse)."
)
permit = typer.Typer(no_args_is_help=True, help="The life of a permit.")

RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request.")]
PermitId = Annotated[str, typer.Argument(metavar="PERMIT", help="Id of the permit.")]
Study = Annotated[str, typer.Option("--study", help="Number of the study.")]
Datasets = Annotated[list[str], typer.Option("--dataset", help="SERIES@VERSION; may be repeated.")]


def version_named(session: Session, name: str) -> VersionState:
    """A registered version of data. Raises `NotFoundError` (O6)."""
    return session.named(VersionState, "version", name)


def request_named(session: Session, name: str) -> RequestState:
    """A request. Raises `NotFoundError` (O6)."""
    return session.named(RequestState, "request", name)


def permit_named(session: Session, name: str) -> PermitState:
    """A permit. Raises `NotFoundError` (O6)."""
    return session.named(PermitState, "permit", name)


# --- match ---


def match_now(session: Session, study: StudyState, versions: list[VersionState]) -> Match:
    """What the use terms say now, from proven state: the same as every node computes."""
    policy = _policy_in_force(session)
    surroundings = Surroundings(
        _ancestors(session, policy.body.vocabulary), lambda org: _region(session, org)
    )
    found = match([version.terms for version in versions], study.body, surroundings)
    return msgspec.structs.replace(found, vocabulary=policy.body.vocabulary)


def _policy_in_force(session: Session) -> PolicyState:
    newest = session.newest_policy()
    current = session.state(PolicyState, "policy", "current")
    return newest if newest.from_ms <= clock_ms() or current is None else current


def _ancestors(session: Session, root: str | None) -> Ancestors:
    def ancestors(disease: str) -> frozenset[str] | None:
        found = (
            None if root is None else session.state(DiseaseState, "disease", f"{root}/{disease}")
        )
        return None if found is None else frozenset({disease, *found.ancestors})

    return ancestors


def _region(session: Session, org: str) -> str | None:
    member = session.state(MemberState, "member", org)
    return member.region if member else None


def match_lines(found: Match) -> list[str]:
    """What the use terms say, in words."""
    return [
        say(f"match-{found.verdict.lower()}"),
        *(
            say("match-reason", code=reason, meaning=reason_text(reason))
            for reason in found.reasons
        ),
        *(
            say("match-obligation", code=term.code, params=" ".join(term.params))
            for term in found.obligations
        ),
    ]


def match_study(
    place: Place,
    study: Study,
    dataset: Datasets,
) -> None:
    """Say what the use terms of data say of a study; nothing is recorded."""
    with Session(place) as session:
        versions = [version_named(session, name) for name in dataset]
        found = match_now(session, study_named(session, study), versions)
    show(msgspec.to_builtins(found), match_lines(found))


# --- ask ---


def submit(
    place: Place,
    name: RequestId,
    study: Study,
    dataset: Datasets,
    approval: Annotated[
        list[str], typer.Option("--ethics", help="Id of the ethics approval; may be repeated.")
    ],
    months: Annotated[int, typer.Option(min=1, help="For how long the data are needed.")] = 12,
    scenario: Annotated[str, typer.Option(help="Code of the scenario.")] = "research",
    output: Annotated[list[str] | None, typer.Option(help="Code of a planned output.")] = None,
    linkage: Annotated[bool, typer.Option("--linkage", help="Links records of people.")] = False,
    override: Annotated[
        bool, typer.Option("--override", help="Submit although the use terms deny it.")
    ] = False,
    variables: Annotated[str | None, typer.Option(help="Which variables; vault.")] = None,
    necessity: Annotated[str | None, typer.Option(help="Why no less will do; vault.")] = None,
    impact: Annotated[str | None, typer.Option(help="Impact assessment; vault.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Ask for data: submit a request, or submit again one that was returned. The principal
    investigator and an officer of the leading organisation both sign.
    """
    with Session(place) as session:
        found = study_named(session, study)
        versions = [version_named(session, one) for one in dataset]
        known = session.state(RequestState, "request", name)
        fields = {
            "datasets": [version.leaf for version in versions],
            "duration_months": months,
            "ethics": [ethics_named(session, one).leaf for one in approval],
            "linkage": linkage,
            "match": msgspec.to_builtins(match_now(session, found, versions)),
            "outputs_planned": output,
            "override_request": override,
            "request_id": name,
            "revises": known.leaf if known else None,
            "scenario": scenario,
            "study": found.leaf,
        }
        given = {"variables": variables, "necessity": necessity, "impact-assessment": impact}
        payloads = texts(session, "access-request", given, group=f"study:{study}", tier="T2")
        recorded = write(
            session, "access-request", fields, payloads=payloads, valid_days=valid_days
        )
        report(session, recorded)


def take_back(place: Place, name: RequestId) -> None:
    """Take back a request that is not decided."""
    with Session(place) as session:
        state = request_named(session, name)
        fields = {
            "kind": "withdraw-request",
            "request": state.leaf,
            "study": study_named(session, state.study).leaf,
        }
        report(session, write(session, "study-event", fields))


def show_request(place: Place, name: RequestId) -> None:
    """Say how a request stands: its data, what the use terms say, and its reviews."""
    with Session(place) as session:
        state = request_named(session, name)
    lines = [
        say("request-status", request=name, status=code_text(state.status), study=state.study),
        *(say("request-dataset", dataset=dataset) for dataset in state.datasets),
        *match_lines(state.match),
        *(
            say("request-opinion", org=one.org, reviewer=one.reviewer, stage=code_text(one.stage),
                opinion=code_text(one.opinion))
            for one in state.opinions
        ),
    ]  # fmt: skip
    show({"request": name, **msgspec.to_builtins(state)}, lines)


def review(
    place: Place,
    name: RequestId,
    stage: Annotated[
        str, typer.Option(help="completeness, custodian, scientific, security, committee.")
    ],
    opinion: Annotated[str, typer.Option(help="approve, reject, return, abstain.")] = "approve",
    conflict: Annotated[
        bool, typer.Option("--conflict", help="Declare a conflict of interest: not counted.")
    ] = False,
    reason: Annotated[list[str] | None, typer.Option(help="Code of a reason.")] = None,
    comment: Annotated[str | None, typer.Option(help="Kept in the vault.")] = None,
) -> None:
    """Give an opinion on a request, at one stage; a later one takes its place."""
    with Session(place) as session:
        fields = {
            "coi": "declared" if conflict else "none",
            "opinion": opinion,
            "reason_codes": reason,
            "request": request_named(session, name).leaf,
            "stage": stage,
        }
        payloads = texts(session, "review", {"comment": comment}, tier="T2")
        report(session, write(session, "review", fields, payloads=payloads))


# --- decide ---

NAMES: Final = ("necessity", "pseudonymisation", "purpose", "qualification", "safeguards")


def approve(
    place: Place,
    name: RequestId,
    permit_id: Annotated[str, typer.Option("--permit", help="Id of the permit.")],
    resolution: Resolution = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Default: all asked for.")] = None,
    person: Annotated[list[str] | None, typer.Option(help="Pid; default: the whole team.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Default: the study's.")] = None,
    compute: Annotated[
        list[str] | None, typer.Option("--compute-node", help="Default: the study's.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day; default: today.")] = None,
    end: Annotated[str | None, typer.Option("--until", help="Last day; default: the most.")] = None,
    once: Annotated[bool, typer.Option("--once", help="For one release of data.")] = False,
    legal_basis: Annotated[list[str] | None, typer.Option(help="Code of a legal basis.")] = None,
    necessity: Annotated[str, typer.Option(help="Code: why no less will do.")] = "assessed",
    pseudonymisation: Annotated[
        str, typer.Option(help="Code: how people are hidden.")
    ] = "assessed",
    why: Annotated[str, typer.Option("--reason-purpose", help="Code: why.")] = "assessed",
    qualification: Annotated[str, typer.Option(help="Code: why this team.")] = "assessed",
    safeguards: Annotated[str, typer.Option(help="Code: what protects the data.")] = "assessed",
    amend: Annotated[bool, typer.Option("--amend", help="Change the permit in force.")] = False,
    valid_days: ValidDays = 30,
) -> None:
    """Approve a request: a permit, once the committee and every custodian have agreed. What is not
    given is as asked for; what the use terms ask for stands in it.
    """
    reasons = (necessity, pseudonymisation, why, qualification, safeguards)
    with Session(place) as session:
        state = request_named(session, name)
        body = study_named(session, state.study).body
        first = start or encode_time(clock_ms())[:10]
        names = dataset or state.datasets
        fields = {
            "amends": permit_named(session, permit_id).terms.decision if amend else None,
            "compute_nodes": compute or list(body.compute_nodes),
            "datasets": [version_named(session, one).leaf for one in names],
            "decision": "approve",
            "frequency": "once" if once else "ongoing",
            "legal_basis_codes": legal_basis,
            "obligations": [
                {"code": term.code, "params": list(term.params)} for term in state.match.obligations
            ],
            "permit_id": permit_id,
            "persons": person or [one.person for one in body.team],
            "purposes": purposes(purpose) if purpose else list(body.purpose_classes),
            "reasons": dict(zip(NAMES, reasons, strict=True)),
            "request": state.leaf,
            "reviews": [
                one.leaf
                for one in state.opinions
                if one.counted and one.opinion == "approve" and one.stage != "completeness"
            ],
            "valid_from": first,
            "valid_until": end or latest_end(session, state, first),
        }
        refs = resolution_ref(session, resolution)
        report(session, write(session, "access-decision", fields, refs=refs, valid_days=valid_days))


def latest_end(session: Session, state: RequestState, first: str) -> str:
    """The last day that duration, use terms and ethics approvals leave."""
    months = [int(term.params[0]) for term in state.match.obligations if term.code == TS]
    limit = add_months(first, min([state.duration_months, *months]))
    ends = [ethics_named(session, one).until_ms for one in state.ethics]
    return min(limit, encode_time(max(ends))[:10])


def _refusal(decision: str, sentence: str) -> Any:  # noqa: ANN401
    def refuse(
        place: Place,
        name: RequestId,
        reason: Annotated[list[str], typer.Option(help="Code of a reason; may be repeated.")],
        valid_days: ValidDays = 30,
    ) -> None:
        with Session(place) as session:
            fields = {
                "decision": decision,
                "reason_codes": reason,
                "request": request_named(session, name).leaf,
            }
            report(session, write(session, "access-decision", fields, valid_days=valid_days))

    refuse.__doc__ = sentence
    return refuse


# --- permits ---


def _step(action: str, sentence: str) -> Any:  # noqa: ANN401
    def step(
        place: Place,
        name: PermitId,
        reason: Reason = None,
        at: Annotated[
            str | None, typer.Option(help="From this time on (UTC, three decimals); default: now.")
        ] = None,
        valid_days: ValidDays = 30,
    ) -> None:
        change_status(place, action, name, reason, at, valid_days)

    step.__doc__ = sentence
    return step


def close_permit(
    place: Place,
    name: PermitId,
    reason: Reason = None,
    removal: Annotated[
        str | None, typer.Option(help="Attests that the data were removed; kept in the vault.")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Close a permit whose work is done; after a revocation with the attestation of removal."""
    change_status(place, "close", name, reason, None, valid_days, removal)


def change_status(
    place: Place,
    action: str,
    name: str,
    reason: str | None,
    at: str | None,
    valid_days: int,
    removal: str | None = None,
) -> None:
    """Record one step in the life of a permit."""
    kind, _slash, schema = REMOVAL.partition("/")
    with Session(place) as session:
        fields = {
            "action": action,
            "effective_at": at or encode_time(clock_ms()),
            "permit": permit_named(session, name).terms.decision,
            "reason_code": reason,
        }
        payloads = texts(session, kind, {schema: removal}, tier="T2")
        recorded = write(session, "permit-status", fields, payloads=payloads, valid_days=valid_days)
        report(session, recorded)


def show_permit(place: Place, name: PermitId) -> None:
    """Say how a permit stands: for whom, for which data, for what, until when, and what is owed."""
    with Session(place) as session:
        state = permit_named(session, name)
    terms = state.terms
    status = permit_status(state.spans, terms.until_ms, clock_ms()) or "-"
    lines = [
        say("permit-status", permit=name, status=code_text(status), study=state.study),
        say(
            "permit-window",
            first=encode_time(terms.from_ms)[:10],
            last=encode_time(terms.until_ms)[:10],
        ),
        *(say("request-dataset", dataset=dataset) for dataset in terms.datasets),
        *(say("permit-person", person=person) for person in terms.persons),
        *(
            say("match-obligation", code=one.code, params=" ".join(one.params))
            for one in terms.obligations
        ),
    ]
    show({"permit": name, "status": status, **msgspec.to_builtins(state)}, lines)


request.command("match")(at_place(match_study))
request.command("submit")(signing("officer")(submit))
request.command("withdraw")(signing("officer")(take_back))
request.command("show")(at_place(show_request))
decide.command("approve")(signing("committee")(approve))
for _name, _sentence in (
    ("reject", "Reject a request; the committee alone decides."),
    ("return", "Return a request with questions; it may be submitted again."),
):
    decide.command(_name)(signing("committee")(_refusal(_name, _sentence)))
for _name, _sentence in (
    ("activate", "Put a permit into force: an officer of each side signs."),
    ("suspend", "Suspend a permit: the committee, or one custodian's officer."),
    ("resume", "End a suspension: the committee and every custodian."),
    ("extend", "Put an amended decision into force (`decide approve --amend`)."),
    ("revoke", "Revoke a permit for good: the committee, or one custodian's officer."),
):
    permit.command(_name)(signing("officer")(_step(_name, _sentence)))
permit.command("close")(signing("officer")(close_permit))
permit.command("show")(at_place(show_permit))
