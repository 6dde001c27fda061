"""Set up Seq2SeqTrainer so that one optimiser step is the same however its batch is divided."""

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

_BY_LENGTH = "which pairs a step takes is for --batches_by_length to say"
_OF_THE_MODEL = "scores must be those of the saved model; --num_beams is kept in it"
_ALL_AT_ONCE = "the score is of all pairs at once"
_NO_OTHER: dict[str, tuple[Any, str]] = {
    "train_sampling_strategy": ("random", _BY_LENGTH),
    "group_by_length": (False, _BY_LENGTH),
    "sortish_sampler": (False, _BY_LENGTH),
    "length_column_name": ("length", _BY_LENGTH),
    "generation_max_length": (None, _OF_THE_MODEL),
    "generation_num_beams": (None, _OF_THE_MODEL),
    "generation_config": (None, _OF_THE_MODEL),
    "fp16_full_eval": (False, "a user's pipeline computes in float32, and so must what is scored and saved"),
    "bf16_full_eval": (False, "a user's pipeline computes in float32, and so must what is scored and saved"),
    "eval_do_concat_batches": (True, _ALL_AT_ONCE),
    "batch_eval_metrics": (False, _ALL_AT_ONCE),
    "use_legacy_prediction_loop": (False, _ALL_AT_ONCE),
    "include_for_metrics": ([], "the score takes glosses alone"),
    "include_inputs_for_metrics": (False, "the score takes glosses alone"),
    "label_names": (None, "the data have the column labels"),
    "past_index": (-1, "the models have no such output"),
    "dataloader_drop_last": (False, "every pair is trained on and scored"),
    "auto_find_batch_size": (
        False,
        "a step would take fewer pairs; use a smaller --per_device_train_batch_size with --gradient_accumulation_steps",
    ),
    "save_only_model": (False, "--resume needs the optimiser's state"),
    "resume_from_checkpoint": (None, "--resume finds the last checkpoint in --output_dir"),
    "overwrite_output_dir": (False, "nothing is overwritten; delete the folder"),
}
"""transformers' options of which only one value does what it says here, with the reason."""

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
    """transformers' Seq2SeqTrainingArguments with this project's defaults; every option of it can be given.

    Each epoch ends with an evaluation by generation and a checkpoint; the one with the best Jaccard score is kept. With
    `push_to_hub` and `hub_model_id` the finished result goes to the Hub as `kgloss publish` does it.

    Raises:
        ValueError: An option has a value that this training cannot honour; says which, and why.
    """

    generates: ClassVar[bool] = True
    """Whether an evaluation generates, and is scored by Jaccard; else it computes the loss alone."""

    def __post_init__(self) -> None:
        if self.hub_token is not None or getattr(self, "push_to_hub_token", None) is not None:
            raise ValueError(
                "--hub_token: expected no token among the options, which metrics.json keeps; log in with "
                "`hf auth login`, or set HF_TOKEN"
            )
        if not torch.accelerator.is_available():
            self.use_cpu = True  # transformers takes bfloat16 on a CPU only if told to
        if self.use_cpu:
            self.dataloader_pin_memory = False
        if float(self.warmup_steps).is_integer():
            self.warmup_steps = int(self.warmup_steps)  # transformers 4 takes no other number, 5 also a share of steps
        if self.bf16 is None:
            self.bf16 = _bfloat16_is_quick(self.use_cpu)
        super().__post_init__()
        _check(self)


def _check(args: TrainingArguments) -> None:
    """Refuse what the trainer would ignore, and what would end the run only after an epoch."""
    allowed = {**_NO_OTHER, "predict_with_generate": (args.generates, "this run's evaluation can do nothing else")}
    if args.generates:
        allowed["prediction_loss_only"] = (False, "the score needs predictions")
    for name, (wanted, why) in allowed.items():
        given = getattr(args, name, wanted)
        given = getattr(given, "value", given)
        if given != wanted and not (name == "label_names" and given == ["labels"]):
            raise ValueError(f"--{name}: expected {wanted}, found {given}; {why}")
    for name, least in _AT_LEAST.items():
        if not getattr(args, name) >= least:
            raise ValueError(f"--{name}: expected {least} or more, found {getattr(args, name)}")
    if args.max_steps == 0:
        raise ValueError("--max_steps: expected 1 or more, or -1 for all epochs, found 0")
    if not 0 <= args.label_smoothing_factor < 1:
        raise ValueError(f"--label_smoothing_factor: expected 0 to below 1, found {args.label_smoothing_factor}")
    if args.loss_over not in LOSSES:
        raise ValueError(f"--loss_over: expected {' or '.join(LOSSES)}, found {args.loss_over}")
    if args.fp16 and args.device.type == "cpu":
        raise ValueError("--fp16: expected a GPU, found none; --bf16 works on a CPU too")
    if getattr(args, "warmup_ratio", None) and args.warmup_steps:
        raise ValueError("--warmup_ratio: expected --warmup_steps=0 with it, which would else win")
    for name in ("split_batches", "gradient_accumulation_kwargs"):
        if getattr(args.accelerator_config, name, None):
            raise ValueError(f"--accelerator_config: expected no {name}, found one; it would change a step's pairs")
    _check_best(args)


