"""What an author may do, and when: the checks that look at more than role and route (SPEC 13.4).

Each `check_x` raises with its reason; `can_x` is the same for pages.
"""

import re
from typing import Final

import msgspec

from ledger.errors import AllianceError, ForbiddenError, RefusedError
from ledger.records.envelope import Entry
from ledger.records.payloads import ATTACHED, Deposit, decode_payload, payload_of
from ledger.rules.guard import open_strings, texts_in
from ledger.rules.intake import suspect_field
from node.identity import Identity
from node.vault import Holding

FOR_EXPIRED: Final = frozenset({"POST /api/v1/entries", "GET /health", "GET /genesis"})
"""Evidence under an expired key is accepted with the finding KEY_EXPIRED (definitions.md 4)."""
OFFICES: Final = frozenset({"officer", "committee", "ethics", "checker"})
"""Who may open the restricted payloads of the own organisation."""
PERSONAL: Final = ("person:", "pid:")


def check_in_time(identity: Identity, route: str) -> None:
    """A key whose time is over hands in evidence and reads nothing. Raises `ForbiddenError`
    (P2).
    """
    if identity.is_expired and route not in FOR_EXPIRED:
        raise ForbiddenError("P2", kid=identity.key)


def check_deposit(deposit: Deposit, org: str, names: re.Pattern[str] | None = None) -> None:
    """A payload is kept by who is to hold it, and what all members read names nobody.

    Raises `RefusedError` (T7, T8).
    """
    if org not in deposit.holders:
        raise RefusedError("T8", org=org)
    if deposit.tier == "T1":
        value = decode_payload(payload_of(deposit))
        attachment = value.get(ATTACHED)
        if isinstance(attachment, dict):
            # Its size and its hash are numbers that nobody chose.
            value[ATTACHED] = {
                name: item for name, item in attachment.items() if name in ("name", "media")
            }
        found = suspect_field(value, names)
        if found is not None:
            raise RefusedError("T7", field=found[0], pattern=found[1])


def check_named(entry: Entry, names: re.Pattern[str]) -> None:
    """A record that somebody hands in here names nobody of the list. Raises `RefusedError` (S8)."""
    chosen = open_strings(entry.record.body)
    for field, text in texts_in(msgspec.to_builtins(entry.record.body)):
        if text in chosen and names.search(text):
            raise RefusedError("S8", field=field, pattern="name")


def check_release(author: Identity, holding: Holding, org: str) -> None:
    """T1 is for all members; T2 for the node of a holder, for whoever handed it in, for the person
    whom it is about, and for the offices of this node's organisation. Raises `ForbiddenError`
    (T5).
    """
    if holding.tier == "T1":
        return
    if org not in holding.holders or not _is_party(author, holding, org):
        raise ForbiddenError("T5", commit=holding.commit)


def _is_party(author: Identity, holding: Holding, org: str) -> bool:
    if author.role == "node":
        return author.org in holding.holders
    if author.key == holding.depositor:
        return True
    if author.role == "researcher":
        return holding.group == f"person:{author.subject}" and author.org == org
    return author.role in OFFICES and author.org == org


def check_subject(identity: Identity, subject: str) -> None:
    """A researcher reads of persons only what is recorded about the own pid: the log of a person
    is a profile (domain.md D12). Raises `ForbiddenError` (P6).
    """
    kind, _colon, name = subject.partition(":")
    is_other = f"{kind}:" in PERSONAL and name != identity.subject
    if identity.role in ("researcher", "system") and is_other:
        raise ForbiddenError("P6", subject=subject[:80])


def can_read_subject(identity: Identity, subject: str) -> bool:
    """`check_subject` for pages."""
    try:
        check_subject(identity, subject)
    except AllianceError:
        return False
    return True
