"""Train a text-to-gloss model, score it alongside two baselines, and save a folder that `pipeline` can load."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import set_seed

from ..data.parts import load_corpus
from ..evaluation.baselines import baseline_predictions
from ..evaluation.comparisons import compare, comparison_words, decoding_words
from ..evaluation.results import human_scores, score_table, scores_on
from ..hub.provenance import gloss_sources
from ..reporting import counted, print_tables, use_utf8, visible
from ..runtime import targets
from ..runtime.tokenization_kgloss import ANALYZER
from . import refit
from .arguments import DataArguments, DecodingArguments, ModelArguments
from .console import as_script, command_line, parsed, resumable
from .decoding_choice import choose_decoding
from .display import RunDisplay, quieten
from .encoding import encode_pairs, unknown_glosses
from .record import check_record, check_vocabulary, digest_of, options_of
from .run import begin_run, how_to_go_on, save_result
from .start import Start
from .trainer import TrainingArguments, build_trainer, jaccard_of_generation, predict


def main(words: Sequence[str] | None = None, program: str = "kgloss train") -> None:
    """Train a model, score it and write the result, as the command line specifies.

    Args:
        words: Options, optionally preceded by a YAML file of options (default: those that the script was started with).
        program: Name that precedes the words, for metrics.json and for messages.

    Raises:
        ValueError: An option, a file or a row is invalid, or the folder holds another run.
        OSError: A file is missing or cannot be written.
        KeyboardInterrupt: After Ctrl-C; a line on standard error has told how to continue.
        SystemExit: An option is unknown, which standard error reports, or the run was terminated.
    """
    use_utf8()
    command = command_line(words, program)
    if first := _train(command, parsed(words, program, *OPTIONS)):  # changes the options, so they are parsed again
        _train(command, parsed(words, program, *OPTIONS), first)


OPTIONS = (DataArguments, ModelArguments, DecodingArguments, TrainingArguments)
"""Dataclasses of a run's options."""


def _train(
    command: Sequence[str],
    options: tuple[Any, ...],
    first: refit.Chosen | None = None,
) -> refit.Chosen | None:
    """Train and write the result; with --refit, return the choices of a first training for a second one."""
    data: DataArguments
    chosen: ModelArguments
    penalties: DecodingArguments
    args: TrainingArguments
    data, chosen, penalties, args = options
    folder = Path(args.output_dir)
    with resumable(lambda: how_to_go_on(folder, command)), RunDisplay(first.epochs if first else None) as display:
        quieten()
        penalties.check()
        start = Start(chosen)
        if first:
            refit.without_evaluation(args)
            chosen.patience = None
        elif chosen.refit:
            refit.check_refit(args)
        run = begin_run(args, resume=chosen.resume, command=command)
        set_seed(args.seed)

        with PartialState().main_process_first():
            corpus = load_corpus(data)
        split, types = corpus.split, corpus.types
        if first:
            split = refit.joined(split)
            PartialState().print(
                f"Training again on the training and validation sets ({counted(len(split.train), 'pair')}), up "
                f"to epoch {first.epochs:.4g}"
            )
        else:
            PartialState().print(corpus.note)
        parts = {"training": split.train, "validation": split.validation, "test": split.test}
        content = {f"{name} pairs": digest_of(part) for name, part in parts.items()}
        content |= {"gloss types": digest_of(sorted(types.items())), **start.digests()}
        check_record(run.folder, options_of(args, data, chosen, penalties), content, begun=run.checkpoint is not None)
        if chosen.refit and not first and run.checkpoint and (earlier := refit.chosen_before(run.folder)):
            return earlier

        tokenizer = start.tokenizer(split.train, run.folder)
        check_vocabulary(run.checkpoint, tokenizer)
        penalties.check(tokenizer)
        _report_unknown(tokenizer, parts, None if start.origin else chosen.tokenizer)
        encoded = encode_pairs(tokenizer, split.train)
        trains = args.max_steps > 0 or args.num_train_epochs > 0
        model = start.model(tokenizer, types, max(map(len, encoded["labels"])), trains=trains)
        trainer = build_trainer(
            model,
            tokenizer,
            args,
            encoded,
            encode_pairs(tokenizer, split.validation),
            jaccard_of_generation(tokenizer, split.validation),
            patience=chosen.patience,
            display=display,
            **start.training_options(model),
        )
        if first:
            trainer.add_callback(refit.StopAfter(first.epochs))
        trainer.train(resume_from_checkpoint=run.checkpoint)
        decoding = choose_decoding(trainer, tokenizer, first.penalties if first else penalties, display)
        if chosen.refit and not first:
            return refit.choose(trainer, run.folder, decoding)

        ours = predict(trainer, tokenizer, split.test)
        baselines = baseline_predictions(split, tokenizer.init_kwargs.get("analyzer", ANALYZER))
        references = [pair.glosses for pair in split.test]
        scores = scores_on(references, {**baselines, start.preset: ours})
        comparisons = compare(references, ours, baselines)
        scores |= human_scores(split.test)
        facts = {
            "scores": scores,
            "comparisons": comparisons,
            "decoding": first.decoding if first else decoding,
            "pairs": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
            "extra_pairs_dropped": split.dropped,
            "split": {"by": corpus.by, "seed": data.split_seed},
            **(refit.refit_facts(first, args.num_train_epochs, len(split.validation)) if first else {}),
            **start.facts(tokenizer, gloss_sources(data, license=data.data_license, domain=data.data_domain)),
        }
        rows = [
            {"text": pair.text, "reference": list(pair.glosses), "prediction": glosses}
            for pair, glosses in zip(split.test, ours, strict=True)
        ]
        result = save_result(run._replace(folder=folder), trainer, tokenizer, facts=facts, predictions=rows)
    if trainer.is_world_process_zero():
        print_tables([score_table(f"Scores on {counted(len(split.test), 'test pair')}", scores)])
        print("\n".join([*comparison_words(start.preset, comparisons), decoding_words(facts["decoding"])]))
        print(f"Model, tokenizer, card, metrics.json, predictions.jsonl and training.png are in {result}")
        example = min((pair.text for pair in split.test), key=len)
        print(visible(f"Try it: kgloss translate {shlex.join([str(result), example])}"))
    return None


def _report_unknown(tokenizer: Any, parts: dict[str, Any], trained: str | None) -> None:
    """Report which glosses are [UNK] and why, instead of the tokenizer's warnings, which give no reason."""
    scored = {name: pairs for name, pairs in parts.items() if name != "training" or trained}
    if parts["validation"] == parts["test"]:
        del scored["test"]
    PartialState().print(*unknown_glosses(tokenizer, scored, trained), sep="\n", end="\n" * bool(scored))
    targets.logger.setLevel(logging.ERROR)


if __name__ == "__main__":  # entry point of the runs of Table 5
    sys.exit(as_script(lambda: main(sys.argv[1:])))
