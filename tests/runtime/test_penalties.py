from __future__ import annotations

import pytest
import torch
from transformers import (
    EncoderRepetitionPenaltyLogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
)

from conftest import SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.penalties import penalty_arguments, repetition_penalty, source_penalty
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


@pytest.mark.parametrize("penalty", [0.5, 3.0])
def test_scores_are_those_of_transformers(penalty: float) -> None:
    sources, scores, ids = torch.randint(20, (4, 6)), torch.randn(4, 20), torch.tensor([1, 3, 4, 8, 15, 19])
    expected = EncoderRepetitionPenaltyLogitsProcessor(penalty, sources)(sources, scores)[:, ids]
    ours = source_penalty(penalty, sources, ids, 20)
    assert ours(scores[:, ids]).equal(expected)
    twice = ours(scores[:, None, ids].repeat(1, 2, 1))
    assert all(twice[:, place].equal(expected) for place in range(2))
    kept = torch.tensor([0, 3])
    ours.keep(kept)
    assert ours(scores[kept][:, ids]).equal(expected[kept])


@torch.inference_mode()
def test_beams_of_a_sentence_get_its_own_source(tokenizer: KGlossTokenizerFast) -> None:
    model = build_model("tiny", tokenizer, num_beams=3).eval()
    model.generation_config.max_length = 6
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    generated = model.generate(**rows, **penalty_arguments(3.0, rows["input_ids"], {})).tolist()
    for row, sequence in enumerate(generated):
        one = {name: value[row : row + 1] for name, value in rows.items()}
        sources = one["input_ids"].expand(3, -1)
        stock = LogitsProcessorList([EncoderRepetitionPenaltyLogitsProcessor(3.0, sources)])
        alone = model.generate(**one, logits_processor=stock)[0].tolist()
        assert sequence[: len(alone)] == alone


def test_processors_of_the_call_are_kept() -> None:
    processors = [object()]
    arguments = penalty_arguments(2.0, torch.tensor([[1]]), {"logits_processor": processors})
    assert arguments.get("logits_processor", processors)[0] is processors[0]


def test_repetition_is_that_of_transformers() -> None:
    read, scores, ids = torch.randint(20, (4, 6)), torch.randn(4, 6, 20), torch.arange(20)
    stock = RepetitionPenaltyLogitsProcessor(2.0)
    expected = torch.stack([stock(read[:, : at + 1], scores[:, at]) for at in range(6)], dim=1)
    assert repetition_penalty(2.0, read, ids, 20)(scores.clone()).equal(expected)
