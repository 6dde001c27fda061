"""Reproduce the paper's Table 5 on any corpus by training each of its four systems several times."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import combinations
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from ..data.arguments import CorpusArguments, changed_options
from ..data.parts import extra_pairs, rows_in_parts
from ..files import read_json, save_file, save_folder, sole_writer, write_json
from ..reporting import Table, counted, markdown, plot_loss_curves
from ..runtime.tokenization_kgloss import ANALYZER, KGlossTokenizerFast
from .arguments import Table5Arguments
from .record import differences, digest_of, digest_of_checkpoint
from .tokenizer_run import with_glosses_of

_SYSTEMS = {
    "rnn": "RNN with attention, small vocabulary",
    "bert-small": "BERT, small vocabulary, no transfer",
    "bert-large": "BERT, large vocabulary, no transfer",
    "transfer": "BERT, large vocabulary, transfer",
}
"""Four systems of the paper (section IV.2)."""

_PAPER = {
    ("rnn", 100): 67.56,
    ("bert-small", 100): 70.99,
    ("bert-large", 10): 36.43,
    ("bert-large", 100): 73.86,
    ("transfer", 10): 76.62,
    ("transfer", 100): 77.21,
}
"""Scores in the paper's Table 5, on MCKSG, by system and epochs."""

_OPTIMISERS: dict[str, dict[str, Any]] = {
    "paper": {
        "optim": "sgd",
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "max_grad_norm": 0.0,
        "label_smoothing_factor": 0.0,
        "loss_over": "vocabulary",
        "batches_by_length": False,
    },
    "kgloss": {},
}
"""Options of `kgloss train`: the paper's, as far as it states them (section IV.1), and this project's defaults."""

_KEPT = ("metrics.json", "predictions.jsonl", "training.png")


class _Run(NamedTuple):
    """Training run of the table."""

    system: str
    epochs: int
    number: int

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.system}-{self.epochs}-{self.number}"


def reproduce(arguments: Table5Arguments, script: Path | None = None, options: Sequence[str] = ()) -> dict[str, Any]:
    """Train the missing runs, and write the table and the curves of all runs.

    Args:
        arguments: Systems, corpus and folder. A run whose folder `runs/NAME` exists is not trained again; an
            interrupted run continues from its last checkpoint.
        script: Script that trains a run (default: `kgloss_hf.training.text2gloss`).
        options: Further options of `kgloss train`, for all runs.

    Returns:
        The content of `table5.json`, which covers the runs of this call and earlier ones in the folder: for each system
        and number of epochs, the scores by run, their mean and deviation, and paired tests. `table5.md` and
        `loss_curves.png` are written alongside it.

    Raises:
        ValueError: The folder holds runs with other options or other data, which are named.
        RuntimeError: Runs failed; the message names them and their logs, and the other runs are kept. Or another
            process is working in the folder.
    """
    folder = Path(arguments.output_dir)
    common = _common(arguments, options)
    runs = _runs(arguments)
    with sole_writer(folder):
        folder.mkdir(exist_ok=True)
        _check_same(folder / "options.json", _record(arguments, options))
        missing = [run for run in runs if not (folder / "runs" / run.name).exists()]
        tokenizer = _large_tokenizer(arguments, folder)
        if len(missing) < len(runs):
            print(f"Runs already trained: {len(runs) - len(missing)} of {len(runs)}")
        program = ["-m", "kgloss_hf.training.text2gloss"] if script is None else [str(script)]
        commands = {run: [*program, *_command(run, arguments, common, tokenizer)] for run in missing}
        failed = _train_all(missing, folder, commands, arguments)
        finished = _finished(folder / "runs")
        result = _summary(finished, common)
        _write(folder, finished, result)
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {counted(len(runs), 'run')} failed: {', '.join(sorted(run.name for run in failed))}; "
            f"see the log.txt of each in {folder / 'unfinished'}. Repeat the command to continue"
        )
    return result


