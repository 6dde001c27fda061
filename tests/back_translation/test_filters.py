from __future__ import annotations

import math
import random
import sqlite3
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.back_translation import filters, near_duplicates
from kgloss_hf.back_translation.filters import _LONGEST_LOOP, REASONS, Thresholds, reason
from kgloss_hf.back_translation.near_duplicates import NearDuplicates
from kgloss_hf.back_translation.similarity import SemanticScorer
from kgloss_hf.runtime.normalization import normalize, normalize_line

SOURCE = "그 남자는 어제 집에 갔습니다."
TEXTS = st.text(st.characters(exclude_categories=()), max_size=40) | st.text("하가 .1a\ud800", max_size=40)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (SOURCE, "남자가 어제 귀가했습니다.", ""),
        ("", "", "empty"),
        (SOURCE, "", "empty"),
        (" \n", "집", "empty"),
        ("집", "집", "identical"),
        ("집", "불", ""),
        ("불이 났다", "「불이  났다!」", "identical"),
        ("QR 코드", "qr코드", "identical"),
        (unicodedata.normalize("NFD", "불이 났다"), "불이 났다", "identical"),
        ("119", "119", "identical"),
        ("😀", "😀", "identical"),
        ("😀", "😁", "script"),  # symbols are compared where there is nothing else
        ("119에 신고", "119", "script"),  # no letter at all
        (SOURCE, "The man went home.", "script"),
        (SOURCE, "Мужчина пошёл домой.", "script"),
        ("코드 QR", "QR 코드", ""),  # 2 of 4 letters
        ("코드를 찍으세요", "QR code 찍다", "script"),  # 2 of 8
        (SOURCE, unicodedata.normalize("NFD", "남자가 어제 귀가했습니다."), ""),
        ("가나다라마바사아자차", "하나다", ""),  # 0.3
        ("가나다라마바사아자차카", "하나다", "length"),
        ("가나다", "하나다라마바사아자", ""),  # 3.0
        ("가나다", "하나다라마바사아자차", "length"),
        (SOURCE, "그리고 그리고 집에 갔습니다.", ""),
        (SOURCE, "그리고 그리고 그리고 갔습니다.", "repetition"),
        (SOURCE, "그리고, 그리고. 그리고 갔습니다.", "repetition"),
        (SOURCE, "집에 갔습니다. 집에 갔습니다. 집에 갔습니다.", "repetition"),
        (SOURCE, "집에 집에 불이 집에 불이 집에", ""),  # no n-gram three times in a row
        (SOURCE, "그는 하하하 하고 갔습니다.", ""),
        (SOURCE, "하하하하하 집에 갔습니다.", "repetition"),
        (SOURCE, "그리고그리고그리고그리고", "repetition"),
        ("정말 웃기다 ㅋㅋㅋㅋㅋㅋ", "정말 재미있다 하하하하하", ""),  # so does the source
        ("모두 1만 원입니다.", "모두 1000000원입니다.", ""),
        (SOURCE, "어제 집에 갔습니다......", ""),
        (SOURCE, "\ud800남자가 어제 귀가했다\udfff", ""),
        ("\ud800", "\ud800", "identical"),
    ],
)
def test_the_reason(source: str, target: str, why: str) -> None:
    assert reason(source, target, None, Thresholds()) == why


def test_similarity_comes_after_the_other_filters() -> None:
    thresholds = Thresholds(min_similarity=0.5)
    target = "남자가 어제 귀가했습니다."
    assert reason(SOURCE, target, 0.5, thresholds) == ""
    assert reason(SOURCE, target, 0.4999, thresholds) == "similarity"
    assert reason(SOURCE, target, math.nan, thresholds) == "similarity"
    assert reason(SOURCE, "", None, thresholds) == "empty"
    with pytest.raises(ValueError, match="min_similarity is set, found None; score the pair"):
        reason(SOURCE, target, None, thresholds)


def test_filters_can_be_turned_off() -> None:
    off = Thresholds(0, 0, math.inf, 10**6, 10**6, None)
    assert reason("집", "ha " * 500, None, off) == ""


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min_hangul", 1.1),
        ("min_hangul", math.nan),
        ("min_length_ratio", -1),
        ("min_length_ratio", 4),
        ("max_length_ratio", 0.1),
        ("max_length_ratio", math.nan),
        ("max_word_repeats", 0),
        ("max_letter_repeats", 0),
        ("near_duplicates", 0.4),
        ("near_duplicates", 90),
        ("min_similarity", 70),
    ],
)
def test_values_out_of_range(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option}.*expected|expected.*{option}"):
        replace(Thresholds(), **{option: value})


@given(TEXTS, TEXTS)
def test_any_text_has_one_reason(source: str, target: str) -> None:
    why = reason(source, target, None, Thresholds())
    assert why in {"", *REASONS[:5]}
    assert reason(source, target, None, Thresholds()) == why
    assert reason(source, source, None, Thresholds()) == ("identical" if normalize(source).strip() else "empty")


class _Item:
    """An item that counts how often it is compared."""

    compared = 0

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        _Item.compared += 1
        return isinstance(other, _Item) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


