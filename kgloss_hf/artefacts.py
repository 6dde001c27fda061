"""Data sets, the metric, models and folders of artefacts by name."""

from __future__ import annotations

from pathlib import Path

DATASETS = ("mcksg", "gksl", "ko_backtranslation")
"""Names that `datasets.load_dataset` knows once the plug-in is registered."""

METRIC = "gloss_jaccard"
"""The name that `evaluate.load` knows then."""

MODELS = {
    "kgloss-rnn": "modeling_rnn.RnnEncoderDecoderModel",
    "kgloss-joined": "modeling_joined.JoinedEncoderDecoderModel",
}
"""Models of our own, by `model_type`: module and class in a checkpoint."""


def artefact(folder: str) -> Path:
    """Return a folder of artefacts, inside the installed package or beside the package in a checkout.

    Args:
        folder: Path within the repository, such as `dataset_scripts` or `dataset_scripts/mcksg`.

    Example:
        >>> artefact("dataset_scripts/mcksg").name
        'mcksg'
    """
    package = Path(__file__).resolve().parent
    installed = package / folder
    return installed if installed.exists() else package.parent / folder
