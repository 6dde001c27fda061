from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, pipeline

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.beams import BeamDecoder
from kgloss_hf.runtime.decoding import Decoded, GreedyDecoder
from kgloss_hf.runtime.int8 import settled, with_int8_weights
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.plain import is_plain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.environments import run


@pytest.fixture(scope="module")
def text_to_gloss(checkpoint: str) -> Text2GlossPipeline:
    return pipeline("text2text-generation", model=checkpoint, int8=True)


@torch.inference_mode()
def test_scores_are_close(checkpoint: str, tokenizer: KGlossTokenizerFast) -> None:
    full = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    small = with_int8_weights(full)
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    start = torch.full((len(SENTENCES), 1), tokenizer.bos_token_id)
    expected, scores = (model(**rows, decoder_input_ids=start).logits for model in (full, small))
    assert 0 < (scores - expected).abs().max() < 0.1 * expected.std()
    assert small.generation_config.suppress_tokens == full.generation_config.suppress_tokens
    assert is_plain(full)  # unchanged
    assert not is_plain(small)  # answers depend on the batch, so models rounded by users are left to generate
    assert is_plain(small, int8=True)


# Sums of the largest products: two of them exceed sixteen bits, at which AVX2 truncates them.
LARGEST_SUMS = """
import sys
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM
from kgloss_hf.runtime.beams import BeamDecoder
from kgloss_hf.runtime.decoding import Decoded, GreedyDecoder
from kgloss_hf.runtime.int8 import settled, with_int8_weights

model = AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1]).eval()
full = model.encoder.encoder.layer[0].output.dense
nn.init.ones_(full.weight)
inputs = torch.ones(2, full.in_features) * torch.tensor([[1.0], [-0.1]])
expected = full(inputs)
scales, zeros = torch.full_like(full.bias, 1 / 127), torch.zeros_like(full.bias).long()
weight = torch.quantize_per_channel(full.weight, scales, zeros, 0, torch.qint8)
for torch.backends.quantized.engine in sys.argv[2:]:
    small = with_int8_weights(model).encoder.encoder.layer[0].output.dense(inputs)
    packed = torch.ops.quantized.linear_prepack(weight, full.bias)
    whole_range = torch.ops.quantized.linear_dynamic(inputs, packed, reduce_range=False)
    print(*(float((outputs - expected).abs().max() / expected.max()) for outputs in (small, whole_range)))
"""


def test_sums_are_right_on_every_processor(checkpoint: str) -> None:
    engines = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2"}  # read at torch's first computation
    done = run(sys.executable, "-c", LARGEST_SUMS, checkpoint, *engines, env={**os.environ, **limits})
    assert done.returncode == 0, done.stderr
    errors = {
        engine: [*map(float, line.split())] for engine, line in zip(engines, done.stdout.splitlines(), strict=True)
    }
    assert all(error < 0.01 for error, _ in errors.values()), errors
    if "fbgemm" in errors:  # the test can fail on processors of this kind
        assert errors["fbgemm"][1] > 0.3


def test_our_own_loops_give_what_generate_gives(text_to_gloss: Text2GlossPipeline) -> None:
    model = text_to_gloss.model
    loops = {1: GreedyDecoder(model, int8=True), 2: BeamDecoder(model, int8=True)}
    for sentence in SENTENCES:
        rows = text_to_gloss.tokenizer(sentence, return_tensors="pt")
        for beams, loop in loops.items():
            settings = {"num_beams": beams} if beams > 1 else {}
            decoded = loop.decode(rows["input_ids"], rows["attention_mask"], 20, **settings)
            assert decoded.rows == model.generate(**rows, max_length=20, num_beams=beams).tolist()
            assert len(decoded.leads) == 1
            assert decoded.leads[0] >= 0


@pytest.mark.parametrize("beams", [1, 2])
def test_what_is_in_doubt_is_answered_by_full_weights(
    checkpoint: str, text_to_gloss: Text2GlossPipeline, beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = pipeline("text2text-generation", model=checkpoint, num_beams=beams)(SENTENCES)
    monkeypatch.setattr("kgloss_hf.runtime.int8.IN_DOUBT", 0)
    rounded = text_to_gloss(SENTENCES, num_beams=beams)
    assert all(a.log_prob != b.log_prob for a, b in zip(rounded, full, strict=True))
    monkeypatch.setattr("kgloss_hf.runtime.int8.IN_DOUBT", float("inf"))
    for ours, theirs in zip(text_to_gloss(SENTENCES, num_beams=beams), full, strict=True):
        assert ours.glosses == theirs.glosses
        if beams == 1:  # for beams that reach max_length, rounded weights compute it
            assert ours.log_prob == pytest.approx(theirs.log_prob, rel=1e-5)


def test_only_rows_in_doubt_are_replaced() -> None:
    def decode(ids: torch.Tensor, mask: torch.Tensor, limit: int, num_beams: int) -> Decoded:
        assert (ids.tolist(), mask.tolist(), limit, num_beams) == ([[5, 6]], [[1, 0]], 9, 2)
        return Decoded([[2, 7]], [-0.5])

    decoded = Decoded([[2, 3], [2, 4]], [-1.0, -2.0], [1.0, 0.01])
    exact = SimpleNamespace(decode=decode)
    ids, mask = torch.tensor([[4, 4], [5, 6]]), torch.tensor([[1, 1], [1, 0]])
    assert settled(decoded, exact, ids, mask, 9, num_beams=2)[:2] == ([[2, 3], [2, 7]], [-1.0, -0.5])
    assert decoded.rows == [[2, 3], [2, 4]]


def test_a_model_put_in_its_place_answers_by_itself(checkpoint: str) -> None:
    full = pipeline("text2text-generation", model=checkpoint)
    ours = pipeline("text2text-generation", model=checkpoint, int8=True)
    ours.model = full.model
    assert ours(SENTENCES) == full(SENTENCES)


def test_options_of_the_pipeline(text_to_gloss: Text2GlossPipeline) -> None:
    best = text_to_gloss(SENTENCES[0], num_return_sequences=2, return_alignment=True)
    assert best[0].glosses != best[1].glosses
    assert all(answer["log_prob"] < 0 for answer in best)


def test_command(checkpoint: str, text_to_gloss: Text2GlossPipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", checkpoint, *SENTENCES, "--int8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    marked = [(one.glosses, one.unresolved) for one in text_to_gloss(SENTENCES)]
    assert lines == [
        " ".join(f"{gloss}?" if place in unresolved else gloss for place, gloss in enumerate(glosses))
        for glosses, unresolved in marked
    ]


def test_other_models_are_refused(tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path) -> None:
    rnn = build_model("rnn", tokenizer)
    with pytest.raises(ValueError, match="expected an encoder-decoder of two BERTs.*found RnnEncoderDecoderModel"):
        Text2GlossPipeline(model=rnn, tokenizer=tokenizer, int8=True)
    half = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).bfloat16()
    with pytest.raises(ValueError, match="found EncoderDecoderModel in torch.bfloat16 on cpu; leave out int8"):
        Text2GlossPipeline(model=half, tokenizer=tokenizer, int8=True)
