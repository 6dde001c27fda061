"""Train a model anew on the training and the validation part, for the epochs that the validation part chose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Seq2SeqTrainingArguments, Trainer, TrainerCallback
from transformers.trainer_utils import IntervalStrategy

from ..data.pairs import Split
from ..files import save_file, write_json
from .decoding_choice import DecodingArguments


@dataclass(frozen=True)
class Chosen:
    """What a first training chose on the validation part, for a second one on both parts.

    Args:
        epochs: Passes over the pairs after which the first model was best.
        best_validation: The first model's score on the validation part, by the name of the metric.
        decoding: What `kgloss_hf.training.decoding_choice.choose_decoding` says of the first model.
    """

    epochs: float
    best_validation: dict[str, float | None]
    decoding: dict[str, Any]

    @property
    def penalties(self) -> DecodingArguments:
        """The settings of decoding, for the second training, which has nothing to choose them by."""
        return DecodingArguments(**{name: self.decoding[name] for name in asdict(DecodingArguments())})


_CHOSEN = "chosen.json"


def check_refit(args: Seq2SeqTrainingArguments) -> None:
    """Refuse a refit where no evaluation chooses the number of epochs.

    Args:
        args: Of the first training.

    Raises:
        ValueError: Its checkpoint is not chosen.

    Example:
        >>> from kgloss_hf.training.trainer import TrainingArguments
        >>> check_refit(TrainingArguments(output_dir="outputs/demo", use_cpu=True))
    """
    if not args.load_best_model_at_end:
        raise ValueError(
            "--refit: expected --load_best_model_at_end, by which the number of epochs is chosen, found False; leave "
            "one of the two out"
        )


def chosen_before(folder: Path) -> Chosen | None:
    """Return what the first training of a run chose where it is over, else None.

    Args:
        folder: The run's.

    Example:
        >>> chosen_before(Path("outputs/new")) is None
        True
    """
    file = folder / "refit" / _CHOSEN
    return Chosen(**json.loads(file.read_text("utf-8"))) if file.is_file() else None


def choose(trainer: Trainer, folder: Path, decoding: Mapping[str, Any]) -> Chosen:
    """Return what a first training has chosen, and keep it in the run's folder for a run that goes on.

    Args:
        trainer: Of the training, which is over, and was evaluated.
        folder: The run's.
        decoding: What `kgloss_hf.training.decoding_choice.choose_decoding` says of it.
    """
    state, metric = trainer.state, str(trainer.args.metric_for_best_model)
    epochs = next(row["epoch"] for row in state.log_history if row["step"] == state.best_global_step)
    chosen = Chosen(epochs, {metric: state.best_metric}, dict(decoding))
    file = folder / "refit" / _CHOSEN
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file(file, lambda path: write_json(path, asdict(chosen)))
    return chosen


def without_evaluation(args: Seq2SeqTrainingArguments) -> None:
    """Change a run's arguments to those of its second training: a folder of its own, and nothing to choose.

    Args:
        args: As given for the run.

    Example:
        >>> from kgloss_hf.training.trainer import TrainingArguments
        >>> args = TrainingArguments(output_dir="outputs/demo", use_cpu=True)
        >>> without_evaluation(args)
        >>> args.output_dir, args.load_best_model_at_end
        ('outputs/demo/refit', False)
    """
    args.output_dir = str(Path(args.output_dir) / "refit")
    args.eval_strategy, args.load_best_model_at_end = IntervalStrategy.NO, False


def joined(split: Split) -> Split:
    """Return a split whose training part holds the validation part too.

    Args:
        split: The run's.

    Example:
        >>> from kgloss_hf.data.pairs import Pair
        >>> one, two, three = (Pair(text, (text,)) for text in ("집", "불", "물"))
        >>> len(joined(Split([one], [two], [three])).train)
        2
    """
    return split._replace(train=[*split.train, *split.validation])


def refit_facts(chosen: Chosen, of_epochs: float, pairs: int) -> Mapping[str, Any]:
    """Return what metrics.json says of a second training.

    Args:
        chosen: By the first training.
        of_epochs: Passes for which both trainings' schedules were made.
        pairs: Validation pairs that the second training learnt from.

    Example:
        >>> refit_facts(Chosen(12.0, {"jaccard": 40.0}, {}), 30.0, 36)["refit"]
        {'epochs': 12.0, 'of_epochs': 30.0, 'validation_pairs': 36}
    """
    return {
        "refit": {"epochs": chosen.epochs, "of_epochs": of_epochs, "validation_pairs": pairs},
        "best_validation": chosen.best_validation,
    }


class StopAfter(TrainerCallback):
    """End a training after a number of epochs, with the learning rate's schedule as it is.

    Nothing is saved at the end, for a run that goes on from there would train one step more.

    Args:
        epochs: May be a fraction.
    """

    def __init__(self, epochs: float) -> None:
        self.epochs = epochs

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.epoch >= self.epochs - 1e-6:
            control.should_training_stop, control.should_save = True, False

    on_epoch_end = on_step_end
