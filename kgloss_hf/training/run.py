"""Start a run in its folder, resume it after an interruption, and write and publish its result."""

from __future__ import annotations

import atexit
import json
import logging
import os
import platform
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import torch
from accelerate import PartialState
from safetensors import SafetensorError, safe_open
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments
from transformers.integrations import CodeCarbonCallback
from transformers.utils import cached_file

from ..files import public_path, read_json, save_folder, sole_writer
from ..hub.cards import write_facts
from ..hub.publishing import Publication, check_access, publish
from ..hub.remote_code import add_remote_code
from ..optional import versions
from ..reporting import plot_training, visible
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .console import command_line, quoted

logger = logging.getLogger(__name__)


class _Run(NamedTuple):
    """Run that has been started.

    Args:
        folder: Folder of the run, with the checkpoints in `checkpoints` and the result of a finished run in `model`.
        checkpoint: Last complete checkpoint of an unfinished run, or None for a new run.
        publication: Destination of the result on the Hub, or None.
        command: Words of the command that started the run.
    """

    folder: Path
    checkpoint: str | None = None
    publication: Publication | None = None
    command: Sequence[str] = ()


def begin_run(args: Seq2SeqTrainingArguments, *, resume: bool, command: Sequence[str] | None = None) -> _Run:
    """Reserve a run's folder until the process ends, and find the checkpoint to continue from.

    Later checkpoints that are incomplete are deleted, with a warning. `args` is changed in place: the trainer writes
    its checkpoints to the subfolder `checkpoints` and leaves pushing to `save_result`.

    Args:
        args: Training arguments, whose `output_dir` is the run's folder. With `push_to_hub` and `hub_model_id`, the
            permission to write to that repository is checked now.
        resume: Whether to continue from the last checkpoint.
        command: Words of the command that started the run (default: those of a script), for metrics.json.

    Raises:
        ValueError: The folder holds a finished run; or an unfinished one, and `resume` is False; or the best
            checkpoint, with which the run would end, is missing or incomplete (nothing is deleted in that case). Or the
            repository is not named, or is not writable.
        RuntimeError: Another process is working in the folder.
    """
    checkpoint, publication = _reserve(args.output_dir, resume=resume), _publication(args)
    run = _Run(Path(args.output_dir), checkpoint, publication, command or command_line(None, ""))
    args.output_dir, args.push_to_hub = str(run.folder / "checkpoints"), False
    return run


def _reserve(output_dir: str, *, resume: bool) -> str | None:
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            _kept.enter_context(sole_writer(Path(output_dir)))
            return _checkpoint_to_resume(output_dir, resume=resume)
        checkpoints = _checkpoints(output_dir)  # the main process has already checked them
        return str(checkpoints[0]) if checkpoints else None


_kept = ExitStack()
atexit.register(_kept.close)


def _checkpoint_to_resume(output_dir: str, *, resume: bool) -> str | None:
    """Return the last complete checkpoint, as `begin_run` does, without reserving the folder."""
    if (Path(output_dir) / "model").exists():
        raise ValueError(f"{output_dir} holds a finished run; choose another --output_dir, or delete it to train again")
    checkpoints = _checkpoints(output_dir)
    if checkpoints and not resume:
        raise ValueError(f"{output_dir} holds an unfinished run ({checkpoints[0].name}); add --resume, or delete it")
    broken = {}
    for checkpoint in checkpoints:
        reason = _broken(checkpoint)
        if reason is None:
            _check_best(checkpoint)
            break
        broken[checkpoint] = reason
    for checkpoint, reason in broken.items():
        logger.warning("%s cannot be used: %s. It is deleted, and the one before it is used", checkpoint, reason)
        shutil.rmtree(checkpoint)
    return str(checkpoints[len(broken)]) if len(checkpoints) > len(broken) else None


def how_to_go_on(folder: Path, command: Sequence[str]) -> str:
    """Return a line that states what an interrupted run has left and which command continues it.

    Args:
        folder: Folder of the run; the second training of a refit uses its subfolder `refit`.
        command: Words of the command that started the run.

    Examples:
        >>> how_to_go_on(Path("outputs/new"), ["kgloss", "train", "--output_dir", "outputs/new"])
        'No checkpoint has been saved yet. Start again: kgloss train --output_dir outputs/new'
    """
    if (folder / "model").exists():
        return f"The result is complete in {folder / 'model'}."
    whole = (each for part in (folder / "refit", folder) for each in _checkpoints(str(part)) if _broken(each) is None)
    checkpoint = next(whole, None)
    several = PartialState().num_processes > 1  # started by a launcher, whose command is not known here
    if checkpoint is None:
        return f"No checkpoint has been saved yet. Start again: {'the same command' if several else quoted(command)}"
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    reached = f"epoch {state['epoch']:.4g} (step {state['global_step']} of {state['max_steps']})"
    again = "the same command with --resume" if several else quoted(command, "--resume")
    return f"The run is saved up to {reached} in {checkpoint}. Continue: {again}"


def _checkpoints(output_dir: str) -> list[Path]:
    """Return the checkpoints of a run, the last one first."""
    folders = Path(output_dir, "checkpoints").glob("checkpoint-*")
    numbered = [folder for folder in folders if folder.name.removeprefix("checkpoint-").isdecimal() and folder.is_dir()]
    return sorted(numbered, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), reverse=True)


