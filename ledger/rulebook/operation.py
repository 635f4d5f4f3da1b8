"""O: the node, its store and its API; X: the command line; Q: queries."""

from ledger.rulebook.rule import Rule

OPERATION: dict[str, Rule] = {}
