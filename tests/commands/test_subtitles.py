from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pympi import Elan
from transformers import pipeline

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.commands.subtitles import translate_subtitles, written
from kgloss_hf.data.elan import read_eaf
from kgloss_hf.data.subtitles import read_subtitles
from kgloss_hf.reporting import visible

FILM = """\ufeff머리말

1
00:00:01,000 --> 00:00:02,000
<i>이 토기는</i>

2
00:00:02,040 --> 00:00:04,000
4세기에 만들어졌습니다. 볼까요?

2
00:00:03,000 --> 00:00:05,000
{\\an8}- 홍길동: 국립중앙박물관 불교회화실에
- [영희] 높이 12m <font color="red">폭</font> 6m 의 괘불이요

3
00:00:05,000 --> 00:00:06,000
♪ (음악) ♪

5
00:00:08,000 --> 00:00:07,000
몸의 형태에 따라

6
00:00:0x,000 --> 00:00:09,000
잃은 말

7
10:00:00,000 --> 10:00:01,000

"""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.srt"
    path.write_text(FILM, "utf-8")
    return path


def output_of(film: Path, checkpoint: str, name: str, *options: str) -> str:
    path = film.with_name(name)
    assert main(["translate", checkpoint, str(film), "--output", str(path), *options]) == 1  # a cue was left out
    return path.read_text("utf-8")


def test_timeline_holds_every_cue_and_never_leaves_one(
    checkpoint: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(output_of(film, checkpoint, "film.json"))
    assert document["version"] == 1
    assert [(one["text"], one["cues"]) for one in document["sentences"]] == [
        ("이 토기는 4세기에 만들어졌습니다.", [1, 2]),
        ("볼까요?", [2]),
        ("국립중앙박물관 불교회화실에", [3]),
        ("높이 12m 폭 6m 의 괘불이요", [3]),
        ("", [4]),
        ("몸의 형태에 따라", [5]),
        ("", [7]),  # the sixth has unreadable times
    ]
    cues = {cue.number: cue for cue in read_subtitles(film).cues}
    for sentence in document["sentences"]:
        inside = [cues[number] for number in sentence["cues"]]
        for item in sentence["glosses"]:
            assert any(cue.start <= item["start"] <= item["end"] <= cue.end for cue in inside)
    error = capsys.readouterr().err
    for part in (
        "1 cue with unreadable times left out (the first: line 25",
        "line 1: 머리말",
        "ending before the start, given no length",
    ):
        assert part in error
    assert error.count("film.srt:") == 1


def test_glosses_are_those_of_the_pipeline_with_types(checkpoint: str, film: Path) -> None:
    document = json.loads(output_of(film, checkpoint, "film.json"))
    texts = [one["text"] for one in document["sentences"]]
    answers = pipeline("text-to-gloss", model=checkpoint)(texts, return_types=True)
    assert [[item["gloss"] for item in one["glosses"]] for one in document["sentences"]] == [
        answer["glosses"] for answer in answers
    ]
    assert [[item["type"] for item in one["glosses"]] for one in document["sentences"]] == [
        answer["types"] for answer in answers
    ]


def test_subtitles_keep_the_times_of_every_cue_and_hold_its_glosses(checkpoint: str, film: Path) -> None:
    document = json.loads(output_of(film, checkpoint, "film.json"))
    expected = Counter(
        item["gloss"] + "?" * item.get("unresolved", False) for one in document["sentences"] for item in one["glosses"]
    )
    times = [cue[1:3] for cue in read_subtitles(film).cues]
    for name in ("glosses.srt", "glosses.vtt"):
        output_of(film, checkpoint, name)
        glosses = read_subtitles(film.with_name(name))
        assert glosses.kind == name[-3:]
        assert [cue[1:3] for cue in glosses.cues] == times
        glosses_written = " ".join(cue.text.replace("&amp;", "&") for cue in glosses.cues if cue.text)
        assert sorted(glosses_written.split()) == sorted(" ".join(expected.elements()).split())
        assert [cue.number for cue in glosses.cues if not cue.text] == [4, 6]


def test_elan_document_holds_what_xml_can(checkpoint: str, film: Path) -> None:
    film.write_text("1\n00:00:01,000 --> 00:00:03,000\n이 토기는 \ufffe\uffff\x0b 토기입니다.\n", "utf-8")
    assert main(["translate", checkpoint, str(film), "--output", str(film.with_suffix(".eaf"))]) == 0
    assert "이 토기는 토기입니다." in str(Elan.Eaf(film.with_suffix(".eaf")).tiers)


def test_elan_document_opens_in_pympi(checkpoint: str, film: Path) -> None:
    output_of(film, checkpoint, "film.eaf")
    document = Elan.Eaf(film.with_name("film.eaf"))
    assert document.get_annotation_data_for_tier("sentence")[0] == (1_000, 3_539, "이 토기는 4세기에 만들어졌습니다.")
    assert document.get_annotation_data_for_tier("sentence 2")
    assert {tier.name for tier in read_eaf(film.with_name("film.eaf").read_text("utf-8"))} >= {"glosses", "non-manual"}


def test_default_format_is_that_of_the_subtitles(
    checkpoint: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["translate", checkpoint, "--input", str(film)])
    assert capsys.readouterr().out.startswith("1\n00:00:01,000 --> 00:00:02,000\n")


def test_lines_of_a_film_have_times_in_jsonl(checkpoint: str, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["translate", checkpoint, str(film), "--format", "jsonl", "--types"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["text"], row["cues"]) for row in rows][:2] == [
        ("이 토기는 4세기에 만들어졌습니다.", [1, 2]),
        ("볼까요?", [2]),
    ]
    assert rows[0]["start"] == 1_000
    assert len(rows[0]["types"]) == len(rows[0]["glosses"])
    main(["translate", checkpoint, str(film), "--format", "tsv", "--n_best", "2", "--num_beams", "2"])
    table = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in table[1:3]] == ["이 토기는 4세기에 만들어졌습니다."] * 2


