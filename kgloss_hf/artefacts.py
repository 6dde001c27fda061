"""Names of the data sets, the metric and the models, and the folders of artefacts."""

from __future__ import annotations

from pathlib import Path

DATASETS = ("mcksg", "gksl", "ko_backtranslation")
"""Names that `datasets.load_dataset` accepts once the plug-in is registered."""

METRIC = "gloss_jaccard"
"""Name that `evaluate.load` accepts once the plug-in is registered."""

MODELS = {
    "kgloss-rnn": "modeling_rnn.RnnEncoderDecoderModel",
    "kgloss-joined": "modeling_joined.JoinedEncoderDecoderModel",
}
"""Models of this project: from `model_type` to module and class in a checkpoint."""


def artefact(folder: str) -> Path:
    """Return a folder of artefacts: inside the installed package, or next to the package in a checkout.

    Args:
        folder: Path within the repository, such as `dataset_scripts` or `dataset_scripts/mcksg`.

    Examples:
        >>> artefact("dataset_scripts/mcksg").name
        'mcksg'
    """
    package = Path(__file__).resolve().parent
    installed = package / folder
    return installed if installed.exists() else package.parent / folder
