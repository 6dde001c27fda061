from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import PreTokenizer, Whitespace

from kgloss_hf.models.pre_tokenizers import OktPreTokenizer


def test_splits_into_surfaces_without_particles_and_punctuation() -> None:
    split = PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str("몸의 형태에 따라 4세기, 구분된다.")
    assert split == [
        ("몸", (0, 1)),
        ("형태", (3, 5)),
        ("따라", (7, 9)),
        ("4", (10, 11)),
        ("세기", (11, 13)),
        ("구분", (15, 17)),
        ("된다", (17, 19)),
    ]


def test_word_that_okt_changes_stays_whole() -> None:
    assert PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str("됬닼 몸") == [("됬닼", (0, 2)), ("몸", (3, 4))]


def test_in_a_tokenizer() -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "몸": 1, "형태": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = PreTokenizer.custom(OktPreTokenizer())
    encoding = tokenizer.encode("몸의 형태")
    assert (encoding.ids, encoding.offsets) == ([1, 2], [(0, 1), (3, 5)])


def test_cannot_be_saved_but_replaced_before() -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = PreTokenizer.custom(OktPreTokenizer())
    with pytest.raises(Exception, match="[Cc]ustom"):
        tokenizer.to_str()
    tokenizer.pre_tokenizer = Whitespace()
    assert Tokenizer.from_str(tokenizer.to_str()).get_vocab() == {"[UNK]": 0}


@given(st.text(max_size=40))
def test_any_unicode_is_split_inside_the_text(text: str) -> None:
    spans = [span for _, span in PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str(text)]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
