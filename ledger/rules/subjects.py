"""Which subject logs a record joins: derived from its type and body, never declared (definitions.md
3; SPEC S13).
"""

from collections.abc import Callable, Iterable, Mapping

from ledger.encoding import b64url, unb64url
from ledger.records.authorisation import (
    AccessDecisionBody,
    AccessRequestBody,
    EthicsBody,
    PermitStatusBody,
    ReviewBody,
    StudyBody,
    StudyEventBody,
)
from ledger.records.catalogue import (
    DatasetBody,
    DatasetStatusBody,
    DatasetVersionBody,
    IndicatorVersionBody,
    Party,
    VocabularyBody,
)
from ledger.records.envelope import Record
from ledger.records.epochs import ConfigBody, EndpointBody, EvidenceBody, ReadyBody
from ledger.records.governance import EndorseBody, KeyBody, MemberBody, ResolutionBody
from ledger.records.imports import ImportedAgreementBody
from ledger.records.outputs import EgressRequestBody, ResultBody
from ledger.records.rights import (
    AssessmentBody,
    CertificateBody,
    ContributionBody,
    DisputeBody,
    ErasureBody,
    NoticeBody,
)
from ledger.records.use import (
    AccessBatchBody,
    AccessBody,
    AccessEvent,
    ComputeRunBody,
    CorrectionBody,
    IncidentBody,
    SourceCloseBody,
)
from ledger.rules.draft import Located

Resolved = Mapping[bytes, Located | None]


def subjects_of(org: str, record: Record, resolved: Resolved) -> tuple[str, ...]:  # type: ignore[type-arg]
    """The subjects of a record, first one first; the last is always its organisation."""
    first = SUBJECTS[record.type](record.body, resolved)
    mine = f"org:{org}"
    return first if mine in first else (*first, mine)


def of_access(body: AccessBody | AccessEvent) -> tuple[str, ...]:
    """An access concerns its dataset (and series, when a version is named), its person and its
    permit.
    """
    subjects = [f"dataset:{body.dataset}"]
    series, at, _version = body.dataset.partition("@")
    if at:
        subjects.append(f"dataset:{series}")
    if body.person:
        subjects.append(f"person:{body.person}")
    if body.permit:
        subjects.append(f"permit:{body.permit}")
    return tuple(subjects)


def _of_batch(body: AccessBatchBody, _resolved: Resolved) -> tuple[str, ...]:
    """All that `of_access` gives for its events, worked out for each field once."""
    given = body.columns
    systems = set(filter(None, given.systems.words))
    if body.summary:
        systems.add(body.summary.system)
    datasets = set(filter(None, given.datasets.words))
    datasets |= {name.partition("@")[0] for name in datasets}
    return (
        *(f"source:{system}" for system in sorted(systems)),
        *sorted(f"dataset:{dataset}" for dataset in datasets),
        *sorted(f"permit:{permit}" for permit in given.permits.words if permit),
        *sorted(f"person:{person}" for person in given.persons.words if person),
    )


def _of_target(target: str, resolved: Resolved) -> tuple[str, ...]:
    found = resolved.get(unb64url(target, 32))
    return (f"record:{target}", found.sub) if found else (f"record:{target}",)


