"""Begin a run in its folder, go on with it after an interruption, and write and publish its result."""

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

from ..files import public_path, save_folder, sole_writer
from ..hub.cards import write_facts
from ..hub.publishing import Publication, check_access, publish
from ..hub.remote_code import add_remote_code
from ..optional import versions
from ..reporting import plot_training, visible
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .console import command_line, quoted

logger = logging.getLogger(__name__)


class _Run(NamedTuple):
    """A run that has begun.

    Args:
        folder: Checkpoints lie in its folder `checkpoints`, the result of a finished run in `model`.
        checkpoint: The last whole checkpoint of an unfinished run, or None for a new one.
        publication: Where the result goes on the Hub, or None.
        command: Words by which the run was started.
    """

    folder: Path
    checkpoint: str | None = None
    publication: Publication | None = None
    command: Sequence[str] = ()


def begin_run(args: Seq2SeqTrainingArguments, *, resume: bool, command: Sequence[str] | None = None) -> _Run:
    """Reserve a run's folder until the process ends, and find the checkpoint to go on from.

    Later checkpoints that were cut short are deleted, with a warning. `args` is changed: the trainer writes its
    checkpoints to the folder's `checkpoints`, and leaves pushing to `save_result`.

    Args:
        args: `output_dir` is the run's folder. With `push_to_hub` and `hub_model_id`, the right to write to that
            repository is checked now.
        resume: Go on from the last checkpoint.
        command: Words by which the run was started (default: those of a script), for metrics.json.

    Raises:
        ValueError: The folder holds a finished run; or an unfinished one, and `resume` is not set; or the best
            checkpoint, with which the run would end, is missing or cut short. Nothing is deleted then. Or the
            repository has no name, or nothing may be written to it.
        RuntimeError: Another process is at work in the folder.
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
        checkpoints = _checkpoints(output_dir)  # those that the main process has looked through
        return str(checkpoints[0]) if checkpoints else None


_kept = ExitStack()
atexit.register(_kept.close)


def _checkpoint_to_resume(output_dir: str, *, resume: bool) -> str | None:
    """Return the last whole checkpoint as `begin_run` does, without reserving the folder."""
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
        logger.warning("%s cannot be used: %s. Going on from the one before", checkpoint, reason)
        shutil.rmtree(checkpoint)
    return str(checkpoints[len(broken)]) if len(checkpoints) > len(broken) else None


def how_to_go_on(folder: Path, command: Sequence[str]) -> str:
    """Say in a line what an interrupted run has left, and which command goes on.

    Args:
        folder: The run's; the second training of a refit has a folder `refit` in it.
        command: Words by which the run was started.

    Example:
        >>> how_to_go_on(Path("outputs/new"), ["kgloss", "train", "--output_dir", "outputs/new"])
        'There is no checkpoint yet. Begin anew: kgloss train --output_dir outputs/new'
    """
    if (folder / "model").exists():
        return f"The result is whole in {folder / 'model'}."
    whole = (each for part in (folder / "refit", folder) for each in _checkpoints(str(part)) if _broken(each) is None)
    checkpoint = next(whole, None)
    several = PartialState().num_processes > 1  # started by a launcher, whose words are not known here
    if checkpoint is None:
        return f"There is no checkpoint yet. Begin anew: {'the same command' if several else quoted(command)}"
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    reached = f"epoch {state['epoch']:.4g} (step {state['global_step']} of {state['max_steps']})"
    again = "the same command with --resume" if several else quoted(command, "--resume")
    return f"Up to {reached} the run is kept in {checkpoint}. Go on: {again}"


def _checkpoints(output_dir: str) -> list[Path]:
    """Return a run's checkpoints, the last first."""
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
    """Return why a checkpoint cannot be used, such as a damaged file, or None."""
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


def _publication(args: Seq2SeqTrainingArguments) -> Publication | None:
    """Return where the result goes after training, and check now that it may."""
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
    """Write the result of a finished run, under its final name only once it is complete, and publish it.

    Args:
        run: From `begin_run`.
        trainer: Holds the best model.
        tokenizer: Its tokenizer.
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
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if args.max_steps > 0:  # which wins over epochs
        given = {"max_steps": args.max_steps} | {name: value for name, value in given.items() if "epochs" not in name}
    return {"pairs_a_step": of_a_step} | {name: getattr(value, "value", value) for name, value in given.items()}


def _emissions(trainer: Seq2SeqTrainer) -> dict[str, Any]:
    """Return what codecarbon measured, where `--report_to codecarbon` asked for it."""
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
    """Describe in words the hardware of a run.

    Args:
        args: The run's training arguments.
    """
    device = torch.cuda.get_device_name() if args.device.type == "cuda" else args.device.type
    dtype = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} {platform.machine()} cores"
    return f"{args.world_size} × {device}, {dtype}, {threads}"


def run_of(checkpoint: str, use: str = "pretext") -> dict[str, Any]:
    """Return what a checkpoint was trained on and how, by its `metrics.json`.

    Args:
        checkpoint: Folder or Hub repository.
        use: What its data are taken to be for, where nothing says.

    Returns:
        `data`, as `source_of`, one whose licence is not known where nothing says; `command` and `preset`, or None; and
        `scores`, empty for a pretext, or None.

    Example:
        >>> run_of(getfixture("checkpoint"))["command"] is None
        True
    """
    file = cached_file(checkpoint, "metrics.json", _raise_exceptions_for_missing_entries=False)
    facts = json.loads(Path(file).read_text("utf-8")) if file else {}
    unknown = {"name": f"data of {Path(checkpoint).name}", "use": use, "license": None}
    data = facts.get("data") or [{**unknown, "domain": None, "url": None}]
    scores = facts.get("scores", {}) if facts else None
    return {"data": data, "command": facts.get("command"), "preset": facts.get("preset"), "scores": scores}
