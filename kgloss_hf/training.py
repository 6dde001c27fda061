"""Seq2SeqTrainer, set up so that one optimiser step is the same however its batch is divided; a run's start and end."""

from __future__ import annotations

import atexit
import json
import logging
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
import yaml
from accelerate import PartialState
from datasets import Dataset
from safetensors import SafetensorError, safe_open
from torch.utils.data import SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    HfArgumentParser,
    PreTrainedModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from transformers.integrations import CodeCarbonCallback

from .analyzers import has_analyzer
from .batching import PairCollator, StepSampler, pair_lengths
from .cards import write_facts
from .data import Pair, encode_pairs, marked_glosses
from .files import public_path, save_folder, sole_writer, writing
from .glosses import PLACEHOLDERS, content_of, placeholder_of
from .metrics import jaccard
from .modeling import freeze_unused
from .okt import Morpheme
from .optional import versions
from .placeholders import restore_placeholders
from .publishing import Publication, check_access, publish
from .remote_code import add_remote_code
from .reporting import plot_training
from .tokenization_kgloss import KGlossTokenizerFast
from .tokenizer_training import rare_names, train_tokenizer

logger = logging.getLogger(__name__)

LOSSES = ("glosses", "vocabulary")
"""What the softmax of training runs over."""


@dataclass
class TrainingArguments(Seq2SeqTrainingArguments):
    """transformers' Seq2SeqTrainingArguments with this project's defaults; every option of it can be given.

    Each epoch ends with an evaluation by generation and a checkpoint; the one with the best Jaccard score is kept. With
    `push_to_hub` and `hub_model_id` the finished result goes to the Hub as `kgloss publish` does it.
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
    bf16: bool | None = field(
        default=None,
        metadata={"help": "Train in bfloat16 (default: where the GPU, or the CPU by AMX, is quick at it)."},
    )
    loss_over: str = field(
        default="glosses",
        metadata={
            "help": "What a gloss is compared with: glosses, or the whole vocabulary (paper).",
            "choices": LOSSES,
        },
    )
    batches_by_length: bool = field(default=True, metadata={"help": "Steps of pairs of similar length: less padding."})

    def __post_init__(self) -> None:
        if self.hub_token is not None or getattr(self, "push_to_hub_token", None) is not None:
            raise ValueError(
                "--hub_token: expected no token among the options, which metrics.json keeps; log in with "
                "`hf auth login`, or set HF_TOKEN"
            )
        if not torch.accelerator.is_available():
            self.use_cpu = True  # transformers takes bfloat16 on a CPU only if that is said
        if self.use_cpu:
            self.dataloader_pin_memory = False
        if float(self.warmup_steps).is_integer():
            self.warmup_steps = int(self.warmup_steps)  # transformers 4 takes no other number, 5 also a share of steps
        if self.bf16 is None:
            self.bf16 = _bfloat16_is_quick(self.use_cpu)
        super().__post_init__()


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
        **kwargs: Seq2SeqTrainer's.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.publication = _publication(kwargs["args"])
        kwargs["args"].push_to_hub = False  # the stock trainer would make a repository now, and push checkpoints
        super().__init__(**kwargs)
        self._smoothing = self.args.label_smoothing_factor
        self.label_smoother = None

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

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        self.gather_function = self.accelerator.gather_for_metrics
        return super().evaluation_loop(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with writing(Path(self.args.output_dir)):
            super()._save_checkpoint(*args, **kwargs)

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
) -> GlossTrainer:
    """A trainer with the right loss, for columns `input_ids` and `labels`.

    Args:
        model: From `kgloss_hf.modeling.build_model`.
        tokenizer: Must be a KGlossTokenizerFast: any other would give ids without Okt.
        args: Training arguments; `label_smoothing_factor` goes into the model's loss.
        train: Encoded training pairs.
        validation: Encoded pairs that choose the checkpoint.
        compute_metrics: From `jaccard_of_generation`; None where the loss chooses.
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
    if getattr(args, "loss_over", "vocabulary") == "glosses":
        model.token_loss.restrict(model.generation_config.suppress_tokens, len(tokenizer))
    callbacks: list[TrainerCallback] = [SharedEmbeddings()] if share_embeddings else []
    if patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=patience))
    return GlossTrainer(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=PairCollator(tokenizer.pad_token_id, 8 if args.device.type == "cuda" else 1),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=callbacks,
    )


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

    Args:
        parser: Of the dataclasses.
        arguments: Command-line words.

    Returns:
        One object a dataclass. An option that is not known ends the process with the usage.

    Raises:
        FileNotFoundError: The YAML file is not there.
        ValueError: It is not YAML, not a mapping, or holds a key that is no option.
    """
    arguments = list(arguments)
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        path = Path(arguments.pop(0))
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; the first argument is a YAML file of options")
        try:
            options = yaml.safe_load(path.read_text("utf-8"))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ValueError(f"{path}: expected YAML, found an error: {error}; correct it") from error
        if not isinstance(options, dict):
            raise ValueError(f"{path}: expected one option a line (name: value), found {type(options).__name__}")
        # argparse has no public list of its options.
        known = {action.dest for action in parser._actions}
        if unknown := sorted(map(str, options.keys() - known)):
            raise ValueError(f"{path}: no such option: {', '.join(unknown)}; --help lists them")
        parser.set_defaults(**options)
        for action in parser._actions:
            action.required = action.required and action.dest not in options
    *found, others = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    return tuple(found)


def begin_run(output_dir: str, *, resume: bool) -> str | None:
    """Keep a run's folder to this run until the process ends, and find what to go on from.

    Args:
        output_dir: The run's folder: checkpoints lie in `checkpoints`, a finished run's result in `model`.
        resume: Go on from the last checkpoint.

    Returns:
        The last whole checkpoint of an unfinished run, or None for a new one. Later ones that were cut short are
        deleted, with a warning.

    Raises:
        ValueError: The folder holds a finished run; or an unfinished one, and `resume` is not set; or the best
            checkpoint, with which the run would end, is missing or cut short. Nothing is deleted then.
        RuntimeError: Another process is at work in the folder.
    """
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            _kept.enter_context(sole_writer(Path(output_dir)))
            return checkpoint_to_resume(output_dir, resume=resume)
        found = _checkpoints(output_dir)  # those that the main process has looked through
        return str(found[0]) if found else None


_kept = ExitStack()
atexit.register(_kept.close)


def checkpoint_to_resume(output_dir: str, *, resume: bool) -> str | None:
    """What `begin_run` returns, without keeping the folder."""
    if (Path(output_dir) / "model").exists():
        raise ValueError(f"{output_dir} holds a finished run; choose another --output_dir, or delete it to train again")
    found = _checkpoints(output_dir)
    if found and not resume:
        raise ValueError(f"{output_dir} holds an unfinished run ({found[0].name}); add --resume, or delete it")
    broken = {}
    for checkpoint in found:
        reason = _broken(checkpoint)
        if reason is None:
            _check_best(checkpoint)
            break
        broken[checkpoint] = reason
    for checkpoint, reason in broken.items():
        logger.warning("%s cannot be used: %s. Going on from the one before", checkpoint, reason)
        shutil.rmtree(checkpoint)
    return str(found[len(broken)]) if len(found) > len(broken) else None


def _checkpoints(output_dir: str) -> list[Path]:
    """A run's checkpoints, the last first."""
    folders = Path(output_dir, "checkpoints").glob("checkpoint-*")
    numbered = [folder for folder in folders if folder.name.removeprefix("checkpoint-").isdecimal() and folder.is_dir()]
    return sorted(numbered, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), reverse=True)


