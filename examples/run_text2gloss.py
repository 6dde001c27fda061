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
from kgloss_hf.data.arguments import CorpusArguments
from kgloss_hf.data.parts import load_corpus
from kgloss_hf.evaluation.baselines import baseline_predictions
from kgloss_hf.evaluation.results import human_scores, score_table, scores_on
from kgloss_hf.hub.provenance import gloss_sources
from kgloss_hf.models.modeling import PRESETS, build_model, transfer
from kgloss_hf.options import parse_arguments
from kgloss_hf.reporting import print_tables, use_utf8
from kgloss_hf.runtime.analyzers import ANALYZERS
from kgloss_hf.runtime.tokenization_kgloss import ANALYZER
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.record import check_record, check_vocabulary, digest_of, digest_of_checkpoint, options_of
from kgloss_hf.training.run import begin_run, run_of, save_result
from kgloss_hf.training.tokenizer_run import check_glosses, tokenizer_for
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, jaccard_of_generation, predict


@dataclass
class DataArguments(CorpusArguments):
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
    analyzer: str | None = field(
        default=None,
        metadata={
            "help": "Morphological analyser; default okt. Other languages: whitespace.",
            "choices": tuple(ANALYZERS),
        },
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

    with PartialState().main_process_first():
        corpus = load_corpus(data)
    split, types = corpus.split, corpus.types
    PartialState().print(corpus.note)
    sources = gloss_sources(data, license=data.data_license, domain=data.data_domain)
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
        analyzer=chosen.analyzer,
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
    baselines = baseline_predictions(split, tokenizer.init_kwargs.get("analyzer", ANALYZER))
    scores = scores_on([pair.glosses for pair in split.test], {**baselines, preset: ours})
    scores |= human_scores(split.test)
    names = {source["name"] for source in sources}
    facts = {
        "preset": preset,
        "scores": scores,
        "pairs": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        "extra_pairs_dropped": split.dropped,
        "split": {"by": corpus.by, "seed": data.split_seed},
        **({"pretext": {"command": before["command"]}} if chosen.pretext else {}),
        "data": sources + [corpus for corpus in before["data"] if corpus["name"] not in names],
    }
    rows = [
        {"text": pair.text, "reference": list(pair.glosses), "prediction": glosses}
        for pair, glosses in zip(split.test, ours, strict=True)
    ]
    folder = save_result(run, trainer, tokenizer, facts=facts, predictions=rows)
    if trainer.is_world_process_zero():
        print_tables([score_table(f"Scores on {len(split.test)} test pairs", scores)])
        print(f"Model, tokenizer, card, metrics.json, predictions.jsonl and training.png are in {folder}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(str(error))
