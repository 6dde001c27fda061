"""Train a text-to-gloss model, score it beside two baselines, and leave a folder that `pipeline` loads.

    python examples/run_text2gloss.py --dataset mcksg --preset tiny --output_dir outputs/demo
    accelerate launch examples/run_text2gloss.py examples/gksl.yaml --data_dir PATH_TO_GKSL
    python examples/run_text2gloss.py --dataset mcksg --preset small --pretext outputs/pretext/model

Options come from the command line, or from a YAML file given first; the command line wins.
"""

import sys
from dataclasses import dataclass, field

from accelerate import PartialState
from transformers import HfArgumentParser, set_seed

import kgloss_hf  # noqa: F401 - registers mcksg and gksl
from kgloss_hf.data.pairs import load_extra_pairs, load_gloss_types, load_pairs, split_pairs
from kgloss_hf.evaluation.baselines import baseline_predictions
from kgloss_hf.evaluation.results import score_table, scores_on
from kgloss_hf.hub.provenance import gloss_sources
from kgloss_hf.models.modeling import PRESETS, build_model, transfer
from kgloss_hf.options import parse_arguments
from kgloss_hf.reporting import print_tables, use_utf8
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.record import check_record, check_vocabulary, digest_of, digest_of_checkpoint, options_of
from kgloss_hf.training.run import begin_run, run_of, save_result
from kgloss_hf.training.tokenizer_run import check_glosses, tokenizer_for
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, jaccard_of_generation, predict


