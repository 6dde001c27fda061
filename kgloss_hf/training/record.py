"""Record the options and data that a run was started with, and refuse to resume it with others."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Seq2SeqTrainingArguments
from transformers.utils import cached_file

from ..files import read_json, save_file, write_json
from ..optional import versions
from ..runtime.tokenization_kgloss import KGlossTokenizerFast

logger = logging.getLogger(__name__)

RECORD = "run.json"
"""File in a run's folder that records what the run was started with."""

# Options that do not affect the result: names of files and repositories, what is logged and shown, and how the same
# steps are divided among devices and processes. Options that name data are here because the data itself is compared.
_WITHOUT_EFFECT = re.compile(
    r"(output_dir|overwrite_output_dir|run_name|project|report_to|disable_tqdm|debug|skip_memory_metrics|resume|"
    r"dataset|config|data_dir|pretext_dir|train|validation|test|extra_train|text_column|gloss_column|gloss_separator|"
    r"encoding|on_bad_rows|sense|data_license|data_domain|tokenizer|pretext|init_from|(encoder_)?model_name_or_path|"
    r"use_cpu|no_cuda|use_mps_device|local_rank|_n_gpu|torch_empty_cache_steps|mp_parameters|ray_scope|"
    r"(train|eval)_batch_size|gradient_accumulation_steps|eval_accumulation_steps|accelerator_config|deepspeed|"
    r"gradient_checkpointing|activation_checkpointing|parallelism_config|enable_jit_checkpoint|include_.*|"
    r"save_total_limit|save_on_each_node|save_safetensors|save_only_model|resume_from_checkpoint|do_\w+|"
    r"dataloader_(num_workers|pin_memory|persistent_workers|prefetch_factor|multiprocessing_context)|"
    r"(logging|log|hub|push_to_hub|trackio|per_device|per_gpu|ddp|fsdp|tpu)_?\w*|\w+_checkpointing_kwargs)"
)


def digest_of(rows: Iterable[Any]) -> dict[str, Any]:
    """Return the number of rows and a hash of them in their order.

    Args:
        rows: Values that JSON can represent, such as pairs; read once.

    Examples:
        >>> digest_of([("집에 불이 났어요.", ["집", "불"])])["number"]
        1
    """
    digest, number = hashlib.sha256(), 0
    for number, row in enumerate(rows, 1):  # noqa: B007 - the last number is used after the loop
        digest.update(json.dumps(row).encode() + b"\n")
    return {"number": number, "sha256": digest.hexdigest()}


def digest_of_checkpoint(checkpoint: str) -> dict[str, Any]:
    """Return a hash of the weights and vocabulary of a model, or of the vocabulary of a tokenizer.

    Args:
        checkpoint: Folder or Hub repository.

    Examples:
        >>> list(digest_of_checkpoint(getfixture("checkpoint")))
        ['sha256']
    """
    digest = hashlib.sha256()
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        if file := cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False):
            with open(file, "rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return {"sha256": digest.hexdigest()}


def options_of(args: Seq2SeqTrainingArguments, *others: Any) -> dict[str, Any]:
    """Return the options that a run's result depends on, as they look after a round trip through JSON.

    Args:
        args: Training arguments. Batch sizes count only through the number of pairs per optimiser step.
        others: Other dataclasses of options.

    Examples:
        >>> from kgloss_hf.training.trainer import TrainingArguments
        >>> options_of(TrainingArguments(output_dir="outputs/demo", use_cpu=True))["learning_rate"]
        0.0005
    """
    every = {name: value for group in others for name, value in asdict(group).items()} | args.to_sanitized_dict()
    counted = {name: value for name, value in every.items() if not _WITHOUT_EFFECT.fullmatch(name)}
    counted["pairs_a_step"] = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    as_json: dict[str, Any] = json.loads(json.dumps(counted))
    return as_json


def check_record(
    folder: Path, options: Mapping[str, Any], data: Mapping[str, Mapping[str, Any]], *, begun: bool
) -> None:
    """Record what a run is started with, or refuse to resume a run that was started with other options or data.

    Args:
        folder: Folder of the run. A tokenizer in it is one that the run learnt; it is deleted if nothing has been
            trained yet and the run now starts with other options or data.
        options: Options from `options_of`.
        data: Hashes from `digest_of` and `digest_of_checkpoint`, by what they describe.
        begun: Whether a checkpoint exists to continue from.

    Raises:
        ValueError: The run was started with other options or data, which are named, or it has no record.
    """
    record = {"options": dict(options), "data": dict(data), "versions": versions("kgloss-hf", "torch", "transformers")}
    file = folder / RECORD
    with PartialState().main_process_first():
        before = read_json(file, missing={})
        if begun and not before:
            raise ValueError(
                f"{folder} holds a run without {RECORD}, the record of its options and data; start again in another "
                "--output_dir, or delete it"
            )
        if begun:
            if changed := differences(before, record):
                raise ValueError(
                    f"{folder} holds a run that was started with other options or data: {'; '.join(changed)}. Use the "
                    "original ones, start again in another --output_dir, or delete it"
                )
            if before["versions"] != record["versions"]:
                logger.warning(
                    "%s was started with the versions %s, but %s are installed now",
                    folder,
                    before["versions"],
                    record["versions"],
                )
        elif before != record and PartialState().is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder / "tokenizer", ignore_errors=True)
            save_file(file, lambda path: write_json(path, record))


def check_vocabulary(checkpoint: str | None, tokenizer: KGlossTokenizerFast) -> None:
    """Check that a run's tokenizer gives its tokens the same ids as the checkpoint to continue from.

    Args:
        checkpoint: Folder to continue from; None for a new run.
        tokenizer: The run's tokenizer.

    Raises:
        ValueError: The checkpoint's model was trained with another vocabulary.

    Examples:
        >>> check_vocabulary(getfixture("checkpoint"), getfixture("tokenizer"))
    """
    if checkpoint is None:
        return
    config = read_json(Path(checkpoint) / "config.json")
    if config.get("vocabulary_digest") != tokenizer.vocabulary_digest:
        raise ValueError(
            f"{checkpoint}: expected the run's tokenizer, found one with another vocabulary; restore the run's folder "
            "tokenizer, or start again in another --output_dir"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List the options and data in which two records differ, with their earlier and current values.

    Args:
        before: Earlier record, with `options` and `data`. Options that it lacks, such as those added by a later
            version, are ignored.
        now: Current record.

    Examples:
        >>> before = {"options": {"seed": 0}, "data": {"test pairs": {"number": 41, "sha256": "a1"}}}
        >>> now = {"options": {"seed": 1}, "data": {"test pairs": {"number": 41, "sha256": "b2"}}}
        >>> differences(before, now)
        ['seed: 0 before, 1 now', 'test pairs: 41 before and 41 now, with different content']
    """
    options, data = before.get("options", {}), before.get("data", {})
    changes = [
        f"{name}: {options[name]} before, {value} now"
        for name, value in now["options"].items()
        if name in options and options[name] != value
    ]
    for name in {**data, **now["data"]}:
        then, today = data.get(name), now["data"].get(name)
        if then != today:
            counts = [digest["number"] for digest in (then, today) if digest and "number" in digest]
            if then is None or today is None:
                changes.append(f"{name}: {'none before' if then is None else 'none now'}")
            elif counts:
                changes.append(f"{name}: {counts[0]:,} before and {counts[1]:,} now, with different content")
            else:
                changes.append(f"{name}: different content now")
    return changes
