"""M, A, N: tree, map and note proofs; V: receipts and audits."""

from ledger.rulebook.rule import Rule

PROOFS: dict[str, Rule] = {}