def _check_best(args: TrainingArguments) -> None:
    known = ("jaccard", "loss") if args.generates else ("loss",)
    metric = (args.metric_for_best_model or "loss").removeprefix("eval_")
    if metric not in known:
        raise ValueError(f"--metric_for_best_model: expected {' or '.join(known)}, found {metric}")
    if args.greater_is_better not in (None, metric != "loss"):
        raise ValueError(
            f"--greater_is_better: expected {metric != 'loss'} for {metric}, found {args.greater_is_better}; the worst "
            "checkpoint would be kept"
        )
    unevaluated = args.eval_strategy == "no" or (
        args.eval_strategy == "epoch" and 0 < args.num_train_epochs <= args.eval_delay and args.max_steps < 0
    )
    if args.load_best_model_at_end and unevaluated:
        raise ValueError(
            "--load_best_model_at_end: expected evaluations, by which a checkpoint is best, found none "
            "(--eval_strategy, --eval_delay); add --load_best_model_at_end=False to end with the last"
        )


def _bfloat16_is_quick(use_cpu: bool) -> bool:
    if torch.cuda.is_available() and not use_cpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch 2.6, the oldest that we take, cannot tell; there float32 is the safe choice.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


class GlossTrainer(Seq2SeqTrainer):
    """A Seq2SeqTrainer for columns `input_ids` and `labels`, for models whose forward returns the loss of a whole step.

    Differs from the stock one in this: a step takes the same rows however many processes share it (`StepSampler`);
    label smoothing goes into the model's own loss; evaluations keep the order of the data, which the stock trainer
    loses where it batches by length, and return each row once, where the stock one returns those that fill up the last
    batch of several processes too.

    Args:
        learning_rates: Peak learning rates of parameters that have one of their own, by `id`.
        **kwargs: Seq2SeqTrainer's.
    """

    def __init__(self, learning_rates: Mapping[int, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._learning_rates = learning_rates or {}
        self._smoothing = self.args.label_smoothing_factor
        self.label_smoother = None
        self._search = OwnSearch(frozenset())

    # The trainer asks for a sampler, or saves, in no public method that does not do more.
    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> StepSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        by_length = getattr(args, "batches_by_length", True)
        seed = args.seed if args.data_seed is None else args.data_seed
        # The trainer's own way of telling a sampler its epoch does not reach one whose first batches are skipped.
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
        # The stock method pads generated ids with the tokenizer's id for sentences, which may be that of a gloss.
        return pad(tensor, (0, max_length - tensor.shape[-1]), value=self.model.generation_config.pad_token_id)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        self.gather_function = self.accelerator.gather_for_metrics
        return super().evaluation_loop(*args, **kwargs)

    def in_float32(self) -> None:
        """Generate in float32 from now on, as a user's pipeline does, whatever the training computed in."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        **gen_kwargs: Any,
    ) -> Any:
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
        """Return what `generate` gives, padded as the stock step pads it, where our own loops can find it."""
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
        trainer: Any = self
        tokenizer = trainer.processing_class
        if has_analyzer(tokenizer) and tokenizer.two_vocabularies:
            # The stock trainer would set the special ids of the model, which writes glosses, to those of the sentences.
            trainer.processing_class = None
            self.add_callback(_Restored(self, tokenizer))
        with tied_weights_may_be_missing(self.model):
            return super().train(*args, **kwargs)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
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
    """Return a trainer with the right loss, for columns `input_ids` and `labels`.

    Args:
        model: From `kgloss_hf.models.modeling.build_model`.
        tokenizer: Must be a KGlossTokenizerFast: any other would give ids without Okt.
        args: Training arguments; `label_smoothing_factor` goes into the model's loss.
        train: Encoded training pairs.
        validation: Encoded pairs that choose the checkpoint.
        compute_metrics: From `jaccard_of_generation`; None where the loss chooses.
        share_embeddings: Train encoder and decoder embeddings as one (`SharedEmbeddings`).
        patience: Stop after this many evaluations without a better score (default: never).
        learning_rates: Peak learning rates of parameters that have one of their own, by `id` (default: none).
        display: Shows the run instead of the stock trainer's bars and lines (default: those).

    Raises:
        ValueError: `patience` is below 1, or nothing is evaluated by which to stop.
        TypeError: The tokenizer has no analyser in front.
    """
    if not has_analyzer(tokenizer):
        raise TypeError(
            f"expected a KGlossTokenizerFast, found {type(tokenizer).__name__}, which would give ids without Okt; "
            "import kgloss_hf before AutoTokenizer.from_pretrained"
        )
    freeze_unused(model)
    if getattr(args, "loss_over", "vocabulary") == "glosses":
        model.token_loss.restrict(model.generation_config.suppress_tokens, tokenizer.target_size)
    callbacks: list[TrainerCallback] = [SharedEmbeddings()] if share_embeddings else []
    if patience is not None:
        if patience < 1 or not args.load_best_model_at_end:
            raise ValueError(
                f"--patience: expected 1 or more, with --load_best_model_at_end, found {patience} and "
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
    """Give a trainer its tokenizer back, which checkpoints are saved with, once training has begun."""

    def __init__(self, trainer: Any, tokenizer: KGlossTokenizerFast) -> None:
        self._trainer, self._tokenizer = trainer, tokenizer

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._trainer.processing_class = self._tokenizer


class SharedEmbeddings(TrainerCallback):
    """Train the encoder's and the decoder's token embeddings as one matrix.

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
    """Return generated ids as glosses, with placeholders restored from the sentences they were generated for.

    Args:
        tokenizer: The model's tokenizer.
        sequences: Ids, batch × length, padded with the pad id or -100.
        morphemes: Okt's analysis of each source sentence.
    """
    rows = tokenizer.convert_ids_to_glosses(map(int, row) for row in sequences)
    return [restore_placeholders(row, of_source) for row, of_source in zip(rows, morphemes, strict=True)]


def jaccard_of_generation(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Callable[[Any], dict[str, float]]:
    """Return a `compute_metrics` for Seq2SeqTrainer with `predict_with_generate`: {"jaccard": 0 to 100}.

    Scores what a user gets: glosses with numbers and Latin words restored, against the reference as it is signed
    (`Number/4C` counts as `4C`).

    Args:
        tokenizer: The model's tokenizer.
        pairs: The evaluation set, in its order.
    """
    morphemes = tokenizer.morphemes([pair.text for pair in pairs])
    references = GlossLists([list(pair.glosses) for pair in pairs])

    def compute(prediction: Any) -> dict[str, float]:
        predicted = GlossLists(predicted_glosses(tokenizer, prediction.predictions, morphemes))
        return {"jaccard": jaccard(predicted, references)}

    return compute


def predict(trainer: GlossTrainer, tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> list[list[str]]:
    """Return glosses for each pair's sentence by the trainer's model, in float32, over all of its processes."""
    trainer.compute_metrics = None  # it scores the validation pairs
    trainer.in_float32()
    generated = trainer.predict(encode_pairs(tokenizer, pairs)).predictions
    return predicted_glosses(tokenizer, generated, tokenizer.morphemes([pair.text for pair in pairs]))


@dataclass
class PretextTrainingArguments(TrainingArguments):
    """Training arguments of the pretext: the checkpoint with the lowest validation loss is kept, nothing is generated.

    Defaults are the paper's where it states them (section IV.1): AdamW, 1e-4 with warm-up, batches of 32, 10 epochs.
    """

    generates: ClassVar[bool] = False

    output_dir: str = field(default="outputs/pretext", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate of AdamW (paper: 1e-4)."})
    num_train_epochs: float = field(default=10.0, metadata={"help": "Passes over the training pairs (paper: 10)."})
    warmup_steps: float = field(default=1000, metadata={"help": "Steps of linear warm-up."})
    label_smoothing_factor: float = field(default=0.0, metadata={"help": "Label smoothing (paper: 0)."})
    metric_for_best_model: str | None = field(default="loss", metadata={"help": "What best means."})
    greater_is_better: bool | None = field(default=False, metadata={"help": "Whether more of it is better."})
    loss_over: str = field(
        default="vocabulary", metadata={"help": "What a word piece is compared with.", "choices": ("vocabulary",)}
    )
    predict_with_generate: bool = field(default=False, metadata={"help": "Evaluate by generation."})
