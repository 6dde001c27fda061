"""Train the pretext: from a Korean sentence to another that means the same, with the glosses' model and tokenizer.

    python examples/run_pretext.py --pretext_dir PATH_TO_CORPUS --dataset mcksg --output_dir outputs/pretext
    accelerate launch examples/run_pretext.py --pretext_dir FOLDER --pairs paraphrase --dataset gksl --data_dir FOLDER

The pairs come from `kgloss back-translate`, or are human paraphrases. `run_text2gloss.py --pretext OUTPUT_DIR/model`
goes on from the result. Options come from the command line, or from a YAML file given first; the command line wins.
"""

import sys
from dataclasses import dataclass, field

from accelerate import PartialState
from transformers import HfArgumentParser, set_seed

import kgloss_hf  # noqa: F401 - registers ko_backtranslation, mcksg and gksl
from kgloss_hf.data.arguments import PartArguments
from kgloss_hf.data.parts import training_pairs
from kgloss_hf.hub.provenance import gloss_sources, pretext_sources
from kgloss_hf.models.modeling import PRESETS, build_model
from kgloss_hf.options import parse_arguments
from kgloss_hf.reporting import use_utf8
from kgloss_hf.training.encoding import encode_pretext
from kgloss_hf.training.pretext import load_pretext, sentences, split_pretext
from kgloss_hf.training.record import check_record, check_vocabulary, digest_of, digest_of_checkpoint, options_of
from kgloss_hf.training.run import begin_run, save_result
from kgloss_hf.training.tokenizer_run import VocabularyArguments, tokenizer_for
from kgloss_hf.training.trainer import PretextTrainingArguments, build_trainer


@dataclass
class DataArguments(PartArguments):
    pretext_dir: str = field(
        kw_only=True, metadata={"help": "Folder of kgloss back-translate, or of the public corpora."}
    )
    pairs: str = field(
        default="backtranslation",
        metadata={
            "help": "backtranslation, or paraphrase: human ones.",
            "choices": ("backtranslation", "paraphrase"),
        },
    )
    corpus: str = field(default="all", metadata={"help": "One of the pretext's corpora, such as parakqc, or all."})
    validation_share: float = field(default=0.3, metadata={"help": "Share of the pairs that choose the checkpoint."})
    split: str = field(
        default="group",
        metadata={
            "help": "group: a sentence stays on one side. row: the paper's, at random by pair.",
            "choices": ("group", "row"),
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Seed of the split, apart from the seed of training."})
    data_license: str | None = field(default=None, metadata={"help": "Its licence: as in run_text2gloss.py."})
    data_domain: str | None = field(default=None, metadata={"help": "What it is about: as in run_text2gloss.py."})


@dataclass
class ModelArguments(VocabularyArguments):
    preset: str = field(default="small", metadata={"help": "Shape of the model.", "choices": tuple(PRESETS)})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of kgloss train-tokenizer; default: learn one on all sentences."}
    )
    patience: int | None = field(default=None, metadata={"help": "Stop after this many evaluations without a gain."})
    resume: bool = field(default=False, metadata={"help": "Go on from the last checkpoint in output_dir."})


def main() -> None:
    use_utf8()
    parser = HfArgumentParser((DataArguments, ModelArguments, PretextTrainingArguments))
    data, chosen, args = parse_arguments(parser, sys.argv[1:])
    run = begin_run(args, resume=chosen.resume)
    set_seed(args.seed)

    with PartialState().main_process_first():
        dataset = load_pretext(data.pretext_dir, pairs=data.pairs, corpus=data.corpus)
        glosses = training_pairs(data)  # whose glosses the vocabulary holds
    train, validation = split_pretext(dataset, data.validation_share, by=data.split, seed=data.split_seed)
    PartialState().print(f"{len(train):,} training and {len(validation):,} validation pairs")
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
    )
    trainer.train(resume_from_checkpoint=run.checkpoint)

    facts = {
        "preset": chosen.preset,
        "data": sources,
        "pairs": {"train": len(train), "validation": len(validation)},
        "split": {"by": data.split, "seed": data.split_seed, "validation_share": data.validation_share},
    }
    folder = save_result(run, trainer, tokenizer, facts=facts)
    if trainer.is_world_process_zero():
        if trainer.state.best_metric is not None:
            print(f"Lowest validation loss: {trainer.state.best_metric:.4f}")
        print(f"Model, tokenizer, card, metrics.json and training.png are in {folder}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(str(error))
