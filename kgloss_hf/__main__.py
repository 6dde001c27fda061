"""Run the `kgloss` command by `python -m kgloss_hf`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
