"""The blocks above the final one: those that others proposed, those that were executed here.

Used by the writer's thread; `bundle_of` by others, too.
"""

from logging import CRITICAL, WARNING
from typing import Final

from ledger import consensus as agree
from ledger.chain import Applied, Tip, build_block, check_block, finish_block
from ledger.consensus import BlockInfo
from ledger.encoding import (
    decode_bundle,
    encode_bundle,
    encode_statement,
    signature_input,
    unb64url,
)
from ledger.errors import AllianceError, StorageError
from ledger.records.envelope import Entry
from ledger.records.seal import Seal, SealEntry, decode_seal, encode_seal
from node.admission import Body, bound_body, info_of
from node.driver.mempool import Mempool
from node.driver.state import State
from node.logs import log_event
from node.store.database import Overlay, unpack
from node.wire import CompactBlock

COMPACT_BYTES: Final = 128 << 10
"""Larger blocks are proposed by the leaf hashes of their entries, which were sent before
(consensus.md 2.13).
"""


class Blocks:
    """Bodies as they arrived, and what was built or checked, by block id."""

    def __init__(self, state: State, mempool: Mempool) -> None:
        self._state = state
        self._mempool = mempool
        self.bodies: dict[bytes, Body] = {}
        self.built: dict[bytes, Applied] = {}
        self._tips: dict[bytes, Tip] = {}

    def begin(self) -> None:
        """From what is durable: the final block, and those that this node had voted on."""
        final = self._state.final
        self._tips = {info_of(final.seal).id: final.tip}
        self.built = {}
        self.bodies = {body.info.id: body for body in self._saved()}

    def _saved(self) -> list[Body]:
        bodies: list[Body] = []
        for packed in self._state.store.candidates():
            try:
                bodies.append(bound_body(decode_bundle(unpack(packed)))[0])
            except AllianceError as error:
                log_event(CRITICAL, "saved-block-damaged", rule=error.rule)
        return bodies

    # --- effects ----------------------------------------------------------------------------------

    def build(self, effect: agree.BuildBlock) -> agree.Event:
        """Build, execute and seal a block of what waits."""
        state = self._state
        parent = self._tips[effect.parent.id]
        built = build_block(
            parent,
            self._choose(effect),
            view=effect.view,
            proposer=state.org,
            time_ms=effect.time_ms,
            history=Overlay(state.store.history(), self.above_final(effect.parent)),
            verify=state.admission.signatures.verify,
            parent_view=effect.parent_view,
        )
        for refusal in built.refusals:
            self._mempool.refuse(refusal.entry, refusal.error)
        if not built.done.entries:
            return agree.NothingToBuild(effect.view, state.clock.now_ms())
        applied = finish_block(parent, built, self.seal(built.seal))
        return agree.BlockBuilt(self._keep(applied), state.clock.now_ms())

    def _choose(self, effect: agree.BuildBlock) -> list[Entry]:
        """What waits and stands in no block below, from the front, within the limits of
        this block.
        """
        below = {entry.leaf for block in self.above_final(effect.parent) for entry in block.entries}
        chosen: list[Entry] = []
        size = 0
        for waiting in self._mempool.waiting.values():
            entry = waiting.entry
            if entry.leaf in below:
                continue
            size += len(entry.raw)
            if size > effect.block_bytes or len(chosen) == effect.block_records:
                break
            chosen.append(entry)
        return chosen

    def seal(self, seal: Seal) -> SealEntry:
        """The entry of a seal, signed with the node key."""
        node = self._state.keys_in_force().node
        protected, payload = encode_seal(seal, node.alg, node.kid)
        signature = node.sign(signature_input(protected, payload))
        return decode_seal(encode_statement(protected, payload, signature))

    def check(self, effect: agree.CheckBlock) -> agree.Event:
        """Execute another member's block, or a saved one."""
        state = self._state
        block, now_ms = effect.block, state.clock.now_ms()
        if block.id in self.built:
            return agree.BlockChecked(block.id, "valid", now_ms)
        body, parent = self.bodies.get(block.id), self._tips.get(block.parent)
        if body is None or parent is None:
            return agree.BlockChecked(block.id, "missing", now_ms)
        previous = self.built.get(block.parent)
        below = self.above_final(info_of(previous.seal)) if previous else []
        history = Overlay(state.store.history(), below)
        admission = state.admission
        try:
            applied = check_block(
                parent, body.raws, history, admission.signatures.verify, admission.parsed.decode
            )
            self._keep(applied)
        except StorageError:
            raise
        except AllianceError as error:
            log_event(WARNING, "block-invalid", height=block.height, rule=error.rule)
            return agree.BlockChecked(block.id, "invalid", now_ms)
        return agree.BlockChecked(block.id, "valid", now_ms)

    def _keep(self, applied: Applied) -> BlockInfo:
        info = info_of(applied.seal, sum(len(entry.raw) for entry in applied.entries))
        self.built[info.id] = applied
        self._tips[info.id] = applied.tip
        return info

    # --- what is there ----------------------------------------------------------------------------

    def above_final(self, info: BlockInfo) -> list[Applied]:
        """The blocks that are not durable yet, from the final one up to this one."""
        chain: list[Applied] = []
        applied = self.built.get(info.id)
        while applied is not None:
            chain.append(applied)
            previous = applied.seal.seal.prev
            applied = self.built.get(unb64url(previous.leaf)) if previous else None
        return chain[::-1]

    def work_left(self) -> int:
        """How many entries wait that stand in no block up to the machine's tip."""
        state, waiting = self._state, self._mempool.waiting
        if len(waiting) == 0 or state.machine.tip.id == state.final.tip.seal_leaf:
            return len(waiting)
        above = self.above_final(state.machine.tip)
        return len(waiting) - sum(
            entry.id_key in waiting for block in above for entry in block.entries
        )

    def bundle_of(self, block_id: bytes) -> list[bytes]:
        """A block as it travels, final or not; empty where it is unknown."""
        body = self.bodies.get(block_id)
        if body is not None:
            return [encode_bundle(body.raws)]
        applied = self.built.get(block_id)
        if applied is not None:
            return [encode_bundle(raws_of(applied))]
        store = self._state.store
        index = store.find_leaf(block_id)
        return [] if index is None else [store.block(store.height_of(index)).body]

    def compact_of(self, block_id: bytes) -> CompactBlock | None:
        """A block for who has its entries; None for one that is small, or not to be had so."""
        applied = self.built.get(block_id)
        if applied is None or sum(len(entry.raw) for entry in applied.entries) <= COMPACT_BYTES:
            return None
        return CompactBlock(applied.seal.raw, b"".join(entry.leaf for entry in applied.entries))

    def forget_below(self, tip: Tip) -> None:
        """What is final needs no copy in memory; candidates at its height are void."""
        height = tip.height
        self.built = {k: block for k, block in self.built.items() if block.tip.height > height}
        self._tips = {k: other for k, other in self._tips.items() if other.height > height}
        self._tips[tip.seal_leaf] = tip
        self.bodies = {k: body for k, body in self.bodies.items() if body.info.height > height}


def raws_of(block: Applied) -> list[bytes]:
    """The entries of a block, seal last."""
    return [*(entry.raw for entry in block.entries), block.seal.raw]
