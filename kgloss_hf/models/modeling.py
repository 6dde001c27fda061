"""Build a preset's model for a tokenizer: an EncoderDecoderModel of two BERTs, or the RNN baseline."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
import transformers
from transformers import BertConfig, EncoderDecoderConfig, GenerationConfig, PreTrainedModel

from ..reporting import counted
from ..runtime.analyzers import KOREAN
from ..runtime.configuration_kgloss import KGlossRnnConfig
from ..runtime.glosses import PLACEHOLDERS
from ..runtime.modeling_rnn import RnnEncoderDecoderModel
from ..runtime.tokenization_kgloss import ANALYZER, OPTIONS, KGlossTokenizerFast
from .coverage import words_of_glosses
from .extending import extend_model, extend_tokenizer
from .presets import PRESETS, RnnPreset
from .step import WholeStep


class EncoderDecoderModel(WholeStep, transformers.EncoderDecoderModel):
    """EncoderDecoderModel of transformers with a correct training step that wastes no work.

    Parameters, checkpoints and generation are those of the stock model. Only calls with `labels` differ:

    - The loss is summed over target tokens and divided by `num_items_in_batch`, the target tokens of the whole
      optimiser step. The stock forward accepts that argument but ignores it, so Trainer multiplies the gradients by
      accumulation steps × processes.
    - On a CPU, the output projection is computed only at target positions, not at padding.
    - Once `token_loss` is restricted, the projection is computed only for the ids that generation can emit.
    - Dropout on a CPU draws one random byte per element (`FastDropout`).

    Examples:
        >>> tokenizer = getfixture("tokenizer")
        >>> batch = tokenizer(["몸의 형태"], text_target=[["몸", "모습"]], return_tensors="pt")
        >>> round(build_model("tiny", tokenizer)(**batch).loss.item())  # three tokens, at chance level
        5
    """

    generates_like_stock = True  # for `plain.is_plain`


def build_model(preset: str, tokenizer: KGlossTokenizerFast, *, num_beams: int | None = None) -> PreTrainedModel:
    """Return a new model with a preset's shape whose generation can emit only glosses, placeholders and [EOS].

    The restriction is data, not code: `generation_config.suppress_tokens` lists every other id, so it travels with the
    checkpoint and any `generate` obeys it.

    A gloss that is spelled like a word of the text shares that word's id, as Korean glosses often do. A gloss that
    differs in case (`WETTER`, wetter) has its own id. With an analyser that is not for Korean, and where encoder and
    decoder share embeddings, it starts from the word's embedding.

    Args:
        preset: `tiny`, `small`, `paper` or `rnn`.
        tokenizer: Tokenizer with the vocabulary, the special ids and the glosses.
        num_beams: Beams in generation (default: the preset's).

    Raises:
        ValueError: The preset is unknown, or `num_beams` is below 1.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> tokenizer = train_tokenizer(["문화를 확인한다."], [["문화", "확인"]], vocab_size=50)
        >>> build_model("tiny", tokenizer).config.model_type
        'encoder-decoder'
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}; choose one of these")
    if num_beams is not None and num_beams < 1:
        raise ValueError(f"num_beams: expected 1 or more, found {num_beams}")
    chosen = PRESETS[preset]
    special = special_ids(tokenizer)
    build = _build_rnn if isinstance(chosen, RnnPreset) else _build_berts
    model = build(asdict(chosen), len(tokenizer), special)
    if chosen.share_embeddings:
        _start_from_words(model, tokenizer)
    model.config.vocabulary_digest = tokenizer.vocabulary_digest
    model.generation_config = generation_config_of(
        tokenizer, chosen.max_position_embeddings, chosen.num_beams if num_beams is None else num_beams
    )
    return model


def special_ids(tokenizer: KGlossTokenizerFast) -> dict[str, int]:
    """Return the ids of padding, beginning and end on the target side, as configurations name them.

    Args:
        tokenizer: The model's tokenizer.

    Examples:
        >>> special_ids(getfixture("tokenizer"))
        {'pad_token_id': 0, 'bos_token_id': 2, 'eos_token_id': 3}
    """
    return {name: index for name, index in tokenizer.target_special_ids.items() if name != "unk_token_id"}


