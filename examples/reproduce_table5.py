"""Reproduce the paper's Table 5 (four systems, 10 and 100 epochs, ten runs each) and the loss curves of Figure 5.

    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset mcksg --output_dir outputs/table5
    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset gksl --data_dir FOLDER \\
        --optimisers paper --epochs 10 --runs 3 --workers 2

If it is interrupted, repeat the command to continue. Options that --help does not list are passed to run_text2gloss.py
for all runs. `kgloss table5` does the same.
"""

import sys

from kgloss_hf.training.console import as_script


def main() -> None:
    from kgloss_hf.training.table5_run import main

    main()


if __name__ == "__main__":
    sys.exit(as_script(main))
