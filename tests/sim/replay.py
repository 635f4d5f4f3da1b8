"""`python -m tests.sim.replay FILE`: what a real node recorded (`alliance node run --record FILE`),
once more in the pure machine; every effect must come out byte for byte, and nothing that the node
said in all its lives may contradict anything else that it said.

Exit code 1, with the first difference, when one does not.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from ledger.consensus import Commit, Effect, Persist, Send, Sign, Vote
from node.recording import encode_effects, read_record


class Difference(AssertionError):
    """The machine did something else than the node, or the node said what it must not."""


class Replayed(NamedTuple):
    """What a record holds."""

    lives: int
    steps: int
    said: int
    commits: int


class Words:
    """What one member signed, by (epoch, view) and kind; read from the signed bytes alone."""

    def __init__(self) -> None:
        self.by_view: dict[bytes, dict[bytes, bytes]] = {}

    def hear(self, message: bytes) -> bool:
        """Take in what is to be signed; whether it is a word on a view. Raises `Difference`."""
        kind, rest = message[1 : 1 + message[0]], message[1 + message[0] :]
        if kind == b"pl1/status":
            return False
        # chain 32, epoch 8, config 32, view 8 | height 8, block 32
        said = self.by_view.setdefault(rest[:80], {})
        if said.setdefault(kind, rest[80:]) != rest[80:]:
            raise Difference("two words of a kind in a view", kind)
        finalized = said.get(b"pl1/finalize")
        if finalized and b"pl1/nullify" in said:
            raise Difference("finalized and nullified")
        if finalized and said.get(b"pl1/notarize", finalized) != finalized:
            raise Difference("finalized another block than the one notarized")
        return True


class Order:
    """2.11 within one machine: no word leaves that no row, or commit, before it holds."""

    def __init__(self, own: int | None) -> None:
        self.own = own
        self.written: set[tuple[int, int, str, bytes]] = set()
        self.floor = (0, 0)

    def follow(self, effect: Effect) -> None:
        """One effect, in order. Raises `Difference`."""
        if isinstance(effect, Persist):
            for row in effect.rows:
                for word in (row.proposed, row.notarized, row.nullified, row.finalized):
                    if word is not None:
                        self.written.add((word.epoch, word.view, word.kind, word.block))
        elif isinstance(effect, Commit):
            self.floor = (effect.certificate.epoch, effect.certificate.view)
        elif isinstance(effect, Send):
            for fact in effect.facts:
                self.release(getattr(fact, "vote", fact))

    def release(self, word: object) -> None:
        """A word of this node's own on its way out."""
        if isinstance(word, Vote) and word.signer == self.own:
            key = (word.epoch, word.view, word.kind, word.block)
            if key not in self.written and key[:2] > self.floor:
                raise Difference("said but not written", word)


def replay(path: Path) -> Replayed:
    """All lives of a record. Raises `Difference`."""
    words = Words()
    lives = steps = said = commits = 0
    for machine, recorded in read_record(path):
        lives += 1
        order: Order | None = None
        for step in recorded:
            steps += 1
            effects = machine.step(step.event)
            if order is None:
                order = Order(machine.index)
                for row in step.event.durable.rows:  # type: ignore[union-attr]
                    order.follow(Persist((row,), ()))
            if step.effects is not None and encode_effects(effects) != step.effects + b"\n":
                raise Difference(step, effects)
            for effect in effects:
                order.follow(effect)
                commits += isinstance(effect, Commit)
                said += isinstance(effect, Sign) and words.hear(effect.message)
    return Replayed(lives, steps, said, commits)


if __name__ == "__main__":
    try:
        print(replay(Path(sys.argv[1])))
    except Difference as difference:
        sys.exit(f"the record and the machine differ: {difference}")
