"""Retrain a model on the training and validation sets, for the number of epochs that the validation set chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Seq2SeqTrainingArguments, Trainer, TrainerCallback
from transformers.trainer_utils import IntervalStrategy

from ..data.pairs import Split
from ..files import read_json, save_file, write_json
from .decoding_choice import DecodingArguments


@dataclass(frozen=True)
class Chosen:
    """Choices of a first training on the validation set, for a second training on both sets.

    Args:
        epochs: Number of epochs after which the first model was best.
        best_validation: Score of the first model on the validation set, by the name of the metric.
        decoding: Return value of `kgloss_hf.training.decoding_choice.choose_decoding` for the first model.
    """

    epochs: float
    best_validation: dict[str, float | None]
    decoding: dict[str, Any]

    @property
    def penalties(self) -> DecodingArguments:
        """Decoding settings for the second training, which has no validation set to choose them on."""
        return DecodingArguments(**{name: self.decoding[name] for name in asdict(DecodingArguments())})


_CHOSEN = "chosen.json"


def check_refit(args: Seq2SeqTrainingArguments) -> None:
    """Check that evaluations choose the number of epochs of a refit.

    Args:
        args: Arguments of the first training.

    Raises:
        ValueError: The first training does not choose a checkpoint.

    Examples:
        >>> from kgloss_hf.training.trainer import TrainingArguments
        >>> check_refit(TrainingArguments(output_dir="outputs/demo", use_cpu=True))
    """
    if not args.load_best_model_at_end:
        raise ValueError(
            "--refit: expected --load_best_model_at_end, which chooses the number of epochs, found False; leave one of "
            "the two out"
        )


def chosen_before(folder: Path) -> Chosen | None:
    """Return the choices of the first training of a run, or None if it has not finished.

    Args:
        folder: Folder of the run.

    Examples:
        >>> chosen_before(Path("outputs/new")) is None
        True
    """
    file = folder / "refit" / _CHOSEN
    return Chosen(**read_json(file)) if file.is_file() else None


def choose(trainer: Trainer, folder: Path, decoding: Mapping[str, Any]) -> Chosen:
    """Return the choices of a first training, and save them in the run's folder for a resumed run.

    Args:
        trainer: Trainer of the training, which has finished and was evaluated.
        folder: Folder of the run.
        decoding: Return value of `kgloss_hf.training.decoding_choice.choose_decoding` for it.
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
    """Change a run's arguments to those of its second training, with a separate folder and without evaluation.

    Args:
        args: Arguments of the run, changed in place.

    Examples:
        >>> from kgloss_hf.training.trainer import TrainingArguments
        >>> args = TrainingArguments(output_dir="outputs/demo", use_cpu=True)
        >>> without_evaluation(args)
        >>> args.output_dir, args.load_best_model_at_end
        ('outputs/demo/refit', False)
    """
    args.output_dir = str(Path(args.output_dir) / "refit")
    args.eval_strategy, args.load_best_model_at_end = IntervalStrategy.NO, False


def joined(split: Split) -> Split:
    """Return a split whose training set includes the validation set.

    Args:
        split: Split of the run.

    Examples:
        >>> from kgloss_hf.data.pairs import Pair
        >>> one, two, three = (Pair(text, (text,)) for text in ("집", "불", "물"))
        >>> len(joined(Split([one], [two], [three])).train)
        2
    """
    return split._replace(train=[*split.train, *split.validation])


def refit_facts(chosen: Chosen, of_epochs: float, pairs: int) -> Mapping[str, Any]:
    """Return the entries of metrics.json about a second training.

    Args:
        chosen: Choices of the first training.
        of_epochs: Number of epochs for which the schedules of both trainings were made.
        pairs: Number of validation pairs that the second training learnt from.

    Examples:
        >>> refit_facts(Chosen(12.0, {"jaccard": 40.0}, {}), 30.0, 36)["refit"]
        {'epochs': 12.0, 'of_epochs': 30.0, 'validation_pairs': 36}
    """
    return {
        "refit": {"epochs": chosen.epochs, "of_epochs": of_epochs, "validation_pairs": pairs},
        "best_validation": chosen.best_validation,
    }


class StopAfter(TrainerCallback):
    """Stop training after a number of epochs without changing the learning rate schedule.

    Nothing is saved at the end, because a run resumed from there would train one step too many.

    Args:
        epochs: Number of epochs, which may be fractional.
    """

    def __init__(self, epochs: float) -> None:
        self.epochs = epochs

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the training, without saving, once the number of epochs is reached."""
        if state.epoch >= self.epochs - 1e-6:
            control.should_training_stop, control.should_save = True, False

    on_epoch_end = on_step_end
