"""Commands on studies and their ethics approvals; and the words people use for DUO's classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.fingerprints import fingerprint
from cli.options import Place, signing
from cli.records import ValidDays, report, write
from cli.session import Session
from ledger.encoding import b64url
from ledger.errors import MalformedError
from ledger.records.envelope import Payload
from ledger.rules.standing import EthicsState, StudyState
from ledger.rules.studies import LEADER

study = typer.Typer(no_args_is_help=True, help="Studies, and what happens to them.")
ethics = typer.Typer(
    no_args_is_help=True, help="What an ethics committee says of a study (its own key signs)."
)

PURPOSES: Final = {
    "method-development": "DUO:0000031",
    "population": "DUO:0000032",
    "ancestry": "DUO:0000033",
    "age-category": "DUO:0000034",
    "gender-category": "DUO:0000035",
    "control": "DUO:0000036",
    "biomedical": "DUO:0000037",
    "genetic": "DUO:0000038",
    "drug-development": "DUO:0000039",
    "disease": "DUO:0000040",
    "care": "EC:CARE",
}
"""The words for the purposes of a study."""

StudyNo = Annotated[str, typer.Argument(metavar="STUDY", help="Number of the study.")]
Title = Annotated[str | None, typer.Option("--title", help="Kept in the vault, for all members.")]


def purposes(given: Sequence[str]) -> list[str]:
    """Purposes by word or code. What is neither, the schema refuses."""
    return [PURPOSES.get(word, word) for word in given]


def texts(
    session: Session,
    kind: str,
    given: dict[str, str | None],
    *,
    group: str = "",
    tier: Any = "T1",  # noqa: ANN401
) -> tuple[Payload, ...]:
    """What a person wrote, handed in to the vault; how the record names it (SPEC 5.10)."""
    return tuple(
        session.deposit({"text": text}, tier, f"{kind}/{name}", group=group)
        for name, text in given.items()
        if text is not None
    )


def study_named(session: Session, number: str) -> StudyState:
    """A registered study. Raises `NotFoundError` (O6)."""
    return session.named(StudyState, "study", number)


def ethics_named(session: Session, approval: str) -> EthicsState:
    """An ethics approval. Raises `NotFoundError` (O6)."""
    return session.named(EthicsState, "ethics", approval)


def read_team(leader: str, given: Sequence[str]) -> list[dict[str, str]]:
    """`ORG=PID` of the principal investigator, and `ROLE:ORG=PID` of the others. Raises
    `MalformedError` (X2).
    """
    team = []
    for text in (f"{LEADER}:{leader}", *given):
        role, colon, rest = text.partition(":")
        org, equals, person = rest.partition("=")
        if not (colon and equals):
            raise MalformedError("X2", field="team")
        team.append({"org": org, "person": person, "role": role})
    return team


def register_study(
    place: Place,
    number: StudyNo,
    leader: Annotated[str, typer.Option("--pi", help="Principal investigator, ORG=PID.")],
    start: Annotated[str, typer.Option("--from", help="First day, 2026-11-23.")],
    end: Annotated[str, typer.Option("--until", help="Last day.")],
    purpose: Annotated[list[str], typer.Option(help="biomedical, disease, care ...; or a code.")],
    design: Annotated[Path, typer.Option(help="File of the design; its SHA-256 is recorded.")],
    title: Title = None,
    summary: Annotated[str | None, typer.Option(help="For everybody; kept in the vault.")] = None,
    benefit: Annotated[str | None, typer.Option(help="What the public gains; vault.")] = None,
    technical: Annotated[str | None, typer.Option(help="For experts; kept in the vault.")] = None,
    member: Annotated[list[str] | None, typer.Option(help="ROLE:ORG=PID, like analyst.")] = None,
    compute: Annotated[
        list[str] | None, typer.Option("--compute-node", help="Where it computes, ORG/NODE.")
    ] = None,
    disease: Annotated[list[str] | None, typer.Option(help="MONDO:0005233, icd10:A41.")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="Topic of research.")] = None,
    concern: Annotated[list[str] | None, typer.Option(help="paediatric, one-gender ...")] = None,
    collaborator: Annotated[list[str] | None, typer.Option(help="Code of a collaborator.")] = None,
    funder: Annotated[list[str] | None, typer.Option(help="Code of a funder.")] = None,
    lead_org: Annotated[str | None, typer.Option(help="Default: the signer's.")] = None,
    category: Annotated[str | None, typer.Option(help="Category of the request.")] = None,
    linkage: Annotated[str | None, typer.Option(help="Code of how data are linked.")] = None,
    registry_no: Annotated[str | None, typer.Option(help="Number in a register.")] = None,
    commercial: Annotated[bool, typer.Option("--commercial", help="For commercial use.")] = False,
    for_profit: Annotated[bool, typer.Option("--for-profit", help="By a company.")] = False,
    foreign: Annotated[bool, typer.Option("--foreign", help="With a foreign party.")] = False,
    training: Annotated[bool, typer.Option("--training", help="Trains a model.")] = False,
    accredited: Annotated[bool, typer.Option("--accredited", help="Accredited team.")] = False,
    valid_days: ValidDays = 30,
) -> None:
    """Register a study; its principal investigator and an officer of the leading organisation both
    sign (the other one with `alliance endorse`).
    """
    digest = b64url(fingerprint(design).digest)
    with Session(place) as session:
        fields = {
            "accredited": accredited or None,
            "category": category,
            "collaborators": collaborator,
            "commercial": commercial,
            "compute_nodes": compute,
            "concerns": concern,
            "design_digest": digest,
            "diseases": disease,
            "for_profit_org": for_profit,
            "foreign_party": foreign,
            "funders": funder,
            "lead_org": lead_org or session.author.org,
            "linkage": linkage,
            "model_training": training,
            "period": {"from": start, "to": end},
            "purpose_classes": purposes(purpose),
            "registry_no": registry_no,
            "study_no": number,
            "team": read_team(leader, member or ()),
            "topics": topic,
        }
        written = {
            "title": title,
            "lay-summary": summary,
            "public-benefit": benefit,
            "technical-summary": technical,
        }
        payloads = texts(session, "study", written, group=f"study:{number}")
        recorded = write(session, "study", fields, payloads=payloads, valid_days=valid_days)
        report(session, recorded)


def amend_study(
    place: Place,
    number: StudyNo,
    leader: Annotated[
        str | None, typer.Option("--pi", help="With --member: the whole new team.")
    ] = None,
    member: Annotated[list[str] | None, typer.Option(help="ROLE:ORG=PID, of the new team.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="With --until: new period.")] = None,
    end: Annotated[str | None, typer.Option("--until", help="Last day.")] = None,
) -> None:
    """Change the team or the period; new people may access after a new decision only."""
    if (start is None) != (end is None) or (leader is None and member):
        raise MalformedError("X2", field="new_period" if leader else "new_team")
    with Session(place) as session:
        fields = {
            "kind": "amend",
            "new_period": {"from": start, "to": end} if start else None,
            "new_team": read_team(leader, member or ()) if leader else None,
            "study": study_named(session, number).leaf,
        }
        report(session, write(session, "study-event", fields))


def _event(kind: str, sentence: str) -> Any:  # noqa: ANN401
    def happened(
        place: Place,
        number: StudyNo,
        text: Annotated[str | None, typer.Option("--report", help="Kept in the vault.")] = None,
    ) -> None:
        with Session(place) as session:
            fields = {"kind": kind, "study": study_named(session, number).leaf}
            written = texts(session, "study-event", {"report": text}, group=f"study:{number}")
            report(session, write(session, "study-event", fields, payloads=written))

    happened.__doc__ = sentence
    return happened


# --- ethics ---

Approval = Annotated[str, typer.Argument(metavar="APPROVAL", help="The alliance's name for it.")]
From = Annotated[str, typer.Option("--from", help="First day, 2026-11-23.")]
Until = Annotated[str, typer.Option("--until", help="Last day.")]
Scope = Annotated[list[str] | None, typer.Option(help="Only for this series; may be repeated.")]


def grant(
    place: Place,
    approval: Approval,
    number: Annotated[str, typer.Option("--study", help="Number of the study.")],
    start: From,
    end: Until,
    scope: Scope = None,
    exempt: Annotated[str | None, typer.Option(help="Exempt, by this code.")] = None,
    own_number: Annotated[
        str | None, typer.Option("--number", help="The committee's own number; vault.")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Record that the ethics committee approved a study, or found it exempt."""
    with Session(place) as session:
        fields = {
            "approval_id": approval,
            "committee_org": session.author.org,
            "decision": "exempt" if exempt else "approved",
            "exempt_code": exempt,
            "scope_datasets": scope,
            "status": "grant",
            "study": study_named(session, number).leaf,
            "valid_from": start,
            "valid_until": end,
        }
        written = texts(session, "ethics", {"approval-no": own_number}, tier="T2")
        report(session, write(session, "ethics", fields, payloads=written, valid_days=valid_days))


