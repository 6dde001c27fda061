"""Train a text-to-gloss model, score it alongside two baselines, and save a folder that `pipeline` can load.

    python examples/run_text2gloss.py --dataset mcksg --preset tiny --output_dir outputs/demo
    accelerate launch examples/run_text2gloss.py examples/gksl.yaml --data_dir PATH_TO_GKSL
    python examples/run_text2gloss.py --dataset mcksg --preset small --pretext outputs/pretext/model
    python examples/run_text2gloss.py --dataset more.csv --init_from outputs/demo/model --output_dir outputs/more

Options come from the command line, or from a YAML file given first; the command line takes precedence. `kgloss train`
does the same.
"""

import sys

from kgloss_hf.training.console import as_script


def main() -> None:
    from kgloss_hf.training.text2gloss import main

    main()


if __name__ == "__main__":
    sys.exit(as_script(main))