def test_looking_for_loops_takes_steps_in_proportion_to_the_length() -> None:
    for values in ([0] * 2 + [1], [0] * 29 + [1], range(10_000)):
        items: Any = [_Item(value) for value in (list(values) * 10_000)[:10_000]]
        _Item.compared = 0
        filters._loops(items, 10_000 // _LONGEST_LOOP)
        assert _Item.compared <= _LONGEST_LOOP * len(items)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("하" * 10_000, "repetition"),
        (("하" * 30 + "호") * 320, "repetition"),
        ("가. " * 3000, "repetition"),
        ("가." * 5000, ""),  # one long word, of single letters
        ("가" + "." * 9999, ""),
        ("." * 9999 + "가", ""),
    ],
)
def test_long_targets(target: str, why: str) -> None:
    # Each pattern consumes a run as a whole and cannot match within it again, so none of these is slow.
    source = " ".join(chr(ord("가") + i) for i in range(2500))
    assert reason(source, target, None, Thresholds()) == why


def _trigrams(pair: tuple[str, str]) -> set[Any]:
    return {(side, text[i : i + 3]) for side, text in enumerate(pair) for i in range(len(text) - 2)}


def _perturbed(pairs: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """Return the pairs with up to four characters of each target changed."""
    draw = random.Random(seed)  # noqa: S311
    changed = []
    for source, target in pairs:
        characters = list(target)
        for _ in range(draw.randint(0, 4)):
            characters[draw.randrange(len(characters))] = draw.choice("갸냐댜랴먀")
        changed.append((source, "".join(characters)))
    return changed


def _pairs(count: int) -> list[tuple[str, str]]:
    draw = random.Random(0)  # noqa: S311
    syllables = [chr(ord("가") + i) for i in range(2000)]
    return [
        ("".join(draw.choices(syllables, k=25)), "".join(draw.choices(syllables, k=draw.randint(20, 60))))
        for _ in range(count)
    ]


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9, 0.95])
def test_as_many_near_duplicates_are_found_as_lsh_promises(threshold: float, tmp_path: Path) -> None:
    originals = _pairs(300)
    copies = _perturbed(originals, 1)
    with NearDuplicates(tmp_path / "scratch.db", threshold) as earlier:
        assert not any(earlier.seen_many(originals))
        verdicts = earlier.seen_many(copies)
        bands, rows = earlier.bands, earlier.rows
    sets = list(map(_trigrams, originals))
    indices = [max(len(own & other) / len(own | other) for other in sets) for own in map(_trigrams, copies)]
    assert not any(seen for seen, index in zip(verdicts, indices, strict=True) if index < threshold)
    assert all(seen for seen, index in zip(verdicts, indices, strict=True) if index == 1)
    # A pair with the index s becomes a candidate with the probability 1 - (1 - s^rows)^bands.
    chances = [1 - (1 - index**rows) ** bands for index in indices if index >= threshold]
    spread = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    assert len(chances) > 50
    assert sum(verdicts) >= sum(chances) - 4 * spread
    assert 1 - (1 - threshold**rows) ** bands > 0.95


def test_an_equal_pair_is_always_found(tmp_path: Path) -> None:
    pairs = [
        ("", ""),
        ("네", "응"),
        ("네", "예"),
        ("아니", "아뇨"),
        ("119", "일일구"),
        ("😀", "😁"),
        ("\ud800", "\udfff"),
    ]
    pairs += _pairs(50)
    for threshold in (0.5, 0.9, 0.99, 1.0):
        with NearDuplicates(tmp_path / "scratch.db", threshold) as earlier:
            assert earlier.seen_many([*pairs, *pairs])[len(pairs) :] == [True] * len(pairs)
            assert all(earlier.seen_many(pairs))


def test_sides_are_apart_and_signs_do_not_count(tmp_path: Path) -> None:
    with NearDuplicates(tmp_path / "scratch.db") as earlier:
        again = ("「불이 났다」", unicodedata.normalize("NFD", "화재다!"))
        assert earlier.seen_many([("불이 났다.", "화재다."), ("화재다.", "불이 났다."), again]) == [False, False, True]
        assert earlier.seen_many([("불", "화"), ("불이", "화"), ("불\0", "화")]) == [False, False, True]


def test_a_dropped_pair_is_not_remembered(tmp_path: Path) -> None:
    chain = [("가나다라마바사아자차카타", text) for text in ("하갸냐댜랴먀", "하갸냐댜랴", "하갸냐댜", "하갸냐")]
    with NearDuplicates(tmp_path / "scratch.db", 0.85) as earlier:
        # 13 of 14 trigrams, then 12, then 11: each is near the one before it, but the last is not near the first
        assert earlier.seen_many(chain) == [False, True, True, False]