def test_webvtt_without_cues_gives_webvtt_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film.vtt").write_text("WEBVTT\n", "utf-8")
    assert translate_subtitles("no model", str(tmp_path / "film.vtt")) == 0
    assert capsys.readouterr().out == "WEBVTT\n"


def test_film_in_cp949_is_read_and_said(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / "film.srt"
    film.write_bytes("1\n00:00:01,000 --> 00:00:02,000\n(음악)\n".encode("cp949"))
    assert main(["translate", checkpoint, str(film)]) == 0
    assert "read as CP949; if that is wrong, set its encoding with --encoding" in capsys.readouterr().err
    assert main(["translate", checkpoint, str(film), "--encoding", "cp949"]) == 0
    assert "read as" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["film.srt", "집"], "expected only film.srt, found 2 inputs to translate"),
        (["film.srt", "--input", "film.srt"], "expected only film.srt, found 2 inputs"),
        (["nowhere.srt"], "nowhere.srt: no such file"),
        (["--input", "nowhere.vtt"], "nowhere.vtt: no such file"),
        (["film.smi"], "film.smi: expected subtitles in SubRip"),
        (["--input", "film.smi"], "film.smi: expected subtitles in SubRip"),
        (["film.srt", "--n_best", "2"], "n_best: expected a format that can hold it (text, jsonl, tsv), found srt"),
        (["film.srt", "--types"], "types: expected a format that can hold it (jsonl, tsv, eaf, timeline), found srt"),
        (["film.srt", "--format", "eaf", "--alignment"], "alignment: expected a format that can hold it (jsonl)"),
        (["film.srt", "--consensus", "--min_agreement", "0.5"], "min_agreement: expected a format that can hold it"),
        (["film.srt", "--durations", "pairs.csv"], "durations: expected a format that can hold it (eaf, timeline)"),
        (["film.srt", "--format", "eaf", "--durations", "pairs.csv"], "expected starts and ends of glosses"),
        (
            ["film.srt", "--output", "film.srt"],
            "film.srt: expected a file other than the input, found the input itself",
        ),
        (["film.srt", "--output", "."], ".: expected a file to write, found a folder"),
        (["집", "--format", "srt"], "format: expected one of text, jsonl, tsv for sentences and lines, found srt"),
        (["집", "--output", "film.eaf"], "found eaf, which needs times"),
        (["집", "--encoding", "cp949"], "encoding: expected subtitles"),
        (["집", "--durations", "pairs.csv"], "durations: expected subtitles"),
        (["empty.srt"], "empty.srt: expected cues of SubRip or WebVTT, found none"),
        (["nowhere.smi"], "nowhere.smi: expected subtitles in SubRip"),
        (["pairs.csv"], "found the file 'pairs.csv'; translate its lines with --input pairs.csv"),
        (["nowhere.srt.gz"], "expected sentences or the name of a .srt or .vtt file, found the file 'nowhere.srt.gz'"),
        (["film.stl"], "found the file 'film.stl'"),
        (["film.srt", "--output", "film.ass"], "expected a name ending in .txt, .jsonl, .tsv, .srt, .vtt, .eaf, .json"),
        (["집", "--output", "glosses.csv"], "found 'glosses.csv'; rename it, or choose its format with --format"),
        (["film.srt", "--format", "timeline", "--consensus", "--confidence"], "return_confidence: expected"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    checkpoint: str,
    film: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(film.parent)
    for name in ("film.smi", "film.stl"):
        Path(name).write_text("<SAMI>", "utf-8")
    Path("empty.srt").write_text("안녕", "utf-8")
    Path("pairs.csv").write_text("text,glosses\n집,집\n", "utf-8")
    assert main(["translate", checkpoint, *words]) == 1
    output = capsys.readouterr()
    assert message in output.err
    assert (output.err.count("\n"), output.out) == (1, "")
    assert film.read_text("utf-8") == FILM
    assert not list(film.parent.glob(".film*"))


def test_words_of_a_sentence_are_no_files(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("몸").write_text("모습", "utf-8")
    assert main(["translate", checkpoint, "몸", "사진을 a.txt 로 저장합니다.", "몸의 형태 " * 200]) == 0


def test_a_format_goes_before_the_name(checkpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "glosses.csv"
    assert main(["translate", checkpoint, "몸", "--format", "jsonl", "--output", str(path)]) == 0
    assert json.loads(path.read_text("utf-8"))["text"] == "몸"


def test_lines_are_written_to_a_file_too(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sentences.txt").write_text("\n".join(SENTENCES[:2]), "utf-8")
    words = ["translate", checkpoint, "--input", str(tmp_path / "sentences.txt")]
    assert main([*words, "--format", "jsonl"]) == 0
    shown = capsys.readouterr().out
    assert main([*words, "--output", str(tmp_path / "glosses.jsonl")]) == 0
    assert (capsys.readouterr().out, (tmp_path / "glosses.jsonl").read_text("utf-8")) == ("", shown)


def test_interrupted_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "film.eaf"
    path.write_text("old", "utf-8")

    def interrupted(output: Any) -> int:
        output.write("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(interrupted, str(path), None)
    assert [(file.name, file.read_text("utf-8")) for file in tmp_path.iterdir()] == [("film.eaf", "old")]


def test_several_models_tell_how_far_they_agree(checkpoint: str, another_checkpoint: str, film: Path) -> None:
    document = json.loads(output_of(film, checkpoint, "film.json", "--with", another_checkpoint, "--num_beams", "2"))
    assert all(0 <= one["agreement"] <= 1 for one in document["sentences"])
    assert visible(document["sentences"][0]["text"])


def test_learnt_durations_share_the_time(checkpoint: str, tmp_path: Path) -> None:
    film = tmp_path / "film.srt"
    film.write_text("1\n00:00:00,000 --> 00:00:10,000\n이 토기는 4세기에 만들어졌습니다.\n", "utf-8")
    rule = film.with_name("rule.json")
    assert main(["translate", checkpoint, str(film), "--output", str(rule)]) == 0
    items = json.loads(rule.read_text("utf-8"))["sentences"][0]["glosses"]
    row = {"text": "집", "glosses": [items[0]["gloss"], "다른"], "starts": [0, 3.0], "ends": [3.0, 4.0]}
    (tmp_path / "corpus.jsonl").write_text(json.dumps(row), "utf-8")
    learnt = film.with_name("learnt.json")
    options = ["--durations", str(tmp_path / "corpus.jsonl"), "--output", str(learnt)]
    assert main(["translate", checkpoint, str(film), *options]) == 0
    others = json.loads(learnt.read_text("utf-8"))["sentences"][0]["glosses"]
    weights = [3.0 if item["gloss"] == items[0]["gloss"] else 2.0 for item in items]
    assert others[0]["end"] == round(10_000 * weights[0] / sum(weights))
    assert others[-1]["end"] == 10_000
