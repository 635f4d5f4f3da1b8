"""What the documents say is so: routes, commands, exit codes, targets, rules; in both languages."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

import cli.main
from cli.audit import EXIT_STEP
from cli.offline import Audit
from cli.screen import EXIT_CODES, EXIT_INTERNAL, EXIT_INTERRUPTED
from ledger.rulebook import RULES
from ledger.rules.machines import MACHINES, Machine, draw
from node.logs import EVENTS
from node.main import create_app
from tests.support.node import make_config, make_home
from tests.support.world import make_world
from tests.tidy.access_table import access_table
from tests.tidy.source import ROOT, modules, place, tree

READMES = ("README.md", "README.zh-CN.md")
OPERATING = ("OPERATING.md", "OPERATING.zh-CN.md")
SPEC = "ledger/SPEC.md"
DESIGN = re.compile(
    r"\b(?:architecture|consensus|definitions|domain|formats|performance|style)\.md[^)\n]*"
)
"""Pages of the design number their clauses by themselves."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def chapter(text: str, title: str) -> str:
    """The part of a document under a heading of the second level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"there is no chapter {title}"
    return found.group(1)


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a document: rows of cells, without the line under the head."""
    blocks = re.findall(r"(?:^\|.*\n)+", text + "\n", re.M)
    rows = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in b.splitlines()] for b in blocks]
    return [[[cell.strip() for cell in row] for row in (t[0], *t[2:])] for t in rows]


# --- the API ----------------------------------------------------------------------------------


