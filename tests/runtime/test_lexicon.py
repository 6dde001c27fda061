from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.loading import load
from kgloss_hf.models.modeling import build_model
from kgloss_hf.models.warm_start import build_warm_model, warm_tokenizer
from kgloss_hf.runtime.answers import GlossSequence
from kgloss_hf.runtime.beams import BeamDecoder
from kgloss_hf.runtime.decoding import GreedyDecoder
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.lexicon import (
    PREFERENCE,
    REASONS,
    WAYS,
    Entry,
    Lexicon,
    is_link,
    is_safe,
    playable_share,
)
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.search import OwnSearch
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

LETTERS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎㅏㅓㅗㅜㅡㅣABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SPELLING = [Entry(letter, id=letter) for letter in [*LETTERS, "10", "100", "1000"]]


def lexicon_of(*glosses: str) -> Lexicon:
    return Lexicon([*(Entry(gloss, id=gloss) for gloss in glosses), *SPELLING])


def played(lexicon: Lexicon, gloss: str, **asked: Any) -> str:
    """Return what plays a gloss, in short form."""
    sign = lexicon.sign(gloss, **asked)
    assert len(sign.keys() & {"entry", "letters", "reason"}) == 1
    if "letters" in sign:
        return "+".join(entry["gloss"] for entry in sign["letters"])
    if "entry" not in sign:
        assert sign["reason"] in REASONS
        return str(sign["reason"])
    assert ("way" in sign) == (sign["entry"]["gloss"] != sign["gloss"])
    return str(sign["entry"]["gloss"])


@pytest.mark.parametrize(
    ("gloss", "expected"),
    [
        ("집", "집"),
        (" 집\u200b ", "집"),
        ("\u110c\u1175\u11b8", "집"),
        ("휴관", "no entry"),
        ("집1", "집"),
        ("집2", "no entry"),
        ("낮1", "낮1"),
        ("낮", "낮1"),
        ("낮2", "no entry"),
        ("디지털(컴퓨터)", "디지털"),
        ("지시2(너희)", "지시2"),
        ("집2(가옥)", "no entry"),
        ("집1(가옥)", "집"),
        ("의문형(무엇)", "non-manual"),
        ("강조형(집)", "강조형(집)"),
        ("V (불꽃무늬)", "no entry"),
        ("(사진)확대", "no entry"),
        ("Number/4C", "4+C"),
        ("Number/12", "10+2"),
        ("Number/10분", "10분"),
        ("Alpha/qr", "Q+R"),
        ("Name/집", "집"),
        ("Name/김", "ㄱ+ㅣ+ㅁ"),
        ("Number/!", "no letter"),
        ("Number", "no source"),
        ("Alpha", "no source"),
        ("QR", "Q+R"),
        ("ㄱ", "ㄱ"),
        ("2,026", "2+1000+2+10+6"),
    ],
)
def test_what_plays_a_gloss(gloss: str, expected: str) -> None:
    lexicon = lexicon_of("집", "낮1", "디지털", "지시2", "강조형(집)", "10분")
    if gloss == " 집\u200b " or gloss.startswith("\u110c"):
        assert lexicon.sign(gloss)["entry"]["gloss"] == expected
    else:
        assert played(lexicon, gloss) == expected


def test_types_tell_what_the_notation_does_not() -> None:
    lexicon = lexicon_of()
    assert played(lexicon, "끄덕임", kind="non_manual") == "non-manual"
    assert played(lexicon, "끄덕임", kind="unknown") == "no entry"
    assert played(lexicon, "김", kind="fingerspelling") == "ㄱ+ㅣ+ㅁ"
    assert played(lexicon, "4C") == "no entry"
    assert played(lexicon, "4C", spelled=True) == "4+C"


