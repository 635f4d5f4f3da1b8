"""The house as `CONTRIBUTING.md` draws it: who may import and call what, and what no file holds."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from ledger.rulebook import RULES
from ledger.rulebook.findings import FINDINGS
from tests.tidy.source import PACKAGES, ROOT, dotted, modules, nodes, place, tracked, tree

VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "service", "services", "base"}
BANNED_CALLS = re.compile(
    r"\A(?:open|print|input|exec|eval|breakpoint"
    r"|(?:.*\.)?(?:now|utcnow|today|fromtimestamp)"
    r"|(?:time|random|secrets|os|logging|uuid|threading|socket)\..+)\Z"
)
SOMEBODYS_MACHINE = re.compile(rb"(?<![\w.])/(?:work|home|root)/")
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40,}")
PACKAGE_INDEX = re.compile(
    rb"files\.pythonhosted\.org|pypi\.org|//pypi\.|/simple/|--(?:extra-)?index-url[ =]"
    rb"|proxy\.golang\.org|GOPROXY"
)


def test_imports_keep_the_contracts() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path: {path.stem, *path.relative_to(ROOT).parts[:-1]} for path in modules()}
    assert {str(path): found & VAGUE for path, found in names.items() if found & VAGUE} == {}


def test_the_ledger_calls_no_clock_no_chance_and_no_file() -> None:
    calls = ((at, node) for at, node in nodes("ledger") if isinstance(node, ast.Call))
    assert [at for at, node in calls if BANNED_CALLS.match(dotted(node.func))] == []


@pytest.mark.parametrize(
    ("call", "banned"),
    [
        ("datetime.now", True),
        ("datetime.datetime.now", True),
        ("time.monotonic", True),
        ("os.urandom", True),
        ("open", True),
        ("path.open_bundle", False),
        ("self.reopen", False),
        ("clock.known", False),
    ],
)
def test_what_counts_as_a_banned_call(call: str, banned: bool) -> None:
    assert bool(BANNED_CALLS.match(call)) is banned


def test_assert_stands_in_tests_only() -> None:
    assert [at for at, node in nodes() if isinstance(node, ast.Assert)] == []


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_nothing_swallows_every_exception() -> None:
    """`except BaseException` may clean up, and must raise the same again."""
    found = []
    for at, node in nodes():
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            kinds = [kind.value if isinstance(kind, ast.Starred) else kind for kind in kinds]
            names = {dotted(kind) if kind else "" for kind in kinds}
            if names & {"", "Exception"} or ("BaseException" in names and not _raises_again(node)):
                found.append(at)
    assert found == []


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def test_everything_public_in_the_ledger_is_explained() -> None:
    bare = []
    for path in modules("ledger"):
        module = tree(path)
        if ast.get_docstring(module) is None:
            bare.append(place(path, module))
        bare += [place(path, node) for node in _public(module.body) if not ast.get_docstring(node)]
    assert bare == []


# --- errors -------------------------------------------------------------------------------------


def _errors() -> Iterator[tuple[str, ast.Call, str]]:
    """Every place that makes an error with a rule written out, and the rule."""
    for at, node in nodes():
        if isinstance(node, ast.Call) and dotted(node.func).endswith("Error") and node.args:
            rule = node.args[0]
            if isinstance(rule, ast.Constant) and isinstance(rule.value, str):
                yield at, node, rule.value


def _names(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(text) if name}


def test_every_error_names_a_rule_and_its_facts() -> None:
    """A sentence whose facts are missing would fail at the very moment it is needed."""
    wrong = []
    for at, call, number in _errors():
        if dotted(call.func) == "InvariantError":
            continue
        rule = RULES.get(number)
        given = {keyword.arg for keyword in call.keywords}
        if rule is None:
            wrong.append(f"{at}: there is no rule {number}")
        elif None not in given and (missing := _names(" ".join(rule)) - given):
            wrong.append(f"{at}: {number} lacks {sorted(missing)}")
    assert wrong == []


def test_every_rule_speaks_both_languages() -> None:
    for number, rule in RULES.items():
        assert all(rule), number
        assert _names(rule.en) == _names(rule.zh), number
        assert re.search(r"[\u4e00-\u9fff]", rule.zh), number
        assert re.search(r"[\u4e00-\u9fff]", rule.next_zh), number
    for code, finding in FINDINGS.items():
        assert finding.en, code
        assert re.search(r"[\u4e00-\u9fff]", finding.zh), code


def test_every_rule_of_the_rulebook_is_raised() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in modules() if "rulebook" not in path.parts
    )
    written = set(re.findall(r'"([A-Z][0-9]+(?:\.[a-z]+)?)"', text))
    assert set(RULES) - written == set()


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [SOMEBODYS_MACHINE, PRIVATE_KEY, PACKAGE_INDEX])
def test_no_file_holds_what_belongs_to_a_machine(pattern: re.Pattern[bytes]) -> None:
    here = Path(__file__)
    found = [str(path.relative_to(ROOT)) for path in tracked() if path != here]
    found = [name for name in found if pattern.search((ROOT / name).read_bytes())]
    assert found == []


def test_only_tests_speak_of_private_key_files() -> None:
    header = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
    holders = [path.relative_to(ROOT) for path in tracked() if header.search(path.read_bytes())]
    assert [str(path) for path in holders if path.parts[0] != "tests"] == []


def test_the_packages_are_the_house() -> None:
    held = {path.relative_to(ROOT).parts[0] for path in tracked() if path.suffix == ".py"}
    assert held == {*PACKAGES, "tests"}


def test_no_command_waits_for_what_only_a_node_or_one_command_needs() -> None:
    """Each of these would double the start of every command, of which people type dozens."""
    program = "import sys, cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout.split()
    assert "cli.main" in loaded
    assert not {"sqlalchemy", "fastapi", "uvicorn", "openpyxl", "fpdf"} & set(loaded)
