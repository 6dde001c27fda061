"""Add glosses to a trained model: entries to its tokenizer, and rows to its embeddings and its output projection."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models
from torch import nn
from transformers import PreTrainedModel

from ..runtime.glosses import PLACEHOLDERS
from ..runtime.modeling_rnn import RnnEncoderDecoderModel
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .coverage import words_of_glosses
from .vocabulary import distinct_glosses

_MARGIN = 10.0
"""Distance in nats of a new gloss's first logit below the mean of the old ones, whose softmax it preserves."""


def extend_tokenizer(tokenizer: KGlossTokenizerFast, glosses: Iterable[Sequence[str]]) -> KGlossTokenizerFast:
    """Return a copy of a tokenizer with more glosses; all other entries and ids stay the same.

    A new gloss that is already a word piece or a word keeps its id. Any other new gloss gets an id after all existing
    ones. As in every vocabulary of `train_tokenizer`, it is then an entry for sentences too: a word that equals it or
    begins with it may be split differently than before.

    Args:
        tokenizer: Tokenizer of word pieces or whole words, or with a separate vocabulary of glosses (`target_start`).
        glosses: Gloss sequences, as for `kgloss_hf.models.vocabulary.train_tokenizer`.

    Raises:
        ValueError: A gloss has more than 100 characters or no visible one, or the vocabulary is of another kind.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> tokenizer = train_tokenizer(["몸의 형태"], [["몸", "모습"]], model="wordlevel")
        >>> extended = extend_tokenizer(tokenizer, [["형태", "몸", "나누다"]])
        >>> extended.glosses, extended.convert_tokens_to_ids(["형태", "나누다"]), len(tokenizer)
        (['몸', '모습', '형태', '나누다'], [8, 10], 10)
    """
    old = tokenizer.glosses
    present = {*old, *PLACEHOLDERS}
    added = [gloss for gloss in distinct_glosses(glosses) if gloss not in present]
    extended = copy.deepcopy(tokenizer)
    extended.init_kwargs["glosses"] = [*old, *added]
    if not tokenizer.two_vocabularies:
        known = tokenizer.get_vocab()
        first = 1 + max(known.values())
        unknown = (gloss for gloss in added if gloss not in known)
        # These include tokens of add_tokens, to which the backend would otherwise give other ids when it is loaded.
        _set_vocabulary(extended.backend_tokenizer, known | {gloss: first + n for n, gloss in enumerate(unknown)})
    return extended


def _set_vocabulary(backend: Tokenizer, vocabulary: dict[str, int]) -> None:
    model = backend.model
    if isinstance(model, models.WordPiece):
        names = ("unk_token", "max_input_chars_per_word", "continuing_subword_prefix")
        backend.model = models.WordPiece(vocabulary, **{name: getattr(model, name) for name in names})
    elif isinstance(model, models.WordLevel):
        backend.model = models.WordLevel(vocabulary, unk_token=model.unk_token)
    else:
        raise ValueError(
            f"expected a vocabulary of word pieces or whole words, found {type(model).__name__}; add glosses to "
            "such a tokenizer only where glosses have a vocabulary of their own"
        )