def test_a_letter_may_be_missing_or_in_lower_case() -> None:
    lexicon = Lexicon([Entry("q", id="1"), Entry("4", id="4")])
    assert played(lexicon, "Alpha/Q") == "q"
    assert played(lexicon, "Number/4C") == "no letter"
    assert lexicon.plays("Number")
    assert not lexicon.plays("Name")


def test_videos_count_before_ids() -> None:
    rows = [Entry("집", id="1"), Entry("불", id="2")]
    assert Lexicon(rows).played_by == "id"
    assert played(Lexicon([*rows, Entry("새")]), "새") == "no id"
    lexicon = Lexicon([*rows, Entry("물", video="물.mp4"), Entry("불", video="불.mp4")])
    assert played(lexicon, "집") == "no video"
    assert lexicon.sign("불")["entry"] == {"gloss": "불", "video": "불.mp4"}


def test_a_group_plays_no_homonym() -> None:
    boat = [Entry("배", video="1.mp4", group="a"), Entry("선박", group="a")]
    belly = [Entry("배", group="b"), Entry("복부", group="b")]
    lexicon = Lexicon([*belly, *boat])
    assert played(lexicon, "선박") == "배"
    assert played(lexicon, "복부") == "no video"
    assert played(lexicon, "배") == "배"


def test_entries_are_checked() -> None:
    with pytest.raises(ValueError, match="gloss: expected a gloss, found none"):
        Entry(" \u200b")
    with pytest.raises(TypeError, match="id: expected a string, found int"):
        Entry("집", id=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="entries: expected Entry, found dict; kgloss_hf.load_lexicon reads files"):
        Lexicon([{"gloss": "집"}])  # type: ignore[list-item]
    assert Entry(" 큰  집 ").gloss == "큰 집"


@given(st.text())
def test_no_other_scheme_is_safe(text: str) -> None:
    for address in (text, f"javascript:{text}", f"data:{text}"):
        if is_safe(address):
            assert is_link(address) or ":" not in address.partition("/")[0]
            assert not address.startswith(("//", "\\\\", "/\\", "\\/"))


def test_answers_own_what_they_hold_and_lexicons_pickle() -> None:
    lexicon = pickle.loads(pickle.dumps(lexicon_of("집")))  # noqa: S301
    lexicon.sign("집")["entry"]["id"] = "changed"
    assert lexicon.sign("집")["entry"]["id"] == "집"
    assert {"entry", "letters"} < {*WAYS}
    with ThreadPoolExecutor(4) as threads:
        assert {*threads.map(lambda _: played(lexicon, "Number/4C"), range(50))} == {"4+C"}


def test_shares() -> None:
    assert playable_share([]) == 0
    assert playable_share([{"entry": {}}, {"reason": ""}, {"letters": []}, {"entry": {}}]) == 0.75
    assert PREFERENCE > 0


@pytest.fixture(scope="module")
def model(tokenizer: KGlossTokenizerFast) -> PreTrainedModel:
    model = build_model("tiny", tokenizer, num_beams=2)
    model.generation_config.max_length = 8
    torch.manual_seed(1)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.dim() == 2:
                parameter.normal_(std=0.1)
    return model.eval()


