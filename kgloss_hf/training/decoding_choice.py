"""Choose the decoding settings of a trained model by its score on the validation set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..runtime.penalties import PENALTY, REPETITION, is_penalised
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .arguments import DecodingArguments
from .display import RunDisplay
from .trainer import GlossTrainer

GRID = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
"""Values of `encoder_repetition_penalty` to try; 1 means off."""

REPETITIONS = (1.0, 2.0, 3.0)
"""Values of `repetition_penalty` to try with each of them; 1 means off."""


def choose_decoding(
    trainer: GlossTrainer,
    tokenizer: KGlossTokenizerFast,
    given: DecodingArguments | None = None,
    display: RunDisplay | None = None,
) -> dict[str, Any]:
    """Set the model's two penalties to the values with the best Jaccard score on the validation set.

    `encoder_repetition_penalty` favours glosses that are written like a word of the sentence; it is off if the model
    has two vocabularies. `repetition_penalty` penalises glosses that the answer already contains. Both are stored in
    the model's generation config, so that every later call uses them. All processes of a training choose the same
    values. If scores are equal, the smallest penalties win.

    Args:
        trainer: Trainer after `train`. Its evaluation data are the validation set, and its `compute_metrics` returns
            `jaccard`.
        tokenizer: The model's tokenizer.
        given: Penalties that are fixed rather than chosen (default: none).
        display: Display of the trainer, which shows the progress (default: none).

    Returns:
        The entry of metrics.json: the two penalties and, if several values were tried, `validation`, a list with the
        score of each.
    """
    given = given or DecodingArguments()
    config = trainer.model.generation_config
    grid = (1.0,) if tokenizer.two_vocabularies else GRID
    first = grid if given.encoder_repetition_penalty is None else (given.encoder_repetition_penalty,)
    second = REPETITIONS if given.repetition_penalty is None else (given.repetition_penalty,)
    tried = [{PENALTY: float(one), REPETITION: float(other)} for one in first for other in second]
    if len(tried) == 1:
        _set(config, tried[0])
        return dict(tried[0])
    trainer.in_float32()
    for penalties in display.counted(tried, len(tried), trainer, "choosing how to decode") if display else tried:
        _set(config, penalties)
        metrics = trainer.predict(trainer.eval_dataset, metric_key_prefix="validation").metrics
        penalties["jaccard"] = metrics["validation_jaccard"]
    best = max(tried, key=lambda penalties: (penalties["jaccard"], -penalties[PENALTY], -penalties[REPETITION]))
    _set(config, best)
    return {PENALTY: best[PENALTY], REPETITION: best[REPETITION], "validation": tried}


def _set(config: Any, penalties: Mapping[str, float]) -> None:
    for name in (PENALTY, REPETITION):
        setattr(config, name, penalties[name] if is_penalised(penalties[name]) else None)
