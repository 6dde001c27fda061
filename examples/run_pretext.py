"""Train on the pretext task, from a Korean sentence to one with the same meaning, with the model used for glosses.

    python examples/run_pretext.py --pretext_dir PATH_TO_CORPUS --dataset mcksg --output_dir outputs/pretext
    accelerate launch examples/run_pretext.py --pretext_dir FOLDER --pairs paraphrase --dataset gksl --data_dir FOLDER

The pairs come from `kgloss back-translate`, or are human paraphrases. `run_text2gloss.py --pretext OUTPUT_DIR/model`
continues from the result. Options come from the command line, or from a YAML file given first; the command line takes
precedence. `kgloss pretext` does the same.
"""

import sys

from kgloss_hf.training.console import as_script


def main() -> None:
    from kgloss_hf.training.pretext_run import main

    main()


if __name__ == "__main__":
    sys.exit(as_script(main))
