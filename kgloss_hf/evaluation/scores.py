"""Score predicted glosses in files with Jaccard and established metrics, and test the difference of two systems."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..files import save_file, sole_writer, write_json
from ..optional import install_command, versions
from ..reporting import counted
from ..version import __version__
from .alignment import alignment_scores
from .metrics import References, bootstrap_interval, by_group, jaccard_result, jaccard_scores, paired_p_value
from .prediction_files import Lexicon, Review, SystemFiles, read_lexicon, read_systems
from .sequences import GlossLists, GlossReferences, as_signed, gloss_pairs, gloss_references

try:
    import jiwer
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest
except ImportError as error:
    raise ImportError(
        f"expected sacrebleu, rouge-score and jiwer, found no {error.name}; run: {install_command('evaluate')}"
    ) from error

logger = logging.getLogger(__name__)

_SPACE = "␣"
"""Substitute for white space inside a gloss, so that the libraries treat a gloss as one token."""

_ERROR_RATE_SIGNATURE = f"ger|jiwer:{versions('jiwer')['jiwer']}"
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
    gloss_separator: str | None = None,
    encoding: str = "utf-8",
    trials: int = 10_000,
    output_dir: str | None = None,
) -> dict[str, Any]:
    """Score the predictions in a file, alone or against a second system's, and write the scores.

    The kind of a file is recognised. It can be:

    - a table (CSV, TSV, JSON Lines, also compressed with gzip; Parquet, XLSX) with columns `prediction` and
      `reference`, like the `predictions.jsonl` of a training run, or with `glosses`, like answers of `kgloss translate`
      and data sets; of several answers to a sentence, the first counts. Headers can be Korean. Cells are lists of
      glosses, or strings; a list of lists in `reference` holds several references;
    - UTF-8 text with one gloss sequence per line, or the text of `kgloss translate --n_best`;
    - for `references`, a sign corpus: a folder, archive or file that `kgloss_hf.data.sign_corpora` reads.

    Strings are split by `kgloss_hf.runtime.glosses.split_glosses`, at the sign that separates glosses in most of them,
    such as `|`, or at white space. `Number/4C` counts as `4C` on both sides. Where two files have a column `text`, it
    must be the same. Rows of one sentence are grouped by it for the scores of references (`evaluate_systems`). Where
    the predictions have a column `alignment` and the references `spans`, `alignment_overlap`, `alignment_iou` and
    `alignment_coverage` are added (`kgloss_hf.evaluation.alignment.alignment_scores`), × 100, with the number of
    `glosses` that were compared.

    In a review sheet (`kgloss review`), the glosses that were shown are scored against the reviewers' versions, so that
    the gloss error rate is that of post-editing. Rows that were not reviewed or were rejected are left out and counted.

    Args:
        predictions: File of the system; or a review sheet (XLSX, CSV, ELAN), or several with commas between them.
        references: File of the references (default: those in `predictions`).
        baseline: File of a second system's predictions for the same sentences (default: none).
        types: Table with columns `gloss` and `type` (a CSV file, or another of `kgloss_hf.data.tables.read_rows`), for
            Jaccard scores by type and without `non_manual` glosses. A column `synonyms`, alongside or instead of
            `type`, lists glosses that count as equal to the row's gloss, for `jaccard_synonyms`. A column `group`
            has the same purpose: equal glosses have the same group, as in a lexicon of `kgloss_hf.load_lexicon`.
        gloss_separator: Sign between the glosses of a string in all files except `types`; a space for white space.
            Default: recognised in each column.
        encoding: Encoding of text files, such as `cp949` (default `utf-8`).
        trials: As for `evaluate_systems`.
        output_dir: Folder for `scores.json` and `sentences.csv`; each replaces an older one only once it is complete.

    Returns:
        The content of scores.json: `pairs` (their number), `scores` as from `evaluate_systems`, `files`, `versions`;
        for a review sheet also `review`: `rows`, `unchanged` (the share left unchanged, × 100), `gloss_error_rate`, the
        numbers of rows `corrected`, `approved`, `rejected` and `not_reviewed`, and for each of the `reviewers`
        `rows`, `unchanged` and `gloss_error_rate`.

    Raises:
        FileNotFoundError: A file does not exist.
        TypeError: A row holds something other than glosses.
        ValueError: A file cannot be read, or the files do not belong together.
        ImportError: At import: sacrebleu, rouge-score or jiwer is not installed.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "predictions.jsonl")
        >>> _ = file.write_text('{"reference": ["집", "불"], "prediction": "집"}', "utf-8")
        >>> evaluate_files(str(file))["scores"]["gloss_error_rate"]["system"]
        {'score': 50.0}
    """
    files = read_systems(
        predictions, references=references, baseline=baseline, gloss_separator=gloss_separator, encoding=encoding
    )
    lexicon = read_lexicon(types, encoding) if types else Lexicon({}, {})
    evaluation = evaluate_systems(
        files.systems,
        files.references,
        sentences=files.sentences,
        types=lexicon.types or None,
        synonyms=lexicon.synonyms or None,
        trials=trials,
    )
    libraries = ("kgloss-hf", "sacrebleu", "rouge-score", "jiwer", "numpy")
    result = {
        "pairs": len(files.references),
        "scores": evaluation.scores | _alignment_scores(files),
        "files": {"system": predictions, "references": references, "baseline": baseline, "types": types},
        "versions": versions(*libraries),
    }
    if files.review:
        result["review"] = _review_scores(files.review, files.systems["system"], files.references)
    if output_dir:
        folder = Path(output_dir)
        sentences = _as_csv(evaluation.sentences)
        with sole_writer(folder):  # both files belong to one evaluation
            save_file(folder / "scores.json", lambda path: write_json(path, result))
            save_file(folder / "sentences.csv", lambda path: path.write_text(sentences, "utf-8", newline=""))
    return result


def evaluate_systems(
    systems: Mapping[str, Iterable[str | Iterable[str]]],
    references: References,
    *,
    sentences: Sequence[str | None] | None = None,
    types: Mapping[str, str] | None = None,
    synonyms: Mapping[str, Iterable[str]] | None = None,
    trials: int = 10_000,
) -> _Evaluation:
    """Score one system, or two on the same references with a paired test between them.

    | score | of | computed by |
    |---|---|---|
    | jaccard, jaccard_multiset | mean over sentences | `kgloss_hf.evaluation.metrics` |
    | bleu_1 to bleu_4, chrf | corpus | sacreBLEU, BLEU with its tokenisation off and n-grams up to that order |
    | rouge_l | mean F1 over sentences | rouge-score, glosses as tokens |
    | gloss_error_rate | edits over reference glosses, corpus; lower is better, can exceed 100 | jiwer |
    | exact_match | share of sentences with the same glosses in the same order | this module |

    A gloss is one token for all of them, even with a space in it. A pair of two empty sequences counts 100 for jaccard
    and exact_match, and 0 for rouge_l, as rouge-score computes it.

    Each row, a prediction and its reference, has the same weight above. If some sentence has several references, in
    several rows or in one, these scores are added:

    | score | of |
    |---|---|
    | jaccard_mean_by_sentence | mean over the rows of a sentence, then over sentences |
    | jaccard_best_by_row | each row's prediction against the reference of its sentence that agrees most |
    | jaccard_best_by_sentence | the same, its mean over the rows of a sentence, then over sentences |
    | bleu_4_of_references, chrf_of_references | each sentence once, against all its different references |

    A system can predict different glosses for the rows of one sentence. Each row then keeps its own prediction, and a
    sentence's score is the mean over its rows. BLEU and chrF of references use the prediction of its first row, with
    a warning.

    Args:
        systems: One gloss sequence per sentence, by system name, as for `kgloss_hf.evaluation.metrics.jaccard`.
        references: For each sentence one gloss sequence, or a list of lists of glosses. A row with several
            references counts as that many rows of one sentence.
        sentences: The sentence of each row, by which rows are grouped; None for a row without one. Default: each row
            has its own sentence.
        types: As for `kgloss_hf.evaluation.metrics.jaccard_result`; adds `jaccard_manual`, the score without the
            `non_manual` glosses, and `jaccard_of_TYPE` for each type found.
        synonyms: As for `kgloss_hf.evaluation.metrics.jaccard_result`; adds `jaccard_synonyms`, the Jaccard score in
            which they count as equal.
        trials: Trials of the paired approximate randomisation (default 10,000); sacreBLEU's takes about 11 bytes of
            memory per trial and sentence.

    Returns:
        `scores`: for each score, under each system's name its `score` × 100 (with the 95% bootstrap interval `low`,
        `high` where it is a mean over sentences, with `pairs` where it covers one type), its `signature`, and for two
        systems, but not by type, `p_value` and the `test`'s signature. `sentences`: for each system and row the scores
        that rows have, `edits` and the number of `reference_glosses`.

    Raises:
        TypeError: As for `kgloss_hf.evaluation.metrics.jaccard`.
        ValueError: There are not one or two systems, the numbers of sequences are 0 or differ, or no reference
            has a gloss.

    Source:
        Papineni et al. 2002 (BLEU), Popović 2015 (chrF), Lin 2004 (ROUGE-L), Riezler and Maxwell 2005 (the test).
        sacreBLEU counts only trials that differ more than the systems do; where two scores are equal, p is 1 here.

    Examples:
        >>> scores = evaluate_systems({"ours": [["집", "불"]]}, [["불", "집"]]).scores
        >>> scores["jaccard"]["ours"], scores["gloss_error_rate"]["ours"]
        ({'score': 100.0, 'low': 100.0, 'high': 100.0}, {'score': 100.0})
    """
    if len(systems) not in (1, 2):
        raise ValueError(f"systems: expected one, or two to compare, found {len(systems)}; compare two at a time")
    hypotheses: dict[str, list[list[str]]] = {}
    known = gloss_references(references)
    for name, sequences in systems.items():
        hypotheses[name], flat, counts = gloss_pairs(sequences, known)
    if not any(flat):
        raise ValueError("references: expected glosses, found only empty sequences; check the file and its column")
    written = GlossLists(flat)
    groups = _groups(sentences, counts or [1] * len(written))
    by_type = {} if types is None else _jaccard_by_type(hypotheses, written, types)
    hypotheses = {name: GlossLists(as_signed(lists)) for name, lists in hypotheses.items()}
    wanted = GlossLists(as_signed(written))
    of_sentences = {name: _sentence_scores(predictions, wanted) for name, predictions in hypotheses.items()}
    metrics = _corpus_metrics()
    outputs = {name: list(map(_line, predictions)) for name, predictions in hypotheses.items()}
    scores = {
        **_jaccard(hypotheses, wanted, "jaccard"),
        **_jaccard(hypotheses, wanted, "jaccard_multiset", multiset=True),
        **_corpus_scores(outputs, [list(map(_line, wanted))], metrics, trials),
        **_means(of_sentences),
        "gloss_error_rate": {
            **{name: {"score": _error_rate(columns)} for name, columns in of_sentences.items()},
            "signature": _ERROR_RATE_SIGNATURE,
        },
    }
    tested = {name: name for name in ("jaccard", "jaccard_multiset", "rouge_l", "exact_match")}
    # Both systems have the same reference glosses, so the rates differ as the edits do.
    tested["gloss_error_rate"] = "edits"
    if synonyms:
        scores |= _jaccard(hypotheses, wanted, "jaccard_synonyms", synonyms=synonyms)
        tested["jaccard_synonyms"] = "jaccard_synonyms"
        for name, predictions in hypotheses.items():
            of_sentences[name]["jaccard_synonyms"] = 100 * jaccard_scores(predictions, wanted, synonyms=synonyms)
    for score, column in tested.items():
        _test(scores[score], [columns[column] for columns in of_sentences.values()], trials)
    if len(set(groups.tolist())) < len(wanted):
        for name, predictions in hypotheses.items():
            of_sentences[name]["jaccard_best"] = _best_of_references(predictions, wanted, groups)
        scores |= _means_of_references(of_sentences, groups, scores["jaccard"]["signature"], trials)
        scores |= _corpus_scores_of_references(outputs, wanted, groups, metrics, trials)
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


def corpus_scores(
    predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str]]
) -> dict[str, dict[str, Any]]:
    """Return BLEU-1 to BLEU-4, chrF, ROUGE-L and gloss error rate of one system, quickly and without intervals.

    Args:
        predictions: As for `evaluate_systems`.
        references: One gloss sequence per prediction, with at least one gloss in all.

    Returns:
        For each score its `score` × 100 and `signature`, as from `evaluate_systems`, except that the signature of
        ROUGE-L names no interval.

    Raises:
        TypeError: As for `evaluate_systems`.
        ValueError: As for `evaluate_systems`.

    Examples:
        >>> scores = corpus_scores([["집", "불"]], [["불", "집"]])
        >>> scores["rouge_l"]["score"], scores["gloss_error_rate"]["score"]
        (50.0, 100.0)
    """
    pairs = gloss_pairs(predictions, references)
    hypotheses, wanted = as_signed(pairs.predictions), as_signed(pairs.references)
    if not any(wanted):
        raise ValueError("references: expected glosses, found only empty sequences; check the file and its column")
    columns = _rouge_and_edits(hypotheses, wanted)
    scores = _corpus_scores({"": list(map(_line, hypotheses))}, [list(map(_line, wanted))], _corpus_metrics(), 0)
    return {
        **{name: {"score": score[""]["score"], "signature": score["signature"]} for name, score in scores.items()},
        "rouge_l": {"score": float(columns["rouge_l"].mean()), "signature": _rouge_signature()},
        "gloss_error_rate": {"score": _error_rate(columns), "signature": _ERROR_RATE_SIGNATURE},
    }


def _alignment_scores(files: SystemFiles) -> dict[str, dict[str, Any]]:
    scores: dict[str, dict[str, Any]] = {}
    if isinstance(files.references, GlossReferences):  # which have no spans
        return scores
    for system, alignment in files.alignments.items():
        own = alignment_scores(files.systems[system], alignment, files.references, files.spans)
        if not own["compared"]:
            logger.warning("%s: no predicted gloss has a place in the references, so places are not scored", system)
            continue
        for name in ("overlap", "iou", "coverage"):
            score = scores.setdefault(f"alignment_{name}", {"signature": f"alignment|{name}|match:lcs|v:{__version__}"})
            score[system] = {"score": 100 * own[name], "glosses": own["compared"]}
    return scores


def _review_scores(
    review: Review, shown: GlossLists, corrected: GlossLists | GlossReferences
) -> dict[str, int | float | dict[str, Any]]:
    """Return the `review` of `evaluate_files`."""
    predictions = as_signed(shown)
    references = as_signed(
        [glosses for row in corrected for glosses in row] if isinstance(corrected, GlossReferences) else corrected
    )
    columns = _rouge_and_edits(predictions, references)
    unchanged = np.array([one == other for one, other in zip(predictions, references, strict=True)])
    names = np.array(review.reviewers)

    def scores(chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
        of_rows = {name: values[chosen] for name, values in columns.items()}
        rate, share = _error_rate(of_rows), float(100 * unchanged[chosen].mean())
        return {"rows": int(chosen.sum()), "unchanged": share, "gloss_error_rate": rate}

    verdicts = ("corrected", "approved", "rejected", "not reviewed")
    counts = {name.replace(" ", "_"): review.counts[name] for name in verdicts}
    reviewers = {name: scores(names == name) for name in sorted(set(review.reviewers))}
    return scores(names == names) | counts | {"reviewers": reviewers}


class _WhiteSpace:
    """Tokenizer for rouge-score, whose own drops everything except Latin letters and digits."""

    tokenize = staticmethod(str.split)


def _groups(sentences: Sequence[str | None] | None, counts: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return a number for the sentence of each pair; rows without a sentence stand for themselves."""
    rows = [None] * len(counts) if sentences is None else list(sentences)
    if len(rows) != len(counts):
        raise ValueError(
            f"sentences: expected one per row, found {len(rows)} for {counted(len(counts), 'row')}; add None for a "
            "row without one"
        )
    numbers: dict[str | int, int] = {}
    of_rows = [numbers.setdefault(sentence or row, len(numbers)) for row, sentence in enumerate(rows)]
    return np.repeat(of_rows, counts)


