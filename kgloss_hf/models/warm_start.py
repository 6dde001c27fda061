"""Start from a pre-trained encoder: its own pieces for sentences, and its weights in front of a new gloss decoder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel, BertConfig, BertLMHeadModel

from ..runtime.arguments import positions_of
from ..runtime.configuration_kgloss import KGlossJoinedConfig, check_configuration
from ..runtime.glosses import PLACEHOLDERS
from ..runtime.normalization import normalize_line
from ..runtime.targets import RESERVED
from ..runtime.tokenization_kgloss import ANALYZER, KGlossTokenizerFast
from .joined import JoinedEncoderDecoderModel
from .modeling import EncoderDecoderModel, generation_config_of, special_ids
from .presets import PRESETS, Preset
from .pretrained import kept_rows, load_pretrained, means_of_names, renumber, tokenizer_of
from .pruning import pruned
from .vocabulary import check_names, count_words, distinct_glosses

_LONGEST = 512
"""Tokens of a sentence, where neither the encoder nor its tokenizer knows a limit."""

_FEW = 1_000

_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def warm_tokenizer(
    encoder: str,
    glosses: Iterable[Sequence[str]],
    *,
    prefix: str = "",
    seq2seq: bool = False,
    texts: Iterable[str] = (),
    analyzer: str = ANALYZER,
    copy_names: bool = False,
    names: Collection[str] = (),
    keep: Iterable[str] | None = None,
) -> KGlossTokenizerFast:
    """Return a tokenizer with a pre-trained model's own pieces for sentences, and a vocabulary of glosses for targets.

    Args:
        encoder: Folder or Hub repository of the pre-trained model. Code from there is never run.
        glosses: Gloss sequences whose glosses the target side must hold, contents of placeholders aside.
        prefix: What the encoder wants in front of a sentence, such as `"query: "` for E5 (default: nothing).
        seq2seq: The model is a whole seq2seq, with one embedding matrix: the ids of glosses come after its own.
        texts: The training sentences, whose words the tokenizer then knows (`KGlossTokenizerFast.knows`).
        analyzer: Name of the morphological analyser, for placeholders, alignment and spelling.
        copy_names: Nouns that it does not know are copied by the gloss `Name`.
        names: With copy_names, words to take for unknown, and to leave out of the glosses.
        keep: Texts whose pieces, and each single character, are all that is kept of the model's pieces
            (`kgloss_hf.models.pruning`); default: all are.

    Raises:
        ValueError: The checkpoint has no fast tokenizer, none that can pad, or is one of this package; a gloss is too
            long or blank; or names are to be copied with another analyser than Okt.
        OSError: There is no such checkpoint.

    Example:
        >>> tokenizer = warm_tokenizer(getfixture("encoder"), [["집", "불"]], texts=["집에 불이 났어요."])
        >>> tokenizer.convert_ids_to_glosses([tokenizer(text_target=["집", "불"])["input_ids"]])
        [['집', '불']]
    """
    if copy_names:
        check_names(analyzer)
    own = tokenizer_of(encoder)
    if seq2seq:
        _read_korean(own)
    backend = Tokenizer.from_str(own.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    options: dict[str, Any] = {"analyzer": analyzer, "normalize": True, "lemmatize": True, "stop_words": []}
    left_out = set(map(normalize_line, names)) if copy_names else set()
    known = count_words(texts, **options).words.keys() - left_out - {*RESERVED, *PLACEHOLDERS}
    entries = distinct_glosses(glosses, left_out if copy_names else None)
    if keep is not None:
        # RoBERTa and its like count positions from the id of padding, which therefore stays where it is.
        first = own.pad_token_id + 1 if own.pad_token_id < _FEW else 0
        backend = pruned(backend, chain(([prefix + text for text in (*keep, "")]), entries), first)
    special = {name: str(token) for name, token in own.special_tokens_map.items() if name in _SPECIAL}
    before = json.loads(backend.to_str())["pre_tokenizer"] or {}
    if "add_prefix_space" in before:  # transformers 4 sets it to what the tokenizer says
        options["add_prefix_space"] = before["add_prefix_space"]
    positions = positions_of(_Shape(AutoConfig.from_pretrained(encoder, trust_remote_code=False)), "encoder")
    return KGlossTokenizerFast(
        tokenizer_object=backend,
        model_max_length=min(own.model_max_length, positions or _LONGEST),
        padding_side=own.padding_side,
        truncation_side=own.truncation_side,
        clean_up_tokenization_spaces=False,
        target_start=1 + max(backend.get_vocab().values()) if seq2seq else 0,
        prefix=prefix,
        known_words=sorted(known),
        glosses=entries,
        copy_names=copy_names,
        **special,
        **options,
    )


class _Shape:
    """A configuration in the place of its model."""

    def __init__(self, config: Any) -> None:
        self.config = config


def _read_korean(tokenizer: Any) -> None:
    """Let the tokenizer of a model of many languages mark its sentences as Korean."""
    known = tokenizer.get_vocab()
    code = next((code for code in ("ko_KR", "kor_Hang", "__ko__") if code in known), None)
    if code and hasattr(tokenizer, "src_lang"):
        tokenizer.src_lang = "ko" if code == "__ko__" else code


def build_warm_model(
    encoder: str,
    tokenizer: KGlossTokenizerFast,
    *,
    preset: str | None = None,
    decoder_layers: int = 2,
    fresh_layers: int = 0,
    joined_layers: Sequence[int] = (),
    num_beams: int | None = None,
) -> EncoderDecoderModel | JoinedEncoderDecoderModel:
    """Return a pre-trained encoder in front of a new gloss decoder: a stock EncoderDecoderModel to whoever loads it.

    With `joined_layers` it is a `kgloss_hf.runtime.modeling_joined.JoinedEncoderDecoderModel` instead. The embedding of
    a gloss begins from the encoder's own pieces of the gloss's name.

    Args:
        encoder: Folder or Hub repository of the encoder, with safetensors. Code from there is never run.
        tokenizer: From `warm_tokenizer` for this encoder.
        preset: Width, heads, dropout and beams of the decoder are the preset's (default: the encoder's own width, with
            64 of it per head, dropout 0.2 and 4 beams).
        decoder_layers: Layers of the decoder.
        fresh_layers: New layers on top of the encoder's own, for a frozen encoder above all; with `joined_layers`, of
            the decoder's shape.
        joined_layers: Hidden states of the encoder that are joined for the decoder to read: 0 for its embeddings, N for
            its layer N (default: the last alone). Layers above all of these are left out.
        num_beams: Beams in generation; default is the preset's.

    Raises:
        ValueError: The checkpoint is no encoder, its weights do not fit its configuration, or it has no such layers;
            the preset has no decoder of BERT's kind; or a number is out of range.
        OSError: There is no such checkpoint, or it has no safetensors.

    Example:
        >>> tokenizer = warm_tokenizer(getfixture("encoder"), [["집", "불"]])
        >>> model = build_warm_model(getfixture("encoder"), tokenizer, preset="tiny", fresh_layers=1)
        >>> model.config.encoder.num_hidden_layers, model.config.decoder.num_hidden_layers
        (3, 2)
    """
    shape = None if preset is None else PRESETS.get(preset)
    if preset is not None and not isinstance(shape, Preset):
        names = ", ".join(name for name, preset in PRESETS.items() if isinstance(preset, Preset))
        raise ValueError(f"--preset: expected one of {names} for the decoder of a pre-trained encoder, found {preset}")
    for name, value, least in (
        ("decoder_layers", decoder_layers, 1),
        ("fresh_layers", fresh_layers, 0),
        ("num_beams", 1 if num_beams is None else num_beams, 1),
    ):
        if value < least:
            raise ValueError(f"--{name}: expected {least} or more, found {value}")
    pretrained = _load_encoder(encoder, 0 if joined_layers else fresh_layers, joined_layers)
    _keep_rows(pretrained, kept_rows(encoder, tokenizer, pretrained))
    shape = shape if isinstance(shape, Preset) else _shape_for(pretrained.config.hidden_size)
    special = special_ids(tokenizer)
    own = asdict(shape)
    decoder = BertLMHeadModel(
        BertConfig(
            **{name: own[name] for name in ("hidden_size", "num_attention_heads", "intermediate_size")},
            **special,
            num_hidden_layers=decoder_layers,
            max_position_embeddings=shape.max_position_embeddings,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.dropout,
            vocab_size=tokenizer.target_size,
            is_decoder=True,
            add_cross_attention=True,
            tie_word_embeddings=shape.tie_output,
        )
    )
    model: EncoderDecoderModel | JoinedEncoderDecoderModel
    if joined_layers:
        config = KGlossJoinedConfig(
            pretrained.config.to_dict(), decoder.config.to_dict(), [*joined_layers], fresh_layers=fresh_layers
        )
        model = JoinedEncoderDecoderModel(config, pretrained, decoder)
    else:
        model = EncoderDecoderModel(encoder=pretrained, decoder=decoder)
    model.config.update(special | {"decoder_start_token_id": special["bos_token_id"], "tie_word_embeddings": False})
    model.config.vocab_size = tokenizer.target_size
    model.config.vocabulary_digest = tokenizer.vocabulary_digest
    beams = shape.num_beams if num_beams is None else num_beams
    model.generation_config = generation_config_of(tokenizer, shape.max_position_embeddings, beams)
    _start_from_names(model, tokenizer)
    return model


def _shape_for(width: int) -> Preset:
    """Return the shape of a decoder that is as wide as its encoder."""
    heads = max((heads for heads in range(1, width // 64 + 1) if width % heads == 0), default=1)
    return Preset(width, 0, heads, 4 * width, dropout=0.2)


def _load_encoder(checkpoint: str, fresh_layers: int, joined_layers: Sequence[int] = ()) -> Any:
    config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    check_configuration(config.to_dict())
    if config.is_encoder_decoder:
        raise ValueError(
            f"{checkpoint}: expected an encoder, found a whole seq2seq ({config.model_type}); give it as "
            "--model_name_or_path"
        )
    layers = config.num_hidden_layers
    if joined_layers:
        _check_joined(joined_layers, layers)
        layers = max(joined_layers)  # layers above are not read
    config.num_hidden_layers = layers + fresh_layers
    fresh = [f".{layer}." for layer in range(layers, layers + fresh_layers)]
    encoder = load_pretrained(AutoModel, checkpoint, config, ("pooler", *fresh))
    for option, asked in (("fresh_layers", fresh_layers), ("joined_layers", joined_layers)):
        if asked and _layers_of(encoder) is None:
            raise ValueError(f"--{option}: expected an encoder with a list of layers, found {type(encoder).__name__}")
    encoder.config._name_or_path = ""  # may be a path of this machine; there is no public way
    _check_reads_both_ways(encoder, checkpoint)
    return encoder


def _check_joined(joined_layers: Sequence[int], layers: int) -> None:
    wrong = [layer for layer in joined_layers if not 0 <= layer <= layers]
    if wrong or len({*joined_layers}) != len(joined_layers) or not any(joined_layers):
        raise ValueError(
            f"--joined_layers: expected different layers up to the encoder's last, {layers}, besides 0 for its "
            f"embeddings, found {' '.join(map(str, joined_layers))}"
        )


@torch.no_grad()
def _keep_rows(encoder: Any, rows: list[int]) -> None:
    """Cut the embedding to the pieces of a pruned tokenizer."""
    embeddings = encoder.get_input_embeddings()
    if len(rows) < embeddings.num_embeddings:
        embeddings.weight[: len(rows)] = embeddings.weight[rows]
        encoder.resize_token_embeddings(len(rows))
        renumber(encoder.config, rows)


@torch.inference_mode()
def _check_reads_both_ways(encoder: Any, checkpoint: str) -> None:
    """Refuse a model whose states know nothing of what follows, as those of language models that generate."""
    size = encoder.get_input_embeddings().num_embeddings
    ids = torch.tensor([[size - 1, size - 2, size - 3], [size - 1, size - 2, size - 2]])
    states = getattr(encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)), "last_hidden_state", None)
    width = getattr(encoder.config, "hidden_size", None)
    if states is None or states.shape[-1] != width or torch.equal(states[0, 0], states[1, 0]):
        raise ValueError(
            f"{checkpoint}: expected an encoder that reads a sentence both ways, such as BERT, RoBERTa, XLM-R, ELECTRA "
            f"or DistilBERT, found {type(encoder).__name__}, which does not"
        )


def base_of(model: Any) -> Any:
    """Return the pre-trained encoder of a model, without what joins its hidden states.

    Args:
        model: From `build_warm_model`.
    """
    return model.encoder.base if isinstance(model, JoinedEncoderDecoderModel) else model.encoder


def _layers_of(encoder: Any) -> nn.ModuleList | None:
    number = encoder.config.num_hidden_layers
    lists = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    return next((layers for layers in lists if len(layers) == number), None)


def freeze_encoder(model: EncoderDecoderModel | JoinedEncoderDecoderModel, layers: int) -> None:
    """Freeze the encoder's embeddings and its lowest layers, which then also stay without dropout.

    Args:
        model: From `build_warm_model`, changed in place.
        layers: How many; those of the pre-trained encoder are all but its fresh ones.

    Raises:
        ValueError: The encoder has fewer layers, or no list of them.

    Example:
        >>> tokenizer = warm_tokenizer(getfixture("encoder"), [["집", "불"]])
        >>> model = build_warm_model(getfixture("encoder"), tokenizer, preset="tiny", fresh_layers=1)
        >>> freeze_encoder(model, 2)
        >>> {part.training for part in model.train().frozen}
        {False}
    """
    encoder = base_of(model)
    found = _layers_of(encoder)
    if found is None or not 0 <= layers <= len(found):
        number = 0 if found is None else len(found)
        raise ValueError(f"--freeze_layers: expected at most {number} layers of the encoder, found {layers}")
    trained = {id(module) for layer in found[layers:] for module in layer.modules()}
    # Whole attentions too, not their parts alone: fused attention asks the attention whether to drop anything.
    model.frozen = tuple(module for module in encoder.modules() if trained.isdisjoint(map(id, module.modules())))
    for module in model.frozen:
        module.requires_grad_(False)


def pretrained_parameters(model: Any, fresh_layers: int) -> list[nn.Parameter]:
    """Return the parameters that were not drawn anew: the encoder's, without its fresh layers.

    Args:
        model: From `build_warm_model`.
        fresh_layers: How many it was built with.
    """
    encoder = base_of(model)
    if encoder is not model.encoder:
        fresh_layers = 0  # they are not among the encoder's own
    layers = _layers_of(encoder)
    fresh = list(layers)[len(layers) - fresh_layers :] if layers is not None and fresh_layers else []
    drawn = {id(parameter) for layer in fresh for parameter in layer.parameters()}
    return [parameter for parameter in encoder.parameters() if id(parameter) not in drawn]


@torch.no_grad()
def _start_from_names(model: Any, tokenizer: KGlossTokenizerFast) -> None:
    """Let each gloss's embedding begin from the mean of the encoder's pieces of its name.

    Another width is reached by the principal directions of these means, and all are scaled to what is drawn otherwise.
    """
    target = model.decoder.get_input_embeddings().weight
    ids, means = means_of_names(tokenizer, model.encoder.get_input_embeddings().weight)
    if len(ids) < 2:
        return
    centred = means - means.mean(dim=0)
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    width = min(target.shape[1], len(sizes))
    directions = left[:, :width] * sizes[:width]
    if directions.std() > 0:
        target[ids, :width] = directions * (model.config.decoder.initializer_range / directions.std())
