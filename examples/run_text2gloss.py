"""Train a text-to-gloss model, score it beside two baselines, and leave a folder that `pipeline` loads.

    python examples/run_text2gloss.py --dataset mcksg --preset tiny --output_dir outputs/demo
    accelerate launch examples/run_text2gloss.py examples/gksl.yaml --data_dir PATH_TO_GKSL
    python examples/run_text2gloss.py --dataset mcksg --preset small --pretext outputs/pretext/model
    python examples/run_text2gloss.py --dataset more.csv --init_from outputs/demo/model --output_dir outputs/more

Options come from the command line, or from a YAML file given first; the command line wins.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import PartialState
from transformers import HfArgumentParser, set_seed

import kgloss_hf  # noqa: F401 - registers mcksg and gksl
from kgloss_hf.data.arguments import CorpusArguments
from kgloss_hf.data.parts import load_corpus
from kgloss_hf.evaluation.baselines import baseline_predictions
from kgloss_hf.evaluation.comparisons import compare, comparison_words, decoding_words
from kgloss_hf.evaluation.results import human_scores, score_table, scores_on
from kgloss_hf.hub.provenance import gloss_sources
from kgloss_hf.options import parse_arguments
from kgloss_hf.reporting import print_tables, use_utf8
from kgloss_hf.runtime.tokenization_kgloss import ANALYZER
from kgloss_hf.training import refit
from kgloss_hf.training.decoding_choice import DecodingArguments, choose_decoding
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.record import check_record, check_vocabulary, digest_of, options_of
from kgloss_hf.training.run import begin_run, save_result
from kgloss_hf.training.start import Start, StartArguments
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, jaccard_of_generation, predict


@dataclass
class DataArguments(CorpusArguments):
    data_license: str | None = field(
        default=None,
        metadata={"help": "For the model's card: licence of your corpus, as the Hub names it (cc-by-4.0)."},
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the model's card: what your corpus is about."})


@dataclass
class ModelArguments(StartArguments):
    patience: int | None = field(default=None, metadata={"help": "Stop after this many evaluations without a gain."})
    refit: bool = field(
        default=False,
        metadata={
            "help": "Train anew on the training and validation part, for the epochs that the validation part chose."
        },
    )
    resume: bool = field(default=False, metadata={"help": "Go on from the last checkpoint in output_dir."})


def main(first: refit.Chosen | None = None) -> refit.Chosen | None:
    """Train, and write the result; with --refit, return what a first training has chosen, for a second call."""
    use_utf8()
    parser = HfArgumentParser((DataArguments, ModelArguments, DecodingArguments, TrainingArguments))
    data, chosen, penalties, args = parse_arguments(parser, sys.argv[1:])
    penalties.check()
    start = Start(chosen)
    result = Path(args.output_dir)
    if first:
        refit.without_evaluation(args)
        chosen.patience = None
    elif chosen.refit:
        refit.check_refit(args)
    run = begin_run(args, resume=chosen.resume)
    set_seed(args.seed)

    with PartialState().main_process_first():
        corpus = load_corpus(data)
    split, types = corpus.split, corpus.types
    if first:
        split = refit.joined(split)
    else:
        PartialState().print(corpus.note)
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    content = {f"{name} pairs": digest_of(part) for name, part in parts.items()}
    content |= {"gloss types": digest_of(sorted(types.items())), **start.digests()}
    check_record(run.folder, options_of(args, data, chosen, penalties), content, begun=run.checkpoint is not None)
    if chosen.refit and not first and run.checkpoint and (done := refit.chosen_before(run.folder)):
        return done

    tokenizer = start.tokenizer(split.train, run.folder)
    check_vocabulary(run.checkpoint, tokenizer)
    penalties.check(tokenizer)
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
        **start.training_options(model),
    )
    if first:
        trainer.add_callback(refit.StopAfter(first.epochs))
    trainer.train(resume_from_checkpoint=run.checkpoint)
    decoding = choose_decoding(trainer, tokenizer, first.penalties if first else penalties)
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
    folder = save_result(run._replace(folder=result), trainer, tokenizer, facts=facts, predictions=rows)
    if trainer.is_world_process_zero():
        print_tables([score_table(f"Scores on {len(split.test)} test pairs", scores)])
        print("\n".join([*comparison_words(start.preset, comparisons), decoding_words(facts["decoding"])]))
        print(f"Model, tokenizer, card, metrics.json, predictions.jsonl and training.png are in {folder}")
    return None


if __name__ == "__main__":
    try:
        if first := main():
            main(first)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