def test_verdicts_do_not_depend_on_batches_or_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = _pairs(120)
    pairs = [*originals, *_perturbed(originals, 2), *_perturbed(originals, 3)]
    path = tmp_path / "scratch.db"
    with NearDuplicates(path, 0.8) as earlier:
        verdicts = earlier.seen_many(pairs)
    assert 0 < sum(verdicts) < 240
    with NearDuplicates(path, 0.8) as earlier:
        assert [earlier.seen_many([pair])[0] for pair in pairs] == verdicts
    monkeypatch.setattr(near_duplicates, "_AT_ONCE", 50)
    monkeypatch.setattr(near_duplicates, "_SIGNED_AT_ONCE", 7)
    with NearDuplicates(path, 0.8) as earlier:
        assert earlier.seen_many(pairs) == verdicts
    program = (
        "import sys\nfrom kgloss_hf.back_translation.near_duplicates import NearDuplicates\n"
        "with NearDuplicates(sys.argv[1], 0.8) as earlier:\n    print(earlier.seen_many(eval(sys.argv[2])))"
    )
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), repr(pairs)],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert done.stdout.strip() == repr(verdicts), done.stderr


def test_the_scratch_file(tmp_path: Path) -> None:
    path = tmp_path / "scratch.db"
    path.write_text("left by a run that was killed")
    earlier = NearDuplicates(path)
    with pytest.raises(RuntimeError, match=r"write: with NearDuplicates\(path\) as earlier"):
        earlier.seen_many([("불", "화재")])
    for _ in range(2):  # it can be used again, and then remembers nothing
        with earlier:
            assert earlier.seen_many([]) == []
            assert earlier.seen_many([("불", "화재")]) == [False]
            assert path.is_file()
        assert not path.exists()
    with pytest.raises(RuntimeError, match=r"no_folder.* cannot be used .*expected an existing, writable folder"):
        NearDuplicates(tmp_path / "no_folder" / "scratch.db").__enter__()
    with pytest.raises(ValueError, match=r"threshold: expected a Jaccard index from 0.5 to 1, found 0.1"):
        NearDuplicates(path, 0.1)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with NearDuplicates(tmp_path / "scratch.db") as earlier:

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(earlier, "_remember", full)
        with pytest.raises(RuntimeError, match=r"scratch.db cannot be used \(database or disk is full\)"):
            earlier.seen_many([("불", "화재")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("library", "make", "extra"),
    [
        ("datasketch", lambda: NearDuplicates("scratch.db"), "back-translation"),
        ("sentence_transformers", lambda: SemanticScorer("model"), "semantic"),
    ],
)
def test_a_missing_library(library: str, make: Any, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'pip install "kgloss-hf\[{extra}\]"'):
        make()


@pytest.fixture(scope="module")
def sentence_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an untrained sentence-transformers model with a thousand parameters."""
    pytest.importorskip("sentence_transformers", reason="similarity of meaning needs sentence-transformers")
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models")
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "불", "물", "산", "강", "집", "화재", "지진"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    tokenizer.save_pretrained(folder / "bert")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder / "bert")
    # For a checkpoint without sentence-transformers files, the library takes the mean of the last layer.
    SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"


def test_similarity_of_meaning(sentence_model: Path) -> None:
    scorer = SemanticScorer(str(sentence_model))
    assert scorer.name == "tiny"
    assert scorer([], []) == []
    scores = scorer(["불 물 산", "집", "\ud800", "집"], ["불 물 산", "화재 지진", "", "화재 지진"])
    assert scores[0] == 1.0
    assert scores[1] == scores[3] < 1
    assert all(-1 <= score == round(score, 4) <= 1 for score in scores)
    assert scores == scorer(["불 물 산", "집", "\ud800", "집"], ["불 물 산", "화재 지진", "", "화재 지진"])
    one_by_one = [scorer([source], [target])[0] for source, target in (("불 물 산", "집 강"), ("집", "화재 지진"))]
    assert scorer(["불 물 산", "집"], ["집 강", "화재 지진"]) == pytest.approx(one_by_one, abs=2e-4)
    with pytest.raises(ValueError, match="found 1 source and 0 targets"):
        scorer(["불"], [])


def test_the_cosine_is_of_the_two_vectors(sentence_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    vectors = {"동": [1.0, 0.0], "북": [0.0, 1.0], "서": [-1.0, 0.0], "북동": [0.6, 0.8]}

    class Encoder:
        def encode(self, texts: list[str], **_: object) -> Any:
            return np.array([vectors[text] for text in texts], np.float32)

    scorer = SemanticScorer("owner/model")
    assert scorer.name == "owner/model"
    monkeypatch.setattr(scorer, "_encoder", Encoder())
    assert scorer(["동", "동", "동", "북동"], ["동", "북", "서", "북"]) == [1.0, 0.0, -1.0, 0.8]


def test_what_looks_the_same_is_one_sentence(tmp_path: Path) -> None:
    pair = ("불이 났어요.", "화재가 났습니다.")
    forms = [[unicodedata.normalize("NFD", text) for text in pair], ["\u200b".join(text) for text in pair]]
    for source, target in forms:
        assert (normalize_line(source), normalize_line(target)) == pair
        assert reason(pair[0], source, None, Thresholds()) == "identical"
        with NearDuplicates(tmp_path / "scratch.db") as earlier:
            assert earlier.seen_many([pair, (source, target)]) == [False, True]
    assert reason("불이 났어요.", "\u200b\ufeff", None, Thresholds()) == "empty"