def _check_best(checkpoint: Path) -> None:
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    best = checkpoint.parent / Path(state.get("best_model_checkpoint") or checkpoint).name
    reason = (_broken(best) if best.is_dir() else "it is missing") if best != checkpoint else None
    if reason:
        raise ValueError(
            f"{checkpoint} is whole, but the run's best checkpoint, {best}, with which it would end, cannot be used: "
            f"{reason}. Restore it, or begin anew in another --output_dir; nothing was deleted"
        )


def _broken(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used: a file is cut short or damaged."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))  # written last
    except (FileNotFoundError, ValueError):
        return "the run was ended while writing it"
    for file in sorted(checkpoint.iterdir()):
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, "pt"):
                    pass
            elif file.suffix in (".pt", ".pth", ".bin"):
                with ZipFile(file) as archive:
                    if damaged := archive.testzip():
                        return f"{file}: {damaged} is damaged"
        except (SafetensorError, BadZipFile) as error:
            return f"{file}: {error}"
    return None


def tokenizer_for(
    pairs: Sequence[Pair],
    output_dir: str,
    *,
    vocab_size: int,
    model: str = "wordpiece",
    trained: str | None = None,
    texts: Iterable[str] = (),
    copy_names: int = 0,
) -> KGlossTokenizerFast:
    """The run's tokenizer, learnt by one process for all, and kept for a resumed run.

    Args:
        pairs: What it is learnt on, such as the training part alone. Their glosses are its target side.
        output_dir: The run's folder.
        vocab_size: Word pieces to learn at most, before glosses.
        model: As in `kgloss_hf.tokenizer_training.train_tokenizer`.
        trained: Folder or Hub repository of a tokenizer to take instead (default: none). A gloss that it does not know
            becomes [UNK], which is counted in a warning.
        texts: More sentences to learn word pieces on, read once.
        copy_names: Nouns in at most this many different sentences that are signed as they are written are learnt as
            the placeholder `Name` (`kgloss_hf.tokenizer_training.rare_names`); 0 for none.
    """
    if trained:
        return KGlossTokenizerFast.from_pretrained(trained)
    folder = Path(output_dir) / "tokenizer"
    with PartialState().main_process_first():
        if not folder.exists():
            sentences = chain((pair.text for pair in pairs), texts)
            tokenizer = train_tokenizer(
                sentences,
                marked_glosses(pairs),
                model=model,
                vocab_size=vocab_size,
                copy_names=copy_names > 0,
                names=rare_names(pairs, copy_names) if copy_names else (),
            )
            save_folder(folder, tokenizer.save_pretrained)
    return KGlossTokenizerFast.from_pretrained(folder)


