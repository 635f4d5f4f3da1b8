"""Evidence: two signed words of one member that no honest member says both (consensus.md 2.19)."""

from collections.abc import Iterable, Iterator

from ledger.consensus.messages import Certificate, Vote, certificate_signers, verify_vote
from ledger.errors import ProofError
from ledger.members import EpochConfig, Verify


def contradict(first: Vote, second: Vote) -> bool:
    """Whether two authentic words of one member in one view contradict each other.

    Two of one kind for different blocks do, `nullify` and `finalize` do, and so do `notarize` and
    `finalize` for different blocks. `notarize` and `nullify` is legal.
    """
    if (first.signer, first.epoch, first.view) != (second.signer, second.epoch, second.view):
        return False
    differ = (first.height, first.block) != (second.height, second.block)
    if first.kind == second.kind:
        return differ
    kinds = {first.kind, second.kind}
    return kinds == {"nullify", "finalize"} or (kinds == {"notarize", "finalize"} and differ)


def verify_evidence(first: Vote, second: Vote, config: EpochConfig, verify: Verify) -> int:
    """Check self-contained evidence and return the index of the member it is against.

    Raises `ProofError` (R20 to R22, R25, R26) or `SignatureError` (R24).
    """
    verify_vote(first, config, verify)
    verify_vote(second, config, verify)
    if not contradict(first, second):
        raise ProofError("R26")
    return first.signer


def fork_culprits(lower: Certificate, other: Iterable[Certificate]) -> frozenset[int]:
    """Who must have lied, given two finalizations of one epoch that conflict (consensus.md 2.19).

    `lower` is the finalization of the lower view; `other` are the certificates of the other
    history: its finalization, the notarizations of its blocks and its skips. Every such history
    either notarized another block in the view of `lower` or skipped that view, so at least 2q - n
    members are named, from exported files alone.
    """
    accused = set(certificate_signers(lower))
    guilty: set[int] = set()
    for cert in other:
        same_view = (cert.epoch, cert.view) == (lower.epoch, lower.view)
        if same_view and cert.block != lower.block:
            guilty |= accused & set(certificate_signers(cert))
    return frozenset(guilty)


def contradicting(
    one: Iterable[Certificate], other: Iterable[Certificate]
) -> Iterator[tuple[int, Certificate, Certificate]]:
    """Who stands in two certificates of which no honest member signs both, one from each of two
    histories; with them as the proof. All are verified, and of one epoch.

    With all certificates of two histories that conflict it names at least 2q - n members, by the
    argument of `fork_culprits`, and never one that kept the rules.
    """
    by_view: dict[int, list[Certificate]] = {}
    for cert in other:
        by_view.setdefault(cert.view, []).append(cert)
    for first in one:
        for second in by_view.get(first.view, ()):
            if _exclude(first, second):
                for index in certificate_signers(first):
                    if second.signers >> index & 1:
                        yield index, first, second


def _exclude(first: Certificate, second: Certificate) -> bool:
    """Whether the words of two certificates of one view contradict each other, as `contradict`."""
    differ = (first.height, first.block) != (second.height, second.block)
    kinds = {first.kind, second.kind}
    return kinds == {"nullify", "finalize"} or ("nullify" not in kinds and differ)