def plain_route(path: str) -> str:
    """A path without the names of its parameters: `/tile/{path:path}` and `/tile/...` are one."""
    return re.sub(r"\{[^}]*\}|\.\.\.", "*", path.partition("?")[0])


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """`METHOD /path` of every route that a node answers."""
    home = make_home(make_world(), tmp_path_factory.mktemp("node") / "home")
    app = create_app(make_config(home))
    app.state.driver.store.close()
    app.state.vault.close()
    return {
        f"{method} {plain_route(route.path)}"  # type: ignore[attr-defined]
        for route in app.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize(
    ("name", "title"),
    [(SPEC, "10 The node's API"), ("README.md", "HTTP"), ("README.zh-CN.md", "HTTP")],
)
def test_every_route_is_documented_and_no_other(routes: set[str], name: str, title: str) -> None:
    written = re.findall(r"`(GET|POST|PUT) (/[^\s`]*)`", chapter(read(name), title))
    assert {f"{method} {plain_route(path)}" for method, path in written} == routes


def test_the_table_of_routes_and_roles_is_that_of_the_code() -> None:
    """`python -m tests.tidy.access_table` writes it."""
    (table,) = tables(chapter(read(SPEC), "13 Who asks, and who may"))
    assert table == tables(access_table())[0]


# --- the commands -----------------------------------------------------------------------------


def commands(group: TyperGroup, words: tuple[str, ...] = ("alliance",)) -> Iterator[str]:
    """Every command that does something, as people type it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name))


def every_command() -> set[str]:
    root = get_command(cli.main.app)
    assert isinstance(root, TyperGroup)
    return set(commands(root))


@pytest.mark.parametrize(
    ("name", "title"), [("README.md", "Commands"), ("README.zh-CN.md", "命令")]
)
def test_every_command_stands_in_the_table_and_no_other(name: str, title: str) -> None:
    (table,) = tables(chapter(read(name), title))
    written = {word for row in table for word in re.findall(r"`(alliance [^`]*)`", row[0])}
    assert written == every_command()


@pytest.mark.parametrize(
    "name", [*READMES, *OPERATING, "CONTRIBUTING.md", SPEC, "tests/vectors/README.md"]
)
def test_documents_name_commands_that_exist(name: str) -> None:
    known = every_command()
    groups = {" ".join(command.split()[:2]) for command in known}
    for words in re.findall(r"(?:`|^)alliance ((?:[a-z][a-z-]*[ `\n]){1,2})", read(name), re.M):
        named = f"alliance {words.replace('`', ' ')}".split()
        assert " ".join(named) in known or " ".join(named[:2]) in groups, named


@functools.cache
def root_command() -> Any:  # noqa: ANN401
    """`alliance`: making it takes a second."""
    return get_command(cli.main.app)


def options_of(words: list[str]) -> set[str]:
    """The options of the command that these words call; none of what is not there."""
    command = root_command()
    for word in words:
        inner = getattr(command, "commands", {})
        if not inner:
            break
        # `alliance audit DIR` is the command of that name, whatever the folder is called.
        command = inner.get(word, inner.get("DIR"))
        if command is None:
            return set()
    parameters = command.get_params(typer.Context(command, info_name=command.name))
    return {name for parameter in parameters for name in parameter.opts}


@pytest.mark.parametrize("name", [*READMES, *OPERATING])
def test_documents_name_options_that_exist(name: str) -> None:
    lines = re.findall(r"(?:`|^\$ |^)alliance ([^`\n]*)", read(name), re.M)
    said = [re.split(r"  +#| -- | > ", line)[0].split() for line in lines]
    wrong = [
        (" ".join(words), word)
        for words in said
        for word in words
        if word.startswith("--") and word.partition("=")[0] not in options_of(words)
    ]
    assert wrong == []
    assert sum(word.startswith("--") for words in said for word in words) > 20


def test_every_command_says_what_it_does() -> None:
    def walk(group: TyperGroup) -> Iterator[tuple[str | None, str | None]]:
        for command in group.commands.values():
            yield command.name, command.help
            if isinstance(command, TyperGroup):
                yield from walk(command)

    root = get_command(cli.main.app)
    assert isinstance(root, TyperGroup)
    assert [name for name, text in walk(root) if not text] == []


# --- exit codes -------------------------------------------------------------------------------


def audit_codes() -> set[int]:
    """20 and the number of each step that can fail; the last thing an audit says is its verdict."""
    inside = ast.walk(tree(ROOT / "cli" / "offline.py"))
    run = next(n for n in inside if isinstance(n, ast.FunctionDef) and n.name == Audit.run.__name__)
    works = next(node.value for node in run.body if isinstance(node, ast.Assign)
                 and isinstance(node.value, ast.Tuple))  # fmt: skip
    assert isinstance(works, ast.Tuple)
    return {EXIT_STEP + number for number in range(1, len(works.elts) + 1)}


def numbers(text: str) -> set[int]:
    """`21 to 26` and `21 至 26` are six numbers."""
    first, _, last = re.sub(r"\D+", " ", text).strip().partition(" ")
    return set(range(int(first), int(last or first) + 1))


def documented_codes() -> dict[str, dict[int, str]]:
    """Exit code to meaning, by document."""
    found: dict[str, dict[int, str]] = {}
    for name, title in zip(READMES, ("Exit codes", "退出码"), strict=True):
        (table,) = tables(chapter(read(name), title))
        found[name] = {number: row[1] for row in table[1:] for number in numbers(row[0])}
    text = re.sub(r"\s+", " ", cli.main.__doc__ or "").partition("Exit codes: ")[2].rstrip(". ")
    found["cli/main.py"] = {}
    for part in text.split("; "):
        audit = re.search(r"\((\d+ to \d+)\)", part)
        for number in numbers(audit.group(1) if audit else part.split(" ")[0]):
            found["cli/main.py"][number] = part
    return found


@pytest.mark.parametrize("name", [*READMES, "cli/main.py"])
def test_exit_codes_are_those_of_the_table(name: str) -> None:
    meanings = documented_codes()[name]
    general = {0, EXIT_INTERNAL, EXIT_INTERRUPTED}
    assert set(meanings) == general | set(EXIT_CODES.values()) | audit_codes()
    if name == READMES[1]:
        return
    words = {"unreachable": "reached", "too-large": "too large", "config": "configuration"}
    for code, number in EXIT_CODES.items():
        assert words.get(code, code.replace("-", " ")) in meanings[number], code


# --- two languages ----------------------------------------------------------------------------


def code_blocks(text: str) -> list[list[str]]:
    """The words of each block of code, without what is said beside them."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
    return [[line.partition("  #")[0].rstrip() for line in b.splitlines()] for b in blocks]


def shape(name: str) -> dict[str, object]:
    """What both languages have in common."""
    text = read(name)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, re.M)],
        "code": code_blocks(text),
        "tables": [(len(table), len(table[0])) for table in tables(prose)],
        "first cells": [re.findall(r"`[^`]*`", row[0]) for table in tables(prose) for row in table],
        "points": len(re.findall(r"^- ", prose, re.M)),
        "links": sorted(
            link for link in re.findall(r"\]\(([^)#]+)\)", prose) if link not in READMES + OPERATING
        ),
        "marks": re.findall(r"<!--.*?-->", prose),
        "paragraphs": len(re.findall(r"\n\n(?=\S)", prose)),
    }


