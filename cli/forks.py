"""Two copies of one chain, compared offline: the same, one the beginning of the other, or two
histories; and then who must have lied, from the certificates in both (consensus.md 2.19; SPEC 8.5).

Each copy is audited by itself first: of two forged files nothing follows. Whoever is named signed
two words of which no honest member says both; the two certificates that hold them are the proof.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cli.copies import JUSTIFICATIONS, read_certificates, read_framed
from cli.offline import Audit, Held, Report
from ledger.consensus import Certificate, contradicting, decode_certificate, verify_certificate
from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import ProofError
from ledger.members import EpochConfig

Relation = Literal["equal", "first-continues", "second-continues", "fork"]
MAX_NAMED: Final = 8
"""Pairs of certificates that are shown for each member: one is enough."""


@dataclass
class Fork:
    """Where two histories part, and who signed both."""

    height: int
    epoch: int
    blocks: tuple[str, str]
    """The ids of the two blocks of that height."""
    least: int
    """2q - n: so many members must have lied at least."""
    culprits: dict[str, list[tuple[Certificate, Certificate]]] = field(default_factory=dict)
    cosigned_both: list[str] = field(default_factory=list)
    """Members whose cosignature stands under both heads."""


@dataclass
class Comparison:
    """What two copies say together."""

    reports: tuple[Report, Report]
    relation: Relation = "equal"
    fork: Fork | None = None

    @property
    def are_valid(self) -> bool:
        """Whether each copy passed its own audit."""
        return all(report.is_valid for report in self.reports)


def compare(
    folders: tuple[Path, Path], held: Held, workers: int | None, advance: Callable[[int], None]
) -> Comparison:
    """Audit both, then compare. Raises `ProofError` (V34) for copies of two chains, what reading a
    file raises, and R20 to R24 for a certificate that does not hold.
    """
    audits = (Audit(folders[0], held, workers), Audit(folders[1], held, workers))
    comparison = Comparison((audits[0].run(advance), audits[1].run(advance)))
    if not comparison.are_valid:
        return comparison
    one, other = audits
    if one.report.pin != other.report.pin:
        raise ProofError("V34", first=one.report.pin, second=other.report.pin)
    parted = next(
        (h for h, pair in enumerate(zip(one.seals, other.seals, strict=False)) if len({*pair}) > 1),
        None,
    )
    if parted is not None:
        comparison.relation, comparison.fork = "fork", _fork(one, other, parted)
    elif len(one.seals) != len(other.seals):
        longer = len(one.seals) > len(other.seals)
        comparison.relation = "first-continues" if longer else "second-continues"
    return comparison


def _fork(one: Audit, other: Audit, height: int) -> Fork:
    """Up to the height below, everything is the same: epoch and members are."""
    epoch = sum(boundary.height < height for boundary in one.tip.boundaries)
    config = one.tip.configs[epoch]
    blocks = b64url(one.seals[height]), b64url(other.seals[height])
    fork = Fork(height, epoch, blocks, max(0, 2 * config.q - config.n))
    sides = (list(_certificates(one, config)), list(_certificates(other, config)))
    for index, first, second in contradicting(*sides):
        pairs = fork.culprits.setdefault(config.members[index].org, [])
        if len(pairs) < MAX_NAMED:
            pairs.append((first, second))
    heads = [{org for org, _time_s in audit.report.cosigners} for audit in (one, other)]
    fork.cosigned_both = sorted(heads[0] & heads[1])
    return fork


def _certificates(audit: Audit, config: EpochConfig) -> Iterator[Certificate]:
    """All certificates of an epoch that a copy holds, verified."""
    folder = audit.copy.folder
    found = [data for data in read_certificates(folder) if data]
    found += read_framed(folder, JUSTIFICATIONS) if (folder / JUSTIFICATIONS).exists() else []
    for data in found:
        certificate = decode_certificate(data)
        if certificate.epoch == config.epoch:
            verify_certificate(certificate, config, verify)
            yield certificate
