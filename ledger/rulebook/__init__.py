"""Every rule that can be broken, by number, in English and Chinese, with what to do next.

The numbers are cited by `SPEC.md`, by the code that raises them and by the tests. One module per chapter.
"""

from ledger.rulebook.access import ACCESS
from ledger.rulebook.authorisation import AUTHORISATION
from ledger.rulebook.bytes import BYTES
from ledger.rulebook.chain import CHAIN
from ledger.rulebook.consensus import CONSENSUS
from ledger.rulebook.domain import DOMAIN
from ledger.rulebook.keys import KEYS
from ledger.rulebook.operation import OPERATION
from ledger.rulebook.proofs import PROOFS
from ledger.rulebook.receipts import RECEIPTS
from ledger.rulebook.rights import RIGHTS_RULES
from ledger.rulebook.rule import Rule
from ledger.rulebook.transport import TRANSPORT
from ledger.rulebook.usage import USAGE
from ledger.rulebook.vault import VAULT

__all__ = ["RULES", "Rule"]

RULES: dict[str, Rule] = {
    **BYTES,
    **KEYS,
    **PROOFS,
    **RECEIPTS,
    **DOMAIN,
    **RIGHTS_RULES,
    **AUTHORISATION,
    **CHAIN,
    **CONSENSUS,
    **OPERATION,
    **TRANSPORT,
    **USAGE,
    **ACCESS,
    **VAULT,
}