def _rouge_and_edits(predictions: list[list[str]], references: list[list[str]]) -> dict[str, npt.NDArray[Any]]:
    rouge = RougeScorer(["rougeL"], tokenizer=_WhiteSpace())
    rouge_l, edits = [], []
    for prediction, reference in zip(map(_line, predictions), map(_line, references), strict=True):
        rouge_l.append(100 * rouge.score(reference, prediction)["rougeL"].fmeasure)
        words = jiwer.process_words(reference, prediction)
        edits.append(words.substitutions + words.deletions + words.insertions)
    return {
        "rouge_l": np.array(rouge_l, dtype=np.float64),
        "edits": np.array(edits),
        "reference_glosses": np.array([len(reference) for reference in references]),
    }


def _sentence_scores(predictions: list[list[str]], references: list[list[str]]) -> dict[str, npt.NDArray[Any]]:
    rouge_and_edits = _rouge_and_edits(predictions, references)
    exact = [100 * (prediction == reference) for prediction, reference in zip(predictions, references, strict=True)]
    return {
        "jaccard": 100 * jaccard_scores(predictions, references),
        "jaccard_multiset": 100 * jaccard_scores(predictions, references, multiset=True),
        "rouge_l": rouge_and_edits["rouge_l"],
        "exact_match": np.array(exact, dtype=np.float64),
        "edits": rouge_and_edits["edits"],
        "reference_glosses": rouge_and_edits["reference_glosses"],
    }


