"""Final blocks as they are handed to whoever is behind (consensus.md 2.15; SPEC 11.7): a run in a
row, made final by the certificate of its last. It can be judged by the configuration of its
epoch alone, before the blocks below it are here: so several peers can be asked at once.
"""

from collections.abc import Sequence

from ledger.consensus.messages import BlockInfo, Certificate, verify_certificate
from ledger.errors import ProofError
from ledger.members import EpochConfig, Verify


def check_run(
    blocks: Sequence[BlockInfo], certificate: Certificate, config: EpochConfig, verify: Verify
) -> None:
    """Every block stands on the one before, all are of this epoch, and a quorum made the last one
    final, and with it all others. What is in the blocks is for `check_block` to say, later and in
    order.

    Raises `ProofError` (R21 to R23, R38) or `SignatureError` (R24).
    """
    verify_certificate(certificate, config, verify)
    if not blocks:
        raise ProofError("R38", height=certificate.height)
    last = blocks[-1]
    named = (certificate.kind, certificate.height, certificate.block)
    if named != ("finalize", last.height, last.id):
        raise ProofError("R38", height=last.height)
    for number, block in enumerate(blocks):
        below = blocks[number - 1] if number else None
        linked = below is None or (block.parent, block.height) == (below.id, below.height + 1)
        closed = below is not None and below.boundary
        own = (block.epoch, block.config_hash) == (config.epoch, config.config_hash)
        if not (linked and own) or closed:
            raise ProofError("R38", height=block.height)
