"""What must be on the disk before anything is said (consensus.md 2.11), and how it gets there: a
commit takes along all rows that wait; a turn without one writes them at its end. One transaction
for each, and one place that begins it.

Used by the writer's thread alone.
"""

from hashlib import sha256
from logging import CRITICAL, INFO

import msgspec

from ledger import consensus as agree
from ledger.chain import Applied, Tip
from ledger.consensus.journal import LAST_VIEW
from ledger.encoding import b64url, encode_bundle
from ledger.errors import unreachable
from ledger.notes import Note, encode_note
from node.accusations import Accusations, from_rows, to_rows
from node.cosigning import View
from node.driver.blocks import Blocks, raws_of
from node.driver.heads import Heads
from node.driver.mempool import Mempool
from node.driver.state import State
from node.logs import log_event
from node.roster import may_change


class Durable:
    """The rows that wait for the next transaction, and the commit of blocks."""

    accusations: Accusations

    def __init__(self, state: State, mempool: Mempool, blocks: Blocks, heads: Heads) -> None:
        self._state = state
        self._mempool = mempool
        self._blocks = blocks
        self._heads = heads
        self._rows: dict[tuple[int, int], agree.Row] = {}
        self._saved: dict[bytes, Applied] = {}
        self._proofs: list[tuple[bytes, str, int, bytes]] = []

    def begin(self) -> None:
        """Nothing waits; what was seen of lies is read from the disk."""
        self._rows = {}
        self._saved = {}
        self._proofs = []
        self.accusations = Accusations(from_rows(self._state.store.accusations()))

    # --- what waits -------------------------------------------------------------------------------

    def persist(self, effect: agree.Persist) -> None:
        """Votes, and the blocks that they name."""
        for row in effect.rows:
            self._rows[row.epoch, row.view] = row
        for block_id in effect.blocks:
            self._saved[block_id] = self._blocks.built[block_id]

    def alarm(self, effect: agree.Alarm) -> None:
        """For the operator: in the log, in the health and in the counters; proof goes to disk."""
        state = self._state
        state.alarms[effect.kind] += 1
        log_event(CRITICAL, "alarm", kind=effect.kind, height=state.final.tip.height)
        if effect.proof:
            facts = msgspec.json.encode(effect.proof)
            digest = sha256(effect.kind.encode() + facts).digest()
            self._proofs.append((digest, effect.kind, state.clock.now_ms(), facts))

    def accuse(self, effect: agree.Evidence) -> bool:
        """A member lied: kept with this turn. Whether the others are to be told, as at first
        sight; then it is put on the chain.
        """
        state = self._state
        state.alarms["evidence"] += 1
        org = state.final.tip.config.members[effect.first.signer].org
        kinds = f"{effect.first.kind} {effect.second.kind}"
        log_event(CRITICAL, "contradiction", org=org, view=effect.first.view, words=kinds)
        return self.accusations.learn(effect.first, effect.second)

    def save(self) -> None:
        """Votes of a turn without a commit, durable before anything is sent."""
        # Words of those who left may never come again.
        last = self._state.alone and self._heads.notes
        waits = self._rows or self._saved or self._proofs or last
        if waits or self._mempool.late or self.accusations.fresh:
            with self._state.store.transaction():
                self._write()

    def _write(self) -> None:
        """All that waits, into the open transaction."""
        state, store = self._state, self._state.store
        store.save_journal([(*at, agree.encode_journal(row)) for at, row in self._rows.items()])
        if any(row.view == LAST_VIEW for row in self._rows.values()):
            # From now on the journal itself says how long this node is silent.
            store.clear_doubt()
        for block_id, block in self._saved.items():
            store.save_candidate(block_id, block.tip.height, encode_bundle(raws_of(block)))
        for height, note in self._heads.notes:
            store.replace_checkpoint(height, note)
        if state.machine.index is not None:
            node = state.keys_in_force().node
            self.accusations.sign(node, state.org, state.final.tip, state.clock.now_ms())
        store.save_accusations(to_rows(self.accusations.fresh))
        store.save_alarms(self._proofs)
        mempool = self._mempool
        store.save_waiting([(entry.leaf, entry.raw) for entry in mempool.late])
        mempool.kept.update(entry.leaf for entry in mempool.late)
        mempool.late.clear()
        self.accusations.fresh.clear()
        self._proofs.clear()
        self._heads.notes.clear()
        self._rows.clear()
        self._saved.clear()

    # --- commit -----------------------------------------------------------------------------------

    def commit(self, effect: agree.Commit) -> agree.Committed:
        """Make blocks durable with all that belongs to them, then let readers and callers
        see them.
        """
        state, mempool = self._state, self._mempool
        blocks = [self._blocks.built[info.id] for info in effect.blocks]
        with state.store.transaction():
            heads = self._append_all(blocks, effect)
            final = heads[-1][0] if heads else state.final
            for entry in (entry for block in blocks for entry in block.entries):
                if entry.record.type == "evidence":
                    self.accusations.recorded(entry)
                    log_event(INFO, "evidence-recorded", leaf=b64url(entry.leaf))
            gone = self._clear(blocks, effect.certificate, final.tip.height)
        mempool.kept -= gone
        state.counters["nullified_views"] += sum(c.kind == "nullify" for c in effect.justification)
        state.final = final
        for block in blocks:
            mempool.close(block)
            state.counters["blocks"] += 1
            state.counters["entries"] += len(block.entries)
        self._blocks.forget_below(final.tip)
        if any(may_change(block.entries) for block in blocks):
            # Members came or went, moved or changed keys: the ways to them follow at once.
            state.membership.follow(final.tip)
            state.carrier.update(state.membership.roster, state.membership.signer)
        self._heads.show(heads)
        following = final.tip.config if blocks and final.tip.is_boundary else None
        now_ms = state.clock.now_ms()
        return agree.Committed(final.tip.height, len(mempool.waiting), now_ms, following)

    def _append_all(
        self, blocks: list[Applied], effect: agree.Commit
    ) -> list[tuple[View, Note | None]]:
        """The blocks, and the certificates that made them final; gives the heads that there are to
        show: those that are cosigned here, or else the last.
        """
        state, store = self._state, self._state.store
        certificate = agree.encode_certificate(effect.certificate)
        signs = self._heads.may_cosign()
        final = state.final
        heads: list[tuple[View, Note | None]] = []
        for block in blocks:
            last = block is blocks[-1]
            note = self._append(final.tip, block, certificate if last else None, signs)
            final = View(block.tip, block.seal, encode_note(note) if note else b"")
            if note is not None or last:
                heads.append((final, note))
        if not blocks:
            store.replace_certificate(final.tip.height, certificate)
        store.save_justification([
            (cert.epoch, cert.view, cert.kind, agree.encode_certificate(cert))
            for cert in effect.justification
        ])  # fmt: skip
        return heads

    def _append(
        self, parent: Tip, block: Applied, certificate: bytes | None, signs: bool
    ) -> Note | None:
        """A block and its head; the head is signed under compare-and-swap, or not at all."""
        tip, store = block.tip, self._state.store
        if not signs:
            store.append(block, certificate, b"")
            return None
        store.advance_cosigned((parent.size, parent.tree.root()), (tip.size, tip.tree.root()))
        note = self._heads.sign(tip, self._state.clock.now_ms())
        if note is None:
            unreachable("who votes has the keys of its member")
        store.append(block, certificate, encode_note(note))
        return note

    def _clear(
        self, blocks: list[Applied], certificate: agree.Certificate, height: int
    ) -> set[bytes]:
        """What a commit has made obsolete is not written at all, or goes; the rest that waits is
        written. Gives the entries that are kept on disk no longer.
        """
        epoch, view, store = certificate.epoch, certificate.view, self._state.store
        self._rows = {at: row for at, row in self._rows.items() if at[0] != epoch or at[1] > view}
        self._saved = {k: block for k, block in self._saved.items() if block.tip.height > height}
        self._write()
        store.clear_journal(epoch, view, height)
        included = [entry.leaf for block in blocks for entry in block.entries]
        gone = self._mempool.kept.intersection(included)
        store.clear_waiting(sorted(gone))
        return gone
