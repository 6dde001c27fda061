"""`python -m kgloss_hf`: the `kgloss` command."""

import sys

from .cli import main

sys.exit(main())
