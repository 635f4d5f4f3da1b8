"""The story of a data use, told by `alliance tour` with one institution; `tests/cli/test_readme.py`
tells it with four.
"""

import itertools
import os
import pty
from pathlib import Path

import pytest

from cli import tour
from cli.life import Cast, House, Life
from cli.stage import Demo
from ledger.errors import ProofError
from tests.cli.conftest import call


@pytest.mark.slow
def test_a_newcomer_is_taken_from_the_first_key_to_an_audit(tmp_path: Path) -> None:
    done = call("tour", "--yes", "--keep", tmp_path / "tour", "--lang", "en")
    assert done.code == 0, done.out + done.err
    for said in (
        "The use terms allow this study.",
        "Finding PERSON_NOT_LISTED",
        "refused by rule W19",
        "Certificate CERT-1 for RES-1: ISSUED",
        "h1/RUN-1",
        "Verdict: VALID",
    ):
        assert said in done.out
    away = tmp_path / "tour" / "story" / "stranger"
    assert {path.name for path in away.iterdir()} == {
        "certificate.json", "certificate.pdf", "genesis",
    }  # fmt: skip
    file, genesis = away / "certificate.json", away / "genesis"
    checked = call("certificate", "verify", file, "--genesis", genesis, "--json").json
    assert (checked["verdict"], checked["object"]) == ("valid", "RES-1")


def test_a_story_that_does_not_hold_stops(tmp_path: Path) -> None:
    scene = Demo(tmp_path, tmp_path, 1, lambda _words: None, itertools.count(1))
    house = House("h1", tmp_path)
    life = Life(scene, Cast(house, house, house, (house,)), lambda: None, lambda: None)
    life.holds(True, "the run must leave its output")
    with pytest.raises(ProofError, match=r"X6\.story") as stopped:
        life.holds(False, "the run must leave its output", ["NO_PERMIT"])
    assert stopped.value.sentence("zh") == "应当成立的未成立：运行须留下输出（['NO_PERMIT']）。"


@pytest.mark.parametrize(
    ("words", "option"), [(["demo", "--out"], "--out"), (["tour", "--keep"], "--keep"),
                          (["drill", "--keep"], "--keep")],
)  # fmt: skip
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_somebody_elses_folder_is_left_alone_and_the_right_option_named(
    tmp_path: Path, words: list[str], option: str, lang: str
) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    done = call(*words, tmp_path, "--lang", lang)
    assert done.code == 18
    assert "X6.folder" in done.err
    assert f"{option}{'.' if lang == 'en' else ' 指定'}" in done.err
    assert len([one for one in ("--out", "--keep") if one in done.err]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_tour_waits_for_enter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal each act waits; Enter goes on."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(master, b"\n")
        tour._wait()
        assert "Enter" in capsys.readouterr().out
        assert tour.pause_of(yes=False) is tour._wait
        assert tour.pause_of(yes=True) is not tour._wait
    os.close(master)
