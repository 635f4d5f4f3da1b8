"""D13, D14: versions of indicators (domain.md D14, Catalogue)."""

from ledger.encoding import unb64url
from ledger.errors import RefusedError
from ledger.records.catalogue import IndicatorVersionBody
from ledger.records.envelope import Record, Shape
from ledger.rules.draft import At, Draft
from ledger.rules.standing import IndicatorState, IndicatorVersionState
from ledger.state import state_key


def check_indicator(
    draft: Draft, record: Record[IndicatorVersionBody], org: str, _capacity: str, _at: At
) -> None:
    """D13, D14."""
    body = record.body
    name = f"{body.code}@{body.version}"
    if draft.get(IndicatorVersionState, "indicator-version", name) is not None:
        raise RefusedError("D13", name=name)
    known = draft.get(IndicatorState, "indicator", body.code)
    latest = None
    if known is not None:
        before = f"{body.code}@{known.latest}"
        latest = draft.get(IndicatorVersionState, "indicator-version", before)
    follows = body.predecessor == (latest.leaf if latest else None)
    if not follows or body.org != org or (known is not None and known.org != org):
        raise RefusedError("D14", name=name)
    unb64url(body.definition_digest, 32)


def effect_indicator(
    draft: Draft, record: Record[IndicatorVersionBody], at: At, leaf: str
) -> dict[bytes, Shape]:
    """Registers the version and makes it the latest of its indicator."""
    body = record.body
    known = draft.get(IndicatorState, "indicator", body.code)
    name = f"{body.code}@{body.version}"
    return {
        state_key("indicator", body.code): IndicatorState(
            latest=body.version, org=body.org, versions=known.versions + 1 if known else 1
        ),
        state_key("indicator-version", name): IndicatorVersionState(
            height=at.height, leaf=leaf, org=body.org
        ),
    }
