"""Reproduce the paper's Table 5: four systems, 10 and 100 epochs, ten runs of each, with Figure 5's loss curves.

    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset mcksg --output_dir outputs/table5
    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset gksl --data_dir FOLDER \\
        --optimisers paper --epochs 10 --runs 3 --workers 2

Whatever ends it, the same command goes on. Options that are not listed by --help go to run_text2gloss.py, for all runs.
`kgloss table5` is the same.
"""

import sys

from kgloss_hf.training.console import as_script


def main() -> None:
    from kgloss_hf.training.table5_run import main

    main()


if __name__ == "__main__":
    sys.exit(as_script(main))
