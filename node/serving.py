"""What is shown to nodes that are behind: final blocks, with the certificate that proves them."""

from collections.abc import Collection
from typing import Final

from ledger.consensus import Certificate, Fact, decode_certificate
from node.store import Store

MAX_SERVED_BLOCKS: Final = 1_024
SERVED_BYTES: Final = 4 << 20


def final_blocks(
    store: Store, first: int, closing: Collection[int], until: int | None
) -> tuple[list[bytes], tuple[Fact, ...]]:
    """Final blocks from a height on, and the certificate of the last of them; none above `until`.

    They end with an epoch (`closing` are the heights of its last blocks): only its own certificate
    means something to a node that is still in it.
    """
    limit = MAX_SERVED_BLOCKS if until is None else until + 1 - first
    blocks: list[bytes] = []
    last: tuple[int, Certificate] | None = None
    size = 0
    for stored in store.blocks(max(1, first), max(0, min(MAX_SERVED_BLOCKS, limit))):
        blocks.append(stored.body)
        size += len(stored.body)
        if stored.certificate is not None:
            last = len(blocks), decode_certificate(stored.certificate)
            if size >= SERVED_BYTES or stored.height in closing:
                break
    if last is None:
        return [], ()
    return blocks[: last[0]], (last[1],)