def extend_model(
    model: PreTrainedModel, old_tokenizer: KGlossTokenizerFast, new_tokenizer: KGlossTokenizerFast
) -> None:
    """Add the glosses of an extended tokenizer to a trained model, which emits none of them before further training.

    The model answers as before, with greedy and with beam search: the bias of a new gloss is so low that its logit is
    below the mean of the old ones for any sentence. Two things can still change an answer: new tokens in the sentence
    (`extend_tokenizer`), and a near tie between two beams where a word piece became a gloss, whose probability then
    goes to the others. Training takes thousands of steps to raise so low a bias; `release_glosses` resets it.

    A new row of the embeddings is the mean of the gloss's word pieces, or of all glosses if it has none. In an output
    projection that is not tied to embeddings, a new row is the mean of the old glosses' rows. A model without a trained
    output bias, such as T5, has such rows in its embeddings too. No random number is drawn.

    Args:
        model: Model from `kgloss_hf.models.modeling.build_model`, or another whose output has the ids of the
            tokenizer's target side; changed in place.
        old_tokenizer: The model's tokenizer.
        new_tokenizer: Extended tokenizer, from `extend_tokenizer`.

    Raises:
        ValueError: The old tokenizer does not belong to the model, or the new one does not extend it.

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> tokenizer = getfixture("tokenizer")
        >>> extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
        >>> model = build_model("tiny", tokenizer)
        >>> extend_model(model, tokenizer, extended)
        >>> model.config.vocab_size - len(tokenizer)
        1
    """
    inputs, output = _layers(model, old_tokenizer)
    glosses = _new_glosses(model, output, old_tokenizer, new_tokenizer)
    known, config = new_tokenizer.target_vocab, model.generation_config
    ids = [known[gloss] for gloss in glosses]
    suppressed = set(config.suppress_tokens or ())
    emitted = [index for index in range(len(output.weight)) if index not in suppressed]
    tied = any(output.weight is layer.weight for layer in inputs)
    states = _norm_of_states(model)
    with torch.no_grad():
        appended = [gloss for gloss in glosses if gloss not in old_tokenizer.target_vocab]
        words: dict[str, list[int]] = {}
        # A separate vocabulary of glosses holds no words.
        if not old_tokenizer.two_vocabularies and not (tied and states is None):
            words = dict(words_of_glosses(old_tokenizer, appended))
        for weight in {id(layer.weight): layer.weight for layer in inputs}.values():
            rows = [weight[words.get(gloss, emitted)].mean(dim=0) for gloss in appended]
            _replace(model, weight, torch.stack([*weight, *rows]))
        usual = output.weight[emitted].mean(dim=0)
        if not tied:
            _replace(model, output.weight, torch.cat([output.weight, usual.expand(len(appended), -1)]))
            output.weight[ids] = usual
        for bias in _biases(model, output):
            begun = bias[..., emitted].mean(dim=-1, keepdim=True).expand(*bias.shape[:-1], len(appended))
            _replace(model, bias, torch.cat([bias, begun], dim=-1))
        if output.bias is not None:
            margin = _MARGIN * max(1.0, getattr(config, "encoder_repetition_penalty", None) or 1.0)
            lowered = output.bias[emitted].mean() - margin - _most(states, output.weight[ids] - usual)
            for bias in _biases(model, output):
                bias[..., ids] = lowered
    for part in _configs(model, old_tokenizer):
        part.vocab_size = new_tokenizer.target_size
    model.config.vocabulary_digest = new_tokenizer.vocabulary_digest
    if config.suppress_tokens:
        config.suppress_tokens = [index for index in config.suppress_tokens if index not in set(ids)]


def release_glosses(
    model: PreTrainedModel, old_tokenizer: KGlossTokenizerFast, new_tokenizer: KGlossTokenizerFast
) -> None:
    """Set the biases of the glosses that `extend_model` added to the mean of the old ones, to make them learnable.

    Args:
        model: Model from `extend_model`, changed in place.
        old_tokenizer: As for `extend_model`.
        new_tokenizer: As for `extend_model`.

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> tokenizer = getfixture("tokenizer")
        >>> extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
        >>> model = build_model("tiny", tokenizer)
        >>> extend_model(model, tokenizer, extended)
        >>> before = model.decoder.get_output_embeddings().bias[-1].item()
        >>> release_glosses(model, tokenizer, extended)
        >>> before, model.decoder.get_output_embeddings().bias[-1].item()
        (-10.0, 0.0)
    """
    _, output = _layers(model, old_tokenizer)
    ids = [new_tokenizer.target_vocab[gloss] for gloss in new_tokenizer.glosses[len(old_tokenizer.glosses) :]]
    excluded = {*ids, *(model.generation_config.suppress_tokens or ())}
    emitted = [index for index in range(len(output.weight)) if index not in excluded]
    with torch.no_grad():
        for bias in _biases(model, output):
            bias[..., ids] = bias[..., emitted].mean(dim=-1, keepdim=True)


