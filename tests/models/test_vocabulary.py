from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from datasets import Dataset
from tokenizers import Tokenizer, models, trainers
from transformers import AutoTokenizer

import kgloss_hf  # noqa: F401 - registers the tokenizer
from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.texts import read_texts
from kgloss_hf.models.vocabulary import _word_pieces, count_words, learn_entries, train_tokenizer
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.tokenizer_run import TokenizerTrainingArguments, train_and_save

# As Okt sees them: 몸 형태 | 몸 모양, and 몸 Number | 형태 | 박물관.
CORPUS = ["몸의 형태", "", "몸의 모양", "  "]
PAIRS = [("몸 12", ["몸", "Number/12", "모습"]), ("형태", ["모습"]), ("박물관", ["나라", "박물관", "몸", "형태"])]


@pytest.fixture
def arguments(tmp_path: Path) -> TokenizerTrainingArguments:
    (tmp_path / "corpus.txt").write_text("\n".join(CORPUS) + "\n", "utf-8")
    rows = [json.dumps({"text": text, "glosses": glosses}, ensure_ascii=False) for text, glosses in PAIRS]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows), "utf-8")
    return TokenizerTrainingArguments(
        output_dir=str(tmp_path / "tokenizer"),
        corpus=[str(tmp_path / "corpus.txt")],
        dataset=str(tmp_path / "pairs.jsonl"),
        model="wordlevel",
    )


def test_statistics_of_whole_words(arguments: TokenizerTrainingArguments) -> None:
    statistics = train_and_save(arguments)
    assert statistics["vocabulary"] == {
        "size": 7 + 3 + 3,  # 몸 형태 모양, then 모습 나라 박물관
        "special_tokens_and_placeholders": 7,
        "words": 3,
        "glosses": 5,
        "glosses_already_there": 2,  # 몸 형태
    }
    assert statistics["corpus"] == {
        "sentences": 2,
        "blank": 2,
        "words": 4,
        "different_words": 3,
        "coverage": 1.0,
        "tokens_a_sentence": 2.0,
        "unknown_rate": 0.0,
        "placeholder_rate": 0.0,
    }
    assert statistics["pairs"]["placeholder_rate"] == 1 / 4
    # 몸 and Number of three; nothing of one; 박물관 of four, which is a token because it is a gloss.
    assert statistics["target_in_source"] == {
        "of_tokens": 3 / 8,
        "mean_of_pairs": pytest.approx((2 / 3 + 0 + 1 / 4) / 3),
    }


def test_unknown_words_are_counted(arguments: TokenizerTrainingArguments, tmp_path: Path) -> None:
    rows = [json.dumps({"text": text, "glosses": ["나라"]}, ensure_ascii=False) for text in ("몸 형태 토기", "토기")]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows), "utf-8")
    fit = train_and_save(arguments)["pairs"]
    assert (fit["words"], fit["coverage"], fit["tokens_a_sentence"], fit["unknown_rate"]) == (4, 0.5, 2.0, 0.5)


def test_statistics_of_word_pieces(arguments: TokenizerTrainingArguments) -> None:
    arguments.model, arguments.vocab_size = "wordpiece", 0  # only characters
    statistics = train_and_save(arguments)
    # 몸 형 ##태 모 ##양, and 태 and 양, which the trainer wants without their prefix too
    assert statistics["vocabulary"]["word_pieces"] == 7
    assert statistics["vocabulary"]["glosses_already_there"] == 1  # 몸
    assert statistics["corpus"]["tokens_a_sentence"] == (2 + 3) / 2  # 형태 is whole, as a gloss; 모양 is 모 ##양
    # 박물관 is a gloss; Number is reserved
    assert statistics["pairs"]["unknown_rate"] == 0.0


def test_statistics_equal_a_second_pass(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(SENTENCES), "utf-8")
    statistics = train_and_save(
        TokenizerTrainingArguments(output_dir=str(tmp_path / "out"), corpus=[str(tmp_path / "a.txt")])
    )
    loaded = KGlossTokenizerFast.from_pretrained(tmp_path / "out")
    lengths = [len(ids) - 2 for ids in loaded(SENTENCES)["input_ids"]]
    assert statistics["corpus"]["tokens_a_sentence"] == sum(lengths) / len(SENTENCES)


