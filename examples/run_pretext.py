"""Train the pretext: from a Korean sentence to another that means the same, with the glosses' model and tokenizer.

    python examples/run_pretext.py --pretext_dir PATH_TO_CORPUS --dataset mcksg --output_dir outputs/pretext
    accelerate launch examples/run_pretext.py --pretext_dir FOLDER --pairs paraphrase --dataset gksl --data_dir FOLDER

The pairs come from `kgloss back-translate`, or are human paraphrases. `run_text2gloss.py --pretext OUTPUT_DIR/model`
goes on from the result. Options come from the command line, or from a YAML file given first; the command line wins.
`kgloss pretext` is the same.
"""

import sys

from kgloss_hf.training.console import as_script


def main() -> None:
    from kgloss_hf.training.pretext_run import main

    main()


if __name__ == "__main__":
    sys.exit(as_script(main))
