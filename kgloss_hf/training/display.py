"""Show the progress of a run: one line per epoch, one bar, and no library output that does not concern the user."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any, Self, TypeVar

from accelerate import PartialState
from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
from torch import nn
from transformers import TrainerCallback
from transformers.utils import logging as transformers_logging

from ..optional import require
from ..reporting import counted

_Item = TypeVar("_Item")

_COLUMNS = {
    "epoch": ("epoch", 7, ""),
    "loss": ("training loss", 15, ".4f"),
    "eval_loss": ("validation loss", 17, ".4f"),
    "eval_jaccard": ("validation JC", 15, ".2f"),
    "seconds": ("seconds", 9, ".1f"),
}
"""Values of a line, each with the title, width and format of its column."""


class RunDisplay(TrainerCallback):
    """Print one line per epoch on standard output, and show one bar on standard error if that is a terminal.

    The display replaces the trainer's own lines and bars; their other values stay in the trainer's history. Use it as a
    context manager, so that the bar is removed however the run ends.

    Args:
        epochs: Number of epochs after which the training ends, if its schedule is made for more (default: none).

    Raises:
        ImportError: A library that the run needs at its end is not installed.

    Examples:
        >>> with RunDisplay() as display:
        ...     isinstance(display, TrainerCallback)
        True
    """

    def __init__(self, epochs: float | None = None) -> None:
        require("train", "rich", "matplotlib", purpose="training")
        self._epochs = epochs
        self._bar: Any = None
        self._task: Any = None
        self._busy = False
        self._trains = False
        self._has_header = False
        self._loss: float | None = None
        self._began = self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the bar, and print where a resumed training continues."""
        self._busy = self._trains = True
        self._began = self._since = time.monotonic()
        if state.global_step and state.is_world_process_zero:
            print(f"Continuing after epoch {_number(state.epoch)} (step {state.global_step} of {state.max_steps})")
        steps = state.max_steps
        if self._epochs is not None:
            steps = min(steps, ceil(steps * self._epochs / args.num_train_epochs))
        self._open(args, state, steps, "steps", "")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance the bar to the current optimiser step."""
        if self._bar:
            epoch = f"epoch {ceil(state.epoch)} of {state.num_train_epochs}"
            self._bar.update(self._task, completed=state.global_step, description=epoch)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **kwargs: Any) -> None:
        """Keep the training loss for the next line, or print the line if no evaluation follows."""
        if "loss" in logs:
            self._loss = logs["loss"]
            if not control.should_evaluate:
                self._line(args, state, {})

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **kwargs: Any) -> None:
        """Print the line of an evaluation during training."""
        if self._trains:
            self._line(args, state, metrics)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remove the bar, and print the number of epochs and steps, the time and the best model."""
        self._close()
        self._busy = self._trains = False
        if not (state.is_world_process_zero and state.global_step):
            return
        early = f" of {_number(state.num_train_epochs)}" * (state.global_step < state.max_steps)
        seconds = time.monotonic() - self._began
        epochs = f"{_number(state.epoch)}{early}"
        unit = "epoch" if epochs == "1" else "epochs"
        print(f"Trained for {epochs} {unit}, {counted(state.global_step, 'step')}, in {seconds:.1f} s.", end="")
        best = [row for row in state.log_history if "eval_loss" in row and row["step"] == state.best_global_step]
        if args.load_best_model_at_end and best:
            title, _, form = _COLUMNS[_metric(args)]
            value = f"{title} {state.best_metric:{form}}"
            print(f" The best model is that of epoch {_number(best[-1]['epoch'])}: {value}.", end="")
        print(flush=True)

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> None:
        """Advance the bar of an evaluation outside training, and show it first if needed."""
        if self._busy:
            return
        if self._bar is None:
            self._open(args, state, len(eval_dataloader), "batches", "generating")
        if self._bar:
            self._bar.advance(self._task)

    def on_predict(self, *args: Any, **kwargs: Any) -> None:
        """Remove the bar of a prediction outside training."""
        if not self._busy:
            self._close()

    def counted(self, items: Iterable[_Item], total: int, trainer: Any, what: str) -> Iterator[_Item]:
        """Yield items that require one prediction each, and show one bar for all of them.

        Args:
            items: Items to yield.
            total: Number of items.
            trainer: Trainer that uses this display.
            what: Description of the work, shown next to the bar.
        """
        self._open(trainer.args, trainer.state, total, "settings", what)
        self._busy = True
        for item in items:
            yield item
            if self._bar:
                self._bar.advance(self._task)
        self._busy = False
        self._close()

    def _open(self, args: Any, state: Any, total: int, unit: str, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._close()
        if state.is_world_process_zero and not args.disable_tqdm and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(unit),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                # Otherwise lines meant for a file would be printed on the terminal with the bar.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
            # The usual handler writes to the original standard error and would break the bar.
            transformers_logging.disable_default_handler()
            self._warnings = logging.StreamHandler()
            logging.getLogger("transformers").addHandler(self._warnings)  # transformers has no way to remove a handler

    def _close(self) -> None:
        if self._bar:
            logging.getLogger("transformers").removeHandler(self._warnings)
            transformers_logging.enable_default_handler()
            self._bar.stop()
            self._bar = None

    def _line(self, args: Any, state: Any, metrics: Mapping[str, float]) -> None:
        values = {**metrics, "epoch": state.epoch, "loss": self._loss, "seconds": time.monotonic() - self._since}
        self._loss, self._since = None, time.monotonic()
        if not state.is_world_process_zero:
            return
        evaluates = getattr(args.eval_strategy, "value", args.eval_strategy) != "no"
        left_out = set() if evaluates else {"eval_loss", "eval_jaccard"}
        left_out |= set() if args.predict_with_generate else {"eval_jaccard"}
        columns = {name: column for name, column in _COLUMNS.items() if name not in left_out}
        if not self._has_header:
            print("".join(f"{title:>{width}}" for title, width, _ in columns.values()))
            self._has_header = True
        cells = [f"{_cell(values.get(name), form):>{width}}" for name, (_, width, form) in columns.items()]
        print("".join(cells) + "  best" * _is_best(args, state, metrics), flush=True)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}" if form else _number(value)


