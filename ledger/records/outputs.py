"""Outputs: results, what of them leaves the alliance, what is published (domain.md D3, D14).

Titles and justifications are payloads, and so are the command and the cells of a disclosure check:
they carry code, labels and small numbers.
"""

from typing import Annotated, Literal

import msgspec

from ledger.records.catalogue import Day
from ledger.records.envelope import Code, Digest, Name, Pid, Shape

ObjectKind = Literal[
    "data-resource",
    "standard-dataset",
    "indicator",
    "algorithm-model",
    "training-dataset",
    "data-product",
    "report",
    "paper",
    "software",
]
"""数据资源, 标准数据集, 指标, 算法模型, 训练数据集, 数据产品, 报告, 论文, 软件."""

SizeBucket = Literal["0", "1-9kB", "10-99kB", "100-999kB", "1-9MB", "10-99MB", "100MB+"]
Files = Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=256)]


class ResultFile(Shape, frozen=True, kw_only=True):
    """One file of a result, by its digest; `media` is its media type."""

    digest: Digest
    media: Code
    size_bucket: SizeBucket


class ResultBody(Shape, frozen=True, kw_only=True):
    """What runs of a study brought forth. `generated_by` are the newest records of these runs."""

    content_digest: Digest
    files: Annotated[tuple[ResultFile, ...], msgspec.Meta(min_length=1, max_length=256)]
    generated_by: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=64)] = ()
    indicators: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=64)] = ()
    kind: ObjectKind
    result_id: Code
    study: Digest
    supersedes: Digest | None = None


class SdcOutput(Shape, frozen=True, kw_only=True):
    """One output as the disclosure checker judged it: its status and that of each check."""

    checks: dict[Code, Literal["pass", "fail", "review"]] = msgspec.field(default_factory=dict)
    statbarn: Code
    status: Literal["pass", "fail", "review"]
    uid: Code


class SdcEvidence(Shape, frozen=True, kw_only=True):
    """What a tool for statistical disclosure control said, under which thresholds."""

    outputs: Annotated[tuple[SdcOutput, ...], msgspec.Meta(min_length=1, max_length=128)]
    profile_hash: Digest
    tool: Code
    version: Code


class EgressRequestBody(Shape, frozen=True, kw_only=True):
    """The author asks that files of a result may leave; `revises` is the request that was
    returned.
    """

    author: Pid
    destination_class: Literal["publication", "member", "regulator", "partner"]
    files: Files
    permit: Code
    request_id: Code
    result: Digest
    revises: Digest | None = None
    sdc: SdcEvidence


class FileVote(Shape, frozen=True, kw_only=True):
    """A reviewer's vote on one file."""

    digest: Digest
    vote: Literal["approve", "changes", "reject"]


class EgressReviewBody(Shape, frozen=True, kw_only=True):
    """One output checker's votes on all files of a request; the newest of a person counts."""

    checklist_hash: Digest
    file_votes: Annotated[tuple[FileVote, ...], msgspec.Meta(min_length=1, max_length=256)]
    request: Digest


class EgressDecisionBody(Shape, frozen=True, kw_only=True):
    """What becomes of a request; its author withdraws it, `recall` follows a release."""

    decision: Literal["release", "reject", "return", "withdraw", "recall"]
    exception_code: Code | None = None
    reason_code: Code | None = None
    released: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=256)] = ()
    request: Digest


class PublicationBody(Shape, frozen=True, kw_only=True):
    """Where a result appeared. `ack_root` is that of the acknowledgement set it prints."""

    ack_root: Digest | None = None
    acknowledgement_ok: bool
    pid_type: Literal["doi", "cstr", "isbn", "patent", "software", "report"]
    pid_value: Name
    published_on: Day
    result: Digest
