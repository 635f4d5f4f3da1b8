"""Strangers' tools accept an export and refuse a damaged one. `make thirdparty`; needs Go."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.verify import cosigner_keys, log_keys
from tests.support.copies import Chain, write_copy
from tests.support.world import make_world

HERE = Path(__file__).parent
GO = shutil.which("go")

pytestmark = [
    pytest.mark.thirdparty,
    pytest.mark.skipif(GO is None, reason="Go is not installed here; these tools are Go programs"),
]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checker, built once."""
    target = tmp_path_factory.mktemp("go") / "checker"
    build = [str(GO), "build", "-mod=readonly", "-o", str(target), "."]
    subprocess.run(build, cwd=HERE, check=True, timeout=600)
    return target


@pytest.fixture
def copy(tmp_path: Path) -> tuple[Chain, Path]:
    """A copy with full and partial tiles on three levels' worth of bundles."""
    chain = Chain(make_world(("h1", "h2")))
    chain.add(chain.world.accesses(700))
    folder = tmp_path / "copy"
    return chain, write_copy(folder, chain.world, chain.entries(), chain.certificates())


def run(tool: Path, chain: Chain, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The checker's verdict."""
    tip = chain.world.genesis.tip
    logs = {key.public_key: key.vkey for key in log_keys(tip.config, tip.origin)}
    log = logs[chain.world.keys[chain.world.org].log.public_key]
    cosigners = [key.vkey for key in cosigner_keys(tip.config, tip.origin).values()]
    command = [str(tool), str(folder), tip.origin, log, *cosigners]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_an_export_is_accepted(tool: Path, copy: tuple[Chain, Path]) -> None:
    result = run(tool, *copy)
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize(
    "name", ["tile/0/000", "tile/1/000.p/2", "tile/entries/002.p/193", "checkpoint"]
)
def test_a_damaged_export_is_refused(tool: Path, copy: tuple[Chain, Path], name: str) -> None:
    chain, folder = copy
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert run(tool, chain, folder).returncode == 1
