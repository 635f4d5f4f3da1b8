"""The one tree of errors: every rule that code names exists and is named, both languages say the
same with the same facts, and every error that is raised can be read.

That every package keeps to it is checked here and in tests/tidy; this file is stricter: rules that
are worked out at run time are listed by hand, and no fact is given that no sentence tells.
"""

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

from cli.screen import EXIT_CODES, UsageError
from ledger import errors
from ledger.errors import (
    AllianceError,
    InvariantError,
    MalformedError,
    NotFoundError,
    TooLargeError,
    ensure,
    unreachable,
)
from ledger.rulebook import (
    RULES,
    Rule,
    access,
    authorisation,
    chain,
    consensus,
    domain,
    keys,
    operation,
    proofs,
    receipts,
    rights,
    transport,
    usage,
    vault,
)
from ledger.rulebook import bytes as bytes_of
from ledger.rulebook.words import WORDS
from ledger.rules.guard import PATTERNS
from ledger.rules.intake import WIDER
from node.client import RemoteError, UnreachableError
from node.identity import Role
from node.keyring import NODE_ROLES
from node.problems import STATUS, problem_of

ROOT = Path(__file__).parents[2]
CLASSES = [
    kind
    for kind in (*vars(errors).values(), UnreachableError, RemoteError, UsageError)
    if isinstance(kind, type) and issubclass(kind, AllianceError)
]
NAMES = {kind.__name__ for kind in CLASSES}
HAN = re.compile(r"[\u4e00-\u9fff]")


# --- where errors are made ---