@pytest.fixture
def text_to_gloss(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> Text2GlossPipeline:
    return Text2GlossPipeline(model=model, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def some(tokenizer: KGlossTokenizerFast) -> Lexicon:
    """Return a lexicon with every other gloss and all letters."""
    return lexicon_of(*tokenizer.glosses[::2])


def test_answers_hold_signs(text_to_gloss: Text2GlossPipeline, some: Lexicon) -> None:
    plain = text_to_gloss(SENTENCES)
    answers = text_to_gloss(SENTENCES, lexicon=some)
    for before, answer in zip(plain, answers, strict=True):
        assert {key: value for key, value in answer.items() if key != "signs"} == before
        assert [sign["gloss"] for sign in answer.signs] == answer.glosses
        assert str(answer).count("!") == sum("reason" in sign for sign in answer.signs) - len(answer.unresolved)
    assert text_to_gloss("", lexicon=some)["signs"] == []
    assert "signs" not in text_to_gloss("", lexicon=None)
    for best in text_to_gloss(SENTENCES, lexicon=some, num_return_sequences=2):
        assert all(len(answer.signs) == len(answer.glosses) for answer in best)


def test_contents_are_spelled_also_where_the_answer_spells_them(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = text_to_gloss.tokenizer.convert_tokens_to_ids(["흙", "Number"])
    monkeypatch.setattr(text_to_gloss, "decode", lambda rows, *_: ([ids] * len(rows), None))
    answer = text_to_gloss(SENTENCES[2], lexicon=lexicon_of("흙"))
    assert answer.signs[1] == {"gloss": "4C", "letters": [{"gloss": "4", "id": "4"}, {"gloss": "C", "id": "C"}]}
    spelled = text_to_gloss(SENTENCES[2], lexicon=lexicon_of(), fingerspell=True, return_confidence=True)
    assert [sign["gloss"] for sign in spelled.signs][:3] == ["흙", "4", "C"]
    assert [sign.get("entry", {}).get("id") for sign in spelled.signs][:3] == [None, "4", "C"]
    assert [one is None for one in spelled.confidence] == [False, *[True] * (len(spelled.signs) - 1)]


@pytest.mark.parametrize("options", [{}, {"num_beams": 1}, {"num_return_sequences": 2}, {"do_sample": True}])
def test_only_what_can_be_played_comes_out(
    options: dict[str, Any], text_to_gloss: Text2GlossPipeline, some: Lexicon
) -> None:
    if options.get("num_beams") == 1:
        assert any("reason" in sign for sign in text_to_gloss(SENTENCES[0], lexicon=some, **options).signs)
    answers = text_to_gloss(SENTENCES, lexicon=some, playable="only", **options)
    signs = [sign for one in answers for answer in (one if isinstance(one, list) else [one]) for sign in answer.signs]
    assert signs
    assert {sign.get("reason") for sign in signs} <= {None, "no source"}


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("int8", [False, True])
def test_a_restricted_search_is_generate(
    beams: int,
    int8: bool,
    model: PreTrainedModel,
    tokenizer: KGlossTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    some: Lexicon,
) -> None:
    text_to_gloss = Text2GlossPipeline(model=model, tokenizer=tokenizer, int8=int8, lexicon=some, playable="only")
    with monkeypatch.context() as patch:
        patch.setattr(type(text_to_gloss.model), "generate", lambda *_, **__: pytest.fail("generate was called"))
        answers = text_to_gloss(SENTENCES, num_beams=beams)
    if int8:
        return  # half precision rounds
    monkeypatch.setattr(OwnSearch, "decode", lambda *_: None)
    expected = text_to_gloss(SENTENCES, num_beams=beams)
    for one, other in zip(answers, expected, strict=True):
        assert one == other | {"log_prob": pytest.approx(other["log_prob"], abs=1e-4)}


@pytest.mark.parametrize("fewer", [1, 5, 20])
def test_suppressed_ids_of_a_call_are_those_of_generate(
    fewer: int, model: PreTrainedModel, tokenizer: KGlossTokenizerFast
) -> None:
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    own = model.generation_config.suppress_tokens
    free = sorted({*range(model.config.decoder.vocab_size)} - {*own, tokenizer.eos_token_id})
    suppressed = [*own, *free[:fewer]]
    end = tokenizer.eos_token_id
    for beams, rows in (
        (1, GreedyDecoder(model).decode(*batch.values(), 8, suppress_tokens=suppressed).rows),
        (2, BeamDecoder(model).decode(*batch.values(), 8, num_beams=2, suppress_tokens=suppressed).rows),
    ):
        generated = model.generate(**batch, num_beams=beams, suppress_tokens=suppressed).tolist()
        cut = [row[: row.index(end) + 1] if end in row else row for row in generated]
        assert rows == cut
        assert not {*suppressed[1:]} & {index for row in rows for index in row[1:]} - {end}


def test_what_can_be_played_is_preferred(text_to_gloss: Text2GlossPipeline, some: Lexicon) -> None:
    plain = text_to_gloss(SENTENCES, lexicon=some)
    lists = text_to_gloss(SENTENCES, lexicon=some, num_return_sequences=10)
    preferred = text_to_gloss(SENTENCES, lexicon=some, playable="prefer")

    def rank(answer: GlossSequence) -> float:
        return answer.score + PREFERENCE * playable_share(answer.signs)

    for candidates, answer, before in zip(lists, preferred, plain, strict=True):
        least = playable_share(before.signs)
        allowed = [one for one in candidates if playable_share(one.signs) >= least]
        assert answer.glosses in [before.glosses, max(allowed, key=rank).glosses if allowed else before.glosses]
        assert playable_share(answer.signs) >= least
        assert answer.keys() == before.keys()
    assert [answer.glosses for answer in preferred] != [answer.glosses for answer in plain]
    three = text_to_gloss(SENTENCES, lexicon=some, playable="prefer", num_return_sequences=3)
    for best, answer in zip(three, preferred, strict=True):
        assert best[0].glosses == answer.glosses
        assert len({tuple(one.glosses) for one in best}) == 3
        assert all("score" in one for one in best)
    assert text_to_gloss("", lexicon=some, playable="prefer").glosses == []
    assert text_to_gloss("", lexicon=some, playable="prefer", num_return_sequences=2) == []
    assert text_to_gloss(SENTENCES[0], lexicon=some, playable="prefer", num_beams=2).signs


def test_confidence_is_what_explain_says(text_to_gloss: Text2GlossPipeline) -> None:
    model, tokenizer = text_to_gloss.model, text_to_gloss.tokenizer
    for options in ({}, {"num_beams": 1}, {"repetition_penalty": 1.5}):
        answers = text_to_gloss(SENTENCES, return_confidence=True, **options)
        for answer in answers:
            assert len(answer.confidence) == len(answer.glosses)
            assert all(0 <= one <= 1 for one in answer.confidence)
        text, answer = SENTENCES[-1], answers[-1]
        ids = text_to_gloss.decode(*tokenizer(text, return_tensors="pt").values(), options)[0]
        if not options.get("repetition_penalty"):
            steps = explain(model, *tokenizer(text, return_tensors="pt").values(), ids).steps[0]
            assert answer.confidence == pytest.approx(torch.tensor(steps[: len(ids[0])]).exp().tolist(), abs=1e-4)
            assert sum(steps) == pytest.approx(answer.log_prob, abs=1e-4)
    assert text_to_gloss("", return_confidence=True).confidence == []


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"lexicon": "lexicon.csv"}, TypeError, r"lexicon: expected a Lexicon, found str; read a file with kgloss_hf"),
        ({"playable": "only"}, ValueError, "playable: expected a lexicon to look glosses up in, found none"),
        ({"playable": "always"}, ValueError, "playable: expected one of prefer, only, found 'always'"),
        ({"playable": ["only"]}, ValueError, "playable: expected one of prefer, only"),
        (
            {"lexicon": lexicon_of(), "playable": "only"},
            ValueError,
            "plays some of the model's glosses, found one that plays none of them",
        ),
        (
            {"lexicon": lexicon_of("몸"), "playable": "prefer", "num_beams": 1},
            ValueError,
            "expected several candidates",
        ),
        ({"lexicon": lexicon_of("몸"), "playable": "prefer", "consensus": True}, ValueError, "'only' or nothing with"),
        ({"lexicon": lexicon_of("몸"), "playable": "prefer", "do_sample": True}, ValueError, "found do_sample"),
        ({"consensus": True, "return_confidence": True}, ValueError, "return_confidence: expected .* one model"),
        ({"return_confidence": "yes"}, TypeError, "return_confidence: expected True or False"),
    ],
)
def test_what_is_refused(
    options: dict[str, Any], kind: type[Exception], message: str, text_to_gloss: Text2GlossPipeline
) -> None:
    with pytest.raises(kind, match=message):
        text_to_gloss(SENTENCES[0], **options)