def test_saved_folder_loads_and_holds_the_statistics(arguments: TokenizerTrainingArguments) -> None:
    statistics = train_and_save(arguments)
    folder = Path(arguments.output_dir)
    assert json.loads((folder / "statistics.json").read_text("utf-8")) == statistics
    loaded = AutoTokenizer.from_pretrained(folder)
    assert isinstance(loaded, KGlossTokenizerFast)
    tokens = loaded.convert_ids_to_tokens(loaded("몸의 토기 12")["input_ids"])
    assert tokens == ["[BOS]", "몸", "[UNK]", "Number", "[EOS]"]
    assert loaded.decode(loaded(text_target=["박물관", "몸"])["input_ids"], skip_special_tokens=True) == "박물관 몸"


def test_another_analyser_sees_corpus_and_pairs(arguments: TokenizerTrainingArguments) -> None:
    arguments.analyzer = "whitespace"
    statistics = train_and_save(arguments)
    assert statistics["vocabulary"]["words"] == 3  # 몸의 형태 모양
    # Number and 몸 of three; nothing of one; 박물관 of four
    assert statistics["target_in_source"]["of_tokens"] == 3 / 8
    assert KGlossTokenizerFast.from_pretrained(arguments.output_dir).words(CORPUS[:1]) == [["몸의", "형태"]]


