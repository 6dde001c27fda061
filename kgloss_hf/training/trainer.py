"""Set up Seq2SeqTrainer so that an optimiser step gives the same result however its batch is divided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from torch.nn.functional import pad
from torch.utils.data import SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from transformers.trainer import DEFAULT_PROGRESS_CALLBACK, PrinterCallback

from ..data.pairs import Pair
from ..evaluation.metrics import jaccard
from ..evaluation.sequences import GlossLists
from ..files import writing
from ..models.modeling import freeze_unused
from ..runtime.analyzers import has_analyzer
from ..runtime.okt import Morpheme
from ..runtime.penalties import penalty_arguments
from ..runtime.placeholders import restore_placeholders
from ..runtime.search import OwnSearch
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .arguments import LOSSES, TrainingDefaults
from .batching import PairCollator, StepSampler, pair_lengths
from .display import RunDisplay, tied_weights_may_be_missing
from .encoding import encode_pairs

_BY_LENGTH = "only --batches_by_length decides which pairs form a step"
_OF_THE_MODEL = "scores must be those of the saved model; set --num_beams, which is saved in it"
_IN_FLOAT32 = "pipelines compute in float32, so evaluations must too"
_ALL_AT_ONCE = "the score is computed over all pairs at once"
_NO_OTHER: dict[str, tuple[Any, str]] = {
    "train_sampling_strategy": ("random", _BY_LENGTH),
    "group_by_length": (False, _BY_LENGTH),
    "sortish_sampler": (False, _BY_LENGTH),
    "length_column_name": ("length", _BY_LENGTH),
    "generation_max_length": (None, _OF_THE_MODEL),
    "generation_num_beams": (None, _OF_THE_MODEL),
    "generation_config": (None, _OF_THE_MODEL),
    "fp16_full_eval": (False, _IN_FLOAT32),
    "bf16_full_eval": (False, _IN_FLOAT32),
    "eval_do_concat_batches": (True, _ALL_AT_ONCE),
    "batch_eval_metrics": (False, _ALL_AT_ONCE),
    "use_legacy_prediction_loop": (False, _ALL_AT_ONCE),
    "include_for_metrics": ([], "the score needs only glosses"),
    "include_inputs_for_metrics": (False, "the score needs only glosses"),
    "label_names": (None, "the labels are in the column labels"),
    "past_index": (-1, "the models have no such output"),
    "dataloader_drop_last": (False, "every pair must be trained on and scored"),
    "auto_find_batch_size": (
        False,
        "a step would take fewer pairs; use a smaller --per_device_train_batch_size with --gradient_accumulation_steps",
    ),
    "save_only_model": (False, "--resume needs the optimiser's state"),
    "resume_from_checkpoint": (None, "--resume finds the last checkpoint in --output_dir"),
    "overwrite_output_dir": (False, "runs are never overwritten; delete the folder"),
}
"""Options of transformers of which only one value works here, with that value and the reason."""

_AT_LEAST = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 0,
    "max_grad_norm": 0,
    "weight_decay": 0,
}


@dataclass
class TrainingArguments(TrainingDefaults, Seq2SeqTrainingArguments):
    """Seq2SeqTrainingArguments of transformers, with all of its options and this project's defaults.

    Each epoch ends with an evaluation by generation and a checkpoint; the one with the best Jaccard score is kept. With
    `push_to_hub` and `hub_model_id`, the finished result is uploaded to the Hub as by `kgloss publish`.

    Raises:
        ValueError: An option has a value that this training cannot honour; the message names it and the reason.
    """

    generates: ClassVar[bool] = True
    """Flag for evaluations that generate and compute the Jaccard score; if False, they compute only the loss."""

    def __post_init__(self) -> None:
        if self.hub_token is not None or getattr(self, "push_to_hub_token", None) is not None:
            raise ValueError(
                "--hub_token: expected no token among the options, because metrics.json stores them; log in with "
                "`hf auth login`, or set HF_TOKEN"
            )
        if not torch.accelerator.is_available():
            self.use_cpu = True  # transformers accepts bfloat16 on a CPU only with this option
        if self.use_cpu:
            self.dataloader_pin_memory = False
        if float(self.warmup_steps).is_integer():
            self.warmup_steps = int(
                self.warmup_steps
            )  # transformers 4 accepts only integers; 5 also accepts a share of steps
        if self.bf16 is None:
            self.bf16 = _bfloat16_is_quick(self.use_cpu)
        super().__post_init__()
        _check(self)


def _check(args: TrainingArguments) -> None:
    """Refuse options that the trainer would ignore, or that would end the run only after an epoch."""
    allowed = {**_NO_OTHER, "predict_with_generate": (args.generates, "this run supports no other evaluation")}
    if args.generates:
        allowed["prediction_loss_only"] = (False, "the score needs predictions")
    for name, (wanted, why) in allowed.items():
        value = getattr(args, name, wanted)
        value = getattr(value, "value", value)
        if value != wanted and not (name == "label_names" and value == ["labels"]):
            raise ValueError(f"--{name}: expected {wanted}, found {value}; {why}")
    for name, least in _AT_LEAST.items():
        if not getattr(args, name) >= least:
            raise ValueError(f"--{name}: expected {least} or more, found {getattr(args, name)}")
    if args.max_steps == 0:
        raise ValueError("--max_steps: expected 1 or more, or -1 for all epochs, found 0")
    if not 0 <= args.label_smoothing_factor < 1:
        raise ValueError(
            f"--label_smoothing_factor: expected at least 0 and less than 1, found {args.label_smoothing_factor}"
        )
    if args.loss_over not in LOSSES:
        raise ValueError(f"--loss_over: expected {' or '.join(LOSSES)}, found {args.loss_over}")
    if args.fp16 and args.device.type == "cpu":
        raise ValueError("--fp16: expected a GPU, found none; --bf16 works on a CPU too")
    if getattr(args, "warmup_ratio", None) and args.warmup_steps:
        raise ValueError("--warmup_ratio: expected --warmup_steps=0 with it, which otherwise takes precedence")
    for name in ("split_batches", "gradient_accumulation_kwargs"):
        if getattr(args.accelerator_config, name, None):
            raise ValueError(
                f"--accelerator_config: expected no {name}, found one; it would change the pairs of a step"
            )
    _check_best(args)


def _check_best(args: TrainingArguments) -> None:
    known = ("jaccard", "loss") if args.generates else ("loss",)
    metric = (args.metric_for_best_model or "loss").removeprefix("eval_")
    if metric not in known:
        raise ValueError(f"--metric_for_best_model: expected {' or '.join(known)}, found {metric}")
    if args.greater_is_better not in (None, metric != "loss"):
        raise ValueError(
            f"--greater_is_better: expected {metric != 'loss'} for {metric}, found {args.greater_is_better}, which "
            "would keep the worst checkpoint"
        )
    unevaluated = args.eval_strategy == "no" or (
        args.eval_strategy == "epoch" and 0 < args.num_train_epochs <= args.eval_delay and args.max_steps < 0
    )
    if args.load_best_model_at_end and unevaluated:
        raise ValueError(
            "--load_best_model_at_end: expected evaluations that choose the best checkpoint, found none "
            "(--eval_strategy, --eval_delay); add --load_best_model_at_end=False to end with the last checkpoint"
        )


def _bfloat16_is_quick(use_cpu: bool) -> bool:
    if torch.cuda.is_available() and not use_cpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch 2.6, the oldest supported version, cannot tell; float32 is the safe choice there.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


class GlossTrainer(Seq2SeqTrainer):
    """Seq2SeqTrainer for the columns `input_ids` and `labels`, for models that return the loss of a whole step.

    It differs from the stock trainer as follows. A step takes the same rows however many processes share it
    (`StepSampler`). Label smoothing is passed to the model's own loss. Evaluations keep the order of the data, which
    the stock trainer loses when it batches by length. They return each row once, whereas the stock trainer also returns
    the rows that fill up the last batch of several processes.

    Args:
        learning_rates: Peak learning rates of parameters with a separate rate, by `id` (default: none).
        **kwargs: Arguments of Seq2SeqTrainer.
    """

    def __init__(self, learning_rates: Mapping[int, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._learning_rates = learning_rates or {}
        self._smoothing = self.args.label_smoothing_factor
        self.label_smoother = None
        self._search = OwnSearch(frozenset())

    # The trainer has no public methods that only choose a sampler or only save.
    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> StepSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        by_length = getattr(args, "batches_by_length", True)
        seed = args.seed if args.data_seed is None else args.data_seed
        # The trainer does not set the epoch of a sampler whose first batches are skipped.
        sampler = StepSampler(
            pair_lengths(dataset) if by_length else len(dataset),
            step,
            seed,
            lambda: self.state.global_step // (len(sampler) // step),
        )
        return sampler

    def _get_eval_sampler(self, eval_dataset: Dataset) -> SequentialSampler:
        return SequentialSampler(eval_dataset)

    def _pad_tensors_to_max_len(self, tensor: torch.Tensor, max_length: int) -> torch.Tensor:
        # The stock method pads generated ids with the padding id of sentences, which may be the id of a gloss.
        return pad(tensor, (0, max_length - tensor.shape[-1]), value=self.model.generation_config.pad_token_id)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Run the stock loop, with each row returned once."""
        self.gather_function = self.accelerator.gather_for_metrics
        return super().evaluation_loop(*args, **kwargs)

    def in_float32(self) -> None:
        """Generate in float32 from now on, as pipelines do, whatever precision the training used."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        **gen_kwargs: Any,
    ) -> Any:
        """Return the loss, the generated ids and the labels of a batch, from our own decoding loops if possible."""
        if self.args.predict_with_generate and not prediction_loss_only:
            inputs = self._prepare_inputs(inputs)
            if (generated := self._generated(inputs)) is not None:
                with torch.no_grad(), self.compute_loss_context_manager():
                    loss = model(**inputs)["loss"].detach().mean()
                labels = inputs["labels"]
                return loss, generated, self._pad_tensors_to_max_len(labels, max(labels.shape[1], generated.shape[1]))
            penalty = self.model.generation_config.encoder_repetition_penalty
            gen_kwargs |= penalty_arguments(penalty, inputs["input_ids"], gen_kwargs)
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys, **gen_kwargs)

    def _generated(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Return the output of `generate`, padded as by the stock step, if our own decoding loops support the model."""
        decoded = self._search.decode(self.model, inputs["input_ids"], inputs["attention_mask"], {})
        if decoded is None:
            return None
        config, (rows, _) = self.model.generation_config, decoded
        room = config.max_length if config.max_new_tokens is None else 1 + config.max_new_tokens
        padded = [row + [config.pad_token_id] * (room - len(row)) for row in rows]
        return torch.tensor(padded, device=inputs["input_ids"].device)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with writing(Path(self.args.output_dir)):
            super()._save_checkpoint(*args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train like the stock trainer, but keep the model's own special ids."""
        trainer: Any = self
        tokenizer = trainer.processing_class
        if has_analyzer(tokenizer) and tokenizer.two_vocabularies:
            # The stock trainer would overwrite the model's special ids, those of glosses, with those of sentences.
            trainer.processing_class = None
            self.add_callback(_Restored(self, tokenizer))
        with tied_weights_may_be_missing(self.model):
            return super().train(*args, **kwargs)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Return the stock optimiser, with separate groups for parameters with a learning rate of their own."""
        made = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(*args, **kwargs)
        if made and self._learning_rates:
            groups = []
            for group in optimizer.param_groups:
                by_rate: dict[float | None, list[torch.Tensor]] = {}
                for parameter in group["params"]:
                    by_rate.setdefault(self._learning_rates.get(id(parameter)), []).append(parameter)
                for rate, parameters in by_rate.items():
                    groups.append({**group, "params": parameters, "lr": group["lr"] if rate is None else rate})
            optimizer.param_groups[:] = groups
        return optimizer

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the model's own loss, with label smoothing passed to the model."""
        return super().compute_loss(model, {**inputs, "smoothing": self._smoothing}, *args, **kwargs)


def build_trainer(
    model: PreTrainedModel,
    tokenizer: KGlossTokenizerFast,
    args: Seq2SeqTrainingArguments,
    train: Dataset,
    validation: Dataset,
    compute_metrics: Callable[[Any], dict[str, float]] | None,
    *,
    share_embeddings: bool,
    patience: int | None = None,
    learning_rates: Mapping[int, float] | None = None,
    display: RunDisplay | None = None,
) -> GlossTrainer:
    """Return a trainer with the right loss for the columns `input_ids` and `labels`.

    Args:
        model: Model from `kgloss_hf.models.modeling.build_model`.
        tokenizer: The model's tokenizer, a KGlossTokenizerFast; any other would encode without Okt.
        args: Training arguments; `label_smoothing_factor` is passed to the model's loss.
        train: Encoded training pairs.
        validation: Encoded pairs that choose the checkpoint.
        compute_metrics: Function from `jaccard_of_generation`, or None if the loss chooses the checkpoint.
        share_embeddings: Train encoder and decoder embeddings as one matrix (`SharedEmbeddings`).
        patience: Number of evaluations without a better score after which training stops (default: never).
        learning_rates: Peak learning rates of parameters with a separate rate, by `id` (default: none).
        display: Display of the run (default: the stock trainer's bars and lines).

    Raises:
        ValueError: `patience` is below 1, or no evaluations are made that could stop the training.
        TypeError: The tokenizer runs no analyser.
    """
    if not has_analyzer(tokenizer):
        raise TypeError(
            f"expected a KGlossTokenizerFast, found {type(tokenizer).__name__}, which would encode without Okt; "
            "import kgloss_hf before AutoTokenizer.from_pretrained"
        )
    freeze_unused(model)
    if getattr(args, "loss_over", "vocabulary") == "glosses":
        model.token_loss.restrict(model.generation_config.suppress_tokens, tokenizer.target_size)
    callbacks: list[TrainerCallback] = [SharedEmbeddings()] if share_embeddings else []
    if patience is not None:
        if patience < 1 or not args.load_best_model_at_end:
            raise ValueError(
                f"--patience: expected 1 or more, with --load_best_model_at_end=True, found {patience} and "
                f"{args.load_best_model_at_end}"
            )
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=patience))
    trainer = GlossTrainer(
        learning_rates=learning_rates,
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=PairCollator(tokenizer.pad_token_id, 8 if args.device.type == "cuda" else 1),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=callbacks,
    )
    if display is not None:
        trainer.remove_callback(PrinterCallback if args.disable_tqdm else DEFAULT_PROGRESS_CALLBACK)
        trainer.add_callback(display)
    return trainer


