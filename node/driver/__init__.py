"""One node at work: takes inputs, steps the consensus machine, carries out its effects, answers.

    submit, deliver -> parse and check signatures (threads) -> inbox -> [ step, build or check,
    save, sign the head ] -> one transaction, one fsync for each block -> send -> answer

Everything in brackets runs in one thread, the writer. Whatever waits in the inbox goes into the
same block (group commit). Nothing is answered, signed away or sent before it is durable, and
nothing is answered before a quorum of members has cosigned it. When the disk fails, the waiting
callers are told, and the machine is started anew from what is durable.

`loop` is the writer: one turn and the order of everything in it. It uses, from the outside in:
`intake` (what arrives, any thread), `gossip` (what others say and are told), `durable` (the one
transaction of a commit or a turn), `heads` (cosigned and published tree heads), `blocks` (those
above the final one), `mempool` (entries that wait), `state` (what all of them share), `carrier`
(the way to the others).
"""

from node.driver.carrier import Carrier, Nobody
from node.driver.loop import Driver
from node.submissions import Outcome, Published

__all__ = ["Carrier", "Driver", "Nobody", "Outcome", "Published"]