def test_another_language_is_refused_before_anything_is_learnt(
    arguments: TokenizerTrainingArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgloss_hf.training.tokenizer_run.count_words", None)
    Path(arguments.corpus[0]).write_text("Where is the exit?\n", "utf-8")
    with pytest.raises(ValueError, match=r"sentences of .*corpus.txt: expected Korean, .* add --analyzer whitespace"):
        train_and_save(arguments)
    Path(arguments.dataset).write_text('{"text": "the exit", "glosses": "EXIT"}', "utf-8")
    with pytest.raises(ValueError, match=r"sentences of .*pairs.jsonl: expected Korean"):
        train_and_save(arguments)
    assert not Path(arguments.output_dir).exists()


def test_names_are_copied_with_okt_alone(arguments: TokenizerTrainingArguments) -> None:
    arguments.analyzer, arguments.copy_names = "kiwi", 3
    with pytest.raises(ValueError, match="copy_names: expected the analyser okt, .* found 'kiwi'"):
        train_and_save(arguments)
    with pytest.raises(ValueError, match="copy_names: expected the analyser okt, .* found 'whitespace'"):
        train_tokenizer(SENTENCES, GLOSSES, copy_names=True, analyzer="whitespace")


def test_corpus_defaults_to_the_pairs_sentences(arguments: TokenizerTrainingArguments) -> None:
    arguments.corpus = []
    statistics = train_and_save(arguments)
    assert statistics["corpus"] == statistics["pairs"]
    assert statistics["vocabulary"]["words"] == 3  # 몸 형태 박물관; Number is reserved


def test_folder_appears_only_when_complete(
    arguments: TokenizerTrainingArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(KGlossTokenizerFast, "save_pretrained", fail)
        with pytest.raises(OSError, match="disk full"):
            train_and_save(arguments)
    assert not Path(arguments.output_dir).exists()
    train_and_save(arguments)
    names = {path.name for path in Path(arguments.output_dir).parent.iterdir()}
    assert names == {"corpus.txt", "pairs.jsonl", "tokenizer"}


def test_folder_that_is_there_is_kept(arguments: TokenizerTrainingArguments) -> None:
    kept = Path(arguments.output_dir, "vocabulary.txt")
    kept.parent.mkdir()
    kept.write_text("집")
    with pytest.raises(ValueError, match="tokenizer already exists; choose another --output_dir"):
        train_and_save(arguments)
    assert kept.read_text() == "집"


def test_corpus_without_a_word(arguments: TokenizerTrainingArguments) -> None:
    Path(arguments.corpus[0]).write_text("\n \n", "utf-8")
    with pytest.raises(ValueError, match=r"in .*corpus.txt, found no words \(sentences: 0, blank lines: 2\)"):
        train_and_save(arguments)


def test_options_are_saved_and_used() -> None:
    tokenizer = train_tokenizer(["QR 코드를 본다!"], [], model="wordlevel", normalize=False, lemmatize=False)
    assert tokenizer.convert_ids_to_tokens(range(7, len(tokenizer))) == ["!", "본다", "코드"]
    other = train_tokenizer(["QR 코드를 본다!"], [], model="wordlevel", analyzer="whitespace")
    assert other.init_kwargs["analyzer"] == "whitespace"


def test_unknown_model() -> None:
    with pytest.raises(
        ValueError, match="model: expected one of wordpiece, wordlevel, found 'bpe'; choose one of these"
    ):
        train_tokenizer(SENTENCES, GLOSSES, model="bpe")


def test_whole_words_are_the_same_each_time_whatever_the_order() -> None:
    first = train_tokenizer(SENTENCES, GLOSSES, model="wordlevel")
    second = train_tokenizer(SENTENCES[::-1], GLOSSES, model="wordlevel")
    assert first.get_vocab() == second.get_vocab()
    assert {word for words in first.words(SENTENCES) for word in words} < set(first.get_vocab())
    assert first.unk_token_id not in chain.from_iterable(first(SENTENCES)["input_ids"])


def test_word_pieces_equal_those_of_lists_of_words() -> None:
    counts = Counter({"만들다": 7, "만들었다": 5, "들다": 3, "나들이": 2, "Number": 9})
    characters = {word[0] for word in counts} | {f"##{c}" for word in counts for c in word[1:]}
    plain = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(vocab_size=30, special_tokens=sorted(characters), show_progress=False)
    plain.train_from_iterator(([word] * counts[word] for word in sorted(counts)), trainer)
    assert _word_pieces(counts, 30) == sorted(plain.get_vocab())


def test_texts_are_read_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgloss_hf.models.vocabulary._BATCH", 2)
    taken: list[str] = []
    taken_at_analysis: list[int] = []
    words = KGlossTokenizerFast.words

    def watched(self: KGlossTokenizerFast, batch: list[str]) -> list[list[str]]:
        taken_at_analysis.append(len(taken))
        return words(self, batch)

    monkeypatch.setattr(KGlossTokenizerFast, "words", watched)

    def texts() -> Iterator[str]:
        for _ in range(5):
            taken.append("몸")
            yield "몸"

    assert count_words(texts()).words == {"몸": 5}
    assert taken_at_analysis == [2, 4, 5]


def test_texts_of_several_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeff하나\r\n\n둘", "utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("셋\n")
    (tmp_path / "c.csv").write_text('text,n\n"넷\n넷",1\n,2\n', "utf-8")
    (tmp_path / "d.tsv").write_text('n\ttext\n1\t"다섯\n2\t"여"섯\n', "utf-8")
    (tmp_path / "e.jsonl").write_text('{"text": "여섯"}\n{"text": null}\n', "utf-8")
    Dataset.from_dict({"text": ["일곱"]}).to_parquet(str(tmp_path / "f.parquet"))
    files = sorted(map(str, tmp_path.iterdir()))
    assert list(read_texts(files)) == ["하나", "", "둘", "셋", "넷\n넷", "", '"다섯', '"여"섯', "여섯", "", "일곱"]


def test_texts_of_a_data_set() -> None:
    plain = list(read_texts(["mcksg"]))
    assert len(plain) == 357
    assert list(read_texts(["mcksg:sample"])) == plain


BAD = {
    "encoding": (
        "a.txt",
        "전시\n집\n".encode() + "불".encode("cp949"),
        "a.txt, line 3: expected UTF-8, found b'.xba.xd2'",
    ),
    "encoding of a table": ("a.csv", b"text\n" + "불\n".encode("cp949"), "a.csv, line 2: expected UTF-8"),
    "not gzip": ("a.txt.gz", b"text", "a.txt.gz: damaged or not a gzip file"),
    "cut gzip": ("a.txt.gz", gzip.compress(b"text" * 99)[:20], "a.txt.gz: damaged or not a gzip file"),
    "column": (
        "a.csv",
        b"korea\na\n",
        "row 2: expected a column of text, .*korea.*it with --corpus_column",
    ),
    "number": ("a.jsonl", b'{"text": 3}', "row 1, column 'text': expected a sentence, found 3"),
    "not an object": ("a.jsonl", b"[3]", "row 1: expected an object with a sentence, found"),
    "cell that never ends": ("a.csv", b'text\n"' + b"a" * 200_000, "a.csv: field larger than .*quotation mark"),
    "other kind": ("a.docx", b"", "a.docx: expected a .txt, .txt.gz, .csv"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_text_names_file_and_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_texts([str(tmp_path / name)]))


def test_missing_file_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere.txt: no such file; give the path of a .txt, .txt.gz file"):
        read_texts(["mcksg", "nowhere.txt"])
    with pytest.raises(TypeError, match="write read_texts"):
        read_texts("a.txt")


def test_rare_characters_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counter({"전시": 5, "전기": 5, "전뷁": 1})
    monkeypatch.setattr("kgloss_hf.models.vocabulary._MAX_CHARACTERS", 3)
    assert learn_entries(counts, vocab_size=14) == ["##기", "##시", "기", "시", "전", "전기", "전시"]


def test_placeholders_are_no_word_pieces() -> None:
    assert learn_entries(Counter({"Number": 9, "전시": 1}), vocab_size=20) == ["##시", "시", "전", "전시"]
