"""Build a model from a pre-trained encoder, its own pieces for sentences and a new decoder for glosses."""

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

from ..reporting import counted
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
"""Maximum tokens per sentence, where neither the encoder nor its tokenizer has a limit."""

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
        encoder: Folder or Hub repository of the pre-trained model. Code from there never runs.
        glosses: Gloss sequences whose glosses the target side must hold, except contents of placeholders.
        prefix: Text that the encoder expects before a sentence, such as `"query: "` for E5 (default: nothing).
        seq2seq: The model is a whole seq2seq with one embedding matrix; the ids of glosses come after its own (default
            False).
        texts: Training sentences, whose words the tokenizer then knows (`KGlossTokenizerFast.knows`; default: none).
        analyzer: Name of the morphological analyser, for placeholders, alignment and spelling (default `okt`).
        copy_names: Copy nouns that the tokenizer does not know with the gloss `Name` (default False).
        names: With copy_names, words to treat as unknown and to leave out of the glosses (default: none).
        keep: Texts for pruning: of the model's pieces, only those of the texts and all single characters are kept
            (`kgloss_hf.models.pruning`). Default: all pieces are kept.

    Raises:
        ValueError: The checkpoint has no fast tokenizer, or one that cannot pad, or it is a model of this package; a
            gloss is too long or blank; or names are to be copied with an analyser other than Okt.
        OSError: The checkpoint does not exist.

    Examples:
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
        # RoBERTa and similar models count positions from the id of padding, which must therefore stay.
        first = own.pad_token_id + 1 if own.pad_token_id < _FEW else 0
        backend = pruned(backend, chain(([prefix + text for text in (*keep, "")]), entries), first)
    special = {name: str(token) for name, token in own.special_tokens_map.items() if name in _SPECIAL}
    before = json.loads(backend.to_str())["pre_tokenizer"] or {}
    if "add_prefix_space" in before:  # transformers 4 sets it to the tokenizer's value
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
    """Stand-in for a model that has only its configuration."""

    def __init__(self, config: Any) -> None:
        self.config = config