class _Restored(TrainerCallback):
    """Restore a trainer's tokenizer once training has begun, so that checkpoints are saved with it."""

    def __init__(self, trainer: Any, tokenizer: KGlossTokenizerFast) -> None:
        self._trainer, self._tokenizer = trainer, tokenizer

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._trainer.processing_class = self._tokenizer


class SharedEmbeddings(TrainerCallback):
    """Train the encoder's and the decoder's token embeddings as one matrix.

    Both start equal. Before each optimiser step, each receives the sum of both gradients, so they stay equal. Saving,
    resuming and loading see a stock EncoderDecoderModel, which cannot tie the two.
    """

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Give both embeddings the sum of their gradients."""
        model = getattr(model, "module", model)
        encoder, decoder = (half.get_input_embeddings().weight for half in (model.encoder, model.decoder))
        if encoder.grad is not None and decoder.grad is not None:
            encoder.grad.add_(decoder.grad)
            decoder.grad.copy_(encoder.grad)


def predicted_glosses(
    tokenizer: KGlossTokenizerFast, sequences: np.ndarray | Sequence[Sequence[int]], morphemes: Sequence[list[Morpheme]]
) -> list[list[str]]:
    """Return generated ids as glosses, with placeholders restored from the source sentences.

    Args:
        tokenizer: The model's tokenizer.
        sequences: Generated ids, batch × length, padded with the padding id or -100.
        morphemes: Morphemes of each source sentence, from Okt.
    """
    rows = tokenizer.convert_ids_to_glosses(map(int, row) for row in sequences)
    return [restore_placeholders(row, of_source) for row, of_source in zip(rows, morphemes, strict=True)]


def jaccard_of_generation(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Callable[[Any], dict[str, float]]:
    """Return a `compute_metrics` for Seq2SeqTrainer with `predict_with_generate`: {"jaccard": 0 to 100}.

    The score is that of the output a user gets: glosses with numbers and Latin words restored, compared with the
    reference as signed (`Number/4C` counts as `4C`).

    Args:
        tokenizer: The model's tokenizer.
        pairs: Pairs of the evaluation set, in its order.
    """
    morphemes = tokenizer.morphemes([pair.text for pair in pairs])
    references = GlossLists([list(pair.glosses) for pair in pairs])

    def compute(prediction: Any) -> dict[str, float]:
        predicted = GlossLists(predicted_glosses(tokenizer, prediction.predictions, morphemes))
        return {"jaccard": jaccard(predicted, references)}

    return compute


def predict(trainer: GlossTrainer, tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> list[list[str]]:
    """Return the model's glosses for each sentence, generated in float32 by all processes of the trainer.

    Args:
        trainer: Trainer of the model. From now on it computes no metrics, and generates in float32.
        tokenizer: The model's tokenizer.
        pairs: Pairs whose sentences are translated.
    """
    trainer.compute_metrics = None  # it is made for the validation pairs
    trainer.in_float32()
    generated = trainer.predict(encode_pairs(tokenizer, pairs)).predictions
    return predicted_glosses(tokenizer, generated, tokenizer.morphemes([pair.text for pair in pairs]))


@dataclass
class PretextTrainingArguments(TrainingArguments):
    """Training arguments of the pretext task, which keeps the checkpoint with the lowest validation loss.

    Evaluations generate nothing. Defaults are the paper's where it states them (section IV.1): AdamW, 1e-4 with
    warm-up, batches of 32, 10 epochs.
    """

    generates: ClassVar[bool] = False

    output_dir: str = field(default="outputs/pretext", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate of AdamW (paper: 1e-4)."})
    num_train_epochs: float = field(
        default=10.0, metadata={"help": "Number of passes over the training pairs (paper: 10)."}
    )
    warmup_steps: float = field(default=1000, metadata={"help": "Number of linear warm-up steps."})
    label_smoothing_factor: float = field(default=0.0, metadata={"help": "Label smoothing (paper: 0)."})
    metric_for_best_model: str | None = field(
        default="loss", metadata={"help": "Metric that chooses the best checkpoint."}
    )
    greater_is_better: bool | None = field(
        default=False, metadata={"help": "Whether a higher value of the metric is better."}
    )
    loss_over: str = field(
        default="vocabulary", metadata={"help": "Classes of the softmax.", "choices": ("vocabulary",)}
    )
    predict_with_generate: bool = field(default=False, metadata={"help": "Evaluate by generation."})
