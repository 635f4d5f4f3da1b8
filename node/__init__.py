"""The node carries out: storage, network and time around the ledger."""
