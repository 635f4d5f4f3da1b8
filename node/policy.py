"""What an author may do, and when: the checks that look at more than role and route (SPEC 13.4).

Each `check_x` raises with its reason; `can_x` is the same for pages.
"""

from typing import Final

from ledger.errors import AllianceError, ForbiddenError
from node.identity import Identity

FOR_EXPIRED: Final = frozenset({"POST /api/v1/entries", "GET /health", "GET /genesis"})
"""Evidence under an expired key is accepted with the finding KEY_EXPIRED (definitions.md 4)."""
PERSONAL: Final = ("person:", "pid:")


def check_in_time(identity: Identity, route: str) -> None:
    """A key whose time is over hands in evidence and reads nothing. Raises `ForbiddenError`
    (P2).
    """
    if identity.is_expired and route not in FOR_EXPIRED:
        raise ForbiddenError("P2", kid=identity.key)


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