def check_glosses(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair], checkpoint: str) -> None:
    """Refuse a pretext model whose vocabulary lacks glosses of the training pairs.

    Args:
        tokenizer: The checkpoint's.
        pairs: What is to be trained on.
        checkpoint: Its folder or repository, for the message.

    Raises:
        ValueError: Glosses are missing; says how many and which.
    """
    known = {*tokenizer.glosses, *PLACEHOLDERS}
    found = {placeholder_of(gloss) for glosses in marked_glosses(pairs, tokenizer.morphemes) for gloss in glosses}
    if missing := sorted(found - known):
        raise ValueError(
            f"{checkpoint}: expected a vocabulary with the training pairs' glosses, but {len(missing)} of {len(found)} "
            f"are not in it, such as {', '.join(missing[:3])}. Train the pretext with the same --dataset, or give it a "
            "tokenizer of kgloss train-tokenizer that was made with these pairs"
        )


def _publication(args: Seq2SeqTrainingArguments) -> Publication | None:
    """Where the result goes after training; what would forbid that is found before it."""
    if not args.push_to_hub:
        return None
    if not args.hub_model_id:
        raise ValueError("--push_to_hub: expected the repository's name, found none; add --hub_model_id NAMESPACE/NAME")
    publication = Publication("model", args.hub_model_id)
    if args.process_index == 0:
        check_access([publication], public=args.hub_private_repo is False)
    return publication