def kept_runs(arguments: Table5Arguments) -> str:
    """Return, in words, how many runs of a call of `reproduce` are finished.

    Args:
        arguments: As for `reproduce`.

    Examples:
        >>> kept_runs(Table5Arguments(pretext="outputs/pretext/model", output_dir="outputs/new"))
        '0 of 80'
    """
    kept = Path(arguments.output_dir, "runs")
    runs = _runs(arguments)
    return f"{sum((kept / run.name).exists() for run in runs)} of {len(runs)}"


def _runs(arguments: Table5Arguments) -> list[_Run]:
    return [
        _Run(system, epochs, number)
        for epochs in arguments.epochs
        for number in range(arguments.runs)
        for system in arguments.systems
    ]


def _common(arguments: Table5Arguments, options: Sequence[str]) -> list[str]:
    return [f"--{name}={value}" for name, value in _given(arguments).items() if value is not None] + list(options)


def _given(arguments: Table5Arguments) -> dict[str, Any]:
    names = ["dataset", "data_dir", "extra_train", "split", "patience"]
    names += [name for name in changed_options(arguments, CorpusArguments) if name not in (*names, "split_seed")]
    return {name: getattr(arguments, name) for name in names} | _OPTIMISERS[arguments.optimisers]


def _record(arguments: Table5Arguments, options: Sequence[str]) -> dict[str, Any]:
    """Return the options of all runs, and hashes of the pairs and of the pretext model if it is a folder."""
    rows = [(row.pair, row.part) for row in rows_in_parts(arguments)]
    data = {"pairs": digest_of(pair for pair, _ in rows), "extra pairs": digest_of(extra_pairs(arguments))}
    if any(part for _, part in rows):
        data["parts"] = digest_of(part for _, part in rows)
    if Path(arguments.pretext).is_dir():
        data["pretext"] = digest_of_checkpoint(arguments.pretext)
    of_checkpoint = {"pretext": arguments.pretext, "preset": arguments.preset}
    return {"options": {**of_checkpoint, **_given(arguments), "others": list(options)}, "data": data}


def _large_tokenizer(arguments: Table5Arguments, folder: Path) -> str:
    """Return the pretext model, or an extended tokenizer if its vocabulary lacks glosses of the corpus."""
    if not Path(arguments.pretext, "tokenizer.json").is_file():
        return arguments.pretext  # on the Hub
    kept = folder / "tokenizer"
    if not kept.exists():
        tokenizer = KGlossTokenizerFast.from_pretrained(arguments.pretext)
        pairs = [*(row.pair for row in rows_in_parts(arguments)), *extra_pairs(arguments)]
        extended = with_glosses_of(tokenizer, pairs)
        if extended.glosses == tokenizer.glosses:
            return arguments.pretext
        save_folder(kept, extended.save_pretrained)
    return str(kept)


def _command(run: _Run, arguments: Table5Arguments, common: Sequence[str], tokenizer: str) -> list[str]:
    small = ["--vocabulary=words", f"--analyzer={_analyzer_of(arguments.pretext)}"]
    trained = [f"--pretext={arguments.pretext}"]
    if tokenizer != arguments.pretext:
        trained.append(f"--tokenizer={tokenizer}")  # gives both large systems the same glosses
    of_system = {
        "rnn": ["--preset=rnn", *small],
        "bert-small": [f"--preset={arguments.preset}", *small],
        "bert-large": [f"--preset={arguments.preset}", f"--tokenizer={tokenizer}"],
        "transfer": [f"--preset={arguments.preset}", *trained],
    }
    seeds = [f"--seed={run.number}", f"--split_seed={run.number}"]
    as_in_the_paper = ["--encoder_repetition_penalty=1", "--repetition_penalty=1"]
    return [*of_system[run.system], f"--num_train_epochs={run.epochs}", *seeds, *as_in_the_paper, *common]


def _analyzer_of(pretext: str) -> str:
    """Return the analyser of a pretext model in a folder, for the small vocabularies too, or Okt for one on the Hub."""
    file = Path(pretext, "tokenizer_config.json")
    return str(read_json(file).get("analyzer", ANALYZER)) if file.is_file() else ANALYZER


def _check_same(file: Path, record: Mapping[str, Any]) -> None:
    if not file.exists():
        save_file(file, lambda path: write_json(path, record))
    elif changed := _differences(read_json(file), record):
        raise ValueError(
            f"{file.parent} holds runs with other options or data ({changed}); use the original ones, or choose "
            "another --output_dir"
        )