@dataclass
class DataArguments:
    dataset: str = field(
        default="mcksg", metadata={"help": "mcksg, gksl, a Hub id, or CSV/TSV/JSON Lines/Parquet/XLSX files."}
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with your copy of a data set that is not shipped."}
    )
    extra_train: str | None = field(
        default=None, metadata={"help": "More training pairs: a configuration of the data set, or files."}
    )
    text_column: str = field(default="text", metadata={"help": "Column with the Korean sentence."})
    gloss_column: str = field(default="glosses", metadata={"help": "Column with the glosses: a list or a string."})
    split: str = field(
        default="group",
        metadata={
            "help": "group: leak-free 70:10:20. row: the paper's 70:30 by row, without a test part.",
            "choices": ("group", "row"),
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Seed of the split, apart from the seed of training."})
    data_license: str | None = field(
        default=None,
        metadata={"help": "For the model's card: licence of your corpus, as the Hub names it (cc-by-4.0)."},
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the model's card: what your corpus is about."})


@dataclass
class ModelArguments:
    preset: str | None = field(
        default=None,
        metadata={"help": "Shape of the model (default: that of --pretext, else tiny).", "choices": tuple(PRESETS)},
    )
    vocab_size: int | None = field(
        default=None, metadata={"help": "Word pieces to learn at most, before glosses; default 10,000."}
    )
    vocabulary: str | None = field(
        default=None,
        metadata={
            "help": "Learn word pieces (default), or take each word whole (paper: small).",
            "choices": ("pieces", "words"),
        },
    )
    copy_names: int | None = field(
        default=None,
        metadata={"help": "Copy unknown nouns; learn it on those of at most this many sentences. Default: do not."},
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of kgloss train-tokenizer; default: learn one on the training part."}
    )
    pretext: str | None = field(
        default=None,
        metadata={"help": "Model of run_pretext.py to go on from; brings its tokenizer. Default: from scratch."},
    )
    num_beams: int | None = field(default=None, metadata={"help": "Beams of the saved model; default the preset's."})
    patience: int | None = field(default=None, metadata={"help": "Stop after this many evaluations without a gain."})
    resume: bool = field(default=False, metadata={"help": "Go on from the last checkpoint in output_dir."})


def main() -> None:
    use_utf8()
    parser = HfArgumentParser((DataArguments, ModelArguments, TrainingArguments))
    data, chosen, args = parse_arguments(parser, sys.argv[1:])
    run = begin_run(args, resume=chosen.resume)
    set_seed(args.seed)

    columns = {"data_dir": data.data_dir, "text_column": data.text_column, "gloss_column": data.gloss_column}
    with PartialState().main_process_first():
        pairs = load_pairs(data.dataset, **columns)
        extra = load_extra_pairs(data.dataset, data.extra_train, **columns)
        types = load_gloss_types(data.dataset, data_dir=data.data_dir, gloss_column=data.gloss_column)
    split = split_pairs(pairs, extra, by=data.split, seed=data.split_seed)
    PartialState().print(
        f"{len(split.train)} training, {len(split.validation)} validation and {len(split.test)} test pairs; "
        f"{split.dropped} extra pairs dropped for a sentence or gloss string shared with a held-out pair"
    )
    known = {"data_dir": data.data_dir, "license": data.data_license, "domain": data.data_domain}
    sources = gloss_sources(data.dataset, data.extra_train, **known)
    before = run_of(chosen.pretext) if chosen.pretext else {"data": [], "preset": None}
    preset = chosen.preset or before["preset"] or "tiny"
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    content = {f"{name} pairs": digest_of(part) for name, part in parts.items()}
    content["gloss types"] = digest_of(sorted(types.items()))
    content |= {
        name: digest_of_checkpoint(given)
        for name, given in (("tokenizer", chosen.tokenizer), ("pretext", chosen.pretext))
        if given
    }
    check_record(run.folder, options_of(args, data, chosen), content, begun=run.checkpoint is not None)

    tokenizer = tokenizer_for(
        split.train,
        run.folder,
        vocab_size=chosen.vocab_size,
        vocabulary=chosen.vocabulary,
        trained=chosen.tokenizer or chosen.pretext,
        copy_names=chosen.copy_names,
    )
    check_vocabulary(run.checkpoint, tokenizer)
    model = build_model(preset, tokenizer, num_beams=chosen.num_beams)
    if chosen.pretext:
        check_glosses(tokenizer, split.train, chosen.pretext)
        transfer(model, tokenizer, chosen.pretext)
    model.config.gloss_types = types  # travel with the model, for what a signing avatar does with its output
    encoded = encode_pairs(tokenizer, split.train)
    # No use in going on far beyond what was learnt: an untrained model would, at every evaluation.
    longest = 2 * max(map(len, encoded["labels"]))
    model.generation_config.max_length = min(model.generation_config.max_length, longest)
    trainer = build_trainer(
        model,
        tokenizer,
        args,
        encoded,
        encode_pairs(tokenizer, split.validation),
        jaccard_of_generation(tokenizer, split.validation),
        share_embeddings=PRESETS[preset].share_embeddings,
        patience=chosen.patience,
    )
    trainer.train(resume_from_checkpoint=run.checkpoint)

    ours = predict(trainer, tokenizer, split.test)
    scores = scores_on([pair.glosses for pair in split.test], {**baseline_predictions(split), preset: ours})
    names = {source["name"] for source in sources}
    facts = {
        "preset": preset,
        "scores": scores,
        "pairs": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        "extra_pairs_dropped": split.dropped,
        "split": {"by": data.split, "seed": data.split_seed},
        **({"pretext": {"command": before["command"]}} if chosen.pretext else {}),
        "data": sources + [corpus for corpus in before["data"] if corpus["name"] not in names],
    }
    rows = [
        {"text": pair.text, "reference": list(pair.glosses), "prediction": glosses}
        for pair, glosses in zip(split.test, ours, strict=True)
    ]
    folder = save_result(run, trainer, tokenizer, facts=facts, predictions=rows)
    if trainer.is_world_process_zero():
        print_tables([score_table(f"Jaccard score on {len(split.test)} test pairs", scores)])
        print(f"Model, tokenizer, card, metrics.json, predictions.jsonl and training.png are in {folder}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(str(error))
