"""S8: the personal-data guard of consensus, a versioned list of patterns over open strings
(domain.md D11).

It is deliberately short and exact, because every node must agree on it; the wider guard runs at
intake.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from ledger.errors import RefusedError
from ledger.records.authorisation import (
    AccessDecisionBody,
    AccessRequestBody,
    EthicsBody,
    PermitStatusBody,
    ReviewBody,
    StudyBody,
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
from ledger.records.epochs import ConfigBody, EndpointBody
from ledger.records.governance import (
    EndorseBody,
    KeyBody,
    MemberBody,
    PolicyBody,
    ResolutionBody,
)
from ledger.records.imports import ImportedAgreementBody
from ledger.records.outputs import EgressDecisionBody, EgressRequestBody, ResultBody
from ledger.records.rights import (
    AssessmentBody,
    CertificateBody,
    ContributionBody,
    ContributionConfirmBody,
    DisputeBody,
    ErasureBody,
    FindingResolutionBody,
    NoticeBody,
)
from ledger.records.use import (
    AccessBatchBody,
    AccessBody,
    ComputeRunBody,
    CorrectionBody,
    IncidentBody,
    Source,
    SourceCloseBody,
)

# Guard version 1. Digits that belong to a longer number are none of these.
PATTERNS = (
    ("resident-id", re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])", re.ASCII)),
    ("mobile", re.compile(r"(?<![0-9A-Za-z])1[3-9][0-9]{9}(?![0-9A-Za-z])", re.ASCII)),
    # Begins where its word does: from every letter of it the search would take the square of it.
    (
        "e-mail",
        re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}", re.ASCII),
    ),
    ("ip", re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", re.ASCII)),
)
# One cheap look says for nearly every record that none of the patterns can match: an e-mail holds
# an @, and the others this, which begins with one class of characters, so that the search passes
# over all else at once.
SUSPECT = re.compile(r"[0-9](?:[0-9]{10}|\.[0-9]{1,3}\.[0-9])", re.ASCII)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_personal_data(record: Record) -> None:  # type: ignore[type-arg]
    """S8. Raises `RefusedError` naming pattern and field, never the text that it found."""
    name = personal_data_in("\n".join(open_strings(record.body)))
    if name is not None:
        raise RefusedError("S8", field=_field_of(record.body), pattern=name)


def _field_of(body: object) -> str:
    """The field that holds what was found, like `events[3].activity`."""
    suspect = next((text for text in open_strings(body) if personal_data_in(text)), "")
    places = list(texts_in(msgspec.to_builtins(body)))
    whole = [field for field, held in places if held == suspect]
    # A version is guarded as `series@version`, which is two fields.
    parts = [field for field, held in places if held and held in suspect]
    return next(iter((*whole, *parts)), "body")


def texts_in(value: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Every text and number of a JSON value with its place, like `team[2].note`; the names of
    fields are texts, too.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            place = f"{field}.{name}" if field else str(name)
            yield field or "-", str(name)
            yield from texts_in(item, place)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from texts_in(item, f"{field}[{number}]")
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield field or "-", str(value)


def personal_data_in(text: str) -> str | None:
    """The name of a pattern that a text holds, or None."""
    if "@" not in text and SUSPECT.search(text) is None:
        return None
    for name, pattern in PATTERNS:
        for found in pattern.finditer(text):
            if name != "resident-id" or has_check_digit(found.group()):
                return name
    return None


def has_check_digit(number: str) -> bool:
    """GB 11643: the last character of a resident identity number follows from the others."""
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, number, strict=False))
    return "10X98765432"[total % 11] == number[-1].upper()


def open_strings(body: object) -> tuple[str, ...]:
    """The strings of a body that a person or a source system chose freely: not its hashes and ids,
    nor the numbers that an authority gave.

    A dataset is guarded under the name that accesses call it by: what may be registered may be
    recorded in use.
    """
    found = OPEN.get(type(body))
    return found(body) if found else ()


def _of_access(body: AccessBody) -> tuple[str, ...]:
    return (
        body.activity,
        body.dataset,
        body.person or "",
        body.permit or "",
        body.purpose or "",
        body.source.system,
        body.request.system if isinstance(body.request, Source) else "",
    )


def _of_batch(body: AccessBatchBody) -> tuple[str, ...]:
    # A batch repeats itself: each string is looked at once.
    given = body.columns
    words = {*given.activities.words, *given.datasets.words, *given.persons.words}
    words.update(given.permits.words, given.purposes.words, given.systems.words)
    if any(given.requests):
        words.update([asked.system for asked in given.requests if isinstance(asked, Source)])
    if body.summary is not None:
        words.add(body.summary.system)
    return tuple(sorted(filter(None, words)))


def _of_dataset(body: DatasetBody) -> tuple[str, ...]:
    aliases = [text for alias in body.aliases for text in (alias.namespace, alias.name)]
    return (body.series_id, *aliases)


def _of_version(body: DatasetVersionBody) -> tuple[str, ...]:
    params = [text for term in body.terms for text in term.params]
    units = [party.unit or "" for party in (body.curator, body.steward) if party is not None]
    return (f"{body.series_id}@{body.version}", *params, *units)


def _of_study(body: StudyBody) -> tuple[str, ...]:
    words = (body.study_no, body.category or "", body.linkage or "")
    lists = (body.collaborators, body.compute_nodes, body.diseases, body.funders, body.topics)
    return (*words, *(text for texts in lists for text in texts))


def _of_request(body: AccessRequestBody) -> tuple[str, ...]:
    return (body.request_id, body.scenario, *body.outputs_planned)


def _of_decision(body: AccessDecisionBody) -> tuple[str, ...]:
    reasons = () if body.reasons is None else tuple(msgspec.structs.astuple(body.reasons))
    owed = [text for one in body.obligations for text in (one.code, *one.params)]
    codes = (*body.legal_basis_codes, *body.reason_codes)
    return (body.permit_id or "", *reasons, *owed, *codes, *body.compute_nodes)


def _of_run(body: ComputeRunBody) -> tuple[str, ...]:
    words = (body.run_id, body.compute_node, body.engine or "", body.job.name, body.job.namespace)
    uses = [text for one in body.used for text in (one.alias or "", one.name or "")]
    return (*words, body.permit or "", body.person or "", body.purpose or "", *uses)


def _of_key(body: KeyBody) -> tuple[str, ...]:
    return (body.key.subject if body.key else "", body.reason_code or "")


def _of_member(body: MemberBody) -> tuple[str, ...]:
    return (body.org, body.reason_code or "", *(key.subject for key in body.keys))


def _of_agreement(body: ImportedAgreementBody) -> tuple[str, ...]:
    return (body.agreement, body.org_name, *(one.dataset for one in body.datasets))


def _of_party(party: Party) -> tuple[str, ...]:
    return (party.org, party.unit or "")


def _of_egress(body: EgressRequestBody) -> tuple[str, ...]:
    sdc = body.sdc
    outputs = [text for one in sdc.outputs for text in (one.statbarn, one.uid, *one.checks)]
    return (body.request_id, body.permit, sdc.tool, *outputs)


def _of_certificate(body: CertificateBody) -> tuple[str, ...]:
    rights = [text for one in body.rights for text in (one.right, one.scope, one.territory or "")]
    holders = [text for one in body.rights for text in _of_party(one.holder)]
    return (body.cert_no, *rights, *holders)


OPEN: dict[type, Callable[..., tuple[str, ...]]] = {
    AccessBody: _of_access,
    AccessBatchBody: _of_batch,
    AccessDecisionBody: _of_decision,
    AccessRequestBody: _of_request,
    ComputeRunBody: _of_run,
    ConfigBody: lambda body: tuple(member.org for member in body.config.members),
    CorrectionBody: lambda body: (body.field_path, body.reason_code, str(body.new_value)),
    DatasetBody: _of_dataset,
    DatasetStatusBody: lambda body: (body.reason_code,),
    DatasetVersionBody: _of_version,
    EndorseBody: lambda body: (body.reason_code or "",),
    # Addresses of nodes have a form of their own (G20), which leaves no room for anything else.
    EndpointBody: lambda body: (body.org,),
    ImportedAgreementBody: _of_agreement,
    EthicsBody: lambda body: (body.approval_id, body.exempt_code or ""),
    IncidentBody: lambda body: (body.incident_id,),
    IndicatorVersionBody: lambda body: (f"{body.code}@{body.version}",),
    KeyBody: _of_key,
    MemberBody: _of_member,
    PermitStatusBody: lambda body: (body.reason_code or "",),
    PolicyBody: lambda body: (body.name,),
    ResolutionBody: lambda body: body.recused,
    ReviewBody: lambda body: body.reason_codes,
    SourceCloseBody: lambda body: (body.system,),
    StudyBody: _of_study,
    VocabularyBody: lambda body: tuple(row.id for row in body.rows),
    AssessmentBody: lambda body: tuple(body.metrics),
    CertificateBody: _of_certificate,
    ContributionBody: lambda body: (body.local_role or "", *_of_party(body.party)),
    ContributionConfirmBody: lambda body: (body.reason_code or "",),
    DisputeBody: lambda body: (body.dispute_id, body.claim_code, *_of_party(body.claimant)),
    EgressDecisionBody: lambda body: (body.exception_code or "", body.reason_code or ""),
    EgressRequestBody: _of_egress,
    ErasureBody: lambda body: (body.ground_code,),
    FindingResolutionBody: lambda body: (body.dataset or "",),
    NoticeBody: lambda body: (body.notice_id,),
    ResultBody: lambda body: (body.result_id,),
}
