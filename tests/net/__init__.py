"""Several real nodes on loopback: they agree, and one that fails harms nobody."""
