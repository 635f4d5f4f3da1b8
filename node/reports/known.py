"""What a question names must be known; where it is not, whoever asks is told which names are
spelled nearly so (O6.near).

Only for questions of those who see all records (`permission.OVERSEERS`): to everybody else each
name would be a disclosure. Persons and keys are never proposed: who guesses at a pseudonym learns
nothing, and a key is known by a hash.
"""

from collections.abc import Iterable

from ledger.errors import NotFoundError
from ledger.rulebook.near import LONGEST, listed, near
from ledger.rules.values import DatasetState, MemberState, VersionState
from node.reports.ground import Ground


def check_dataset(ground: Ground, name: str, used: Iterable[str] = ()) -> None:
    """A dataset or a version that is registered, or else is one of those `used`. Raises
    `NotFoundError` (O6).
    """
    if (
        ground.get(DatasetState, "dataset", name) is None
        and ground.get(VersionState, "version", name) is None
        and not any(name in (one, one.partition("@")[0]) for one in used)
    ):
        registered = {*ground.all(DatasetState, "dataset"), *ground.all(VersionState, "version")}
        raise unknown("dataset", name, {*registered, *used})


def check_permit(ground: Ground, name: str, used: Iterable[str] = ()) -> None:
    """A permit, an agreement that was taken over, or else one of those `used`. Raises
    `NotFoundError` (O6).
    """
    if ground.permit(name) is None and name not in used:
        raise unknown("permit", name, {*ground.permits(), *used})


def check_organisation(ground: Ground, name: str) -> None:
    """A member, or one that a permit names. Raises `NotFoundError` (O6)."""
    if ground.member(name) is None:
        named = {permit.org for permit in ground.permits().values()}
        if name not in named:
            raise unknown("organisation", name, {*ground.all(MemberState, "member"), *named})


def unknown(what: str, name: str, names: Iterable[str]) -> NotFoundError:
    """The error for a name that is none of these."""
    told, found = name[:LONGEST], near(name, names)
    if not found:
        return NotFoundError("O6", what=what, name=told)
    return NotFoundError("O6.near", what=what, name=told, near=listed(found))