def _differences(before: Any, record: Mapping[str, Any]) -> str:
    if not isinstance(before, dict):  # written by an early version, which kept the words of the command line
        return f"from an earlier version: {' '.join(before)}"
    # The paper's optimiser sets options that this project's default leaves out.
    every = {**before["options"], **record["options"]}
    then = {"options": dict.fromkeys(every) | before["options"], "data": before["data"]}
    return "; ".join(differences(then, {**record, "options": dict.fromkeys(every) | record["options"]}))


def _train_all(
    runs: Sequence[_Run], folder: Path, commands: Mapping[_Run, list[str]], arguments: Table5Arguments
) -> list[_Run]:
    """Train each run in a separate process, print a line for each, and return the runs that failed."""
    gpus = torch.cuda.device_count()
    free: SimpleQueue[int] = SimpleQueue()
    for worker in range(arguments.workers):
        free.put(worker)
    children: set[subprocess.Popen[bytes]] = set()
    ended = threading.Event()

    def train(run: _Run) -> bool:
        worker = free.get()
        unfinished = folder / "unfinished" / run.name
        unfinished.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(worker % gpus)
        elif arguments.workers > 1:  # more threads than cores would wait for each other
            environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // arguments.workers))
        whole = (unfinished / "model").exists()  # this process may have ended before it could keep the result
        command = [sys.executable, *commands[run], f"--output_dir={unfinished}", "--resume"]
        try:
            with (unfinished / "log.txt").open("ab") as log:
                if not whole and not ended.is_set():
                    child = subprocess.Popen(  # noqa: S603
                        [*command, "--disable_tqdm=True"],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=environment,
                    )
                    children.add(child)
                    whole = child.wait() == 0
                    children.discard(child)
        finally:
            free.put(worker)
        if whole:
            _keep_result(unfinished, folder / "runs" / run.name)
        return whole

    width = max((len(run.name) for run in runs), default=0)
    with (
        ThreadPoolExecutor(arguments.workers) as pool,
        tqdm(total=len(runs), unit=" runs", disable=None, leave=False) as progress,
    ):
        try:
            failed = []
            futures = {pool.submit(train, run): run for run in runs}
            for future in as_completed(futures):
                run = futures[future]
                if succeeded := future.result():
                    metrics = read_json(folder / "runs" / run.name / "metrics.json")
                    outcome = f"JC {metrics['scores'][metrics['preset']]['jaccard']:6.2f}"
                else:
                    outcome = "failed"
                progress.update()
                progress.write(f"{run.name:{width}}  {outcome}  ({progress.n} of {len(runs)})")
                if not succeeded:
                    failed.append(run)
        except BaseException:
            ended.set()
            for child in list(children):
                child.terminate()
            raise
    return failed


def _keep_result(unfinished: Path, kept: Path) -> None:
    """Keep scores, predictions and the curve; the weights and checkpoints of eighty runs would fill a disk."""

    def write(partial: Path) -> None:
        for name in _KEPT:
            shutil.copy(unfinished / "model" / name, partial)

    save_folder(kept, write)
    shutil.rmtree(unfinished)


def _finished(folder: Path) -> dict[_Run, dict[str, Any]]:
    """Read the metrics.json of each run, from this call and earlier ones, in the order of the table."""
    files = {}
    for file in folder.glob("[!.]*/metrics.json"):
        system, epochs, number = file.parent.name.rsplit("-", 2)
        files[_Run(system, int(epochs), int(number))] = file
    order = list(_SYSTEMS)
    runs = sorted(files, key=lambda run: (run.epochs, order.index(run.system), run.number))
    return {run: read_json(files[run]) for run in runs}


