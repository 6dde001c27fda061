from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kgloss_hf.cli import main
from kgloss_hf.commands.coverage import coverage_tables, measure, write_missing
from kgloss_hf.data.arguments import SourceArguments
from kgloss_hf.runtime.fingerspelling import fingerspell
from kgloss_hf.runtime.lexicon import SYMBOLS, Entry, Lexicon

ROWS = [
    ("청자는 2층에 있습니다.", "청자 2 층1 있다"),
    ("도자기는 2층에 있습니다.", "질그릇 2 층1 있다"),
    ("사진을 찍어도 됩니까?", "사진 찍다 의문형(무엇) 가능"),
    ("QR 코드를 찍으세요.", "QR 찍다 청자"),
]
LEXICON = Lexicon(
    [
        *(Entry("청자", id="1", group="a"), Entry("질그릇", group="a"), Entry("층", id="3"), Entry("2", id="4")),
        *(Entry("Q", id="5"), Entry("사진"), Entry("있다", id="6")),
    ]
)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    file = tmp_path / "pairs.csv"
    file.write_text("text,glosses\n" + "\n".join(map(",".join, ROWS)), "utf-8")
    return str(file)


def test_a_corpus(corpus: str, tmp_path: Path) -> None:
    coverage = measure(LEXICON, SourceArguments(dataset=corpus))
    assert coverage.found == {
        **{"청자": "entry", "질그릇": "group", "층1": "headword", "있다": "entry", "Number/2": "entry"},
        **{
            "Alpha/QR": "no letter",
            "의문형(무엇)": "non-manual",
            "사진": "no id",
            "찍다": "no entry",
            "가능": "no entry",
        },
    }
    assert coverage.counts["찍다"] == coverage.counts["Number/2"] == 2
    assert coverage.letters == {
        **{"finger alphabet": (0, 40), "Latin letters": (1, 26), "digits": (1, 10)},
        **{"10, 100, 1000, 10000": (0, 4)},
    }
    playable, *ways = coverage_tables(coverage)[0].rows
    assert playable == ("playable", "5", "50.0%", "9", "60.0%")
    assert sum(int(row[3]) for row in ways if row[0].startswith("–")) == 15
    assert coverage.missing[0] == ("찍다", 2, "no entry")
    write_missing(coverage, tmp_path / "new" / "missing.csv")
    lines = (tmp_path / "new" / "missing.csv").read_text("utf-8").splitlines()
    assert lines[:2] == ["gloss,count,reason", "찍다,2,no entry"]
    assert len(lines) == 6


def test_spelled_contents(corpus: str) -> None:
    letters = Lexicon([Entry("Q", id="1"), Entry("R", id="2")])
    assert measure(letters, SourceArguments(dataset=corpus)).found["Alpha/QR"] == "letters"


def test_a_vocabulary_has_no_frequencies(
    checkpoint: str, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lexicon = tmp_path / "lexicon.csv"
    lexicon.write_text("gloss,id\n몸,1\n", "utf-8")
    output = tmp_path / "missing.csv"
    assert main(["coverage", str(lexicon), checkpoint, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "without frequencies" in " ".join(shown.split())
    assert "tokens" not in shown
    assert output.read_text("utf-8").startswith("gloss,reason\n")
    lexicon.write_text("gloss,id\n몸,1\n,2\n", "utf-8")
    assert main(["coverage", str(lexicon), checkpoint]) == 1
    assert "row 3: expected a gloss, found none" in capsys.readouterr().err
    assert main(["coverage", str(lexicon), checkpoint, "--on_bad_rows", "skip"]) == 0
    capsys.readouterr()
    lexicon.write_text("gloss,id\n몸,1\n", "utf-8")
    assert main(["coverage", str(lexicon), "--dataset", corpus]) == 0
    assert "15 gloss tokens" in " ".join(capsys.readouterr().out.split())


def test_many_missing_glosses_are_cut_on_the_terminal() -> None:
    coverage = measure(LEXICON, SourceArguments())
    table = coverage_tables(coverage)[-1]
    assert len(table.rows) == 20
    assert table.title == f"Glosses that nothing plays, by frequency; {len(coverage.missing) - 20:,} more"
    counts = [int(row[1].replace(",", "")) for row in table.rows]
    assert counts == sorted(counts, reverse=True)
    assert coverage.counts == Counter(dict(coverage.counts.most_common()))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv", "mcksg"], "nowhere.csv: no such file"),
        (["LEXICON"], "expected a model or corpus, found none"),
        (["LEXICON", "mcksg", "--dataset", "gksl"], "found both; leave one out"),
        (["LEXICON", "mcksgg"], "mcksgg: expected"),
        (["LEXICON", "nowhere.csv"], "nowhere.csv: no such file"),
        (["LEXICON", "outputs/modle"], "outputs/modle: no such folder"),
        (["LEXICON", "pairs.csv", "--output", "lexicon.csv"], "lexicon.csv: expected a file other than the input"),
        (["LEXICON", "pairs.csv", "--output", "pairs.csv"], "pairs.csv: expected a file other than the input"),
        (["signs", "pairs.csv", "--output", "signs/1.csv"], "signs/1.csv: expected a file other than the input"),
        (["LEXICON", "pairs.csv", "--output", "missing.xlsx"], "missing.xlsx: expected a name ending in .csv"),
        (["LEXICON", "MODEL", "--gloss_column", "a"], "--gloss_column: expected a corpus to read, found the model"),
    ],
)
def test_what_is_refused(
    words: list[str],
    message: str,
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("outputs/model", "signs"):
        Path(folder).mkdir(parents=True)
    for name in ("lexicon.csv", "signs/1.csv"):
        Path(name).write_text("gloss,id\n집,1\n", "utf-8")
    Path("pairs.csv").write_text("text,glosses\n집이다.,집\n", "utf-8")
    before = {path: path.read_bytes() for path in Path().rglob("*.csv")}
    names = {"LEXICON": "lexicon.csv", "MODEL": checkpoint}
    assert main(["coverage", *(names.get(word, word) for word in words)]) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*.csv")} == before


def test_what_is_missing_can_be_added(corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lexicon.csv").write_text("gloss,video\n집,1.mp4\n", "utf-8")
    missing, filled = tmp_path / "missing.csv", tmp_path / "filled.csv"
    assert main(["coverage", str(tmp_path / "lexicon.csv"), corpus, "--output", str(missing)]) == 0
    header, *rows = missing.read_text("utf-8").splitlines()
    assert any(row.startswith("Number/") for row in rows)
    filled.write_text("\n".join([f"{header},video", *(f"{row},{at}.mp4" for at, row in enumerate(rows))]), "utf-8")
    assert main(["coverage", f"{tmp_path / 'lexicon.csv'},{filled}", corpus, "--output", str(missing)]) == 0
    assert missing.read_text("utf-8").splitlines()[1:] == []


def test_the_finger_alphabet_is_that_of_fingerspelling() -> None:
    spelled = {letter for code in range(ord("가"), ord("힣") + 1) for letter in fingerspell(chr(code))}
    assert spelled == set(SYMBOLS["Name"])
