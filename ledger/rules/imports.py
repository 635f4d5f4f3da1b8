"""I: what was taken over from registers of others. It confers nothing, and says so wherever it is
named.
"""

from ledger.encoding import decode_date, unb64url
from ledger.errors import RefusedError
from ledger.records.envelope import Record
from ledger.records.imports import ImportedAgreementBody
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.structure import oldest_ms
from ledger.rules.values import ImportedState
from ledger.state import state_key


def apply_agreement(
    draft: Draft,
    record: Record[ImportedAgreementBody],
    org: str,
    at: At,
    happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """I1, I2. Uses are compared with what was taken over first; more of it only says so."""
    body = record.body
    if decode_date(body.period.from_) > decode_date(body.period.to):
        raise RefusedError("I1")
    if len(set(body.datasets)) != len(body.datasets):
        raise RefusedError("I2")
    unb64url(body.register_digest, 32)
    codes = {"IMPORTED"}
    if happened < oldest_ms(draft, at):
        codes.add("BACKFILLED")
    if draft.get(ImportedState, "imported", body.agreement) is not None:
        codes.add("IMPORTED_BEFORE")
        return Outcome({}, tuple(sorted(codes)), subjects)
    state = ImportedState(
        by=org,
        datasets=tuple(sorted({one.dataset for one in body.datasets})),
        height=at.height,
        org=body.org,
        register=body.register,
    )
    changes = {state_key("imported", body.agreement): state}
    return Outcome(changes, tuple(sorted(codes)), subjects)


def imported_findings(draft: Draft, permit: str, dataset: str, codes: set[str]) -> bool:
    """Whether a use names an agreement that was taken over; what is to be said of it then."""
    found = draft.get(ImportedState, "imported", permit)
    if found is None:
        return False
    codes.add("IMPORTED")
    if dataset.partition("@")[0] not in found.datasets:
        codes.add("DATASET_NOT_LISTED")
    return True
