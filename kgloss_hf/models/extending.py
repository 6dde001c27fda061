"""Give a trained model more glosses: new entries of its tokenizer, and new rows of its embeddings and its output."""

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
"""How far the logit of a new gloss begins below the mean of the old ones, in nats: their softmax stays as it was."""


def extend_tokenizer(tokenizer: KGlossTokenizerFast, glosses: Iterable[Sequence[str]]) -> KGlossTokenizerFast:
    """Return a tokenizer with more glosses, whose other entries and ids are those of the one given.

    A gloss that is a word piece, or a word, already keeps its id and becomes a gloss. Any other new gloss gets a new id
    after all others. As in each vocabulary of `train_tokenizer`, it is then an entry for sentences too: a word that is
    written like it, or begins with it, may be split in another way than before.

    Args:
        tokenizer: Of word pieces or whole words, or with a vocabulary of its own for glosses (`target_start`).
        glosses: Gloss sequences, as for `kgloss_hf.models.vocabulary.train_tokenizer`.

    Raises:
        ValueError: A gloss has more than 100 characters or no visible one, or the vocabulary is of another kind.

    Example:
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
        # Tokens of add_tokens are among them: the backend would give them other ids when it is loaded.
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
            f"expected a vocabulary of word pieces or whole words, found {type(model).__name__}; a gloss can be added "
            "to it only where glosses have a vocabulary of their own"
        )


def extend_model(
    model: PreTrainedModel, old_tokenizer: KGlossTokenizerFast, new_tokenizer: KGlossTokenizerFast
) -> None:
    """Give a trained model the glosses of an extended tokenizer, none of which it puts out before it is trained.

    The model answers as before, by greedy and by beam search: the bias of a new gloss is so low that its logit is below
    the mean of the old ones, whatever the sentence. Two things can still change an answer: tokens of the sentence that
    are new (`extend_tokenizer`), and a near tie between two beams where a word piece became a gloss, whose probability
    then goes to the others. So low a bias takes thousands of steps to learn; `release_glosses` ends it.

    A new row of the embeddings is the mean of the gloss's word pieces, or of all glosses where it has none. A new row
    of an output projection of its own is the mean of the old glosses'. A model whose output has no bias that is
    trained, such as T5, has such rows in its embeddings too. No random number is drawn.

    Args:
        model: Of `kgloss_hf.models.modeling.build_model`, or another whose output has the ids of the tokenizer's
            target side; changed in place.
        old_tokenizer: The model's.
        new_tokenizer: From `extend_tokenizer`.

    Raises:
        ValueError: The model is not of the old tokenizer, or the new one is no extension of that.

    Example:
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
        # Where glosses have a vocabulary of their own, their words are not in it.
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
    """Let training begin to learn the glosses that `extend_model` added: their biases become those of the old ones.

    Args:
        model: Changed in place.
        old_tokenizer: As for `extend_model`.
        new_tokenizer: As for `extend_model`.

    Example:
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
    others = {*ids, *(model.generation_config.suppress_tokens or ())}
    emitted = [index for index in range(len(output.weight)) if index not in others]
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
    """Yield the configurations that say how many ids there are."""
    names = ("decoder",) if tokenizer.init_kwargs.get("target_start") == 0 else ("encoder", "decoder")
    parts = [model.config, *(getattr(model.config, name, None) for name in names)]
    yield from (part for part in parts if getattr(part, "vocab_size", None) == tokenizer.target_size)


def _norm_of_states(model: PreTrainedModel) -> nn.LayerNorm | None:
    """Return the normalisation whose result the output projection of a BERT reads."""
    head = getattr(getattr(getattr(model, "decoder", None), "cls", None), "predictions", None)
    return None if head is None else head.transform.LayerNorm


def _most(norm: nn.LayerNorm | None, rows: torch.Tensor) -> torch.Tensor:
    """Return the most that the product of each row and any state can be; without a norm, rows are 0.

    Before scale and shift, a normalised state has mean 0, and no more length than the root of its width.
    """
    if norm is None:
        return rows.new_zeros(len(rows))
    scaled = rows * norm.weight
    centred = scaled - scaled.mean(dim=1, keepdim=True)
    return math.sqrt(rows.shape[1]) * centred.norm(dim=1) + rows @ norm.bias


def _biases(model: PreTrainedModel, output: nn.Linear) -> list[torch.Tensor]:
    """Return what is added to the output: a bias, which may stand under two names, or a buffer."""
    holders = [module for module in model.modules() if module is output or output in module.children()]
    found = [getattr(module, name, None) for module in holders for name in ("bias", "final_logits_bias")]
    return list({id(bias): bias for bias in found if isinstance(bias, torch.Tensor)}.values())


def _replace(model: PreTrainedModel, old: torch.Tensor, new: torch.Tensor) -> None:
    """Put a longer parameter, or buffer, in each place where a model has one."""
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
    """Return the glosses that are new, or refuse tokenizers that do not fit the model or each other."""
    digest = getattr(model.config, "vocabulary_digest", None)
    if len(output.weight) != old.target_size or digest not in (None, old.vocabulary_digest):
        raise ValueError(
            f"expected the model's tokenizer, with {len(output.weight)} ids, found another vocabulary, with "
            f"{old.target_size}; take the tokenizer in the model's folder"
        )
    glosses = new.glosses[len(old.glosses) :]
    if extend_tokenizer(old, [glosses]).vocabulary_digest != new.vocabulary_digest or old.glosses + glosses != (
        new.glosses
    ):
        raise ValueError(
            "expected a new tokenizer that is the old one with more glosses, found another; make it by extend_tokenizer"
        )
    return glosses