def _references_of(references: list[list[str]], groups: npt.NDArray[np.int64]) -> list[list[list[str]]]:
    """Return the different references of each sentence, in an order that does not depend on their rows."""
    different: list[dict[tuple[str, ...], list[str]]] = [{} for _ in range(groups.max() + 1)]
    for group, reference in zip(groups, references, strict=True):
        different[group].setdefault(tuple(reference), reference)
    return [[reference for _, reference in sorted(of_sentence.items())] for of_sentence in different]


def _best_of_references(
    predictions: list[list[str]], references: list[list[str]], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return each prediction's Jaccard score with the reference of its sentence that agrees most, × 100."""
    of_sentences = _references_of(references, groups)
    scores: dict[tuple[int, tuple[str, ...]], float] = {}
    keys = [(group, tuple(prediction)) for group, prediction in zip(groups.tolist(), predictions, strict=True)]
    for group, prediction in dict.fromkeys(keys):
        candidates = GlossLists(of_sentences[group])
        repeated = GlossLists([list(prediction)] * len(candidates))
        scores[group, prediction] = 100 * float(jaccard_scores(repeated, candidates).max())
    return np.array([scores[key] for key in keys])


def _means_of_references(
    systems: Mapping[str, Mapping[str, npt.NDArray[Any]]], groups: npt.NDArray[np.int64], signature: str, trials: int
) -> dict[str, dict[str, Any]]:
    scores: dict[str, dict[str, Any]] = {}
    for name, column, by_sentence, marks in (
        ("jaccard_mean_by_sentence", "jaccard", True, "refs:mean|by:sentence"),
        ("jaccard_best_by_row", "jaccard_best", False, "refs:best|by:row"),
        ("jaccard_best_by_sentence", "jaccard_best", True, "refs:best|by:sentence"),
    ):
        values = [by_group(of[column], groups) if by_sentence else of[column] for of in systems.values()]
        scores[name] = {system: _with_interval(own) for system, own in zip(systems, values, strict=True)}
        scores[name]["signature"] = signature.replace("|bs:", f"|{marks}|bs:", 1)
        _test(scores[name], values, trials)
    return scores


def _corpus_scores_of_references(
    outputs: Mapping[str, list[str]],
    references: list[list[str]],
    groups: npt.NDArray[np.int64],
    metrics: Mapping[str, Any],
    trials: int,
) -> dict[str, dict[str, Any]]:
    """Score each sentence once, against all its references; of different predictions, the first counts."""
    _, firsts = np.unique(groups, return_index=True)
    once = {}
    for name, lines in outputs.items():
        once[name] = [lines[row] for row in firsts]
        if differing := {
            group for group, line in zip(groups.tolist(), lines, strict=True) if line != once[name][group]
        }:
            logger.warning(
                "%s: %s different predictions across rows; BLEU and chrF against all references use the first",
                name,
                counted(len(differing), "sentence has", "sentences have"),
            )
    # sacreBLEU takes references as streams, in which None stands for a reference that a sentence lacks.
    streams = [*zip_longest(*(map(_line, several) for several in _references_of(references, groups)))]
    chosen = {f"{name}_of_references": metrics[name] for name in ("bleu_4", "chrf")}
    return _corpus_scores(once, streams, chosen, trials)


def _with_interval(scores: npt.NDArray[Any]) -> dict[str, float]:
    low, high = bootstrap_interval(scores, resamples=_RESAMPLES, seed=_SEED)
    return {"score": float(scores.mean()), "low": low, "high": high}


def _test(score: dict[str, Any], values: Sequence[npt.NDArray[Any]], trials: int) -> None:
    """Add the p value if two systems are compared."""
    if len(values) == 2:
        score["p_value"] = paired_p_value(*values, trials=trials, seed=_SEED)
        score["test"] = f"ar:{trials}|seed:{_SEED}|v:{__version__}"


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


def _corpus_metrics() -> dict[str, Any]:
    # `force` only silences sacreBLEU's advice not to tokenise: for glosses its tokenisation has to be off.
    metrics: dict[str, Any] = {
        f"bleu_{order}": BLEU(tokenize="none", max_ngram_order=order, force=True) for order in (1, 2, 3, 4)
    }
    return {**metrics, "chrf": CHRF()}


def _corpus_scores(
    outputs: Mapping[str, list[str]],
    references: Sequence[Sequence[Any]],
    metrics: Mapping[str, Any],
    trials: int,
) -> dict[str, dict[str, Any]]:
    scores: dict[str, dict[str, Any]] = {}
    for name, metric in metrics.items():
        scores[name] = {
            system: {"score": metric.corpus_score(output, references).score} for system, output in outputs.items()
        }
        scores[name]["signature"] = str(metric.get_signature())
        if len(outputs) == 2:
            # One test per metric: sacreBLEU tells metrics apart by a name that BLEU-1 to BLEU-4 share.
            paired: Any = PairedTest([*outputs.items()], {name: metric}, references, "ar", trials)()
            (signature,), (_, (first, second)) = paired[0].values(), paired[1].values()
            scores[name]["p_value"] = 1.0 if first.score == second.score else second.p_value
            scores[name]["test"] = str(signature)
    return scores


def _means(systems: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> dict[str, dict[str, Any]]:
    procedure = f"bs:{_RESAMPLES}|seed:{_SEED}"
    scores: dict[str, dict[str, Any]] = {
        "rouge_l": {"signature": _rouge_signature(procedure)},
        "exact_match": {"signature": f"exact|{procedure}|v:{__version__}"},
    }
    for name, score in scores.items():
        score |= {system: _with_interval(columns[name]) for system, columns in systems.items()}
    return scores


def _rouge_signature(*procedure: str) -> str:
    return "|".join(["rougeL|f1|tok:none", *procedure, f"rouge-score:{versions('rouge-score')['rouge-score']}"])


def _line(glosses: Iterable[str]) -> str:
    return " ".join(re.sub(r"\s", _SPACE, gloss) or _SPACE for gloss in glosses)


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
