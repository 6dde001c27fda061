"""Describe in words how a model compares with the baselines and how it decodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .metrics import jaccard_scores, paired_p_value
from .sequences import GlossLists

_SIGNIFICANT = 0.05
_ADVICE = (
    "What can help: more pairs (--extra_train), more epochs, and, where the model was trained from scratch, a "
    "pre-trained encoder (--encoder_model_name_or_path) or a pretext (--pretext)."
)


def compare(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], others: Mapping[str, Sequence[Any]]
) -> dict[str, dict[str, float]]:
    """Return how far a system's Jaccard score exceeds those of others, and the p value of each difference.

    Args:
        references: Lists of glosses; `Number/4C` counts as `4C`.
        predictions: Lists of glosses of the system, one per reference.
        others: Lists of glosses of each other system, one per reference, by the name of the system.

    Returns:
        For each other system `difference`, in JC, and `p_value` of the paired approximate randomisation.

    Examples:
        >>> compare([["집", "불"]], [["집", "불"]], {"copy": [["집"]]})
        {'copy': {'difference': 50.0, 'p_value': 1.0}}
    """
    wanted = GlossLists(map(list, references))
    ours = 100 * jaccard_scores(GlossLists(map(list, predictions)), wanted)
    compared = {}
    for name, lists in others.items():
        theirs = 100 * jaccard_scores(GlossLists(map(list, lists)), wanted)
        compared[name] = {"difference": float((ours - theirs).mean()), "p_value": paired_p_value(ours, theirs)}
    return compared


def comparison_words(system: str, comparisons: Mapping[str, Mapping[str, float]], advice: bool = True) -> list[str]:
    """Return sentences that say whether a system beats others, by how much, and whether that may be chance.

    Args:
        system: Name of the system.
        comparisons: From `compare`.
        advice: End with advice if the system does not beat all of them (default: True).

    Examples:
        >>> comparison_words("tiny", {"copy": {"difference": 5.9, "p_value": 0.01}})
        ['tiny beats copy by 5.90 JC (p = 0.0100).']
        >>> comparison_words("tiny", {"copy": {"difference": -7.2, "p_value": 0.2}}, advice=False)
        ['tiny does not beat copy: it is 7.20 JC below, which may be chance (p = 0.2000).']
    """
    words, beaten = [], True
    for name, compared in comparisons.items():
        difference, p_value = compared["difference"], compared["p_value"]
        significant = p_value < _SIGNIFICANT
        beaten &= difference > 0 and significant
        p = f"p = {p_value:.4f}"
        if difference > 0 and significant:
            words.append(f"{system} beats {name} by {difference:.2f} JC ({p}).")
        elif difference > 0:
            words.append(f"{system} is {difference:.2f} JC above {name}, which may be chance ({p}).")
        elif difference == 0:
            words.append(f"{system} does not beat {name}: both score the same.")
        else:
            chance = f" ({p})" if significant else f", which may be chance ({p})"
            words.append(f"{system} does not beat {name}: it is {-difference:.2f} JC below{chance}.")
    return words if beaten or not advice else [*words, _ADVICE]


def decoding_words(decoding: Mapping[str, Any]) -> str:
    """Return a sentence on the penalties that a model decodes with, and on their scores on the validation set.

    Args:
        decoding: The `decoding` of metrics.json.

    Examples:
        >>> off = {"encoder_repetition_penalty": 1.0, "repetition_penalty": 1.0}
        >>> on = {"encoder_repetition_penalty": 4.0, "repetition_penalty": 2.0}
        >>> decoding_words(off)
        'Decoding: encoder_repetition_penalty 1 (off), repetition_penalty 1 (off).'
        >>> decoding_words({**on, "validation": [{**off, "jaccard": 21.9}, {**on, "jaccard": 35.1}]})
        'Decoding: encoder_repetition_penalty 4, repetition_penalty 2; validation JC 35.10, with both off 21.90.'
    """
    names = ("encoder_repetition_penalty", "repetition_penalty")
    words = "Decoding: " + ", ".join(f"{name} {decoding[name]:g}{' (off)' * (decoding[name] == 1)}" for name in names)
    tried = {tuple(trial[name] for name in names): trial["jaccard"] for trial in decoding.get("validation", ())}
    best, off = tuple(decoding[name] for name in names), (1.0, 1.0)
    if best in tried:
        words += f"; validation JC {tried[best]:.2f}"
        if best != off and off in tried:
            words += f", with both off {tried[off]:.2f}"
    return f"{words}."
