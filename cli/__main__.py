"""`python -m cli` is `alliance`."""

from cli.main import run

run()
