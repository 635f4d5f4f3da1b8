"""Records that a node signs itself: what it observed, found out or has done (definitions.md 1)."""

from ledger.crypto import Signer
from ledger.encoding import encode_protected, encode_statement, signature_input
from ledger.records.envelope import ENCODE, Record
from ledger.rules.subjects import Resolved, subjects_of


def sign_record(node: Signer, org: str, record: Record, resolved: Resolved) -> bytes:  # type: ignore[type-arg]
    """The entry of a record; `resolved` are the earlier entries that it refers to."""
    payload = ENCODE(record)
    protected = encode_protected(node.alg, node.kid, org, subjects_of(org, record, resolved)[0])
    return encode_statement(protected, payload, node.sign(signature_input(protected, payload)))
