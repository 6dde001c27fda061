import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.runtime.normalization import is_normalized, normalize, normalize_with_offsets

PIECES = ["토기", "는 ", *"각ㄱ２Ｑ！㎡e\u0301\u200b\u00ad\ufeff\u202e\u3000\x00\n"]
TEXTS = st.lists(
    st.sampled_from([*PIECES, *(unicodedata.normalize("NFD", piece) for piece in PIECES)])
    | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\u0958\ufb2c"), max_size=3)
).map("".join)


@given(TEXTS)
def test_it_is_said_once(text):
    normal = normalize(text)
    assert normalize(normal) == normal
    assert is_normalized(normal)
    assert is_normalized(text) == (normal == text)


@given(TEXTS)
def test_all_forms_of_a_text_are_one(text):
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(text)
    assert normalize("\u200b".join(text)) == normalize(text)


@given(TEXTS)
def test_offsets_lead_back_to_the_text(text):
    normal, spans = normalize_with_offsets(text)
    assert normal == normalize(text)
    assert len(spans) == len(normal)
    spans = list(dict.fromkeys(spans))  # some are equal, as composition turns one character into several
    ends = [0, *(end for _, end in spans)]
    assert all(before <= start < end <= len(text) for before, (start, end) in zip(ends, spans, strict=False))
    between = "".join(text[before:start] for before, (start, _) in zip(ends, spans, strict=False))
    assert normalize(between + text[ends[-1] :]) == ""
    assert "".join(normalize(text[start:end]) for start, end in spans) == normal


def test_composition_that_takes_a_character_apart():
    assert normalize_with_offsets("a\u0958\u200bb\ufb2c") == (
        "a\u0915\u093cb\u05e9\u05bc\u05c1",
        [(0, 1), (1, 2), (1, 2), (3, 4), (4, 5), (4, 5), (4, 5)],
    )


def test_what_only_looks_alike_stays():
    assert normalize("ㄱ ㎡ ½ ﬁ") == "ㄱ ㎡ ½ ﬁ"