def renew(
    place: Place,
    approval: Approval,
    end: Until,
    scope: Scope = None,
    valid_days: ValidDays = 30,
) -> None:
    """Record that the ethics committee renewed its approval; also after a suspension."""
    with Session(place) as session:
        changes = {"scope_datasets": scope, "status": "renew", "valid_until": end}
        fields = {**_as_granted(session, approval), **changes}
        report(session, write(session, "ethics", fields, valid_days=valid_days))


def _ethics_step(status: str, sentence: str) -> Any:  # noqa: ANN401
    def step(place: Place, approval: Approval, valid_days: ValidDays = 30) -> None:
        with Session(place) as session:
            fields = {**_as_granted(session, approval), "status": status}
            report(session, write(session, "ethics", fields, valid_days=valid_days))

    step.__doc__ = sentence
    return step


def _as_granted(session: Session, approval: str) -> dict[str, object]:
    """What the newest word on an approval said."""
    state = ethics_named(session, approval)
    body = session.entry(state.leaf).entry.record.body
    return {
        "approval_id": approval,
        "committee_org": state.committee_org,
        "decision": body.decision,
        "exempt_code": body.exempt_code,
        "scope_datasets": list(state.scope),
        "study": body.study,
        "valid_from": body.valid_from,
        "valid_until": body.valid_until,
    }


study.command("register")(signing("officer")(register_study))
study.command("amend")(signing("officer")(amend_study))
for _name, _kind, _sentence in (
    ("report", "annual-report", "Record the yearly report of a study."),
    ("complete", "completion", "Record that a study is completed."),
    ("terminate", "termination", "Record that a study ended early."),
):
    study.command(_name)(signing("officer")(_event(_kind, _sentence)))
ethics.command("grant")(signing("ethics")(grant))
ethics.command("renew")(signing("ethics")(renew))
for _name, _sentence in (
    ("suspend", "Record that the ethics committee suspended its approval."),
    ("withdraw", "Record that the ethics committee withdrew its approval, for good."),
):
    ethics.command(_name)(signing("ethics")(_ethics_step(_name, _sentence)))
