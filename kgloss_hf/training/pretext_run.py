"""Train on the pretext task, from a Korean sentence to one with the same meaning, with the model used for glosses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState
from transformers import set_seed

from ..data.parts import training_pairs
from ..files import check_model
from ..hub.provenance import gloss_sources, pretext_sources
from ..models.modeling import PRESETS, build_model
from ..reporting import use_utf8, visible
from .arguments import PretextDataArguments, PretextModelArguments
from .console import command_line, parsed, quoted, resumable
from .display import RunDisplay, quieten
from .encoding import encode_pretext
from .pretext import load_pretext, sentences, split_pretext
from .record import check_record, check_vocabulary, digest_of, digest_of_checkpoint, options_of
from .run import begin_run, how_to_go_on, save_result
from .tokenizer_run import tokenizer_for
from .trainer import PretextTrainingArguments, build_trainer


def main(words: Sequence[str] | None = None, program: str = "kgloss pretext") -> None:
    """Train a model on the pretext task and write the result, as the command line specifies.

    Args:
        words: As for `kgloss_hf.training.text2gloss.main`, whose errors are raised here too.
        program: Name that precedes the words, for metrics.json and for messages.
    """
    use_utf8()
    command = command_line(words, program)
    data: PretextDataArguments
    chosen: PretextModelArguments
    args: PretextTrainingArguments
    data, chosen, args = parsed(words, program, PretextDataArguments, PretextModelArguments, PretextTrainingArguments)
    folder = Path(args.output_dir)
    with resumable(lambda: how_to_go_on(folder, command)), RunDisplay() as display:
        quieten()
        check_model(chosen.tokenizer, "--tokenizer", "tokenizer_config.json")
        run = begin_run(args, resume=chosen.resume, command=command)
        set_seed(args.seed)

        with PartialState().main_process_first():
            dataset = load_pretext(data.pretext_dir, pairs=data.pairs, corpus=data.corpus)
            glosses = training_pairs(data)
        train, validation = split_pretext(dataset, data.validation_share, by=data.split, seed=data.split_seed)
        PartialState().print(f"Training pairs: {len(train):,}; validation pairs: {len(validation):,}")
        sources = pretext_sources(dataset.unique("origin"))
        sources += gloss_sources(data, license=data.data_license, domain=data.data_domain)
        parts = {"training": train, "validation": validation}
        content = {f"{name} pairs": digest_of(rows.tolist()) for name, rows in parts.items()}
        content |= {"sentences": digest_of(sentences(dataset)), "pairs with glosses": digest_of(glosses)}
        if chosen.tokenizer:
            content["tokenizer"] = digest_of_checkpoint(chosen.tokenizer)
        check_record(run.folder, options_of(args, data, chosen), content, begun=run.checkpoint is not None)

        tokenizer = tokenizer_for(
            glosses,
            run.folder,
            vocab_size=chosen.vocab_size,
            trained=chosen.tokenizer,
            texts=sentences(dataset),
            copy_names=chosen.copy_names,
            analyzer=chosen.analyzer,
        )
        check_vocabulary(run.checkpoint, tokenizer)
        with PartialState().main_process_first():
            encoded = encode_pretext(tokenizer, dataset)
        model = build_model(chosen.preset, tokenizer)
        trainer = build_trainer(
            model,
            tokenizer,
            args,
            encoded.select(train),
            encoded.select(validation),
            None,
            share_embeddings=PRESETS[chosen.preset].share_embeddings,
            patience=chosen.patience,
            display=display,
        )
        trainer.train(resume_from_checkpoint=run.checkpoint)

        facts = {
            "preset": chosen.preset,
            "data": sources,
            "pairs": {"train": len(train), "validation": len(validation)},
            "split": {"by": data.split, "seed": data.split_seed, "validation_share": data.validation_share},
        }
        result = save_result(run, trainer, tokenizer, facts=facts)
    if trainer.is_world_process_zero():
        print(f"Model, tokenizer, card, metrics.json and training.png are in {result}")
        print(visible(f"Next, train on glosses: {quoted(['kgloss', 'train', '--pretext', str(result)])} --dataset …"))
