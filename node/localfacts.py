"""What a node adds to reports of its own: what it knows of the others, what its vault holds about a
person and who read of it. Payloads stay closed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from ledger.encoding import encode_time
from node.driver import Driver
from node.identity import Identity
from node.permission import can_use
from node.reports.local import Around, Disclosure, Kept, Local
from node.vault import Reading, Vault


class LocalFacts:
    """The node's side of Q10 and Q11."""

    def __init__(self, driver: Driver, vault: Vault) -> None:
        self._driver = driver
        self._vault = vault

    def of(self, author: Identity) -> Local:
        """The same for who asks: the counts of the vault are for whom the vault is."""
        org = self._driver.org
        return Local(
            org, lambda: self._around(can_use(author, "GET /api/v1/vault", org)), self._about
        )

    def _around(self, sees_vault: bool) -> Around:
        driver = self._driver
        configs = driver.final.tip.configs
        return Around(
            heard_ms=driver.carrier.heard(),
            accused=Counter(
                configs[one.epoch].members[one.signer].org for one in driver.accusations
            ),
            contradicting=tuple(driver.contradictions),
            alarms=dict(driver.alarms),
            behind=driver.behind,
            missing_payloads=len(self._vault.missing(driver.org)) if sees_vault else None,
        )

    def _about(self, pid: str) -> tuple[Sequence[Kept], Sequence[Disclosure]]:
        kept = [
            Kept(held.commit, held.schema, held.tier)
            for held in map(self._vault.holding, self._vault.group(f"person:{pid}"))
        ]
        commits = {one.commit for one in kept}
        read = [
            Disclosure(encode_time(one.at_ms), one.commit, one.org, one.role, one.outcome)
            for one in self._readings()
            if one.commit in commits
        ]
        return kept, read

    def _readings(self) -> Iterator[Reading]:
        """All readings of restricted payloads, in order."""
        after = 0
        while page := self._vault.readings(after):
            yield from (reading for _number, reading in page)
            after = page[-1][0]
