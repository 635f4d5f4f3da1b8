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
    "compute-run": ComputeRunBody,
    "config": ConfigBody,
    "correction": CorrectionBody,
    "dataset": DatasetBody,
    "dataset-status": DatasetStatusBody,
    "dataset-version": DatasetVersionBody,
    "endorse": EndorseBody,
    "endpoint": EndpointBody,
    "ethics": EthicsBody,
    "evidence": EvidenceBody,
    "founder-acceptance": FounderAcceptanceBody,
    "genesis": GenesisBody,
    "imported-agreement": ImportedAgreementBody,
    "incident": IncidentBody,
    "indicator-version": IndicatorVersionBody,
    "key": KeyBody,
    "member": MemberBody,
    "permit-status": PermitStatusBody,
    "policy": PolicyBody,
    "ready": ReadyBody,
    "resolution": ResolutionBody,
    "review": ReviewBody,
    "source-close": SourceCloseBody,
    "study": StudyBody,
    "study-event": StudyEventBody,
    "vocabulary": VocabularyBody,
}

DECODERS: dict[str, msgspec.json.Decoder[Record]] = {  # type: ignore[type-arg]
    kind: msgspec.json.Decoder(Record[body])  # type: ignore[valid-type]
    for kind, body in BODIES.items()
}


def decode_entry(raw: bytes) -> Entry:
    """A record entry from its bytes; raises `MalformedError` with the rule (S1, S2, S10, B*)."""
    return envelope.parse_entry(raw, DECODERS)
