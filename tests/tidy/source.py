"""The files of this repository as the tidy tests read them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("ledger", "node", "cli")


def modules(*packages: str) -> list[Path]:
    """The modules of these packages, by default of all three."""
    return sorted(path for name in packages or PACKAGES for path in (ROOT / name).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(*packages: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node of every module, with its place as `file:line`."""
    for path in modules(*packages):
        for node in ast.walk(tree(path)):
            yield place(path, node), node


def place(path: Path, node: ast.AST) -> str:
    """Where a node stands, as people look it up."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def tracked() -> list[Path]:
    """The files that the repository holds, as they stand on disk now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""
