"""Seq2SeqTrainer, set up so that one optimiser step is the same however its batch is divided; a run's start and end."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import PartialState
from datasets import Dataset
from torch.nn.functional import cross_entropy
from torch.utils.data import SequentialSampler
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    EncoderDecoderModel,
    HfArgumentParser,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from transformers.trainer_utils import get_last_checkpoint

from .data import Pair, Split, encode_pairs, marked_glosses
from .files import save_folder
from .glosses import content_of, restore_placeholders
from .metrics import jaccard
from .modeling import freeze_unused
from .okt import Morpheme
from .reporting import plot_training
from .tokenization_kgloss import KGlossTokenizerFast, has_analyzer
from .tokenizer_training import train_tokenizer


@dataclass
class TrainingArguments(Seq2SeqTrainingArguments):
    """transformers' Seq2SeqTrainingArguments with this project's defaults; every option of it can be given.

    Each epoch ends with an evaluation by generation and a checkpoint; the one with the best Jaccard score is kept.
    """

    output_dir: str = field(default="outputs/text2gloss", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=5e-4, metadata={"help": "Peak learning rate of AdamW (paper: SGD, 1e-4)."})
    num_train_epochs: float = field(default=20.0, metadata={"help": "Passes over the training pairs (paper: 10, 100)."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Pairs a device in each step (paper: 32)."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Sentences a device in generation."})
    warmup_steps: float = field(default=100, metadata={"help": "Steps of linear warm-up."})
    label_smoothing_factor: float = field(default=0.1, metadata={"help": "Label smoothing (paper: 0)."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save; must agree with eval_strategy."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints kept: the best and the last."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(default="jaccard", metadata={"help": "What best means."})
    predict_with_generate: bool = field(default=True, metadata={"help": "Evaluate by generation."})
    report_to: str | None = field(default="none", metadata={"help": "Trackers, such as tensorboard."})
    batches_by_length: bool = field(default=True, metadata={"help": "Batches of similar length: less padding."})

    def __post_init__(self) -> None:
        if not torch.cuda.is_available():
            self.dataloader_pin_memory = False
        if self.batches_by_length and hasattr(self, "train_sampling_strategy"):  # transformers 5
            self.train_sampling_strategy = "group_by_length"
        elif self.batches_by_length:
            self.group_by_length = True
        super().__post_init__()


class InOrderTrainer(Seq2SeqTrainer):
    """A Seq2SeqTrainer whose evaluations keep the order of the data.

    The stock one evaluates in batches by length too where training does, and so returns predictions in another order
    than the references'.
    """

    def _get_eval_sampler(self, eval_dataset: Dataset) -> SequentialSampler:
        return SequentialSampler(eval_dataset)

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            # EncoderDecoderModel warns of a change of release 4.12 whenever it is given labels.
            warnings.filterwarnings("ignore", "Version v4.12.0 introduces a better way", FutureWarning)
            return super().prediction_step(*args, **kwargs)


def build_trainer(
    model: EncoderDecoderModel,
    tokenizer: KGlossTokenizerFast,
    args: Seq2SeqTrainingArguments,
    train: Dataset,
    validation: Dataset,
    compute_metrics: Callable[[Any], dict[str, float]],
    *,
    share_embeddings: bool,
    patience: int | None = None,
) -> Seq2SeqTrainer:
    """A Seq2SeqTrainer with the right loss, for columns `input_ids` and `labels`.

    Args:
        model: From `kgloss_hf.modeling.build_model`.
        tokenizer: Must be a KGlossTokenizerFast: any other would give ids without Okt.
        args: Training arguments; `label_smoothing_factor` goes into the loss.
        train: Encoded training pairs.
        validation: Encoded pairs that choose the checkpoint.
        compute_metrics: From `jaccard_of_generation`.
        share_embeddings: Train encoder and decoder embeddings as one (`SharedEmbeddings`).
        patience: Stop after this many evaluations without a better score (default: never).

    Raises:
        TypeError: The tokenizer has no analyser in front.
    """
    if not has_analyzer(tokenizer):
        raise TypeError(
            f"expected a KGlossTokenizerFast, found {type(tokenizer).__name__}, which would give ids without Okt; "
            "import kgloss_hf before AutoTokenizer.from_pretrained"
        )
    freeze_unused(model)
    callbacks: list[TrainerCallback] = [SharedEmbeddings()] if share_embeddings else []
    if patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=patience))
    return InOrderTrainer(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        compute_loss_func=seq2seq_loss(args.label_smoothing_factor),
        callbacks=callbacks,
    )


def seq2seq_loss(label_smoothing: float = 0.0) -> Callable[..., torch.Tensor]:
    """A `compute_loss_func` for Trainer: cross-entropy summed over tokens, divided by the tokens of the whole step.

    With a stock EncoderDecoderModel, Trainer takes the loss for normalised over all of a step's tokens because forward
    accepts keyword arguments, but the model ignores `num_items_in_batch`: gradients come out multiplied by
    accumulation steps × processes. This loss does what Trainer assumes.

    Args:
        label_smoothing: Probability mass spread over the vocabulary (default 0, as in the paper).

    Returns:
        A function of model outputs (logits of shape batch × length × vocabulary), labels (batch × length, -100 where
        padded) and `num_items_in_batch` (target tokens of the step over all processes; None for a plain mean).
    """

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
        logits = outputs.logits.flatten(0, 1)
        total = cross_entropy(logits, labels.flatten(), reduction="sum", label_smoothing=label_smoothing)
        return total / ((labels != -100).sum() if num_items_in_batch is None else num_items_in_batch)

    return loss


class SharedEmbeddings(TrainerCallback):
    """Trains the encoder's and the decoder's token embeddings as one matrix.

    Both start equal; before each optimiser step each gets the sum of both gradients, so they stay equal. Saving,
    resuming and loading see a stock EncoderDecoderModel, which has no way to tie the two.
    """

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        model = getattr(model, "module", model)
        encoder, decoder = (half.get_input_embeddings().weight for half in (model.encoder, model.decoder))
        if encoder.grad is not None and decoder.grad is not None:
            encoder.grad.add_(decoder.grad)
            decoder.grad.copy_(encoder.grad)


def predicted_glosses(
    tokenizer: KGlossTokenizerFast, sequences: np.ndarray | Sequence[Sequence[int]], morphemes: Sequence[list[Morpheme]]
) -> list[list[str]]:
    """Generated ids as glosses, placeholders restored from the sentences they were generated for.

    Args:
        tokenizer: The model's tokenizer.
        sequences: Ids, batch × length, padded with the pad id or -100.
        morphemes: Okt's analysis of each source sentence.
    """
    skipped = {*tokenizer.all_special_ids, -100}
    rows = [[int(index) for index in row if int(index) not in skipped] for row in sequences]
    return [
        restore_placeholders(tokenizer.convert_ids_to_tokens(row), found)
        for row, found in zip(rows, morphemes, strict=True)
    ]


def jaccard_of_generation(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Callable[[Any], dict[str, float]]:
    """A `compute_metrics` for Seq2SeqTrainer with `predict_with_generate`: {"jaccard": 0 to 100}.

    Scores what a user gets: glosses with numbers and Latin words restored, against the reference as it is signed
    (`Number/4C` counts as `4C`).

    Args:
        tokenizer: The model's tokenizer.
        pairs: The evaluation set, in its order.
    """
    morphemes = tokenizer.morphemes([pair.text for pair in pairs])
    references = [[content_of(gloss) for gloss in pair.glosses] for pair in pairs]

    def compute(prediction: Any) -> dict[str, float]:
        return {"jaccard": jaccard(predicted_glosses(tokenizer, prediction.predictions, morphemes), references)}

    return compute


def parse_arguments(parser: HfArgumentParser, arguments: Sequence[str]) -> tuple[Any, ...]:
    """Options from a YAML file, where the first argument names one, and from the command line, which wins.

    Raises:
        FileNotFoundError: The YAML file is not there.
        ValueError: It is not a mapping, or holds a key that is no option.
    """
    arguments = list(arguments)
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        path = Path(arguments.pop(0))
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; the first argument is a YAML file of options")
        options = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(options, dict):
            raise ValueError(f"{path}: expected one option a line (name: value), found {type(options).__name__}")
        known = {action.dest for action in parser._actions}
        if unknown := sorted(map(str, options.keys() - known)):
            raise ValueError(f"{path}: no such option: {', '.join(unknown)}; --help lists them")
        parser.set_defaults(**options)
    return parser.parse_args_into_dataclasses(arguments)


def checkpoint_to_resume(output_dir: str, *, resume: bool) -> str | None:
    """The last checkpoint of an unfinished run, or None for a new one.

    Args:
        output_dir: The run's folder: checkpoints lie in `checkpoints`, a finished run's result in `model`.
        resume: Go on from the last checkpoint.

    Raises:
        ValueError: The folder holds a finished run; or an unfinished one, and `resume` is not set.
    """
    if (Path(output_dir) / "model").exists():
        raise ValueError(f"{output_dir} holds a finished run; choose another --output_dir, or delete it to train again")
    checkpoints = Path(output_dir) / "checkpoints"
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    if last and not resume:
        raise ValueError(f"{output_dir} holds an unfinished run ({Path(last).name}); add --resume, or delete it")
    return last


def tokenizer_for(split: Split, output_dir: str, *, vocab_size: int, trained: str | None = None) -> KGlossTokenizerFast:
    """The run's tokenizer, learnt on the training part alone, by one process for all, and kept for a resumed run.

    Args:
        split: The pairs.
        output_dir: The run's folder.
        vocab_size: Word pieces to learn at most, before glosses.
        trained: Folder or Hub repository of a tokenizer to take instead (default: none). A gloss that it does not know
            becomes [UNK], which is counted in a warning.
    """
    if trained:
        return KGlossTokenizerFast.from_pretrained(trained)
    folder = Path(output_dir) / "tokenizer"
    with PartialState().main_process_first():
        if not folder.exists():
            texts = (pair.text for pair in split.train)
            tokenizer = train_tokenizer(texts, marked_glosses(split.train), vocab_size=vocab_size)
            save_folder(folder, tokenizer.save_pretrained)
    return KGlossTokenizerFast.from_pretrained(folder)


def predict(trainer: Seq2SeqTrainer, tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> list[list[str]]:
    """Glosses for each pair's sentence by the trainer's model, over all of its processes."""
    trainer.compute_metrics = None  # it scores the validation pairs
    generated = trainer.predict(encode_pairs(tokenizer, pairs)).predictions
    return predicted_glosses(tokenizer, generated, tokenizer.morphemes([pair.text for pair in pairs]))


def save_result(
    trainer: Seq2SeqTrainer,
    tokenizer: KGlossTokenizerFast,
    output_dir: str,
    *,
    split: Split,
    predictions: Sequence[Sequence[str]],
    scores: Mapping[str, Mapping[str, float]],
) -> Path:
    """Write the finished run: one folder, under its final name only once it is complete.

    Args:
        trainer: Holds the best model.
        tokenizer: Its tokenizer.
        output_dir: The run's folder; the result goes to `model` in it.
        split: What was trained and scored on; its sizes are recorded.
        predictions: Glosses for each test pair.
        scores: For each system its score, as `kgloss_hf.reporting.score` gives it.

    Returns:
        The folder: model, tokenizer and generation config, `metrics.json` (scores, command, seed, sizes of the split,
        versions, hardware, seconds), `predictions.jsonl` and `training.png`.
    """

    def write(folder: Path) -> None:
        trainer.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        history = trainer.state.log_history
        device = f"{trainer.args.world_size} × {trainer.args.device.type}"
        metrics = {
            "scores": scores,
            "pairs": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
            "extra_pairs_dropped": split.dropped,
            "best_validation_jaccard": trainer.state.best_metric,
            "epochs": trainer.state.epoch,
            "train_seconds": next((row["train_runtime"] for row in history if "train_runtime" in row), None),
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            "command": shlex.join([Path(sys.executable).name, *sys.argv]),
            "seed": trainer.args.seed,
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "datasets")},
            "hardware": f"{device}, {os.cpu_count()} {platform.machine()} cores",
        }
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", "utf-8")
        with (folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
            for pair, glosses in zip(split.test, predictions, strict=True):
                row = {"text": pair.text, "reference": list(pair.glosses), "prediction": list(glosses)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        plot_training(history, folder / "training.png")

    folder = Path(output_dir) / "model"
    if trainer.is_world_process_zero():
        save_folder(folder, write)
    trainer.accelerator.wait_for_everyone()
    return folder
