"""The ledger decides: bytes, proofs, rules and agreement, with no clock, no chance and no I/O."""
