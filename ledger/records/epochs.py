"""Who runs nodes from the next epoch on, where they listen, and what proves that one of them lied
(domain.md D14; definitions.md 1; consensus.md 2.17, 2.19).
"""

from typing import Annotated, Literal

import msgspec

from ledger.members import EpochConfig, Label
from ledger.records.envelope import Digest, Natural, Shape

Word = Literal["propose", "notarize", "nullify", "finalize"]


class ConfigBody(Shape, frozen=True, kw_only=True):
    """The complete configuration of the next epoch; `chain_id` is filled in."""

    config: EpochConfig


class ReadyBody(Shape, frozen=True, kw_only=True):
    """A node's word that it has caught up and can work under the pending configuration."""

    config_hash: Digest
    rules_versions: Annotated[tuple[Natural, ...], msgspec.Meta(max_length=64)]


class EndpointBody(Shape, frozen=True, kw_only=True):
    """Where an organisation's node listens; no address where it cannot be reached."""

    org: Label
    tls_pins: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=8)] = ()
    urls: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...],
        msgspec.Meta(max_length=8),
    ] = ()


class SignedWord(Shape, frozen=True, kw_only=True):
    """One member's word about a view, as it was signed (SPEC 8.1). `signer` is its index."""

    block: Digest
    height: Natural
    kind: Word
    signature: Annotated[str, msgspec.Meta(min_length=86, max_length=86)]
    signer: Natural
    view: Natural


class EvidenceBody(Shape, frozen=True, kw_only=True):
    """Two words of one member, epoch and view that no honest member says both."""

    epoch: Natural
    first: SignedWord
    kind: Literal["propose", "notarize", "finalize", "finalize-nullify", "finalize-notarize"]
    second: SignedWord