def _metric(args: Any) -> str:
    return f"eval_{(args.metric_for_best_model or 'loss').removeprefix('eval_')}"


def _is_best(args: Any, state: Any, metrics: Mapping[str, float]) -> bool:
    """Return whether an evaluation is the best so far, which the trainer records only after its callbacks."""
    value = metrics.get(_metric(args))
    if value is None or state.best_metric is None:
        return value is not None
    greater = args.greater_is_better if args.greater_is_better is not None else _metric(args) != "eval_loss"
    return value > state.best_metric if greater else value < state.best_metric


def quieten() -> None:
    """Hide the progress bars of transformers, and let only the first process of a machine print warnings.

    Downloads from the Hub keep their bars.
    """
    hidden = are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()  # also disables those of the Hub
    if not PartialState().is_local_main_process:
        transformers_logging.set_verbosity_error()
        logging.getLogger("kgloss_hf").setLevel(logging.ERROR)
    elif not hidden:
        enable_progress_bars()


@contextmanager
def tied_weights_may_be_missing(model: nn.Module) -> Iterator[None]:
    """Silence the trainer's warning about missing weights if each is tied to a weight that the checkpoint has.

    Args:
        model: Model into which a checkpoint may be loaded.

    Examples:
        >>> with tied_weights_may_be_missing(nn.Linear(2, 2)):
        ...     pass
    """
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    tied = {name: group for group in names.values() for name in group}

    def concerns(record: logging.LogRecord) -> bool:
        _, separator, listed = record.getMessage().partition("missing keys in the checkpoint model loaded: ")
        missing = set(re.findall(r"'([^']+)'", listed))
        return not (separator and missing and all(tied.get(name, set()) - missing for name in missing))

    logger = logging.getLogger("transformers.trainer")
    logger.addFilter(concerns)
    try:
        yield
    finally:
        logger.removeFilter(concerns)
