"""A trained model written with eight-bit weights."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from transformers import AutoModelForSeq2SeqLM, PreTrainedModel, pipeline
from transformers.utils import cached_file

from ..data.tables import read_rows
from ..evaluation.results import scores_on
from ..files import new_folder, save_folder
from ..models.modeling import with_both_biases
from ..runtime.configuration_int8 import KGlossInt8Config
from ..runtime.modeling_int8 import Int8EncoderDecoderModel, Int8Linear, replace_linear
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .cards import write_facts
from .remote_code import add_remote_code

logger = logging.getLogger(__name__)

_OF_THE_RUN = ("metrics.json", "predictions.jsonl")


def export_int8(checkpoint: str, output_dir: str) -> tuple[int, int]:
    """Write a trained model with eight-bit weights: a folder that a pipeline takes like any other.

    Where the checkpoint holds the predictions of its run, they are made anew, and metrics.json and the card say how the
    score has changed.

    Args:
        checkpoint: Folder or Hub repository of a model of two BERTs and its tokenizer.
        output_dir: Folder to make; it gets its name once it is complete.

    Returns:
        The bytes of the weights before and after.

    Raises:
        ValueError: The model is of another kind, or the folder is there.
        OSError: The checkpoint is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     before, after = export_int8(getfixture("checkpoint"), f"{folder}/int8")
        >>> after < before
        True
    """
    folder = new_folder(output_dir)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, use_safetensors=True)
    if model.config.model_type != "encoder-decoder":
        raise ValueError(
            f"{checkpoint}: expected a model of type encoder-decoder, found {model.config.model_type}, which has no "
            "eight-bit form; use it as it is"
        )
    tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
    before = _bytes(model)
    replace_linear(model, Int8Linear.of)
    config = KGlossInt8Config(**{key: value for key, value in model.config.to_dict().items() if key != "model_type"})
    made = Int8EncoderDecoderModel(config)
    made.load_state_dict(model.state_dict())
    made.generation_config = model.generation_config

    def write(partial: Path) -> None:
        made.save_pretrained(partial, state_dict=with_both_biases(made.state_dict()))
        tokenizer.save_pretrained(partial)
        add_remote_code(partial)
        _write_scores(checkpoint, partial)

    save_folder(folder, write)
    return before, _bytes(made)


def _write_scores(checkpoint: str, folder: Path) -> None:
    files = [cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False) for name in _OF_THE_RUN]
    if not all(files):
        logger.warning("%s: no %s, so the export has no score and no card", checkpoint, " or ".join(_OF_THE_RUN))
        return
    metrics, predictions = map(Path, files)
    facts, rows = json.loads(metrics.read_text("utf-8")), [row for _, row in read_rows(predictions)]
    glosses = [answer.glosses for answer in pipeline("text-to-gloss", model=str(folder))([row["text"] for row in rows])]
    scores, preset = facts["scores"], facts["preset"]
    scores[f"{preset}, float32"] = scores.pop(preset)
    scores |= scores_on([row["reference"] for row in rows], {preset: glosses})
    write_facts(folder, facts, [{**row, "prediction": found} for row, found in zip(rows, glosses, strict=True)])


def _bytes(model: PreTrainedModel) -> int:
    tensors = {value.data_ptr(): value for value in model.state_dict().values()}
    return sum(value.numel() * value.element_size() for value in tensors.values())
