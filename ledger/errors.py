"""The one tree of errors.

Every error names a rule of `rulebook`, which holds its sentence in English and Chinese and says
what to do next.
`code` is short and stable: `node.api` maps it to an HTTP status and `cli.main` to an exit code,
each in one table.
"""

from typing import ClassVar, Never

from ledger.rulebook import RULES, Rule
from ledger.rulebook.words import in_chinese

Fact = str | int


class AllianceError(Exception):
    """Something a stranger sent, or a file says, breaks a rule.

    `rule` is a number of the rulebook; `facts` fill its sentences (never secrets, never payloads).
    """

    code: ClassVar[str] = "error"

    def __init__(self, rule: str, **facts: Fact) -> None:
        super().__init__(rule)
        self.rule = rule
        self.facts = facts

    @property
    def text(self) -> Rule:
        """The sentences of the broken rule."""
        return RULES[self.rule]

    def sentence(self, language: str = "en") -> str:
        """What was wrong, as one sentence; `language` is `en` or `zh`."""
        return self._filled(self.text.en, self.text.zh, language)

    def next_step(self, language: str = "en") -> str:
        """What to do about it."""
        return self._filled(self.text.next_en, self.text.next_zh, language)

    def _filled(self, english: str, chinese: str, language: str) -> str:
        if language != "zh":
            return english.format_map(self.facts)
        return chinese.format_map({name: in_chinese(name, x) for name, x in self.facts.items()})

    def __str__(self) -> str:
        return f"{self.rule}: {self.sentence()} {self.next_step()}".rstrip()


class MalformedError(AllianceError):
    """Bytes that are not of the one form that their format allows."""

    code = "malformed"


class TooLargeError(MalformedError):
    """More bytes than the format or the node takes."""

    code = "too-large"


class SignatureError(AllianceError):
    """A signature that does not verify, or a key that may not be used at all."""

    code = "signature"


class AuthenticationError(SignatureError):
    """A request whose author is not known: no signature, or none that this node takes."""

    code = "unauthenticated"


class ForbiddenError(AllianceError):
    """A request of a known author who may not make it; the rule says why."""

    code = "forbidden"


class RefusedError(AllianceError):
    """A well-formed, signed record that the rules do not admit."""

    code = "refused"


class ConflictError(AllianceError):
    """The same name or number again, with other content."""

    code = "conflict"


class ProofError(AllianceError):
    """A proof, a tree head, a block or a receipt that does not verify."""

    code = "proof"


class NotFoundError(AllianceError):
    """What was asked for is not on this chain."""

    code = "not-found"


class ErasedError(NotFoundError):
    """What was asked for was here and is destroyed; the chain says under which record."""

    code = "erased"


class BusyError(AllianceError):
    """The node cannot take it now; the same request later may pass."""

    code = "busy"


class LimitError(BusyError):
    """One author asks for more than an author gets; later the same request passes."""

    code = "limit"


class StorageError(AllianceError):
    """The disk or the database failed; nothing that was answered is lost."""

    code = "storage"


class ConfigError(AllianceError):
    """The node or the command was set up in a way that it refuses to run with."""

    code = "config"


class InvariantError(Exception):
    """A mistake of ours. Raised by `ensure`; never caught, never about a stranger's input."""


def ensure(condition: bool, why: str) -> None:
    """Stop when one of our own invariants does not hold (`assert` vanishes under -O)."""
    if not condition:
        raise InvariantError(why)


def unreachable(why: str) -> Never:
    """Stop at a place that our own code never reaches."""
    raise InvariantError(why)
