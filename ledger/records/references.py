"""Which earlier entries a record names, by type of its body (SPEC 3, S4)."""

from collections.abc import Callable
from typing import Any

from ledger.encoding import unb64url
from ledger.records.authorisation import (
    AccessDecisionBody,
    AccessRequestBody,
    EthicsBody,
    PermitStatusBody,
    ReviewBody,
    StudyEventBody,
)
from ledger.records.catalogue import DatasetStatusBody, DatasetVersionBody, IndicatorVersionBody
from ledger.records.envelope import Record
from ledger.records.governance import EndorseBody
from ledger.records.outputs import (
    EgressDecisionBody,
    EgressRequestBody,
    EgressReviewBody,
    PublicationBody,
    ResultBody,
)
from ledger.records.rights import (
    CertificateBody,
    ContributionBody,
    ContributionConfirmBody,
    DisputeBody,
    DisputeRulingBody,
    ErasureBody,
    FindingResolutionBody,
    NoticeBody,
)
from ledger.records.use import AccessBatchBody, AccessBody, CorrectionBody, IncidentBody


def _given(*leaves: str | None) -> tuple[str, ...]:
    return tuple(leaf for leaf in leaves if leaf is not None)


def _requests(body: AccessBatchBody) -> tuple[str, ...]:
    requests = body.columns.requests
    return tuple([leaf for leaf in requests if isinstance(leaf, str)]) if any(requests) else ()


TARGETS: dict[type, Callable[[Any], tuple[str, ...]]] = {
    AccessDecisionBody: lambda body: (body.request, *body.datasets),
    AccessRequestBody: lambda body: (body.study, *body.datasets),
    CertificateBody: lambda body: (body.object,),
    ContributionBody: lambda body: (body.object,),
    ContributionConfirmBody: lambda body: (body.contribution,),
    CorrectionBody: lambda body: (body.target,),
    DatasetStatusBody: lambda body: (body.version,),
    DisputeBody: lambda body: (body.target,),
    DisputeRulingBody: lambda body: (body.dispute,),
    EgressDecisionBody: lambda body: (body.request,),
    EgressRequestBody: lambda body: (body.result,),
    EgressReviewBody: lambda body: (body.request,),
    EndorseBody: lambda body: (body.target,),
    ErasureBody: lambda body: tuple(one.record for one in body.targets),
    EthicsBody: lambda body: (body.study,),
    FindingResolutionBody: lambda body: (body.record,),
    IncidentBody: lambda body: body.affected,
    NoticeBody: lambda body: (body.object,),
    PermitStatusBody: lambda body: (body.permit,),
    PublicationBody: lambda body: (body.result,),
    ResultBody: lambda body: (body.study,),
    ReviewBody: lambda body: (body.request,),
    StudyEventBody: lambda body: _given(body.study, body.request),
}
ALSO: dict[type, Callable[[Any], tuple[str, ...]]] = {
    AccessBatchBody: _requests,
    AccessBody: lambda body: (body.request,) if isinstance(body.request, str) else (),
    AccessDecisionBody: lambda body: (*body.reviews, *_given(body.amends)),
    AccessRequestBody: lambda body: (*body.ethics, *_given(body.revises)),
    CertificateBody: lambda body: (
        body.notice,
        *(right.basis for right in body.rights),
        *_given(body.supersedes),
    ),
    DatasetVersionBody: lambda body: (*body.sources, *body.permits),
    DisputeRulingBody: lambda body: tuple(order.ref for order in body.orders),
    EgressRequestBody: lambda body: _given(body.revises),
    IndicatorVersionBody: lambda body: _given(body.predecessor),
    NoticeBody: lambda body: (body.policy,),
    ResultBody: lambda body: (
        *body.generated_by,
        *body.indicators,
        *_given(body.supersedes),
    ),
}
"""Entries that have only to be on the chain (S4); what they are, the rules ask the state."""


def references_of(record: Record) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:  # type: ignore[type-arg]
    """The targets of a record, and all entries that it names, in order.

    Targets are those whose type and subject the rules ask for, and not only whether they are on
    the chain: what a record decides on, corrects, or asks for. Raises `MalformedError` (B4) where
    a name is no leaf hash.
    """
    kind = type(record.body)
    named = [ref.leaf for ref in record.refs]
    first = len(named)
    targets, also = TARGETS.get(kind), ALSO.get(kind)
    if targets is not None:
        named.extend(targets(record.body))
    last = len(named)
    if also is not None:
        named.extend(also(record.body))
    if not named:
        return (), ()
    leaves = tuple(unb64url(leaf, 32) for leaf in named)
    return leaves[first:last], leaves