PARTS = (
    "headings", "code", "tables", "first cells", "points", "links", "marks", "paragraphs",
)  # fmt: skip


@pytest.mark.parametrize("pages", [READMES, OPERATING])
@pytest.mark.parametrize("part", PARTS)
def test_the_pages_are_the_same_in_both_languages(part: str, pages: tuple[str, str]) -> None:
    assert shape(pages[0])[part] == shape(pages[1])[part]


@pytest.mark.parametrize("name", OPERATING)
def test_operators_find_every_event(name: str) -> None:
    log = next(table for table in tables(read(name)) if len(table) > 15)
    assert [row[0].strip("`") for row in log[1:]] == list(EVENTS)


def test_each_readme_points_to_the_other() -> None:
    for name, other in (READMES, READMES[::-1], OPERATING, OPERATING[::-1]):
        assert f"]({other})" in read(name)


# --- what documents point to ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*READMES, *OPERATING, "CONTRIBUTING.md", "CHANGELOG.md", SPEC, "ledger/THREATS.md"]
)
def test_documents_name_targets_and_files_that_exist(name: str) -> None:
    text = read(name)
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    folder = (ROOT / name).parent
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in linked if not (folder / link).exists()] == []
    paths = re.findall(r"`((?:ledger|node|cli|tests|\.ci)/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def headings(text: str) -> set[str]:
    """The names that links inside a page may use."""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", READMES)
def test_links_inside_a_page_arrive(name: str) -> None:
    text = read(name)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings(text)


def test_every_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M)) - {"all", "clean"}
    written = re.findall(r"`?make ([a-z]+)", read("README.md") + read("CONTRIBUTING.md"))
    assert targets <= set(written)


# --- state machines ---


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_diagrams_are_those_of_the_tables(machine: Machine) -> None:
    drawn = f"{machine.name}:\n\n```mermaid\n{draw(machine)}\n```"
    assert drawn in read(SPEC), f"the diagram in {SPEC} should be:\n{drawn}"


def test_no_diagram_stands_beside_the_tables() -> None:
    assert read(SPEC).count("```mermaid") == len(MACHINES)


# --- rule numbers -----------------------------------------------------------------------------


RULE = re.compile(r"(?<![\w-])([A-Z][0-9]{1,2})((?:\.[a-z]+)?)(?![\w-])")


def remarks(path: Path) -> Iterator[tuple[str, str]]:
    """Comments and docstrings of a module, with their places."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield place(path, node), ast.get_docstring(node) or ""
    with io.BytesIO(path.read_bytes()) as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield f"{path.relative_to(ROOT)}:{token.start[0]}", token.string


def test_cited_rules_exist() -> None:
    """In the rulebook, or as a clause of the specification."""
    spec = {rule + part for rule, part in RULE.findall(read(SPEC))}
    known = spec | set(RULES) | {number.partition(".")[0] for number in RULES}
    wrong = [
        f"{where}: {rule}{part}"
        for path in modules("ledger")
        for where, text in remarks(path)
        for rule, part in RULE.findall(DESIGN.sub("", text))
        if rule + part not in known
    ]
    assert wrong == []


def test_cited_clauses_exist() -> None:
    """`SPEC 2.1` is a clause of the specification."""
    spec = read(SPEC)
    clauses = set(re.findall(r"^\*\*([0-9]+\.[0-9]+)", spec, re.M))
    clauses |= set(re.findall(r"^## ([0-9]+)", spec, re.M))
    cited = {
        (str(path.relative_to(ROOT)), clause)
        for path in modules()
        for clause in re.findall(r"SPEC (?:chapter )?([0-9]+(?:\.[0-9]+)?)", path.read_text())
    }
    assert {(path, clause) for path, clause in cited if clause not in clauses} == set()


def test_the_specification_knows_the_rules_of_the_ledger() -> None:
    """Chapter by chapter: what a record, a block or a proof is refused for stands in the text."""
    spec = read(SPEC)
    written = {rule for rule, _part in RULE.findall(spec)}
    for letter, first, last in re.findall(r"\b([A-Z])([0-9]+)-\1([0-9]+)\b", spec):
        written |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    domain = {number.partition(".")[0] for number in RULES if number[0] in "SKGDUELJ"}
    assert domain - written == set()