def _check_best(checkpoint: Path) -> None:
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    best = checkpoint.parent / Path(state.get("best_model_checkpoint") or checkpoint).name
    reason = (_broken(best) if best.is_dir() else "it is missing") if best != checkpoint else None
    if reason:
        raise ValueError(
            f"{checkpoint} is complete, but the run's best checkpoint, {best}, with which it would end, cannot be "
            f"used: {reason}. Restore it, or start again in another --output_dir; nothing was deleted"
        )


def _broken(checkpoint: Path) -> str | None:
    """Return the reason why a checkpoint cannot be used, such as a damaged file, or None."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))  # written last
    except (FileNotFoundError, ValueError):
        return "the run ended while writing it"
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


def _publication(args: Seq2SeqTrainingArguments) -> Publication | None:
    """Return the destination of the result, and check that it may be written to."""
    if not args.push_to_hub:
        return None
    if not args.hub_model_id:
        raise ValueError("--push_to_hub: expected the repository's name, found none; add --hub_model_id NAMESPACE/NAME")
    publication = Publication("model", args.hub_model_id)
    if args.process_index == 0:
        check_access([publication], public=args.hub_private_repo is False)
    return publication


def save_result(
    run: _Run,
    trainer: Seq2SeqTrainer,
    tokenizer: KGlossTokenizerFast,
    *,
    facts: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the result of a finished run and publish it. The folder gets its final name only once it is complete.

    Args:
        run: Run from `begin_run`.
        trainer: Trainer that holds the best model.
        tokenizer: The model's tokenizer.
        facts: Entries specific to this kind of run, such as scores and sizes of the split, which come first in
            `metrics.json`.
        predictions: Rows of `predictions.jsonl` (default: the file is not written).

    Returns:
        The folder with the model, the tokenizer, the generation config, `metrics.json` (with command, seed, versions,
        hardware and seconds besides the facts), `predictions.jsonl`, `training.png`, a card, and the code that loads
        the model without this package.
    """

    def write(folder: Path) -> None:
        trainer.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        add_remote_code(folder)
        history = trainer.state.log_history
        metrics = {
            "best_validation": {trainer.args.metric_for_best_model: trainer.state.best_metric},
            **facts,
            "epochs": trainer.state.epoch,
            "steps": trainer.state.global_step,
            "train_seconds": next((row["train_runtime"] for row in history if "train_runtime" in row), None),
            "hyperparameters": _hyperparameters(trainer.args),
            **_emissions(trainer),
            "history": [row for row in history if "loss" in row or "eval_loss" in row],
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            "command": visible(shlex.join(map(public_path, run.command))),
            "seed": trainer.args.seed,
            "versions": versions("kgloss-hf", "torch", "transformers", "datasets"),
            "hardware": hardware(trainer.args),
        }
        plot_training(history, folder / "training.png")
        write_facts(folder, metrics, predictions)

    folder = run.folder / "model"
    if trainer.is_world_process_zero():
        save_folder(folder, write)
        if run.publication:
            _push(replace(run.publication, source=str(folder)), public=trainer.args.hub_private_repo is False)
    trainer.accelerator.wait_for_everyone()
    return folder


def _hyperparameters(args: Seq2SeqTrainingArguments) -> dict[str, Any]:
    names = (
        *("learning_rate", "optim", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm"),
        *("label_smoothing_factor", "num_train_epochs", "loss_over", "batches_by_length"),
    )
    of_a_step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    values = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if args.max_steps > 0:  # overrides epochs
        values = {"max_steps": args.max_steps} | {name: value for name, value in values.items() if "epochs" not in name}
    return {"pairs_a_step": of_a_step} | {name: getattr(value, "value", value) for name, value in values.items()}


def _emissions(trainer: Seq2SeqTrainer) -> dict[str, Any]:
    """Return the emissions that codecarbon measured, if `--report_to codecarbon` requested them."""
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
        raise RuntimeError(
            f"{error}\nThe result is complete in {publication.source}. Continue with: {command}"
        ) from error


def hardware(args: Seq2SeqTrainingArguments) -> str:
    """Return a description of the hardware of a run.

    Args:
        args: Training arguments of the run.
    """
    device = torch.cuda.get_device_name() if args.device.type == "cuda" else args.device.type
    dtype = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} {platform.machine()} cores"
    return f"{args.world_size} × {device}, {dtype}, {threads}"


def run_of(checkpoint: str, use: str = "pretext") -> dict[str, Any]:
    """Return the facts in a checkpoint's `metrics.json` about its training: data, command, preset and scores.

    Args:
        checkpoint: Folder or Hub repository.
        use: Assumed use of the checkpoint's data if the file does not state it (default `pretext`).

    Returns:
        `data`, described as by `source_of` (one corpus of unknown licence if the file names none); `command` and
        `preset`, each None if unknown; and `scores`, empty for a model of the pretext task, or None if unknown.

    Examples:
        >>> run_of(getfixture("checkpoint"))["command"] is None
        True
    """
    file = cached_file(checkpoint, "metrics.json", _raise_exceptions_for_missing_entries=False)
    facts = read_json(Path(file)) if file else {}
    unknown = {"name": f"data of {Path(checkpoint).name}", "use": use, "license": None}
    data = facts.get("data") or [{**unknown, "domain": None, "url": None}]
    scores = facts.get("scores", {}) if facts else None
    return {"data": data, "command": facts.get("command"), "preset": facts.get("preset"), "scores": scores}
