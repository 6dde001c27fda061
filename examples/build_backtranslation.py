"""Build a pretext corpus: translate Korean sentences to another language and back, and select good pairs.

    python examples/build_backtranslation.py --sources kornli korsts --data_dir FOLDER --dry_run --engines google
    accelerate launch examples/build_backtranslation.py --sources all --data_dir FOLDER --output_dir outputs/pretext \\
        --engines transformers:facebook/nllb-200-distilled-600M,weight=2 google,weight=1,max_cost=50

Whatever ends it, the same command goes on. Options may come from a YAML file given first. `kgloss back-translate` does
the same with the same options.
"""

import sys

from transformers import HfArgumentParser

from kgloss_hf.back_translation.corpus import BackTranslationArguments, build_corpus, estimate
from kgloss_hf.back_translation.filters import Thresholds
from kgloss_hf.back_translation.report import corpus_tables, estimate_table
from kgloss_hf.options import parse_arguments
from kgloss_hf.reporting import print_tables


def main() -> None:
    arguments, thresholds = parse_arguments(HfArgumentParser((BackTranslationArguments, Thresholds)), sys.argv[1:])
    if arguments.dry_run:
        print_tables([estimate_table(estimate(arguments))])
        return
    manifest = build_corpus(arguments, thresholds)
    if manifest["result"]:
        print_tables(corpus_tables(manifest))
        print(f'load_dataset("ko_backtranslation", data_dir="{arguments.output_dir}") reads the pairs')


if __name__ == "__main__":
    main()