def test_few_glosses_are_searched_with_fewer_beams(text_to_gloss: Text2GlossPipeline) -> None:
    few = Lexicon([Entry(gloss, id="1") for gloss in ("몸", "모습", "잎")])
    assert {
        gloss
        for answer in text_to_gloss(SENTENCES, lexicon=few, playable="only", num_beams=4)
        for gloss in answer.glosses
    } <= {"몸", "모습", "잎"}
    agreed = text_to_gloss(SENTENCES, lexicon=few, playable="only", consensus=True)
    assert {gloss for answer in agreed for gloss in answer.glosses} <= {"몸", "모습", "잎"}
    with pytest.raises(ValueError, match="expected glosses for 10 sequences, found 4 ids .* at most 2"):
        text_to_gloss(SENTENCES[0], lexicon=few, playable="only", num_return_sequences=10)


def test_a_consensus_is_of_playable_candidates(
    text_to_gloss: Text2GlossPipeline, another_checkpoint: str, some: Lexicon
) -> None:
    several = Text2GlossPipeline(
        model=text_to_gloss.model, tokenizer=text_to_gloss.tokenizer, others=[another_checkpoint], lexicon=some
    )
    for answers in (
        text_to_gloss(SENTENCES, lexicon=some, consensus=True, playable="only", num_beams=4),
        several(SENTENCES, playable="only", num_beams=4),
    ):
        assert any(answer.glosses for answer in answers)
        for answer in answers:
            assert [sign["gloss"] for sign in answer.signs] == answer.glosses
            assert {sign.get("reason") for sign in answer.signs} <= {None, "no source"}
    assert several("").signs == []