def _read_korean(tokenizer: Any) -> None:
    """Make the tokenizer of a multilingual model mark its sentences as Korean."""
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
    """Return a model of a pre-trained encoder and a new gloss decoder, which loads as a stock EncoderDecoderModel.

    With `joined_layers` it is a `kgloss_hf.runtime.modeling_joined.JoinedEncoderDecoderModel` instead. The embedding of
    a gloss starts from the encoder's own pieces of the gloss's name.

    Args:
        encoder: Folder or Hub repository of the encoder, with safetensors. Code from there never runs.
        tokenizer: Tokenizer from `warm_tokenizer` for this encoder.
        preset: Preset that sets the decoder's width, heads, dropout and beams (default: the encoder's own width, with
            64 dimensions per head, dropout 0.2 and 4 beams).
        decoder_layers: Layers of the decoder (default 2).
        fresh_layers: New layers on top of the encoder's own, mainly for a frozen encoder; with `joined_layers`, they
            have the decoder's shape (default 0).
        joined_layers: Hidden states of the encoder that are joined for the decoder to read: 0 for its embeddings, N for
            its layer N (default: only the last). Layers above the highest of these are left out.
        num_beams: Beams in generation (default: the preset's).

    Raises:
        ValueError: The checkpoint is not an encoder, its weights do not fit its configuration, or it has no such
            layers; the preset has no BERT decoder; or a number is out of range.
        OSError: The checkpoint does not exist or has no safetensors.

    Examples:
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
            f"{checkpoint}: expected an encoder, found a whole seq2seq ({config.model_type}); pass it with "
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
    encoder.config._name_or_path = ""  # may be a local path; it has no public setter
    _check_reads_both_ways(encoder, checkpoint)
    return encoder


def _check_joined(joined_layers: Sequence[int], layers: int) -> None:
    wrong = [layer for layer in joined_layers if not 0 <= layer <= layers]
    if wrong or len({*joined_layers}) != len(joined_layers) or not any(joined_layers):
        raise ValueError(
            f"--joined_layers: expected different layers up to the encoder's last, {layers}, and optionally 0 for its "
            f"embeddings, found {' '.join(map(str, joined_layers))}"
        )


@torch.no_grad()
def _keep_rows(encoder: Any, rows: list[int]) -> None:
    """Reduce the embedding to the pieces of a pruned tokenizer."""
    embeddings = encoder.get_input_embeddings()
    if len(rows) < embeddings.num_embeddings:
        embeddings.weight[: len(rows)] = embeddings.weight[rows]
        encoder.resize_token_embeddings(len(rows))
        renumber(encoder.config, rows)


@torch.inference_mode()
def _check_reads_both_ways(encoder: Any, checkpoint: str) -> None:
    """Refuse a model whose states do not depend on what follows, as in language models that generate."""
    size = encoder.get_input_embeddings().num_embeddings
    ids = torch.tensor([[size - 1, size - 2, size - 3], [size - 1, size - 2, size - 2]])
    states = getattr(encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)), "last_hidden_state", None)
    width = getattr(encoder.config, "hidden_size", None)
    if states is None or states.shape[-1] != width or torch.equal(states[0, 0], states[1, 0]):
        raise ValueError(
            f"{checkpoint}: expected an encoder that reads both directions, such as BERT, RoBERTa, XLM-R, ELECTRA "
            f"or DistilBERT, found {type(encoder).__name__}, which does not"
        )


def base_of(model: Any) -> Any:
    """Return the pre-trained encoder of a model, without the part that joins its hidden states.

    Args:
        model: Model from `build_warm_model`.
    """
    return model.encoder.base if isinstance(model, JoinedEncoderDecoderModel) else model.encoder


def _layers_of(encoder: Any) -> nn.ModuleList | None:
    number = encoder.config.num_hidden_layers
    lists = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    return next((layers for layers in lists if len(layers) == number), None)


def freeze_encoder(model: EncoderDecoderModel | JoinedEncoderDecoderModel, layers: int) -> None:
    """Freeze the encoder's embeddings and its lowest layers, which then have no dropout either.

    Args:
        model: Model from `build_warm_model`, changed in place.
        layers: Number of layers; all except the fresh ones belong to the pre-trained encoder.

    Raises:
        ValueError: The encoder has fewer layers, or no list of them.

    Examples:
        >>> tokenizer = warm_tokenizer(getfixture("encoder"), [["집", "불"]])
        >>> model = build_warm_model(getfixture("encoder"), tokenizer, preset="tiny", fresh_layers=1)
        >>> freeze_encoder(model, 2)
        >>> {part.training for part in model.train().frozen}
        {False}
    """
    encoder = base_of(model)
    own = _layers_of(encoder)
    if own is None or not 0 <= layers <= len(own):
        number = 0 if own is None else len(own)
        raise ValueError(f"--freeze_layers: expected at most {counted(number, 'layer')} of the encoder, found {layers}")
    trained = {id(module) for layer in own[layers:] for module in layer.modules()}
    # Whole attention modules too, not only their parts: fused attention asks the module whether to drop anything.
    model.frozen = tuple(module for module in encoder.modules() if trained.isdisjoint(map(id, module.modules())))
    for module in model.frozen:
        module.requires_grad_(False)


def pretrained_parameters(model: Any, fresh_layers: int) -> list[nn.Parameter]:
    """Return the pre-trained parameters: those of the encoder, without its fresh layers.

    Args:
        model: Model from `build_warm_model`.
        fresh_layers: Number of fresh layers that it was built with.
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
    """Start each gloss's embedding from the mean of the encoder's pieces of its name.

    The principal directions of these means fit another width. All are scaled like embeddings that are drawn at random.
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
