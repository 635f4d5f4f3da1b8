"""What is shown to nodes that are behind: final blocks, with the certificate that proves them."""

from collections.abc import Collection
from typing import Final

from ledger.chain import Tip
from ledger.consensus import decode_certificate
from ledger.encoding import b64url
from ledger.verify import BoundaryProof, SealProof, encode_epochs
from node.store import Store
from node.wire import FinalBlocks, Want

MAX_SERVED_BLOCKS: Final = 1_024
SERVED_BYTES: Final = 4 << 20


def final_blocks(
    store: Store, want: Want, closing: Collection[int], until: int | None
) -> FinalBlocks | None:
    """Final blocks from a height on, and the certificate of the last of them; none above `until`.

    They end with the first certified block at the height where the want ends or beyond, and at the
    end of an epoch (`closing` are the heights of its last blocks): a certificate speaks for its own
    epoch alone.
    """
    limit = MAX_SERVED_BLOCKS if until is None else until + 1 - want.first
    blocks: list[bytes] = []
    found: FinalBlocks | None = None
    size = 0
    for stored in store.blocks(max(1, want.first), max(0, min(MAX_SERVED_BLOCKS, limit))):
        blocks.append(stored.body)
        size += len(stored.body)
        if stored.certificate is not None:
            found = FinalBlocks(tuple(blocks), decode_certificate(stored.certificate))
            enough = size >= SERVED_BYTES or 0 < want.last <= stored.height
            if enough or stored.height in closing:
                break
    return found


def ends_of_epochs(store: Store, tip: Tip, until: int | None) -> bytes:
    """The blocks that closed the epochs so far, each with its certificate and the configuration
    that it leads to, as `verify_epochs` takes them; none above `until`.
    """
    ends: list[BoundaryProof] = []
    for boundary, following in zip(tip.boundaries, tip.configs[1:], strict=True):
        if until is None or boundary.height <= until:
            stored = store.block(boundary.height)
            seal = SealProof(entry=b64url(stored.entries()[-1]), index=stored.size - 1, path=())
            certificate = b64url(stored.certificate or b"")
            ends.append(BoundaryProof(certificate=certificate, config=following, seal=seal))
    return encode_epochs(ends)