def test_a_path_is_read_by_load(checkpoint: str, tmp_path: Any) -> None:
    file = tmp_path / "lexicon.csv"
    file.write_text("gloss,id\n" + "\n".join(f'"{gloss}",1' for gloss in {*chain(*GLOSSES)}), "utf-8")
    text_to_gloss = load(checkpoint, lexicon=file)
    assert len(text_to_gloss(SENTENCES[0]).signs) == len(text_to_gloss(SENTENCES[0]).glosses)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        load(checkpoint, lexicon="nowhere.csv")


@pytest.mark.parametrize("kind", ["rnn", "warm", "joined"])
def test_every_kind_of_model_can_be_restricted(kind: str, encoder: str, tokenizer: KGlossTokenizerFast) -> None:
    model: Any
    if kind == "rnn":
        model = build_model("rnn", tokenizer, num_beams=2)
    else:
        tokenizer = warm_tokenizer(encoder, GLOSSES, texts=SENTENCES)
        joined = {"joined_layers": [0, 2]} if kind == "joined" else {}
        model = build_warm_model(encoder, tokenizer, preset="tiny", fresh_layers=1, num_beams=2, **joined)
    model.generation_config.max_length = 8
    text_to_gloss = Text2GlossPipeline(model=model.eval(), tokenizer=tokenizer, lexicon=lexicon_of("몸", "모습", "잎"))
    assert {gloss for answer in text_to_gloss(SENTENCES) for gloss in answer.glosses} - {"몸", "모습", "잎"}
    for options in ({"playable": "only"}, {"playable": "only", "num_beams": 1}):
        for answer in text_to_gloss(SENTENCES, return_confidence=True, **options):
            assert {sign["gloss"] for sign in answer.signs if "reason" in sign} <= {"Number", "Alpha"}
            assert len(answer.confidence) == len(answer.glosses)
