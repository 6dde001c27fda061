"""The `kgloss` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgloss`; `kgloss --help` lists the commands.

    Args:
        arguments: Command-line words (default: the process's).

    Returns:
        The exit status: 0, or 1 after an error on standard error.
    """
    parser = argparse.ArgumentParser(prog="kgloss", description="Korean text to Korean Sign Language glosses.")
    commands = parser.add_subparsers(dest="command", required=True)
    baseline = commands.add_parser(
        "baseline",
        help="score what one would use without a model: copying lemmas, and the nearest training sentence",
        description="Prints the Jaccard score of both baselines on the same split as examples/run_text2gloss.py.",
    )
    baseline.add_argument("--dataset", default="mcksg", help="mcksg, gksl, a Hub id, or files (default: mcksg)")
    baseline.add_argument("--data_dir", help="folder with your copy of a data set that is not shipped")
    baseline.add_argument("--extra_train", help="more training pairs: a configuration of the data set, or files")
    baseline.add_argument("--text_column", default="text", help="column with the sentence (default: text)")
    baseline.add_argument("--gloss_column", default="glosses", help="column with the glosses (default: glosses)")
    baseline.add_argument("--split", default="group", choices=("group", "row"), help="as in run_text2gloss.py")
    baseline.add_argument("--split_seed", type=int, default=0, help="seed of the split (default: 0)")
    options = vars(parser.parse_args(arguments))
    try:
        _baseline(**{name: value for name, value in options.items() if name != "command"})
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"kgloss {options['command']}: {error}", file=sys.stderr)
        return 1
    return 0


def _baseline(*, split: str, split_seed: int, extra_train: str | None, **source: str) -> None:
    from .baselines import baseline_predictions
    from .data import load_pairs, split_pairs
    from .reporting import print_scores, scores_on

    extra = load_pairs(extra=extra_train, **source) if extra_train else []
    parts = split_pairs(load_pairs(**source), extra, by=split, seed=split_seed)
    print_scores(f"Jaccard score on {len(parts.test)} test pairs", scores_on(parts.test, baseline_predictions(parts)))