def _summary(finished: Mapping[_Run, Mapping[str, Any]], options: Sequence[str] = ()) -> dict[str, Any]:
    """Collect scores by system and epochs, and paired tests between systems, from the metrics of each run.

    For each number of epochs and each pair of systems, `tests` holds the mean difference over the runs that both have,
    which use the same splits, and the p value of a paired t test if there are at least three such runs.
    """
    scores: dict[tuple[str, int], dict[int, float]] = {}
    baselines: dict[str, dict[int, float]] = {}
    for run, metrics in finished.items():
        of_systems = dict(metrics["scores"])
        scores.setdefault((run.system, run.epochs), {})[run.number] = of_systems.pop(metrics["preset"])["jaccard"]
        for name, score in of_systems.items():
            baselines.setdefault(name, {})[run.number] = score["jaccard"]
    return {
        "options": list(options),
        "systems": {f"{system}-{epochs}": _spread(by_run) for (system, epochs), by_run in scores.items()},
        "baselines": {name: _spread(by_run) for name, by_run in baselines.items()},
        "tests": _tests(scores),
    }


def _spread(by_run: Mapping[int, float]) -> dict[str, Any]:
    values = list(by_run.values())
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"runs": dict(sorted(by_run.items())), "mean": statistics.mean(values), "deviation": deviation}


def _tests(scores: Mapping[tuple[str, int], Mapping[int, float]]) -> list[dict[str, Any]]:
    from scipy.stats import ttest_rel

    tests: list[dict[str, Any]] = []
    for epochs in dict.fromkeys(epochs for _, epochs in scores):
        names = [system for system in _SYSTEMS if (system, epochs) in scores]
        for first, second in combinations(names, 2):
            one, other = scores[first, epochs], scores[second, epochs]
            if runs := sorted(one.keys() & other.keys()):
                pairs = ([one[run] for run in runs], [other[run] for run in runs])
                test: dict[str, Any] = {"epochs": epochs, "systems": [first, second], "runs": len(runs)}
                test["difference"] = statistics.mean(pairs[1]) - statistics.mean(pairs[0])
                test["p_value"] = float(ttest_rel(*pairs).pvalue) if len(runs) > 2 else None
                tests.append(test)
    return tests


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Return Table 5 with the paper's numbers, and the table of paired tests.

    Args:
        result: Return value of `reproduce`.
    """
    rows = []
    for name, scores in result["systems"].items():
        system, _, epochs = name.rpartition("-")
        paper = _PAPER.get((system, int(epochs)))
        rows.append((_SYSTEMS[system], epochs, *_cells(scores), "–" if paper is None else f"{paper:.2f}"))
    rows += [(name, "–", *_cells(scores), "–") for name, scores in result["baselines"].items()]
    tests = [
        (
            f"{_SYSTEMS[test['systems'][1]]} − {_SYSTEMS[test['systems'][0]]}",
            str(test["epochs"]),
            str(test["runs"]),
            f"{test['difference']:+.2f}",
            "–" if test["p_value"] is None else f"{test['p_value']:.4f}",
        )
        for test in result["tests"]
    ]
    title = "JC on the test set of this corpus; the paper's JC is on MCKSG, another corpus and split"
    return [
        Table(title, ("system", "epochs", "runs", "mean", "deviation", "paper, on MCKSG"), rows),
        Table("Paired over runs (t test)", ("difference", "epochs", "runs", "JC", "p"), tests),
    ]


def _cells(scores: Mapping[str, Any]) -> tuple[str, str, str]:
    deviation = "–" if scores["deviation"] is None else f"{scores['deviation']:.2f}"
    return str(len(scores["runs"])), f"{scores['mean']:.2f}", deviation


def _write(folder: Path, finished: Mapping[_Run, Mapping[str, Any]], result: Mapping[str, Any]) -> None:
    if not finished:
        return
    save_file(folder / "table5.json", lambda path: write_json(path, result))
    save_file(folder / "table5.md", lambda path: path.write_text(markdown(tables(result)) + "\n", "utf-8"))
    curves = {
        f"{_SYSTEMS[system]}, {epochs} epochs": [
            metrics["history"] for run, metrics in finished.items() if run[:2] == (system, epochs)
        ]
        for epochs in dict.fromkeys(run.epochs for run in finished)
        for system in ("bert-large", "transfer")
        if any(run[:2] == (system, epochs) for run in finished)
    }
    if curves:
        save_file(folder / "loss_curves.png", lambda path: plot_loss_curves(curves, path))
