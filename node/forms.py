"""The forms of the node's answers, as far as whoever asks relies on them (SPEC 10).

An answer that lacks one of these fields, or holds something else in it, is none of this API; what
it holds beyond them comes from a later version and is passed on. What carries a proof has its form
from `ledger.verify`.
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

import msgspec

from ledger.records.envelope import Payload

NodeStatus = Literal["ok", "storage-failing", "silent", "observing", "broken"]
"""`driver.status`."""


def has_form(value: object, form: type) -> bool:
    """Whether an answer has the fields of this form."""
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError:
        return False
    return True


class Alive(TypedDict):
    """`/health`, as everybody gets it."""

    status: NodeStatus
    time_ms: int
    version: NotRequired[str]


class Quorum(TypedDict):
    """What the configuration in force bears."""

    may_be_absent: int
    may_lie: int
    n: int
    q: int


class EvidenceItem(TypedDict):
    """One contradiction of a member; `leaf` once it is recorded."""

    epoch: int
    kind: str
    leaf: str | None
    org: str
    view: int


class Health(Alive):
    """`/health`, for who says who asks."""

    alarms: dict[str, int]
    behind: int | None
    clock_offset_ms: int
    cosigned_otherwise: list[str]
    epoch: int
    evidence: list[EvidenceItem]
    heard_ms: dict[str, int]
    height: int
    members: Quorum
    node_keys: list[str]
    org: str
    pending: int
    published: int | None
    size: int


class Summary(TypedDict):
    """`/api/v1/summary`."""

    chain: str
    findings: dict[str, int]
    height: int
    origin: str
    size: int
    time_ms: int
    types: dict[str, int]


class Row(TypedDict):
    """One access, as the index has it; a field that has no value is absent."""

    action: str
    activity: str
    at: str
    dataset: str
    event: NotRequired[int]
    findings: NotRequired[list[str]]
    index: int
    leaf: str
    org: str
    outcome: str
    permit: NotRequired[str]
    person: NotRequired[str]
    request: NotRequired[str]
    seq: int
    system: str


class Opening(TypedDict):
    """What opens a session of a browser."""

    code: str
    seconds: int


class Accesses(TypedDict):
    """A page of `/api/v1/accesses`; `next` asks for the one after it."""

    next: str | None
    rows: list[Row]
    total: NotRequired[int]


class Place(TypedDict):
    """The published head that a report stands on; `checkpoint` is its signed note."""

    checkpoint: str
    height: int
    origin: str
    size: int
    time_ms: int


class InForce(TypedDict):
    """The policy in force at the head of a report."""

    leaf: str
    version: int


class Remark(TypedDict):
    """What an answer cannot know, in both languages."""

    code: str
    en: str
    zh: str


class Report(TypedDict):
    """The answer to one of the committee's questions; its rows have columns of their own, and name
    in `records` the leaf hashes of what shows them. `next` asks for the page after this one.
    """

    facts: dict[str, Any]
    head: Place
    next: str | None
    notes: list[Remark]
    policy: InForce
    question: str
    report: str
    rows: list[dict[str, Any]]


class ProvDocument(TypedDict):
    """A document of W3C PROV-JSON: beside its prefixes, elements and relations by their kind."""

    prefix: dict[str, str]


Crate = TypedDict("Crate", {"@context": list[Any], "@graph": list[dict[str, Any]]})
"""The metadata of an RO-Crate: JSON-LD, flattened."""


class DataCite(TypedDict):
    """What DataCite asks for of everything (JSON of its schema 4)."""

    alternateIdentifiers: list[dict[str, str]]
    creators: list[dict[str, Any]]
    publicationYear: str
    publisher: dict[str, str]
    schemaVersion: str
    titles: list[dict[str, str]]
    types: dict[str, str]


EXPORTS: Final[dict[str, type]] = {"crate": Crate, "datacite": DataCite, "prov": ProvDocument}
"""The standard forms that say where an object came from (SPEC 12.9 to 12.11)."""


class Waiting(TypedDict):
    """What was handed in waits for agreement, or its receipt is there."""

    status: Literal["pending", "published"]


class Posted(Waiting):
    """The answer to one entry; `receipt` once it is published."""

    receipt: NotRequired[dict[str, Any]]


class Result(TypedDict):
    """What became of one entry of several; `problem` where it was not published."""

    problem: NotRequired[dict[str, Any]]
    status: Literal["published", "refused", "busy", "failed"]


class Chunk(TypedDict):
    """The answer to several entries, all of them at once."""

    receipts: list[dict[str, Any]]
    results: list[Result]


class Described(TypedDict):
    """An entry; a seal has no receipt."""

    receipt: NotRequired[dict[str, Any]]


BYTES_TYPE: Final = "application/octet-stream"
"""The pieces of attachments."""


class AttachmentState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an attachment is at a node: the first `have` of `count` pieces. `complete` when the
    hash was found right, too. `payload` is how a record names it.
    """

    complete: bool
    count: int
    have: int
    payload: Payload
