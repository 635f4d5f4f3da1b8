"""D15: disease vocabularies: what is a kind of what, as the policy in force says (SPEC 5.9).

A closure table is a file of many parts. The policy names the tree hash over them; each part comes
in a record of its own with the proof that it is one of them, so nobody need be trusted with it.
"""

from collections.abc import Iterable
from typing import Final

from ledger.encoding import unb64url
from ledger.errors import ProofError, RefusedError
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.records.catalogue import Ancestry, VocabularyBody
from ledger.records.envelope import ENCODE, Record, Shape
from ledger.rules.draft import At, Draft
from ledger.rules.standing import DiseaseState
from ledger.rules.terms import Ancestors
from ledger.state import state_key

Changes = dict[bytes, Shape]

PART_ROWS: Final = 128
"""How many diseases this project's tools put into one part."""


def part_bytes(rows: Iterable[Ancestry]) -> bytes:
    """What is hashed of a part: its rows as canonical JSON."""
    return ENCODE(tuple(rows))


def check_vocabulary(
    _draft: Draft, record: Record[VocabularyBody], _org: str, _capacity: str, _at: At
) -> None:
    """D15: the part is one of those that the root stands for."""
    body = record.body
    path = [unb64url(step, 32) for step in body.path]
    leaf = leaf_hash(part_bytes(body.rows))
    try:
        verify_inclusion(body.part, body.parts, leaf, path, unb64url(body.root, 32))
    except ProofError:
        raise RefusedError("D15", part=body.part, root=body.root) from None


def effect_vocabulary(
    _draft: Draft, record: Record[VocabularyBody], _at: At, _leaf: str
) -> Changes:
    """The diseases of this part are known, to every policy that names the root."""
    body = record.body
    return {
        state_key("disease", f"{body.root}/{row.id}"): DiseaseState(ancestors=row.ancestors)
        for row in body.rows
    }


def vocabulary_of(draft: Draft, at: At) -> str | None:
    """The root of the vocabulary of the policy in force."""
    return draft.policy(at).body.vocabulary


def ancestors_by(draft: Draft, at: At) -> Ancestors:
    """What diseases are kinds of, by the vocabulary of the policy in force."""
    root = vocabulary_of(draft, at)

    def ancestors(disease: str) -> frozenset[str] | None:
        found = None if root is None else draft.get(DiseaseState, "disease", f"{root}/{disease}")
        return None if found is None else frozenset((disease, *found.ancestors))

    return ancestors