def _layers(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> tuple[list[nn.Embedding], nn.Linear]:
    """Return the embeddings that have a row for each id of the target side, and the output projection."""
    if isinstance(model, RnnEncoderDecoderModel):
        return [model.encoder.embedding, model.decoder.embedding], model.output
    halves = [model.get_encoder(), model.get_decoder()]
    if tokenizer.init_kwargs.get("target_start") == 0:  # the encoder has a vocabulary of its own
        del halves[0]
    head: Any = model.decoder if model.config.model_type == "encoder-decoder" else model
    return [half.get_input_embeddings() for half in halves], head.get_output_embeddings()


def _configs(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> Iterator[Any]:
    """Yield the configurations that hold the number of ids."""
    names = ("decoder",) if tokenizer.init_kwargs.get("target_start") == 0 else ("encoder", "decoder")
    parts = [model.config, *(getattr(model.config, name, None) for name in names)]
    yield from (part for part in parts if getattr(part, "vocab_size", None) == tokenizer.target_size)


def _norm_of_states(model: PreTrainedModel) -> nn.LayerNorm | None:
    """Return the layer norm whose output the output projection of a BERT reads, or None for other models."""
    head = getattr(getattr(getattr(model, "decoder", None), "cls", None), "predictions", None)
    return None if head is None else head.transform.LayerNorm


def _most(norm: nn.LayerNorm | None, rows: torch.Tensor) -> torch.Tensor:
    """Return the largest possible product of each row with any state; 0 without a norm, because rows are then 0.

    Before scale and shift, a normalised state has mean 0 and at most the square root of its width as length.
    """
    if norm is None:
        return rows.new_zeros(len(rows))
    scaled = rows * norm.weight
    centred = scaled - scaled.mean(dim=1, keepdim=True)
    return math.sqrt(rows.shape[1]) * centred.norm(dim=1) + rows @ norm.bias


def _biases(model: PreTrainedModel, output: nn.Linear) -> list[torch.Tensor]:
    """Return the tensors added to the output: a bias, which may have two names, or a buffer."""
    holders = [module for module in model.modules() if module is output or output in module.children()]
    candidates = [getattr(module, name, None) for module in holders for name in ("bias", "final_logits_bias")]
    return list({id(bias): bias for bias in candidates if isinstance(bias, torch.Tensor)}.values())


def _replace(model: PreTrainedModel, old: torch.Tensor, new: torch.Tensor) -> None:
    """Replace a parameter or buffer with a longer one wherever the model holds it."""
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    for module in model.modules():
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if value is old:
                setattr(module, name, new)
        if isinstance(module, nn.Embedding):
            module.num_embeddings = len(module.weight)
        elif isinstance(module, nn.Linear):
            module.out_features = len(module.weight)


def _new_glosses(
    model: PreTrainedModel, output: nn.Linear, old: KGlossTokenizerFast, new: KGlossTokenizerFast
) -> list[str]:
    """Return the new glosses, or refuse tokenizers that do not fit the model or each other."""
    digest = getattr(model.config, "vocabulary_digest", None)
    if len(output.weight) != old.target_size or digest not in (None, old.vocabulary_digest):
        raise ValueError(
            f"expected the model's tokenizer, with {len(output.weight)} ids, found another vocabulary, with "
            f"{old.target_size}; use the tokenizer in the model's folder"
        )
    glosses = new.glosses[len(old.glosses) :]
    if extend_tokenizer(old, [glosses]).vocabulary_digest != new.vocabulary_digest or old.glosses + glosses != (
        new.glosses
    ):
        raise ValueError(
            "expected a new tokenizer that is the old one with more glosses, found another; use extend_tokenizer"
        )
    return glosses
