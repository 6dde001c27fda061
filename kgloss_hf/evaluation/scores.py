"""Score predicted glosses in files by Jaccard and established metrics, and test the difference of two systems."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..files import save_file, sole_writer, write_json
from ..optional import install_command, versions
from ..version import __version__
from .metrics import bootstrap_interval, jaccard_result, jaccard_scores, paired_p_value
from .prediction_files import read_systems, read_types
from .sequences import GlossLists, as_signed, gloss_lists, gloss_pairs

try:
    import jiwer
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest
except ImportError as error:
    raise ImportError(
        f"expected sacrebleu, rouge-score and jiwer, found no {error.name}; run: {install_command('evaluate')}"
    ) from error

_SPACE = "␣"
"""Stands for white space inside a gloss, so that the libraries take a gloss for one token."""

_RESAMPLES = 10_000
_SEED = 0


class _Evaluation(NamedTuple):
    """All scores, ready for JSON, and the scores of each sentence, as rows of a table."""

    scores: dict[str, dict[str, Any]]
    sentences: list[dict[str, Any]]


def evaluate_files(
    predictions: str,
    *,
    references: str | None = None,
    baseline: str | None = None,
    types: str | None = None,
    trials: int = 10_000,
    output_dir: str | None = None,
) -> dict[str, Any]:
    """Score the predictions in a file, alone or against a second system's, and write the scores.

    A file is one of these, and what it is shows:

    - a table (JSON Lines, CSV, TSV, Parquet, XLSX) with columns `prediction` and `reference`, like the
      `predictions.jsonl` of a training run, or with `glosses`, like the answers of `kgloss translate` and like data
      sets; of several answers to a sentence the first counts. Cells are lists of glosses, or strings;
    - UTF-8 text with one gloss sequence per line, or that of `kgloss translate --n_best`.

    Strings are split by `kgloss_hf.runtime.glosses.split_glosses`. `Number/4C` counts as `4C` on both sides. Where two
    files have a column `text`, it must be the same.

    Args:
        predictions: The system's file.
        references: File with the references (default: those in `predictions`).
        baseline: File of a second system's predictions for the same sentences.
        types: Table with columns `gloss` and `type` (a CSV file, or another of `kgloss_hf.data.tables.read_rows`), for
            Jaccard scores by type and without `non_manual` glosses.
        trials: As for `evaluate_systems`.
        output_dir: Folder for `scores.json` and `sentences.csv`; each replaces an older one only once it is complete.

    Returns:
        What scores.json holds: `pairs` (their number), `scores` as of `evaluate_systems`, `files`, `versions`.

    Raises:
        FileNotFoundError: A file is not there.
        TypeError: A row holds something else than glosses.
        ValueError: A file cannot be read, or the files do not belong together.
        ImportError: At import: sacrebleu, rouge-score or jiwer is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "predictions.jsonl")
        >>> _ = file.write_text('{"reference": ["집", "불"], "prediction": "집"}', "utf-8")
        >>> evaluate_files(str(file))["scores"]["gloss_error_rate"]["system"]
        {'score': 50.0}
    """
    systems, wanted = read_systems(predictions, references=references, baseline=baseline)
    evaluation = evaluate_systems(
        systems,
        wanted,
        types=read_types(types) if types else None,
        trials=trials,
    )
    libraries = ("kgloss-hf", "sacrebleu", "rouge-score", "jiwer", "numpy")
    result = {
        "pairs": len(wanted),
        "scores": evaluation.scores,
        "files": {"system": predictions, "references": references, "baseline": baseline, "types": types},
        "versions": versions(*libraries),
    }
    if output_dir:
        folder = Path(output_dir)
        sentences = _as_csv(evaluation.sentences)
        with sole_writer(folder):  # both files are of one evaluation
            save_file(folder / "scores.json", lambda path: write_json(path, result))
            save_file(folder / "sentences.csv", lambda path: path.write_text(sentences, "utf-8", newline=""))
    return result


def evaluate_systems(
    systems: Mapping[str, Iterable[str | Iterable[str]]],
    references: Iterable[str | Iterable[str]],
    *,
    types: Mapping[str, str] | None = None,
    trials: int = 10_000,
) -> _Evaluation:
    """Score one system, or two on the same references with a paired test between them.

    | score | of | computed by |
    |---|---|---|
    | jaccard, jaccard_multiset | mean over sentences | `kgloss_hf.evaluation.metrics` |
    | bleu_1 to bleu_4, chrf | corpus | sacreBLEU, BLEU with its tokenisation off and n-grams up to that order |
    | rouge_l | mean F1 over sentences | rouge-score, glosses as tokens |
    | gloss_error_rate | edits over reference glosses, corpus; lower is better, can exceed 100 | jiwer |
    | exact_match | share of sentences with the same glosses in the same order | here |

    A gloss is one token for all of them, also with a space in it. A pair of two empty sequences counts 100 for jaccard
    and exact_match, and 0 for rouge_l: that is what rouge-score does.

    Args:
        systems: For each system's name, one gloss sequence per sentence, as for `kgloss_hf.evaluation.metrics.jaccard`.
        references: As many gloss sequences.
        types: As for `kgloss_hf.evaluation.metrics.jaccard_result`; adds `jaccard_manual`, the score without the
            `non_manual` glosses, and `jaccard_of_TYPE` for each type found.
        trials: Of the paired approximate randomisation; sacreBLEU's takes some 11 bytes per trial and sentence.

    Returns:
        `scores`: for each score, under each system's name its `score` × 100 (with the 95% bootstrap interval `low`,
        `high` where it is a mean over sentences, with `pairs` where it is of one type), its `signature`, and for two
        systems, but not by type, `p_value` and the `test`'s signature. `sentences`: for each system and sentence the
        scores that sentences have, `edits` and the number of `reference_glosses`.

    Raises:
        TypeError: As for `kgloss_hf.evaluation.metrics.jaccard`.
        ValueError: Not one or two systems, no or unequally many sequences, or no gloss in any reference.

    Source:
        Papineni et al. 2002 (BLEU), Popović 2015 (chrF), Lin 2004 (ROUGE-L), Riezler and Maxwell 2005 (the test).
        sacreBLEU counts only trials that differ more than the systems do; where two scores are equal, p is 1 here.

    Example:
        >>> scores = evaluate_systems({"ours": [["집", "불"]]}, [["불", "집"]]).scores
        >>> scores["jaccard"]["ours"], scores["gloss_error_rate"]["ours"]
        ({'score': 100.0, 'low': 100.0, 'high': 100.0}, {'score': 100.0})
    """
    if len(systems) not in (1, 2):
        raise ValueError(f"systems: expected one, or two to compare, found {len(systems)}; compare two at a time")
    hypotheses: dict[str, list[list[str]]] = {}
    written = GlossLists(gloss_lists(references, "references"))
    for name, sequences in systems.items():
        hypotheses[name], _ = gloss_pairs(sequences, written)
    if not any(written):
        raise ValueError("references: expected glosses, found only empty sequences; check the file and its column")
    by_type = {} if types is None else _jaccard_by_type(hypotheses, written, types)
    hypotheses = {name: GlossLists(as_signed(sequences)) for name, sequences in hypotheses.items()}
    wanted = GlossLists(as_signed(written))
    of_sentences = {name: _sentence_scores(predictions, wanted) for name, predictions in hypotheses.items()}
    scores = {
        **_jaccard(hypotheses, wanted, "jaccard"),
        **_jaccard(hypotheses, wanted, "jaccard_multiset", multiset=True),
        **_corpus_scores(hypotheses, wanted, trials),
        **_means(of_sentences),
        "gloss_error_rate": {
            **{name: {"score": _error_rate(columns)} for name, columns in of_sentences.items()},
            "signature": f"ger|jiwer:{versions('jiwer')['jiwer']}",
        },
    }
    if len(systems) == 2:
        first, second = of_sentences.values()
        for name in ("jaccard", "jaccard_multiset", "rouge_l", "exact_match", "gloss_error_rate"):
            # Both systems have the same reference glosses, so the rates differ as the edits do.
            column = "edits" if name == "gloss_error_rate" else name
            scores[name]["p_value"] = paired_p_value(first[column], second[column], trials=trials, seed=_SEED)
            scores[name]["test"] = f"ar:{trials}|seed:{_SEED}|v:{__version__}"
    scores |= by_type
    rows = []
    for name, predictions in hypotheses.items():
        for index, (prediction, reference) in enumerate(zip(predictions, wanted, strict=True)):
            row = {
                "system": name,
                "sentence": index + 1,
                "reference": _line(reference),
                "prediction": _line(prediction),
            }
            rows.append(row | {score: values[index].item() for score, values in of_sentences[name].items()})
    return _Evaluation(scores, rows)


class _WhiteSpace:
    """The tokenizer for rouge-score, whose own drops whatever is not a Latin letter or a digit."""

    tokenize = staticmethod(str.split)


def _sentence_scores(predictions: list[list[str]], references: list[list[str]]) -> dict[str, npt.NDArray[Any]]:
    rouge = RougeScorer(["rougeL"], tokenizer=_WhiteSpace())
    rouge_l, edits = [], []
    for prediction, reference in zip(map(_line, predictions), map(_line, references), strict=True):
        rouge_l.append(100 * rouge.score(reference, prediction)["rougeL"].fmeasure)
        words = jiwer.process_words(reference, prediction)
        edits.append(words.substitutions + words.deletions + words.insertions)
    exact = [100 * (prediction == reference) for prediction, reference in zip(predictions, references, strict=True)]
    return {
        "jaccard": 100 * jaccard_scores(predictions, references),
        "jaccard_multiset": 100 * jaccard_scores(predictions, references, multiset=True),
        "rouge_l": np.array(rouge_l, dtype=np.float64),
        "exact_match": np.array(exact, dtype=np.float64),
        "edits": np.array(edits),
        "reference_glosses": np.array([len(reference) for reference in references]),
    }


def _error_rate(scores: Mapping[str, npt.NDArray[Any]]) -> float:
    return float(100 * scores["edits"].sum() / scores["reference_glosses"].sum())


def _jaccard(
    systems: Mapping[str, list[list[str]]], references: list[list[str]], name: str, **options: Any
) -> dict[str, dict[str, Any]]:
    score: dict[str, Any] = {}
    for system, predictions in systems.items():
        result = jaccard_result(predictions, references, resamples=_RESAMPLES, seed=_SEED, **options)
        score[system] = {"score": result["jaccard"], "low": result["low"], "high": result["high"]}
    return {name: score | {"signature": result["signature"]}}


def _jaccard_by_type(
    systems: Mapping[str, list[list[str]]], references: list[list[str]], types: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    scores: dict[str, dict[str, Any]] = {}
    systems = {name: GlossLists(sequences) for name, sequences in systems.items()}
    if "non_manual" in types.values():
        scores |= _jaccard(systems, references, "jaccard_manual", types=types, ignore_non_manual=True)
    for system, predictions in systems.items():
        result = jaccard_result(predictions, references, types=types)
        for kind, score in result["by_type"].items():
            row = scores.setdefault(f"jaccard_of_{kind}", {})
            row |= {system: {"score": score["jaccard"], "pairs": score["pairs"]}, "signature": result["signature"]}
    return scores


def _corpus_scores(
    systems: Mapping[str, list[list[str]]], references: list[list[str]], trials: int
) -> dict[str, dict[str, Any]]:
    # `force` only silences sacreBLEU's advice not to tokenise: for glosses its tokenisation has to be off.
    metrics: dict[str, Any] = {
        f"bleu_{order}": BLEU(tokenize="none", max_ngram_order=order, force=True) for order in (1, 2, 3, 4)
    }
    metrics["chrf"] = CHRF()
    lines = [_line(reference) for reference in references]
    outputs = {name: list(map(_line, predictions)) for name, predictions in systems.items()}
    scores: dict[str, dict[str, Any]] = {}
    for name, metric in metrics.items():
        scores[name] = {
            system: {"score": metric.corpus_score(output, [lines]).score} for system, output in outputs.items()
        }
        scores[name]["signature"] = str(metric.get_signature())
        if len(outputs) == 2:
            # One test a metric: sacreBLEU tells metrics apart by a name that BLEU-1 to BLEU-4 share.
            paired: Any = PairedTest([*outputs.items()], {name: metric}, [lines], "ar", trials)()
            (signature,), (_, (first, second)) = paired[0].values(), paired[1].values()
            scores[name]["p_value"] = 1.0 if first.score == second.score else second.p_value
            scores[name]["test"] = str(signature)
    return scores


def _means(systems: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> dict[str, dict[str, Any]]:
    procedure = f"bs:{_RESAMPLES}|seed:{_SEED}"
    scores: dict[str, dict[str, Any]] = {
        "rouge_l": {
            "signature": f"rougeL|f1|tok:none|{procedure}|rouge-score:{versions('rouge-score')['rouge-score']}"
        },
        "exact_match": {"signature": f"exact|{procedure}|v:{__version__}"},
    }
    for name, score in scores.items():
        for system, columns in systems.items():
            low, high = bootstrap_interval(columns[name], resamples=_RESAMPLES, seed=_SEED)
            score[system] = {"score": float(columns[name].mean()), "low": low, "high": high}
    return scores


def _line(glosses: Iterable[str]) -> str:
    return " ".join(re.sub(r"\s", _SPACE, gloss) or _SPACE for gloss in glosses)


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
