"""The record types: one closed schema each, one table of all (SPEC R)."""

import msgspec

from ledger.encoding import decode_statement, decode_uuid
from ledger.errors import MalformedError, TooLargeError
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
    VocabularyBody,
)
from ledger.records.envelope import LEAF_PREFIX, Entry, Record, decode_canonical, type_of
from ledger.records.epochs import ConfigBody, EndpointBody, EvidenceBody, ReadyBody
from ledger.records.governance import (
    EndorseBody,
    FounderAcceptanceBody,
    GenesisBody,
    KeyBody,
    MemberBody,
    PolicyBody,
    ResolutionBody,
)
from ledger.records.imports import ImportedAgreementBody
from ledger.records.outputs import (
    EgressDecisionBody,
    EgressRequestBody,
    EgressReviewBody,
    PublicationBody,
    ResultBody,
)
from ledger.records.references import references_of
from ledger.records.rights import (
    AssessmentBody,
    CertificateBody,
    ContributionBody,
    ContributionConfirmBody,
    DisputeBody,
    DisputeRulingBody,
    ErasureBody,
    FindingResolutionBody,
    NoticeBody,
    TimeAnchorBody,
)
from ledger.records.use import (
    AccessBatchBody,
    AccessBody,
    ComputeRunBody,
    CorrectionBody,
    IncidentBody,
    SourceCloseBody,
)

BODIES: dict[str, type] = {
    "access": AccessBody,
    "access-batch": AccessBatchBody,
    "access-decision": AccessDecisionBody,
    "access-request": AccessRequestBody,
    "assessment": AssessmentBody,
    "certificate": CertificateBody,
    "compute-run": ComputeRunBody,
    "config": ConfigBody,
    "contribution": ContributionBody,
    "contribution-confirm": ContributionConfirmBody,
    "correction": CorrectionBody,
    "dataset": DatasetBody,
    "dataset-status": DatasetStatusBody,
    "dataset-version": DatasetVersionBody,
    "dispute": DisputeBody,
    "dispute-ruling": DisputeRulingBody,
    "egress-decision": EgressDecisionBody,
    "egress-request": EgressRequestBody,
    "egress-review": EgressReviewBody,
    "endorse": EndorseBody,
    "endpoint": EndpointBody,
    "erasure": ErasureBody,
    "ethics": EthicsBody,
    "evidence": EvidenceBody,
    "finding-resolution": FindingResolutionBody,
    "founder-acceptance": FounderAcceptanceBody,
    "genesis": GenesisBody,
    "imported-agreement": ImportedAgreementBody,
    "incident": IncidentBody,
    "indicator-version": IndicatorVersionBody,
    "key": KeyBody,
    "member": MemberBody,
    "notice": NoticeBody,
    "permit-status": PermitStatusBody,
    "policy": PolicyBody,
    "publication": PublicationBody,
    "ready": ReadyBody,
    "resolution": ResolutionBody,
    "result": ResultBody,
    "review": ReviewBody,
    "source-close": SourceCloseBody,
    "study": StudyBody,
    "study-event": StudyEventBody,
    "time-anchor": TimeAnchorBody,
    "vocabulary": VocabularyBody,
}

DECODERS: dict[str, msgspec.json.Decoder[Record]] = {  # type: ignore[type-arg]
    kind: msgspec.json.Decoder(Record[body])  # type: ignore[valid-type]
    for kind, body in BODIES.items()
}

_BY_END = {f',"type":"{kind}","v":1}}'.encode(): decoder for kind, decoder in DECODERS.items()}
"""By how the records of a type end."""


def decode_entry(raw: bytes) -> Entry:
    """A record entry from its bytes; S1 (schema), S2 (canonical), S10 (size).

    Raises `MalformedError` with the rule and, where it helps, the place.
    """
    if len(raw) > 65_535:
        raise TooLargeError("S10", size=len(raw))
    statement = decode_statement(raw)
    payload = statement.payload
    record = decode_canonical(payload, _decoder_of(payload))
    digest = LEAF_PREFIX.copy()
    digest.update(raw)
    id_key = statement.kid + decode_uuid(record.id)
    return Entry(raw, digest.digest(), statement, record, id_key, *references_of(record))


def _decoder_of(payload: bytes) -> msgspec.json.Decoder[Record]:  # type: ignore[type-arg]
    """By the type that a payload claims. Raises `MalformedError` (S1.tail, S1.type)."""
    known = _BY_END.get(payload[payload.rfind(b',"type":"') :])
    if known is not None:
        return known
    kind = type_of(payload)
    decoder = DECODERS.get(kind)
    if decoder is None:
        raise MalformedError("S1.type", type=kind)
    return decoder
