"""Glosses for spoken-to-signed-translation, up to a pose."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import kgloss_hf
from kgloss_hf.integrations.spoken_to_signed import text_to_gloss
from tests.command_server import Forks

pytest.importorskip("spoken_to_signed", reason="spoken-to-signed is not installed")

ROOT = Path(__file__).parent.parent.parent
SENTENCE = "이 토기는 4세기에 만들어졌습니다."


def test_items_are_the_librarys_and_hold_what_the_pipeline_answers(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spoken_to_signed.text_to_gloss.types import GlossItem

    answer = kgloss_hf.load(checkpoint)(SENTENCE)
    expected = [GlossItem(gloss, gloss) for gloss in answer.glosses]
    assert len(expected) > 0
    assert text_to_gloss(f"{SENTENCE}\n\n{SENTENCE}\n", "ko", model=checkpoint) == [expected, expected]
    monkeypatch.setenv("KGLOSS_MODEL", checkpoint)
    assert text_to_gloss(SENTENCE, "ko", signed_language="kvk") == [expected]


def test_the_librarys_own_step_takes_the_function_by_its_name(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from spoken_to_signed import bin

    monkeypatch.setenv("KGLOSS_MODEL", checkpoint)
    monkeypatch.setitem(sys.modules, "spoken_to_signed.text_to_gloss.kgloss", sys.modules[text_to_gloss.__module__])
    glosses = bin._text_to_gloss(SENTENCE, "ko", "kgloss", signed_language="kvk")
    assert glosses == text_to_gloss(SENTENCE, "ko", model=checkpoint)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"language": "de"}, "language: expected ko, found 'de'"),
        ({"signed_language": "ase"}, "signed_language: expected kvk, found 'ase'"),
        (
            {"model": None},
            "model: expected a folder, a Hub repository or a pipeline, found none; pass one, or set KGLOSS_MODEL",
        ),
        (
            {"num_return_sequences": 2, "num_beams": 2},
            "num_return_sequences: expected 1, as a line has one list of GlossItems; leave it out",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    given: dict[str, Any], problem: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KGLOSS_MODEL", raising=False)
    with pytest.raises(ValueError, match=f"^{problem}$"):
        text_to_gloss(SENTENCE, **{"language": "ko", "model": checkpoint, **given})


def test_from_text_to_a_pose(checkpoint: str, forks: Forks, tmp_path: Path) -> None:
    import spoken_to_signed
    from pose_format import Pose

    (items,) = text_to_gloss(SENTENCE, "ko", model=checkpoint)
    letter = next(Path(spoken_to_signed.__path__[0], "assets/fingerspelling_lexicon/ase").glob("*.pose"))
    lexicon = tmp_path / "lexicon"
    lexicon.mkdir()
    shutil.copy(letter, lexicon / "sign.pose")
    rows = [("path", "spoken_language", "signed_language", "start", "end", "words", "glosses", "priority")]
    rows += [("sign.pose", "ko", "kvk", "0", "0", "", items[0].gloss, "0")]
    rows += [("nowhere.pose", "ko", "kvk", "0", "0", "", item.gloss, "0") for item in items if item != items[0]]
    with (lexicon / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)

    command = [str(ROOT / "examples" / "text_to_pose.py"), checkpoint, SENTENCE, "--lexicon", str(lexicon), "--output"]
    status, said = forks.run([*command, "sentence.pose"], tmp_path)
    assert status == 0, said
    pose = Pose.read((tmp_path / "sentence.pose").read_bytes())
    assert f"{len(pose.body.data)} frames" in said
    assert len(pose.body.data) >= 5
    assert said.count("(no pose)") == sum(item.gloss != items[0].gloss for item in items)

    rows[1] = ("sign.pose", "ko", "kvk", "0", "0", "", "다른 글로스", "0")
    with (lexicon / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    status, said = forks.run([*command, "none.pose"], tmp_path)
    assert status == 1
    assert "expected at least one gloss with a pose, found none" in said
    assert not (tmp_path / "none.pose").exists()
