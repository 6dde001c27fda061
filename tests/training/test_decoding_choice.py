from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.decoding_choice import GRID, REPETITIONS, DecodingArguments, choose_decoding
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.trainer import GlossTrainer, TrainingArguments, build_trainer, jaccard_of_generation, predict

PAIRS = [Pair(text, tuple(glosses)) for text, glosses in zip(SENTENCES, GLOSSES, strict=True)]


@pytest.fixture
def trainer(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> GlossTrainer:
    model = build_model("tiny", tokenizer, num_beams=2)
    model.generation_config.max_length = 6
    encoded = encode_pairs(tokenizer, PAIRS)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, bf16=False, disable_tqdm=True)
    score = jaccard_of_generation(tokenizer, PAIRS)
    return build_trainer(model, tokenizer, args, encoded, encoded, score, share_embeddings=True)


@pytest.fixture
def scored(trainer: GlossTrainer, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[tuple[float, float], float]], Any]:
    """Return a function that gives the validation set the scores passed by penalties, and 10 for all others."""

    def with_scores(scores: dict[tuple[float, float], float]) -> Any:
        def predicted(*_: Any, **__: Any) -> Any:
            config = trainer.model.generation_config
            key = (config.encoder_repetition_penalty or 1.0, config.repetition_penalty or 1.0)
            return SimpleNamespace(metrics={"validation_jaccard": scores.get(key, 10.0)})

        monkeypatch.setattr(trainer, "predict", predicted)
        return trainer

    return with_scores


def test_the_best_penalties_stay_in_the_model(scored: Any, tokenizer: KGlossTokenizerFast) -> None:
    trainer = scored({(3.0, 2.0): 35.0})
    chosen = choose_decoding(trainer, tokenizer)
    config = trainer.model.generation_config
    assert (config.encoder_repetition_penalty, config.repetition_penalty) == (3.0, 2.0)
    assert (chosen["encoder_repetition_penalty"], chosen["repetition_penalty"]) == (3.0, 2.0)
    assert len(chosen["validation"]) == len(GRID) * len(REPETITIONS)


def test_off_wins_where_all_score_the_same(scored: Any, tokenizer: KGlossTokenizerFast) -> None:
    trainer = scored({})
    assert choose_decoding(trainer, tokenizer)["encoder_repetition_penalty"] == 1.0
    assert trainer.model.generation_config.encoder_repetition_penalty is None
    assert trainer.model.generation_config.repetition_penalty is None


def test_what_is_given_is_not_chosen(scored: Any, tokenizer: KGlossTokenizerFast) -> None:
    trainer = scored({(5.0, 2.0): 35.0})
    chosen = choose_decoding(trainer, tokenizer, DecodingArguments(encoder_repetition_penalty=2.0))
    assert chosen["encoder_repetition_penalty"] == 2.0
    assert len(chosen["validation"]) == len(REPETITIONS)
    both = DecodingArguments(encoder_repetition_penalty=1.0, repetition_penalty=1.5)
    assert choose_decoding(trainer, tokenizer, both) == {"encoder_repetition_penalty": 1.0, "repetition_penalty": 1.5}
    assert trainer.model.generation_config.repetition_penalty == 1.5


def test_two_vocabularies_have_nothing_to_copy(
    scored: Any, tokenizer: KGlossTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = scored({(5.0, 1.0): 35.0})
    monkeypatch.setitem(tokenizer.init_kwargs, "target_start", 0)
    assert choose_decoding(trainer, tokenizer)["encoder_repetition_penalty"] == 1.0
    with pytest.raises(ValueError, match="expected 1 or nothing, found 2.0; .* no ids in common"):
        DecodingArguments(encoder_repetition_penalty=2.0).check(tokenizer)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_penalty_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="--encoder_repetition_penalty: expected a number above 0"):
        DecodingArguments(encoder_repetition_penalty=value).check()


def test_predictions_are_what_a_user_gets(trainer: GlossTrainer, tokenizer: KGlossTokenizerFast) -> None:
    both = DecodingArguments(encoder_repetition_penalty=3.0, repetition_penalty=2.0)
    choose_decoding(trainer, tokenizer, both)
    answers = Text2GlossPipeline(model=trainer.model.eval(), tokenizer=tokenizer)(SENTENCES)
    assert predict(trainer, tokenizer, PAIRS) == [answer.glosses for answer in answers]
