"""S8: the personal-data guard of consensus, a versioned list of patterns over open T0 strings
(domain.md D11).

It is deliberately short and exact, because every node must agree on it; the wider guard runs at
intake.
"""

import re
from itertools import chain

from ledger.errors import RefusedError
from ledger.records.envelope import Record
from ledger.records.use import AccessBatchBody, AccessBody, AccessEvent, CorrectionBody

# Guard version 1. Digits that belong to a longer number are none of these.
PATTERNS = (
    ("resident-id", re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])", re.ASCII)),
    ("mobile", re.compile(r"(?<![0-9A-Za-z])1[3-9][0-9]{9}(?![0-9A-Za-z])", re.ASCII)),
    ("e-mail", re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}", re.ASCII)),
    ("ip", re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", re.ASCII)),
)
# One cheap look says for nearly every record that none of the patterns can match.
SUSPECT = re.compile(r"@|[0-9]{11}|[0-9]\.[0-9]{1,3}\.[0-9]", re.ASCII)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_personal_data(record: Record) -> None:  # type: ignore[type-arg]
    """S8. Raises `RefusedError` naming the pattern, never the text that it found."""
    text = "\n".join(open_strings(record.body))
    if SUSPECT.search(text) is None:
        return
    for name, pattern in PATTERNS:
        for found in pattern.finditer(text):
            if name != "resident-id" or has_check_digit(found.group()):
                raise RefusedError("S8", pattern=name)


def has_check_digit(number: str) -> bool:
    """GB 11643: the last character of a resident identity number follows from the others."""
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, number, strict=False))
    return "10X98765432"[total % 11] == number[-1].upper()


def open_strings(body: object) -> tuple[str, ...]:
    """The strings of a body that a person or a source system chose freely."""
    if isinstance(body, AccessBody):
        return _of_access(body)
    if isinstance(body, AccessBatchBody):
        # A batch repeats itself: each string is looked at once.
        return tuple(dict.fromkeys(chain.from_iterable(map(_of_access, body.events))))
    if isinstance(body, CorrectionBody):
        return (body.field_path, body.reason_code, str(body.new_value))
    return ()


def _of_access(body: AccessBody | AccessEvent) -> tuple[str, ...]:
    return (
        body.activity,
        body.dataset,
        body.person or "",
        body.permit or "",
        body.purpose or "",
        body.source.system,
    )
