"""Configurations of our models, and the one through which a checkpoint with trusted code brings its own pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, TypeGuard

from transformers import PretrainedConfig

# No model of these kinds exceeds these sizes; building one would only fill the memory.
_LARGEST = {
    **{"num_hidden_layers": 1_000, "num_attention_heads": 1_024, "type_vocab_size": 1_024},
    **{"hidden_size": 65_536, "embedding_size": 65_536, "intermediate_size": 262_144},
    **{"vocab_size": 10_000_000, "max_position_embeddings": 1_000_000},
}
# The same sizes under the names that other kinds of models use.
_OTHER_NAMES = {
    **dict.fromkeys(("n_layers", "num_layers", "encoder_layers", "decoder_layers"), "num_hidden_layers"),
    **dict.fromkeys(("num_decoder_layers",), "num_hidden_layers"),
    **dict.fromkeys(("n_heads", "num_heads"), "num_attention_heads"),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), "num_attention_heads"),
    **dict.fromkeys(("dim", "d_model", "d_kv"), "hidden_size"),
    **dict.fromkeys(("hidden_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"), "intermediate_size"),
    **{"decoder_vocab_size": "vocab_size", "relative_attention_num_buckets": "max_position_embeddings"},
}
SEQ2SEQS = ("bart", "mbart", "t5", "mt5", "m2m_100", "marian")
"""Kinds of whole pre-trained models that can learn glosses (`kgloss_hf.models.seq2seq`)."""

_MOST_PARAMETERS = 10**10
_FROM_0_TO_1 = ["dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps", "initializer_range"]
_OUR_KINDS = ("kgloss-rnn", "bert")  # other kinds are checked only for sizes that would fill the memory
_OF_TWO_PARTS = ("encoder-decoder", "kgloss-joined")


def check_configuration(content: Mapping[str, Any]) -> None:
    """Check the shape of a model before it is built, so that a damaged or hostile checkpoint fails at once.

    Args:
        content: A configuration's attributes, as in `config.json`.

    Raises:
        ValueError: A size is not a positive integer or is unreasonably large, a share is not between 0 and 1, sizes do
            not match, a part of an encoder-decoder is missing, or `gloss_types` is not a mapping of names.

    Examples:
        >>> check_configuration({"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2})
        >>> check_configuration({"model_type": "bert", "num_hidden_layers": 10**9})
        Traceback (most recent call last):
        ValueError: config.json, num_hidden_layers: expected an integer from 1 to 1,000, found 1000000000; use ...
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"config.json: expected an object, found {content!r:.80}; use the checkpoint's own file")
    kind = content.get("model_type")
    _check_shape(content, "")
    types = content.get("gloss_types")
    if types is not None and not (isinstance(types, Mapping) and _all_strings([*types, *types.values()])):
        raise _wrong("gloss_types", "a mapping of glosses to the names of their types", types)
    tasks = content.get("task_specific_params") or {}
    if not (isinstance(tasks, Mapping) and all(isinstance(task, Mapping) for task in tasks.values())):
        raise _wrong("task_specific_params", "a mapping of tasks to mappings", tasks)
    if kind in _OF_TWO_PARTS:
        _check_ids_and_switches(content, "")
        for part in ("encoder", "decoder"):
            shape = content.get(part)
            if not isinstance(shape, Mapping) or not isinstance(shape.get("model_type"), str):
                raise _wrong(part, "a mapping with model_type", shape)
            _check_shape(shape, f"{part}.")
    if kind == "kgloss-joined":
        check_joined(content.get("joined_layers", [0]), content.get("fresh_layers", 1))
        if content["decoder"]["model_type"] != "bert":
            raise _wrong("decoder.model_type", "bert", content["decoder"]["model_type"])


def check_joined(joined_layers: Any, fresh_layers: Any, layers: int = _LARGEST["num_hidden_layers"]) -> None:
    """Check which hidden states of an encoder are joined, and how many layers read them.

    Args:
        joined_layers: Hidden states of the encoder.
        fresh_layers: Number of layers that read them.
        layers: Number of layers of the encoder.

    Raises:
        ValueError: `joined_layers` is not a list of different layers of the encoder, or `fresh_layers` is out of range.

    Examples:
        >>> check_joined([0, 4, 8, 12], 1, 12)
    """
    listed = joined_layers if isinstance(joined_layers, (list, tuple)) else ()
    known = [layer for layer in listed if _is_integer(layer) and 0 <= layer <= layers]
    if not known or len({*known}) != len(listed):
        raise _wrong("joined_layers", f"a list of different integers from 0 to {layers:,}", joined_layers)
    largest = _LARGEST["num_hidden_layers"]
    if not (_is_integer(fresh_layers) and 0 <= fresh_layers <= largest):
        raise _wrong("fresh_layers", f"an integer from 0 to {largest:,}", fresh_layers)


def _check_shape(content: Mapping[str, Any], prefix: str) -> None:
    from transformers.activations import ACT2FN

    ours = content.get("model_type") in _OUR_KINDS
    for name, largest in _LARGEST.items():
        value = content.get(name, 1)
        if (ours or (_is_integer(value) and value > largest)) and not (_is_integer(value) and 1 <= value <= largest):
            raise _wrong(prefix + name, f"an integer from 1 to {largest:,}", value)
    if not ours:
        _check_other_names(content, prefix)
        return
    for name in _FROM_0_TO_1:
        if not (_is_number(value := content.get(name, 0)) and 0 <= value <= 1):
            raise _wrong(prefix + name, "a number from 0 to 1", value)
    activation = content.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in ACT2FN:
        raise _wrong(prefix + "hidden_act", f"one of {', '.join(ACT2FN)}", activation)
    width, heads = content.get("hidden_size", 0), content.get("num_attention_heads", 1)
    if width % heads:
        raise _wrong(prefix + "hidden_size", f"a multiple of the {heads} heads", width)
    inner, words = content.get("intermediate_size", 0), content.get("vocab_size", 0)
    layers, positions = content.get("num_hidden_layers", 1), content.get("max_position_embeddings", 0)
    parameters = layers * width * (8 * width + 2 * inner) + (words + positions) * width
    if parameters > _MOST_PARAMETERS:
        raise _wrong(prefix + "hidden_size", f"sizes that make at most {_MOST_PARAMETERS} parameters", parameters)

    _check_ids_and_switches(content, prefix)


def _check_other_names(content: Mapping[str, Any], prefix: str) -> None:
    """Refuse sizes of other kinds of models that no memory could hold, each by itself and all together."""
    sizes: dict[str, int] = {}
    for name in (*_LARGEST, *_OTHER_NAMES):
        value, meaning = content.get(name), _OTHER_NAMES.get(name, name)
        if not _is_integer(value):
            continue
        if value > _LARGEST[meaning]:
            raise _wrong(prefix + name, f"an integer up to {_LARGEST[meaning]:,}", value)
        layers = meaning == "num_hidden_layers"  # of both halves
        sizes[meaning] = sizes.get(meaning, 0) + value if layers else max(sizes.get(meaning, 0), value)
    width, inner = sizes.get("hidden_size", 0), sizes.get("intermediate_size", 0)
    tables = sizes.get("vocab_size", 0) + sizes.get("max_position_embeddings", 0)
    parameters = sizes.get("num_hidden_layers", 0) * width * (4 * width + 2 * inner) + tables * width
    if parameters > _MOST_PARAMETERS:
        raise _wrong(f"{prefix}sizes", f"sizes that make at most {_MOST_PARAMETERS} parameters", parameters)


def _check_ids_and_switches(content: Mapping[str, Any], prefix: str) -> None:
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"):
        ids = content.get(name)
        several = ids if name == "eos_token_id" and isinstance(ids, (list, tuple)) else [ids]
        size = content.get("vocab_size")
        largest = (size if isinstance(size, int) else _LARGEST["vocab_size"]) - 1
        if ids is not None and not all(_is_integer(index) and 0 <= index <= largest for index in several):
            raise _wrong(prefix + name, f"an id from 0 to {largest}", ids)
    for name in ("is_decoder", "add_cross_attention", "is_encoder_decoder", "tie_word_embeddings"):
        if not isinstance(content.get(name, False), bool):
            raise _wrong(prefix + name, "true or false", content[name])


def _wrong(name: str, expected: str, value: object) -> ValueError:
    return ValueError(f"config.json, {name}: expected {expected}, found {value!r:.80}; use the checkpoint's own file")


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _all_strings(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def check_ids(name: str, ids: Any, vocab_size: int) -> None:
    """Check that a generation setting is a list of ids of the vocabulary.

    Args:
        name: Name of the setting.
        ids: Its value.
        vocab_size: Size of the vocabulary.

    Raises:
        ValueError: The value is not a list, or an item is not an id.

    Examples:
        >>> check_ids("suppress_tokens", [0, 7], 8)
    """
    wrong = [index for index in ids if not (_is_integer(index) and 0 <= index < vocab_size)] if _is_list(ids) else [ids]
    if wrong:
        raise ValueError(
            f"{name}: expected a list of ids from 0 to {vocab_size - 1}, found {wrong[0]!r:.80}"
            f"{' in it' if _is_list(ids) else ''}; use ids of the checkpoint's own tokenizer"
        )


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


class KGlossRnnConfig(PretrainedConfig):
    """Shape of an `RnnEncoderDecoderModel` (`kgloss_hf.runtime.modeling_rnn`).

    Args:
        vocab_size: Number of tokens, of source and target together (default 10,000).
        embedding_size: Width of the token embeddings and of the output projection's input (default 256).
        hidden_size: Width of the GRUs (each direction of the encoder, and the decoder) and of the attention (default
            512).
        dropout: Dropout on embeddings and before the output projection (default 0.3).
        max_position_embeddings: Longest target in tokens; the GRUs themselves have no limit (default 128).
        **kwargs: Arguments of PretrainedConfig, such as `pad_token_id` and `decoder_start_token_id`.

    Raises:
        ValueError: A size is not a positive integer or is unreasonably large, or the dropout is not between 0 and 1.

    Examples:
        >>> KGlossRnnConfig(vocab_size=100).hidden_size
        512
    """

    model_type = "kgloss-rnn"

    def __init__(
        self,
        vocab_size: int = 10_000,
        embedding_size: int = 256,
        hidden_size: int = 512,
        dropout: float = 0.3,
        max_position_embeddings: int = 128,
        **kwargs: Any,
    ) -> None:
        shape: dict[str, Any] = {"vocab_size": vocab_size, "embedding_size": embedding_size, "hidden_size": hidden_size}
        shape |= {"max_position_embeddings": max_position_embeddings, "dropout": dropout}
        check_configuration({**kwargs, **shape, "model_type": self.model_type})
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**{"is_encoder_decoder": True, "tie_word_embeddings": False, **kwargs})


class KGlossJoinedConfig(PretrainedConfig):
    """Shape of a `JoinedEncoderDecoderModel` (`kgloss_hf.runtime.modeling_joined`).

    Args:
        encoder: Configuration of the pre-trained encoder, with `model_type` (default: BERT's).
        decoder: Configuration of the decoder, which is a BERT.
        joined_layers: Hidden states of the encoder to join: 0 for its embeddings, N for its layer N.
        fresh_layers: Number of layers, shaped like the decoder's, that read the joined states (default 1).
        **kwargs: Arguments of PretrainedConfig, such as `pad_token_id` and `decoder_start_token_id`.

    Raises:
        ValueError: `joined_layers` is not a list of different layers of the encoder, or a size is unreasonably large.

    Examples:
        >>> encoder = {"model_type": "bert", "num_hidden_layers": 2}
        >>> KGlossJoinedConfig(encoder, joined_layers=[0, 2]).joined_layers
        [0, 2]
        >>> KGlossJoinedConfig(encoder, joined_layers=[3])
        Traceback (most recent call last):
        ValueError: config.json, joined_layers: expected a list of different integers from 0 to 2, found [3]; use ...
    """

    model_type = "kgloss-joined"
    sub_configs: ClassVar[dict[str, Any]] = dict.fromkeys(("encoder", "decoder"), PretrainedConfig)

    def __init__(
        self,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        joined_layers: Sequence[int] = (0,),
        fresh_layers: int = 1,
        **kwargs: Any,
    ) -> None:
        from transformers import AutoConfig  # imported here, as transformers may be importing this file

        usual = {"model_type": "bert"}
        parts = {"encoder": usual if encoder is None else encoder, "decoder": usual if decoder is None else decoder}
        own: dict[str, Any] = {"joined_layers": joined_layers, "fresh_layers": fresh_layers}
        check_configuration({**kwargs, **parts, **own, "model_type": self.model_type})
        self.encoder = AutoConfig.for_model(**parts["encoder"])
        self.decoder = AutoConfig.for_model(**{**parts["decoder"], "is_decoder": True, "add_cross_attention": True})
        check_joined(joined_layers, fresh_layers, self.encoder.num_hidden_layers)
        self.joined_layers = list(joined_layers)
        self.fresh_layers = fresh_layers
        super().__init__(**{"is_encoder_decoder": True, "tie_word_embeddings": False, **kwargs})


class KGlossConfig(PretrainedConfig):
    """Configuration class named by a checkpoint's `auto_map`, which adds the pipeline to the checkpoint's own.

    No `config.json` contains it. With `trust_remote_code=True`, transformers reads `config.json` through this class,
    and `pipeline` then uses the `Text2GlossPipeline` stored with the weights. Otherwise, transformers reads the file
    itself, and the plug-in's registration decides. The class also marks our tokenizer for `AutoTokenizer`.

    Examples:
        >>> config = KGlossConfig.from_pretrained(getfixture("checkpoint"))
        >>> type(config).__name__, config.custom_pipelines["text2text-generation"]["impl"]
        ('EncoderDecoderConfig', 'pipeline_kgloss.Text2GlossPipeline')
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Return the configuration that `model_type` names, with `custom_pipelines`.

        Args:
            pretrained_model_name_or_path: Folder or Hub repository of the checkpoint.
            **kwargs: As for any configuration of transformers.

        Raises:
            ValueError: The checkpoint contains another kind of model, or one with an impossible shape.
        """
        # Imported here, as registration imports this file while transformers may still be importing its own.
        from transformers import CONFIG_MAPPING, EncoderDecoderConfig

        own = (EncoderDecoderConfig, KGlossRnnConfig, KGlossJoinedConfig)
        kinds: dict[str, Any] = {kind.model_type: kind for kind in own}
        kinds |= {name: CONFIG_MAPPING[name] for name in SEQ2SEQS}
        content, _ = cls.get_config_dict(pretrained_model_name_or_path, **kwargs)
        model_type = content.get("model_type")
        if model_type not in [*kinds]:
            raise ValueError(f"model_type: expected one of {', '.join(kinds)}, found {model_type!r}")
        check_configuration(content)
        loaded = kinds[model_type].from_pretrained(pretrained_model_name_or_path, **kwargs)
        config = loaded[0] if isinstance(loaded, tuple) else loaded  # a tuple if unused arguments are requested
        config.custom_pipelines = {
            "text2text-generation": {
                "impl": "pipeline_kgloss.Text2GlossPipeline",
                "pt": ["AutoModelForSeq2SeqLM"],
                "tf": [],
                "type": "text",
            }
        }
        return loaded