def _of_endorse(body: EndorseBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_target(body.target, resolved)


def _of_correction(body: CorrectionBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_target(body.target, resolved)


def _of_key(body: KeyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"key:{body.kid}",)


def _of_member(body: MemberBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"org:{body.org}",)


def _of_resolution(body: ResolutionBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"resolution:{body.no}",)


def _of_dataset(body: DatasetBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"dataset:{body.series_id}",)


def _of_version(body: DatasetVersionBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"dataset:{body.series_id}@{body.version}", f"dataset:{body.series_id}")


def _of_status(body: DatasetStatusBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_leaves((body.version,), resolved)


def _of_leaves(leaves: Iterable[str], resolved: Resolved) -> tuple[str, ...]:
    """The records named, and their first subjects; with a version of data its series, too."""
    subjects: dict[str, None] = {}
    for leaf in leaves:
        for subject in _of_target(leaf, resolved):
            subjects[subject] = None
            series, at, _version = subject.partition("@")
            if at and subject.startswith("dataset:"):
                subjects[series] = None
    return tuple(subjects)


def _of_indicator(body: IndicatorVersionBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"indicator:{body.code}@{body.version}", f"indicator:{body.code}")


def _of_vocabulary(body: VocabularyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"vocabulary:{body.root}",)


def _of_study(body: StudyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"study:{body.study_no}", *sorted({f"person:{one.person}" for one in body.team}))


def _of_ethics(body: EthicsBody, resolved: Resolved) -> tuple[str, ...]:
    return (f"ethics:{body.approval_id}", *_of_leaves((body.study,), resolved))


def _of_study_event(body: StudyEventBody, resolved: Resolved) -> tuple[str, ...]:
    team = () if body.new_team is None else body.new_team
    leaves = (body.study,) if body.request is None else (body.study, body.request)
    people = sorted({f"person:{one.person}" for one in team})
    return (*_of_leaves(leaves, resolved), *people)


def _of_request(body: AccessRequestBody, resolved: Resolved) -> tuple[str, ...]:
    leaves = (body.study, *body.datasets)
    return (f"request:{body.request_id}", *_of_leaves(leaves, resolved))


def _of_review(body: ReviewBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_leaves((body.request,), resolved)


def _of_decision(body: AccessDecisionBody, resolved: Resolved) -> tuple[str, ...]:
    first = () if body.permit_id is None else (f"permit:{body.permit_id}",)
    named = _of_leaves((body.request, *body.datasets), resolved)
    return (*first, *named, *sorted({f"person:{person}" for person in body.persons}))


def _of_permit(body: PermitStatusBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_leaves((body.permit,), resolved)


def _of_run(body: ComputeRunBody, _resolved: Resolved) -> tuple[str, ...]:
    named = {f"{one.kind}:{one.name}" for one in body.used if one.name and one.kind != "file"}
    series = {name.partition("@")[0] for name in named if name.startswith("dataset:")}
    permit = () if body.permit is None else (f"permit:{body.permit}",)
    person = () if body.person is None else (f"person:{body.person}",)
    return (f"run:{body.run_id}", *sorted(named | series), *permit, *person)


def _of_incident(body: IncidentBody, resolved: Resolved) -> tuple[str, ...]:
    return (f"incident:{body.incident_id}", *_of_leaves(body.affected, resolved))


def _of_config(body: ConfigBody, _resolved: Resolved) -> tuple[str, ...]:
    return ("config", f"config:{b64url(body.config.config_hash)}")


def _of_ready(body: ReadyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"config:{body.config_hash}",)


def _of_endpoint(body: EndpointBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"org:{body.org}",)


def _of_evidence(body: EvidenceBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"voter:{body.epoch}/{body.first.signer}",)


def _of_close(body: SourceCloseBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"source:{body.system}",)


def _of_agreement(body: ImportedAgreementBody, _resolved: Resolved) -> tuple[str, ...]:
    """Its organisation is a party elsewhere, and no organisation of this chain."""
    return (f"permit:{body.agreement}", f"party:{body.org}")


def _of_result(body: ResultBody, resolved: Resolved) -> tuple[str, ...]:
    return (f"result:{body.result_id}", *_of_leaves((body.study,), resolved))


def _of_egress(body: EgressRequestBody, resolved: Resolved) -> tuple[str, ...]:
    first = f"egress:{body.request_id}"
    people = (f"permit:{body.permit}", f"person:{body.author}")
    return (first, *_of_leaves((body.result,), resolved), *people)


def _of_contribution(body: ContributionBody, resolved: Resolved) -> tuple[str, ...]:
    return (*_of_leaves((body.object,), resolved), *_people(body.party))


def _people(*parties: Party) -> tuple[str, ...]:
    return tuple(sorted({f"person:{party.person}" for party in parties if party.person}))


def _of_notice(body: NoticeBody, resolved: Resolved) -> tuple[str, ...]:
    return (f"notice:{body.notice_id}", *_of_leaves((body.object,), resolved))


def _of_certificate(body: CertificateBody, resolved: Resolved) -> tuple[str, ...]:
    holders = _people(*(right.holder for right in body.rights))
    return (f"certificate:{body.cert_no}", *_of_leaves((body.object,), resolved), *holders)


def _of_dispute(body: DisputeBody, resolved: Resolved) -> tuple[str, ...]:
    first = f"dispute:{body.dispute_id}"
    return (first, *_of_leaves((body.target,), resolved), *_people(body.claimant))


def _of_assessment(body: AssessmentBody, _resolved: Resolved) -> tuple[str, ...]:
    return ("assessment", f"assessment:{body.period.from_}/{body.period.to}")


def _of_erasure(body: ErasureBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_leaves((one.record for one in body.targets), resolved)


SUBJECTS: dict[str, Callable[..., tuple[str, ...]]] = {
    "access": lambda body, _resolved: of_access(body),
    "access-batch": _of_batch,
    "access-decision": _of_decision,
    "access-request": _of_request,
    "assessment": _of_assessment,
    "certificate": _of_certificate,
    "compute-run": _of_run,
    "config": _of_config,
    "contribution": _of_contribution,
    "contribution-confirm": lambda body, resolved: _of_leaves((body.contribution,), resolved),
    "correction": _of_correction,
    "dataset": _of_dataset,
    "dataset-status": _of_status,
    "dataset-version": _of_version,
    "dispute": _of_dispute,
    "dispute-ruling": lambda body, resolved: _of_leaves((body.dispute,), resolved),
    "egress-decision": lambda body, resolved: _of_leaves((body.request,), resolved),
    "egress-request": _of_egress,
    "egress-review": lambda body, resolved: _of_leaves((body.request,), resolved),
    "endorse": _of_endorse,
    "endpoint": _of_endpoint,
    "erasure": _of_erasure,
    "ethics": _of_ethics,
    "evidence": _of_evidence,
    "finding-resolution": lambda body, resolved: _of_leaves((body.record,), resolved),
    "founder-acceptance": lambda _body, _resolved: ("alliance",),
    "genesis": lambda _body, _resolved: ("alliance",),
    "imported-agreement": _of_agreement,
    "incident": _of_incident,
    "indicator-version": _of_indicator,
    "key": _of_key,
    "member": _of_member,
    "notice": _of_notice,
    "permit-status": _of_permit,
    "policy": lambda _body, _resolved: ("policy",),
    "publication": lambda body, resolved: _of_leaves((body.result,), resolved),
    "ready": _of_ready,
    "resolution": _of_resolution,
    "result": _of_result,
    "review": _of_review,
    "source-close": _of_close,
    "study": _of_study,
    "study-event": _of_study_event,
    "time-anchor": lambda _body, _resolved: ("time-anchor",),
    "vocabulary": _of_vocabulary,
}
