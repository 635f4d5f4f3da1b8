"""The record types: one closed schema each, one table of all (SPEC R)."""

import msgspec

from ledger.records import envelope
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
from ledger.records.envelope import Entry, Record
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


def decode_entry(raw: bytes) -> Entry:
    """A record entry from its bytes; raises `MalformedError` with the rule (S1, S2, S10, B*)."""
    return envelope.parse_entry(raw, DECODERS)
