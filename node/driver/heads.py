"""Tree heads: which of them this node cosigns, and which a quorum has cosigned (decision A2).

Used by the writer's thread alone; `published` is read by others.
"""

from collections.abc import Sequence

from ledger.chain import Tip
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    decode_note,
    encode_checkpoint,
    encode_note,
    sign_note,
)
from ledger.verify import cosigner_keys, cosigner_name
from node.admission import Cosigned
from node.cosigning import Cosigning, View
from node.driver.mempool import Mempool
from node.driver.state import State


class Heads:
    """From final to published."""

    cosigning: Cosigning

    def __init__(self, state: State, mempool: Mempool) -> None:
        self._state = state
        self._mempool = mempool
        self._uncosigned = False
        self.published: View | None = None
        """The newest published block; None while a node that just started knows of none."""
        self.notes: list[tuple[int, bytes]] = []
        """Published heads, by height, that are not on the disk yet."""

    def begin(self, final: View) -> None:
        """From this head, which is durable; it is published as far as the cosignatures on disk
        say.
        """
        state = self._state
        # Who cosigns nothing has no word to remember: its organisation's node is another one.
        self.cosigning = Cosigning(state.org if state.keyring.sets else "")
        note = decode_note(final.checkpoint) if final.checkpoint else None
        own = self._own_part(final.tip, note)
        self._uncosigned = own is None
        published = self.cosigning.advance(final, own)
        words = state.admission.cosigned(final.tip, note) if note else []
        published = self.cosigning.learn(words) or published
        if published is not None:
            self.published = published

    def _own_part(self, tip: Tip, note: Note | None) -> Note | None:
        """Of a note, what this node itself has signed; None where it did not cosign."""
        found = self._state.keyring.find(tip.own_config)
        if found is None or note is None:
            return None
        mine = cosigner_keys(tip.own_config, tip.origin)[found[1].org].key_id
        own = any(line.key_id == mine for line in note.signatures[:2])
        return Note(note.text, note.signatures[:2]) if own else None

    def may_cosign(self) -> bool:
        """Whether the next head may be signed together with its block.

        Not while this node may have said more than it remembers: a database that is older than its
        word leads to a head that contradicts an earlier one as soon as somebody lies.
        """
        state = self._state
        known = self.cosigning.settle_remembered(state.store.tree)
        whole = state.keyring.is_whole(state.final.tip.config)
        return known and whole and state.machine.voting and not self._uncosigned

    def sign(self, tip: Tip, now_ms: int) -> Note | None:
        """The note of a tree head: the log's line, and this member's cosignature; None from who is
        no member of the head's epoch.
        """
        keyring = self._state.keyring
        found = keyring.find(tip.own_config)
        if found is None or not keyring.is_whole(tip.own_config):
            return None
        keys, member = found
        text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))
        name = cosigner_name(member.org, tip.origin)
        lines = (
            sign_note(text, tip.origin, keys.log),
            cosign(text, name, keys.cosigner, max(1, now_ms // 1000)),
        )
        return Note(text, lines)

    def show(self, heads: Sequence[tuple[View, Note | None]]) -> None:
        """New heads, durable, cosigned here or not: the others are told, and readers see what that
        publishes.
        """
        self._uncosigned = not self._state.final.checkpoint
        for view, note in heads:
            self._publish(self.cosigning.advance(view, note))
        if heads and heads[-1][1] is not None and self._state.in_touch:
            self._tell()

    def learn(self, words: Sequence[Cosigned]) -> list[str]:
        """What others have cosigned; gives those who are found to contradict this node's heads."""
        known = set(self.cosigning.contradictions)
        self._publish(self.cosigning.learn(words))
        return [org for org in self.cosigning.contradictions if org not in known]

    def _publish(self, view: View | None) -> None:
        """A quorum has cosigned this head: readers see it, and callers are answered."""
        if view is None:
            return
        self.published = view
        if view.tip.own_config.n > 1:
            self.notes.append((view.tip.height, view.checkpoint))
        self._mempool.answer(view.tip.size)

    def cosign_late(self) -> None:
        """The newest final head, where those below were left out; in a transaction of its own."""
        state = self._state
        known = self.cosigning.settle_remembered(state.store.tree)
        if not (self._uncosigned and known and state.machine.voting):
            return
        tip = state.final.tip
        note = self.sign(tip, state.clock.now_ms())
        if note is None:
            return  # the end of an epoch is for its own members to cosign
        with state.store.transaction():
            head = tip.size, tip.tree.root()
            state.store.advance_cosigned(state.store.cosigned(), head)
            state.store.replace_checkpoint(tip.height, encode_note(note))
        self._uncosigned = False
        state.final = state.final._replace(checkpoint=encode_note(note))
        self._publish(self.cosigning.advance(state.final, note))
        self._tell()

    def _tell(self) -> None:
        self._state.say(None, cosignatures=(self.cosigning.own,))
