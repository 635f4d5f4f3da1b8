"""What only the node that is asked can say: what it knows of the others, and what its vault holds
about a person, unopened.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Around(NamedTuple):
    """What a node knows beside the chain: of itself, and of the others."""

    heard_ms: Mapping[str, int]
    accused: Mapping[str, int]
    """How often each organisation contradicted itself, as proven by its own signatures."""
    contradicting: tuple[str, ...] = ()
    """Organisations that cosigned another head than this node's."""
    alarms: Mapping[str, int] = {}
    behind: int | None = 0
    """Blocks that others have and this node lacks; None where it cannot tell."""
    missing_payloads: int | None = None
    """Payloads that this node is to hold and lacks; None for who may not look into the vault."""


class Kept(NamedTuple):
    """A payload about a person that the vault holds."""

    commit: str
    schema: str
    tier: str


class Disclosure(NamedTuple):
    """Somebody read a payload about a person, or tried to."""

    at: str
    commit: str
    org: str
    role: str
    outcome: str


class Local(NamedTuple):
    """The node that is asked, and for whom: what it must not know it does not say."""

    org: str
    around: Callable[[], Around]
    about: Callable[[str], tuple[Sequence[Kept], Sequence[Disclosure]]]
    """What is held about a pid, and who read of it."""
