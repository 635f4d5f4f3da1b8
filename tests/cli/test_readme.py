"""What the README tells people to type works, word for word; and the demo with a log."""

import re
from collections import Counter
from pathlib import Path

import pytest

from cli.home import load_genesis
from cli.idash import read_lines
from tests.cli.conftest import call, free_port, log_file, serving

ROOT = Path(__file__).parents[2]


def typed(name: str) -> list[list[list[str]]]:
    """The commands of each block of code, without what is said beside them: "A chain of your own",
    then "A chain of several members".
    """
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
    found = [re.findall(r"^alliance (.*?)(?: +#.*)?$", block, re.M) for block in blocks]
    return [[line.strip().split() for line in lines] for lines in found if lines]


def test_a_chain_of_your_own_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, *others = typed("README.md")[0]
    assert first == ["init", "--org", "h1"]
    assert second == ["node", "run", "&"]
    founded = call(*first, "--port", str(free_port()), "--json").json
    with serving(tmp_path / "alliance-home"):
        for words in others:
            said = [founded["pin"] if word == "PIN" else word for word in words]
            done = call(*said)
            assert done.code == 0, (said, done.err)
    assert {words[0] for words in others} >= {"proof", "export", "audit"}
    assert len(list((tmp_path / "proof").iterdir())) == 2


def test_a_chain_of_several_members_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in typed("README.md")[1]:
        done = call(*words)
        assert done.code == 0, (words, done.err)
    taken = [load_genesis(tmp_path / home).tip.seal_leaf for home in ("h1", "h2")]
    assert taken[0] == taken[1]


def test_both_readmes_type_the_same() -> None:
    assert typed("README.md") == typed("README.zh-CN.md")


@pytest.mark.slow
def test_the_demo_counts_what_a_scan_counts(tmp_path: Path) -> None:
    """With a small log: each answer stands beside the count of a plain scan, and they agree."""
    data = tmp_path / "data"
    data.mkdir()
    files = [log_file(data / f"node{node}.tsv", 400, node=node) for node in (1, 2, 3)]
    done = call("demo", "--alone", "--data", data, "--out", tmp_path / "out", "--lang", "en")
    assert done.code == 0, done.out + done.err
    scans = [int(count) for count in re.findall(r"plain scan of the files gives (\d+)", done.out)]
    totals = [int(total) for total in re.findall(r"^\d+ of (\d+) rows", done.out, re.M)]
    counts = Counter(line.resource for path in files for line in read_lines(path))
    assert scans == totals
    assert scans[0] == max(counts.values())
    assert len(scans) == 4
    assert (tmp_path / "out" / "copy" / "checkpoint").is_file()


@pytest.mark.slow
def test_the_demo_of_four_ends_with_equal_copies_and_a_valid_audit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for node in (1, 2, 3, 4):
        log_file(data / f"node{node}.tsv", 60, node=node)
    done = call("demo", "--data", data, "--out", tmp_path / "out", "--lang", "en")
    assert done.code == 0, done.out + done.err
    assert "5 copies, equal byte for byte" in done.out
    assert "Verdict: VALID" in done.out
    # Two uses of the story are among them, and each reading of a name for a certificate.
    uses = re.search(r"^   access +(\d+)$", done.out, re.M)
    assert uses is not None
    assert int(uses[1]) >= 240 + 3
    assert "Finding PERSON_NOT_LISTED" in done.out
    away = tmp_path / "out" / "story" / "stranger"
    words = ("certificate", "verify", away / "certificate.json", "--genesis", away / "genesis")
    shares = call(*words, "--json").json["shares"]
    assert {name for name in shares if name.startswith("org:")} == {"org:h1", "org:h2", "org:h3"}
    assert "20 of 20 damages found." in done.out
