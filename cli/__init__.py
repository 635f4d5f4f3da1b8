"""The command line: people and scripts speak to the ledger and to their node through it."""