class Site(NamedTuple):
    """A place that makes an error: its rules, as far as they stand there, and the facts given."""

    place: str
    rules: tuple[str, ...]
    facts: frozenset[str | None]
    given: tuple[tuple[str, str], ...]
    """The facts that are texts written there."""
    text: str


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """All that is written in the three packages, and where."""
    for package in ("ledger", "node", "cli"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield path.relative_to(ROOT), node


NODES = list(nodes())
CALLS = [(path, node) for path, node in NODES if isinstance(node, ast.Call)]


def sites() -> Iterator[Site]:
    """Every call of an error class."""
    for path, node in CALLS:
        if name_of(node.func) in NAMES:
            facts = frozenset(keyword.arg for keyword in node.keywords)
            given = tuple((k.arg or "", text) for k in node.keywords for text in texts_of(k.value))
            place = f"{path}:{node.lineno}"
            yield Site(place, rules_of(node.args), facts, given, ast.unparse(node))


def texts_of(value: ast.expr) -> list[str]:
    """The texts that an expression may be: `"a"`, or `"a" if ... else "b"`."""
    match value:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.IfExp(body=body, orelse=other):
            return [*texts_of(body), *texts_of(other)]
    return []


def name_of(node: ast.expr) -> str:
    """`Name` of `Name` and of `module.Name`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def rules_of(arguments: list[ast.expr]) -> tuple[str, ...]:
    """The rules that the first argument may be: `"X"`, or `"X" if ... else "Y"`."""
    match arguments:
        case [ast.Constant(value=str() as rule)]:
            return (rule,)
        case [ast.IfExp(body=body, orelse=other)]:
            return (*rules_of([body]), *rules_of([other]))
    return ()


SITES = list(sites())

# Rules that are not written where the error is made, and those they may be.
WORKED_OUT: dict[str, tuple[str, ...]] = {
    # The text of a header: the rule of the string, and where it stands.
    "MalformedError(error.rule, offset=offset)": ("B3",),
    # What a node answered; a rule that is unknown here becomes O9 before.
    "kind(rule, **facts if isinstance(facts, dict) else {})": (),
}


def test_all_rules_that_are_named_exist() -> None:
    assert len(SITES) > 300
    named = {rule for site in SITES for rule in site.rules}
    assert named - set(RULES) == set()


def test_rules_that_are_worked_out_are_listed_here() -> None:
    unknown = {site.text for site in SITES if not site.rules}
    assert unknown <= set(WORKED_OUT)
    for rules in WORKED_OUT.values():
        assert set(rules) <= set(RULES)


def test_every_rule_is_raised_somewhere() -> None:
    raised = {rule for site in SITES for rule in site.rules}
    assert set(RULES) - raised == set()


def test_exactly_the_facts_of_the_sentences_are_given() -> None:
    """One too few fails when the sentence is read; one too many is told to nobody."""
    wrong = [
        (site.place, rule, sorted(map(str, site.facts ^ fields(RULES[rule]))))
        for site in SITES
        for rule in site.rules
        if site.facts != fields(RULES[rule])
    ]
    assert wrong == []


def test_errors_carry_nothing_but_rule_and_named_facts() -> None:
    assert [
        site.place for site in SITES if None in site.facts and site.text not in WORKED_OUT
    ] == []


# --- words of one language in sentences of the other ---

SAME = frozenset({"field", "file", "inner", "key", "name", "option", "word"})
"""Facts that are what somebody wrote or can write, the same in both languages."""


def has_chinese(fact: str, text: str) -> bool:
    """Whether a text is in the table, or is nothing that is read: a sign, a name in code."""
    return text in WORDS.get(fact, {}) or "_" in text or not re.search("[A-Za-z]{2}", text)


def test_no_english_word_stands_in_a_chinese_sentence() -> None:
    told = [(site.place, fact, text) for site in SITES for fact, text in site.given]
    assert len(told) > 60
    lacking = [one for one in told if one[1] not in SAME and not has_chinese(one[1], one[2])]
    assert lacking == [], "add these to ledger/rulebook/words.py"


def test_what_stories_and_drills_expect_has_its_chinese() -> None:
    """`must`, `holds` and `until` hand on what they are given."""
    given = [
        node.args[1] for path, node in CALLS
        if path.parts[0] == "cli" and name_of(node.func) in ("must", "holds", "until")
        and len(node.args) > 1
    ]  # fmt: skip
    said = [text for value in given for text in texts_of(value)]
    # One of them hands on to another.
    assert len(said) == len(given) - 1 > 15
    assert [text for text in said if not has_chinese("what", text)] == []


def test_what_a_question_names_has_its_chinese() -> None:
    """`unknown` of the reports hands on what it is given."""
    calls = [
        node for path, node in CALLS
        if path.parent.name == "reports" and name_of(node.func) == "unknown"
    ]  # fmt: skip
    said = [text for node in calls for text in texts_of(node.args[0])]
    assert len(said) == len(calls) > 4
    assert [text for text in said if not has_chinese("what", text)] == []


def test_words_that_are_worked_out_have_their_chinese() -> None:
    forms = {form for form, _pattern in (*PATTERNS, *WIDER)}
    assert forms - set(WORDS["pattern"]) == set()
    assert {*typing.get_args(Role), *NODE_ROLES} == set(WORDS["role"])


@pytest.mark.parametrize("fact", WORDS)
def test_the_words_are_used_and_their_chinese_is_chinese(fact: str) -> None:
    written = {
        node.value
        for path, node in NODES
        if isinstance(node, ast.Constant) and path.name != "words.py"
    }
    assert set(WORDS[fact]) - written == set(), "nobody says these any more"
    assert [text for text in WORDS[fact].values() if not HAN.search(text)] == []


def test_a_word_is_told_in_the_language_of_its_sentence() -> None:
    error = NotFoundError("O6", what="dataset", name="dataset")
    assert error.sentence() == "There is no dataset dataset here."
    assert error.sentence("zh") == "此处没有数据集 dataset。"
    unknown = NotFoundError("O6", what="something later", name="x")
    assert unknown.sentence("zh") == "此处没有something later x。"


# --- the rulebook ---


def names(text: str) -> set[str]:
    """The facts that a sentence is filled with; no format but the plain one."""
    found = set()
    for _, name, form, conversion in Formatter().parse(text):
        if name is not None:
            assert name.isidentifier(), text
            assert (form, conversion) == ("", None), text
            found.add(name)
    return found


def fields(rule: Rule) -> set[str]:
    """The facts of all sentences of a rule."""
    return set().union(*map(names, rule))


CHAPTERS = {
    "ACCESS": access.ACCESS,
    "AUTHORISATION": authorisation.AUTHORISATION,
    "BYTES": bytes_of.BYTES,
    "CHAIN": chain.CHAIN,
    "CONSENSUS": consensus.CONSENSUS,
    "DOMAIN": domain.DOMAIN,
    "KEYS": keys.KEYS,
    "OPERATION": operation.OPERATION,
    "PROOFS": proofs.PROOFS,
    "RECEIPTS": receipts.RECEIPTS,
    "RIGHTS_RULES": rights.RIGHTS_RULES,
    "TRANSPORT": transport.TRANSPORT,
    "USAGE": usage.USAGE,
    "VAULT": vault.VAULT,
}


def test_the_chapters_do_not_overlap() -> None:
    assert sum(map(len, CHAPTERS.values())) == len(RULES)


@pytest.mark.parametrize("number", RULES)
def test_a_rule_speaks_both_languages_with_the_same_facts(number: str) -> None:
    rule = RULES[number]
    assert re.fullmatch(r"[A-Z][1-9][0-9]*(\.[a-z]+)?", number)
    for english in (rule.en, rule.next_en):
        assert english[0] == english[0].upper()
        assert english.endswith((".", "!", "?"))
    for chinese in (rule.zh, rule.next_zh):
        assert HAN.search(chinese)
        assert chinese.endswith(("。", "！", "？"))
    assert names(rule.en) == names(rule.zh)
    assert names(rule.next_en) == names(rule.next_zh)
    assert all(text == text.strip() for text in rule)


@pytest.mark.parametrize("number", RULES)
def test_a_rule_can_be_read_once_its_facts_are_given(number: str) -> None:
    facts = {name: f"<{name}>" for name in fields(RULES[number])}
    error = AllianceError(number, **facts)
    told = {
        error.sentence(), error.sentence("zh"), error.next_step(), error.next_step("zh"),
    }  # fmt: skip
    assert len(told) == 4
    for name in facts.values():
        assert name in " ".join(told)
    assert str(error) == f"{number}: {error.sentence()} {error.next_step()}"
    assert not any("{" in text or "}" in text for text in told)


# --- the classes ---


def test_every_class_has_one_short_code_that_status_and_exit_code_know() -> None:
    own = [kind for kind in CLASSES if kind is not AllianceError]
    codes = [kind.code for kind in own]
    assert len(set(codes)) == len(codes)
    for kind in own:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
        assert kind.__doc__
        assert kind.code in EXIT_CODES or kind is RemoteError
    of_commands = {UnreachableError.code, RemoteError.code, UsageError.code}
    answered = {kind.code for kind in own} - of_commands
    assert answered <= set(STATUS)


def test_errors_are_told_by_rule_and_facts() -> None:
    error = TooLargeError("S10", size=70_000)
    assert isinstance(error, MalformedError)
    assert (error.rule, error.facts, error.text) == ("S10", {"size": 70_000}, RULES["S10"])
    assert error.args == ("S10",)
    assert "70000" in error.sentence()
    assert "70000" in error.sentence("zh")
    assert error.sentence("de") == error.sentence("en")
    assert str(error).startswith("S10: ")


def test_a_problem_document_tells_the_same() -> None:
    error = TooLargeError("S10", size=70_000)
    problem = problem_of(error)
    assert problem.rule == "S10"
    assert (problem.detail, problem.detail_zh) == (error.sentence(), error.sentence("zh"))
    assert (problem.next, problem.next_zh) == (error.next_step(), error.next_step("zh"))


def test_braces_in_facts_are_not_read_as_facts() -> None:
    error = MalformedError("S1", field="{x}.{0}.%s")
    assert "{x}.{0}.%s" in error.sentence()
    assert "{x}.{0}.%s" in str(error)


def test_our_own_mistakes_are_no_alliance_errors() -> None:
    ensure(True, "never read")
    with pytest.raises(InvariantError, match="must not happen"):
        ensure(False, "must not happen")
    with pytest.raises(InvariantError, match="cannot be here"):
        unreachable("cannot be here")
    assert not issubclass(InvariantError, AllianceError)
