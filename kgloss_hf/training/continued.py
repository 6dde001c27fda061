"""Continue training a text-to-gloss model on pairs that may have other glosses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedModel

from ..models.extending import extend_model, release_glosses
from ..models.joined import JoinedEncoderDecoderModel
from ..models.modeling import EncoderDecoderModel
from ..models.seq2seq import with_whole_steps
from ..runtime.arguments import positions_of
from ..runtime.modeling_rnn import RnnEncoderDecoderModel
from ..runtime.tokenization_kgloss import KGlossTokenizerFast

_UNNAMED = "continued"
"""Name of a model whose `metrics.json` names no preset."""


def check_options(checkpoint: str, before: Mapping[str, Any], preset: str | None, given: Mapping[str, Any]) -> str:
    """Return the preset of a trained model, and refuse options that its checkpoint already decides.

    Args:
        checkpoint: Folder or Hub repository of the model.
        before: Facts from `kgloss_hf.training.run.run_of`.
        preset: Value of `--preset`, or None.
        given: Other options of a model and its tokenizer, by name; None if an option was not given.

    Raises:
        ValueError: Options were given that the checkpoint decides, or the checkpoint is a model of the pretext task.

    Examples:
        >>> check_options("outputs/demo/model", {"preset": "tiny", "scores": None}, None, {"vocabulary": None})
        'tiny'
    """
    refused = [f"--{name} {value}" for name, value in given.items() if value is not None]
    if preset not in (None, before["preset"]):
        refused.insert(0, f"--preset {preset}")
    if refused:
        own = f"; its preset is {before['preset']}" if before["preset"] and preset else ""
        raise ValueError(
            f"--init_from {checkpoint}: expected only options of training, because the model decides its shape, "
            f"vocabulary and analyser{own}; found {', '.join(refused)}; leave them out"
        )
    if before["scores"] == {}:
        raise ValueError(
            f"--init_from {checkpoint}: expected a model that outputs glosses, found one of run_pretext.py; pass it as "
            "--pretext"
        )
    return before["preset"] or _UNNAMED


def continued_model(
    checkpoint: str,
    tokenizer: KGlossTokenizerFast,
    types: Mapping[str, str],
    *,
    num_beams: int | None = None,
    release: bool = True,
) -> PreTrainedModel:
    """Return a trained model, extended by the glosses of a tokenizer, for further training.

    The generation settings of its checkpoint, such as the number of beams, are kept.

    Args:
        checkpoint: Folder or Hub repository of the model and its tokenizer.
        tokenizer: The run's tokenizer: that of the model, or one that `kgloss_hf.models.extending.extend_tokenizer`
            made from it.
        types: Types of the pairs' glosses. Types that the model already has are kept.
        num_beams: Number of beams in generation (default: the model's).
        release: Let training learn the new glosses (`kgloss_hf.models.extending.release_glosses`; default True). If
            False, the model keeps its answers.

    Raises:
        ValueError: The tokenizer is not an extension of the model's, or `num_beams` is below 1.

    Examples:
        >>> tokenizer, checkpoint = getfixture("tokenizer"), getfixture("checkpoint")
        >>> continued_model(checkpoint, tokenizer, {"몸": "sign_word"}).config.gloss_types
        {'몸': 'sign_word'}
    """
    if num_beams is not None and num_beams < 1:
        raise ValueError(f"num_beams: expected 1 or more, found {num_beams}")
    kinds: dict[str, Any] = {
        "encoder-decoder": EncoderDecoderModel,
        "kgloss-joined": JoinedEncoderDecoderModel,
        "kgloss-rnn": RnnEncoderDecoderModel,
    }
    kind = kinds.get(AutoConfig.from_pretrained(checkpoint).model_type)
    model = (kind or AutoModelForSeq2SeqLM).from_pretrained(checkpoint, use_safetensors=True).float()
    if kind is None:
        model = with_whole_steps(model)
    own = KGlossTokenizerFast.from_pretrained(checkpoint)
    extend_model(model, own, tokenizer)
    if release and len(tokenizer.glosses) > len(own.glosses):
        release_glosses(model, own, tokenizer)
    model.config.gloss_types = {**types, **(getattr(model.config, "gloss_types", None) or {})}
    if num_beams is not None:
        model.generation_config.num_beams = num_beams
    trained: PreTrainedModel = model
    return trained


def make_room(model: PreTrainedModel, longest: int) -> None:
    """Raise a trained model's generation limit to the length of the longest target, unless it is high enough already.

    Args:
        model: Model to change in place.
        longest: Number of tokens of the longest target, including [EOS].

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> model = build_model("tiny", getfixture("tokenizer"))
        >>> model.generation_config.max_length = 16
        >>> make_room(model, 20)
        >>> model.generation_config.max_length
        21
    """
    config = model.generation_config
    if config.max_new_tokens is None and config.max_length < 1 + longest:  # [BOS] counts too
        positions = positions_of(model, "decoder")
        config.max_length = 1 + longest if positions is None else min(1 + longest, 1 + positions)


def shares_embeddings(model: PreTrainedModel) -> bool:
    """Return whether the encoder and decoder embeddings of a trained model were trained as one matrix.

    Args:
        model: Trained model.

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> [shares_embeddings(build_model(preset, getfixture("tokenizer"))) for preset in ("tiny", "rnn")]
        [True, False]
    """
    if not isinstance(model, EncoderDecoderModel):
        return False
    encoder, decoder = (half.get_input_embeddings().weight for half in (model.encoder, model.decoder))
    return torch.equal(encoder, decoder)


def facts_of(checkpoint: str, before: Mapping[str, Any], tokenizer: KGlossTokenizerFast) -> dict[str, Any]:
    """Return the entry of metrics.json about the model that a run continued from.

    Args:
        checkpoint: Folder or Hub repository of that model.
        before: Facts from `kgloss_hf.training.run.run_of`.
        tokenizer: The run's tokenizer.

    Returns:
        `base_model`, the model's id on the Hub, or None for a folder; `command`, the command that trained it, or None;
        and `added_glosses`, the number of glosses that it lacked.

    Examples:
        >>> facts_of(getfixture("checkpoint"), {"command": None}, getfixture("tokenizer"))
        {'base_model': None, 'command': None, 'added_glosses': 0}
    """
    glosses = KGlossTokenizerFast.from_pretrained(checkpoint).glosses
    return {
        "base_model": None if Path(checkpoint).exists() else checkpoint,
        "command": before["command"],
        "added_glosses": len(tokenizer.glosses) - len(glosses),
    }


def other_data(data: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the corpora of a pretext, without those that this run uses in the same way and under the same licence.

    Args:
        data: Corpora from `kgloss_hf.training.run.run_of`.
        now: Corpora of this run. The file names of two corpora may be equal by chance.

    Examples:
        >>> pretext = {"name": "train.csv", "use": "pretext", "license": None}
        >>> other_data([pretext], [{"name": "train.csv", "use": "glosses", "license": "mit"}]) == [pretext]
        True
    """
    same = {(corpus["name"], corpus["use"], corpus["license"]) for corpus in now}
    return [corpus for corpus in data if (corpus["name"], corpus["use"], corpus["license"]) not in same]


def earlier_data(data: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the corpora that a trained model had learnt from, marked as earlier, without those of this run.

    Args:
        data: Corpora from `kgloss_hf.training.run.run_of`.
        now: Corpora of this run. Files with the same name but different licences count as different.

    Examples:
        >>> earlier_data([{"name": "gksl", "use": "glosses", "license": "mit"}], [])
        [{'name': 'gksl', 'use': 'earlier glosses', 'license': 'mit'}]
    """
    same = {(corpus["name"], corpus["license"]) for corpus in now}
    marked = [{**corpus, "use": f"earlier {corpus['use']}".replace("earlier earlier", "earlier")} for corpus in data]
    return [corpus for corpus in marked if (corpus["name"], corpus["license"]) not in same]