def predict(trainer: Seq2SeqTrainer, tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> list[list[str]]:
    """Glosses for each pair's sentence by the trainer's model, in float32, over all of its processes."""
    trainer.compute_metrics = None  # it scores the validation pairs
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # a user's pipeline has no bfloat16 either
    generated = trainer.predict(encode_pairs(tokenizer, pairs)).predictions
    return predicted_glosses(tokenizer, generated, tokenizer.morphemes([pair.text for pair in pairs]))


def save_result(
    trainer: Seq2SeqTrainer,
    tokenizer: KGlossTokenizerFast,
    output_dir: str,
    *,
    facts: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the finished run: one folder, under its final name only once it is complete.

    Args:
        trainer: Holds the best model.
        tokenizer: Its tokenizer.
        output_dir: The run's folder; the result goes to `model` in it.
        facts: What this kind of run has to say, such as scores and sizes of the split; first in `metrics.json`.
        predictions: Rows of `predictions.jsonl` (default: no such file).

    Returns:
        The folder: model, tokenizer and generation config, `metrics.json` (also command, seed, versions, hardware,
        seconds), `predictions.jsonl`, `training.png`, a card, and the code that loads it without this package.
    """

    def write(folder: Path) -> None:
        trainer.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        add_remote_code(folder)
        history = trainer.state.log_history
        metrics = {
            **facts,
            "best_validation": {trainer.args.metric_for_best_model: trainer.state.best_metric},
            "epochs": trainer.state.epoch,
            "steps": trainer.state.global_step,
            "train_seconds": next((row["train_runtime"] for row in history if "train_runtime" in row), None),
            "hyperparameters": _hyperparameters(trainer.args),
            **_emissions(trainer),
            "history": [row for row in history if "loss" in row or "eval_loss" in row],
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            "command": shlex.join(map(public_path, [Path(sys.executable).name, *sys.argv])),
            "seed": trainer.args.seed,
            "versions": versions("kgloss-hf", "torch", "transformers", "datasets"),
            "hardware": hardware(trainer.args),
        }
        plot_training(history, folder / "training.png")
        write_facts(folder, metrics, predictions)

    folder = Path(output_dir) / "model"
    if trainer.is_world_process_zero():
        save_folder(folder, write)
        if publication := getattr(trainer, "publication", None):
            _push(replace(publication, source=str(folder)), public=trainer.args.hub_private_repo is False)
    trainer.accelerator.wait_for_everyone()
    return folder


def _hyperparameters(args: Seq2SeqTrainingArguments) -> dict[str, Any]:
    names = (
        *("learning_rate", "optim", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm"),
        *("label_smoothing_factor", "num_train_epochs", "loss_over", "batches_by_length"),
    )
    of_a_step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    found = {name: getattr(args, name) for name in names if hasattr(args, name)}
    return {"pairs_a_step": of_a_step} | {name: getattr(value, "value", value) for name, value in found.items()}


def _emissions(trainer: Seq2SeqTrainer) -> dict[str, Any]:
    """What codecarbon measured, where `--report_to codecarbon` asked for it."""
    callbacks = trainer.callback_handler.callbacks
    tracker = next((callback.tracker for callback in callbacks if isinstance(callback, CodeCarbonCallback)), None)
    data = getattr(tracker, "final_emissions_data", None)
    if data is None:
        return {}
    source = f"codecarbon {versions('codecarbon')['codecarbon']}"
    return {"emissions": {"kg_co2_eq": data.emissions, "source": source, "country": data.country_name or None}}


def _push(publication: Publication, *, public: bool) -> None:
    try:
        publish([publication], public=public, say=print)
    except (OSError, ValueError) as error:
        command = shlex.join(["kgloss", "publish", "--model", publication.repo_id, publication.source])
        raise RuntimeError(f"{error}\nThe result is whole in {publication.source}. Go on with: {command}") from error


def hardware(args: Seq2SeqTrainingArguments) -> str:
    """What a run was made on, in words.

    Args:
        args: The run's training arguments.
    """
    device = torch.cuda.get_device_name() if args.device.type == "cuda" else args.device.type
    dtype = "bfloat16" if args.bf16 else "float32"
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} {platform.machine()} cores"
    return f"{args.world_size} × {device}, {dtype}, {threads}"