def generation_config_of(tokenizer: KGlossTokenizerFast, max_length: int, num_beams: int) -> GenerationConfig:
    """Return a configuration with which generation can emit only glosses, placeholders and [EOS].

    Args:
        tokenizer: Tokenizer with the ids.
        max_length: Maximum number of target ids, [BOS] and [EOS] included.
        num_beams: Beams in generation; 1 is greedy.

    Examples:
        >>> generation_config_of(getfixture("tokenizer"), 16, 1).num_beams
        1
    """
    special = special_ids(tokenizer)
    return GenerationConfig(
        **special,
        decoder_start_token_id=special["bos_token_id"],
        max_length=max_length,
        num_beams=num_beams,
        suppress_tokens=_not_emitted(tokenizer),
        renormalize_logits=True,  # otherwise, ids that cannot be emitted would affect the ranking of beams
    )


def _build_berts(shape: dict[str, Any], vocab_size: int, special: dict[str, int]) -> EncoderDecoderModel:
    dropout, tie, share = shape.pop("dropout"), shape.pop("tie_output"), shape.pop("share_embeddings")
    del shape["num_beams"]
    shape |= {"vocab_size": vocab_size, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    decoder = BertConfig(**shape, **special, is_decoder=True, add_cross_attention=True, tie_word_embeddings=tie)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(BertConfig(**shape, **special), decoder)
    config.update(special | {"decoder_start_token_id": special["bos_token_id"], "tie_word_embeddings": False})
    config.vocab_size = vocab_size
    model = EncoderDecoderModel(config)
    if share:
        model.encoder.get_input_embeddings().load_state_dict(model.decoder.get_input_embeddings().state_dict())
    return model


def _build_rnn(shape: dict[str, Any], vocab_size: int, special: dict[str, int]) -> RnnEncoderDecoderModel:
    del shape["num_beams"], shape["share_embeddings"]
    special = special | {"decoder_start_token_id": special["bos_token_id"]}
    return RnnEncoderDecoderModel(KGlossRnnConfig(vocab_size=vocab_size, **shape, **special))


def _start_from_words(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> None:
    """Copy embeddings of words to the glosses that differ from them in case, in the encoder and the decoder.

    No random number is drawn. Models with an analyser of Korean stay unchanged, because Latin words are placeholders.
    """
    if tokenizer.init_kwargs.get("analyzer", ANALYZER) in KOREAN:
        return
    with torch.no_grad():
        known = tokenizer.get_vocab()
        cased = {gloss for gloss in tokenizer.glosses if gloss != gloss.casefold()}
        for gloss, words in words_of_glosses(tokenizer, sorted(cased & known.keys())):
            for half in (model.encoder, model.decoder):
                weight = half.get_input_embeddings().weight
                weight[known[gloss]] = weight[words].mean(dim=0)


def freeze_unused(model: PreTrainedModel) -> None:
    """Freeze the parameters that never receive a gradient, because DistributedDataParallel fails on them.

    These are the encoder's pooler, if it has one, whose output the decoder does not read, and, in transformers 5 where
    the output projection is not tied, the second of two output biases. The RNN and whole seq2seqs have none.
    Parameters that are computed rather than saved, such as Marian's sinusoidal positions, are frozen too: transformers
    5.24 would train them, and a loaded model would answer differently.

    Args:
        model: Model to change in place.
    """
    computed = getattr(model, "_keys_to_ignore_on_save", None) or ()  # it has no public name
    for name, parameter in model.named_parameters():
        if name in computed:
            parameter.requires_grad = False
    if not isinstance(model, WholeStep):
        return
    head = model.decoder.cls.predictions
    pooler = getattr(getattr(model.encoder, "base", model.encoder), "pooler", None)
    unused = [] if pooler is None else [*pooler.parameters()]
    if head.bias is not head.decoder.bias:
        unused.append(head.bias)
    for parameter in unused:
        parameter.requires_grad = False


def _not_emitted(tokenizer: KGlossTokenizerFast) -> list[int]:
    known = tokenizer.target_vocab
    emitted = {
        tokenizer.target_special_ids["eos_token_id"],
        *(known[token] for token in (*tokenizer.glosses, *PLACEHOLDERS) if token in known),
    }
    return [index for index in range(tokenizer.target_size) if index not in emitted]


def transfer(model: PreTrainedModel, tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    """Copy a pretext model's parameters, except those of the decoder's final layer (paper, section III.2.3).

    The final layer is the output projection and its bias, or only the bias where the projection is the embedding matrix
    (presets with `tie_output`). It keeps its fresh values. Glosses that the pretext lacks start as in
    `kgloss_hf.models.extending.extend_model`.

    Args:
        model: A new EncoderDecoderModel, changed in place.
        tokenizer: Its tokenizer: that of the pretext, or an extension of it by `extend_tokenizer`.
        checkpoint: Folder or Hub repository of the pretext model and its tokenizer.

    Raises:
        ValueError: The model is the RNN, or the checkpoint's vocabulary, analyser options or shape differ; the message
            names the differences.

    Examples:
        >>> tokenizer, checkpoint = getfixture("tokenizer"), getfixture("checkpoint")
        >>> model = build_model("tiny", tokenizer)
        >>> transfer(model, tokenizer, checkpoint)
        >>> source = EncoderDecoderModel.from_pretrained(checkpoint)
        >>> torch.equal(model.encoder.get_input_embeddings().weight, source.encoder.get_input_embeddings().weight)
        True
    """
    if not isinstance(model, EncoderDecoderModel):
        raise ValueError(
            f"expected a model of two BERTs, found {type(model).__name__}, which is trained from scratch; "
            "leave out the pretext, or use another preset"
        )
    before = KGlossTokenizerFast.from_pretrained(checkpoint)
    extended = extend_tokenizer(before, [tokenizer.glosses])
    longer = extended.vocabulary_digest != before.vocabulary_digest and not _differences(tokenizer, extended)
    if not longer and (differences := _differences(tokenizer, before)):
        raise ValueError(
            f"{checkpoint}: expected the vocabulary of the pretext, found another: {'; '.join(differences)}. "
            "Use the tokenizer in the pretext's folder"
        )
    source = EncoderDecoderModel.from_pretrained(checkpoint, use_safetensors=True)
    if longer:
        extend_model(source, before, extended)
    parameters = source.state_dict()
    shapes, expected = ({name: tuple(p.shape) for name, p in m.state_dict().items()} for m in (source, model))
    if wrong := [name for name in {**expected, **shapes} if shapes.get(name) != expected.get(name)]:
        here, there = (side.get(wrong[0], "absent") for side in (expected, shapes))
        raise ValueError(
            f"{checkpoint}: expected a model with the preset's shape, found {counted(len(wrong), 'difference')} "
            f"({wrong[0]} should be {here} and is {there}); use the preset that the pretext was trained with"
        )
    final = model.decoder.get_output_embeddings()
    tied = final.weight is model.decoder.get_input_embeddings().weight
    kept = [final.bias, model.decoder.cls.predictions.bias, *([] if tied else [final.weight])]
    kept = [(value, value.detach().clone()) for value in kept]
    model.load_state_dict(parameters)
    with torch.no_grad():
        for value, fresh in kept:
            value.copy_(fresh)


def _differences(here: KGlossTokenizerFast, there: KGlossTokenizerFast) -> list[str]:
    """Return descriptions of the differences between two vocabularies and their options."""
    differences = []
    ours, theirs = here.get_vocab(), there.get_vocab()
    for only, where in ((ours.keys() - theirs.keys(), "here"), (theirs.keys() - ours.keys(), "there")):
        if only:
            differences.append(f"{counted(len(only), 'entry is', 'entries are')} only {where}, such as {min(only)!r}")
    if moved := [token for token in ours.keys() & theirs.keys() if ours[token] != theirs[token]]:
        differences.append(f"{counted(len(moved), 'entry has', 'entries have')} another id, such as {min(moved)!r}")
    for name, default in OPTIONS.items():
        options = [tokenizer.init_kwargs.get(name, default) for tokenizer in (here, there)]
        if list(options[0]) != list(options[1]) if name == "stop_words" else options[0] != options[1]:
            differences.append(f"{name} is {options[0]!r} here and {options[1]!r} there")
    return differences
