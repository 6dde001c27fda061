"""Reproduce the paper's Table 5: four systems, 10 and 100 epochs, ten runs of each, with Figure 5's loss curves.

    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset mcksg --output_dir outputs/table5
    python examples/reproduce_table5.py --pretext outputs/pretext/model --dataset gksl --data_dir FOLDER \\
        --optimisers paper --epochs 10 --runs 3 --workers 2

Whatever ends it, the same command goes on. Options that are not listed by --help go to run_text2gloss.py, for all runs.
"""

import sys
from pathlib import Path

from transformers import HfArgumentParser

from kgloss_hf.reporting import print_tables, use_utf8
from kgloss_hf.training.table5 import Table5Arguments, reproduce, tables


def main() -> None:
    use_utf8()
    parser = HfArgumentParser(Table5Arguments)
    arguments, options = parser.parse_args_into_dataclasses(return_remaining_strings=True)
    result = reproduce(arguments, Path(__file__).with_name("run_text2gloss.py"), options)
    print_tables(tables(result))
    print(f"table5.md, table5.json, loss_curves.png and the runs are in {arguments.output_dir}")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
