"""The keys of a node's home: one set for each configuration that may list it, or an observer's key.

    keys/{node,log,cosigner}.pem        the keys in use
    keys/next-{node,log,cosigner}.pem   those of a rotation that is under way (SPEC 1.6)
    keys/observer.pem                   an auditor's key that the chain names, for a node that has
                                        no vote, or none yet

Which set counts is for the configuration of each epoch to say, never for this machine.
"""

from typing import Final, NamedTuple

from ledger.chain import Tip
from ledger.crypto import EDDSA, Signer, load_private_key
from ledger.encoding import b64url
from ledger.errors import ConfigError
from ledger.members import EpochConfig, Member
from ledger.rules.draft import NEXT_CONFIG, pending_config
from ledger.rules.values import KeyState
from ledger.state import state_key
from node.config import Config, read_private, write_private
from node.httpsig import Key

NODE_ROLES: Final = ("node", "log", "cosigner")
NEXT: Final = "next-"
OBSERVER: Final = "observer"
OBSERVER_CAPACITY: Final = "auditor"
"""Who holds a registered key of this capacity may run a node without a vote."""


class KeySet(NamedTuple):
    """The three keys of a member's node."""

    node: Signer
    log: Signer
    cosigner: Signer

    def check(self, member: Member) -> None:
        """A configuration lists all three of them. Raises `ConfigError` (O1.key)."""
        for role, signer in zip(NODE_ROLES, self, strict=True):
            named = b64url(signer.public_key) == getattr(member, f"{role}_pk")
            if signer.alg != EDDSA or not named:
                raise ConfigError("O1.key", role=role, org=member.org)


class Keyring:
    """Everything that this node can sign with.

    `sets` are the keys in use and those of a rotation, none for an observer; `stated_org` is the
    organisation that `node.toml` names: a joiner is in no configuration yet.
    """

    def __init__(
        self, sets: tuple[KeySet, ...], observer: Signer | None = None, stated_org: str = ""
    ) -> None:
        self.sets = sets
        self.observer = observer
        self.stated_org = stated_org
        self._found: dict[bytes, tuple[KeySet, Member] | None] = {}

    @property
    def node_keys(self) -> tuple[bytes, ...]:
        """The public node keys; whoever speaks with them is this node."""
        return tuple(keys.node.public_key for keys in self.sets)

    @property
    def own_keys(self) -> dict[str, Key]:
        """The public node keys by key id (base64url)."""
        signers = [keys.node for keys in self.sets]
        return {b64url(signer.kid): Key(EDDSA, signer.public_key) for signer in signers}

    @property
    def kids(self) -> frozenset[str]:
        """The key ids (base64url) of everything that signs requests here."""
        signers = [keys.node for keys in self.sets] + ([self.observer] if self.observer else [])
        return frozenset(b64url(signer.kid) for signer in signers)

    def find(self, config: EpochConfig) -> tuple[KeySet, Member] | None:
        """The keys whose node key a configuration lists, and the member that they are of."""
        if config.config_hash not in self._found:
            members = dict(zip(config.node_keys, config.members, strict=True))
            mine = [(keys, members.get(keys.node.public_key)) for keys in self.sets]
            found = next(((keys, member) for keys, member in mine if member is not None), None)
            self._found[config.config_hash] = found
        return self._found[config.config_hash]

    def is_whole(self, config: EpochConfig) -> bool:
        """Whether this node can cosign under a configuration: all three keys are what it lists."""
        try:
            self.check(config)
        except ConfigError:
            return False
        return self.find(config) is not None

    def check(self, config: EpochConfig) -> None:
        """A configuration lists the keys of a set together or not at all. Raises `ConfigError`
        (O1.key).
        """
        found = self.find(config)
        if found is not None:
            found[0].check(found[1])

    def speaker(self, tip: Tip) -> Signer:
        """Who signs requests to other nodes: the node key in force, else the one that is to be,
        else the observer's, else the newest.
        """
        pending = pending_config(tip.state.get(NEXT_CONFIG), tip.config)
        for config in (tip.config, pending.config if pending else None):
            found = self.find(config) if config else None
            if found is not None:
                return found[0].node
        if self.observer is not None:
            return self.observer
        return self.sets[-1].node

    def org(self, tip: Tip) -> str:
        """The organisation of this node. Raises `ConfigError` (O1.org) when nothing says so."""
        pending = pending_config(tip.state.get(NEXT_CONFIG), tip.config)
        configs = [*tip.configs, *([pending.config] if pending else [])]
        for config in reversed(configs):
            found = self.find(config)
            if found is not None:
                return found[1].org
        if self.observer is not None:
            state = tip.state.get(state_key("key", b64url(self.observer.kid)))
            if isinstance(state, KeyState):
                return state.org
        if not self.stated_org:
            raise ConfigError("O1.org")
        return self.stated_org


def load_keyring(config: Config) -> Keyring:
    """All keys of a home directory. Raises `ConfigError` (O1.*, C*)."""
    has_observer = (config.key_dir / f"{OBSERVER}.pem").exists()
    observer = _load(config, OBSERVER) if has_observer else None
    if observer is not None and not (config.key_dir / "node.pem").exists():
        return Keyring((), observer, config.org)
    sets = [_load_set(config, "")]
    if (config.key_dir / f"{NEXT}node.pem").exists():
        sets.append(_load_set(config, NEXT))
    return Keyring(tuple(sets), observer, config.org)


def settle_keys(config: Config, keyring: Keyring, in_force: EpochConfig) -> None:
    """Once an epoch has begun that lists the next keys, they take the place of the old ones, which
    are destroyed (consensus.md 2.21). Whenever this is interrupted, one whole set is left that the
    epoch lists. Raises `ConfigError` (X1.file).
    """
    found = keyring.find(in_force)
    if len(keyring.sets) == 2 and found is not None and found[0] is keyring.sets[1]:
        for role in reversed(NODE_ROLES):
            for suffix in ("json", "pem"):
                path = config.key_dir / f"{NEXT}{role}.{suffix}"
                if path.exists():
                    write_private(path.with_name(f"{role}.{suffix}"), path.read_bytes())
        (config.key_dir / f"{NEXT}node.pem").unlink()
    if not (config.key_dir / f"{NEXT}node.pem").exists():
        for path in config.key_dir.glob(f"{NEXT}*"):
            path.unlink(missing_ok=True)


def _load_set(config: Config, prefix: str) -> KeySet:
    return KeySet(*(_load(config, prefix + role) for role in NODE_ROLES))


def _load(config: Config, name: str) -> Signer:
    return load_private_key(read_private(config.key_dir / f"{name}.pem"), config.passphrase)
