"""Check the settings of a pipeline: its own arguments, those of a call, and those of the checkpoint."""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import signature
from math import isfinite
from typing import Any

import transformers
from transformers import GenerationConfig

from .configuration_kgloss import check_ids
from .consensus import CANDIDATES
from .decoding import emitted_ids
from .penalties import PENALTY, REPETITION

# Arguments of the pipeline itself, which are not passed to `generate`.
_OWN = {
    *("batch_size", "num_workers", "truncation", "return_types", "return_alignment", "return_confidence"),
    *("fingerspell", "consensus", "lexicon", "playable"),
}
PLAYABLE = ("prefer", "only")
"""Values of `playable`."""
# Further outputs of generate. They do not change the sequences, so a checkpoint's setting is overruled.
OUTPUTS = {"return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states"}
_RANGES: dict[str, tuple[int, int]] = {
    **{
        "batch_size": (1, 10**6),
        "num_beams": (1, 1000),
        "num_return_sequences": (1, 1000),
        "num_beam_groups": (1, 1000),
    },
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size", "top_k", "num_workers"), (0, 10**9)),
    **{"max_length": (2, 10**9), "max_new_tokens": (1, 10**9), "encoder_no_repeat_ngram_size": (0, 10**9)},
}
_SHARES = {"top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"}
_NUMBERS = _SHARES | {
    *("length_penalty", "repetition_penalty", "encoder_repetition_penalty", "diversity_penalty", "temperature"),
    *("max_time", "guidance_scale"),
}
_SWITCHES = OUTPUTS | {
    *("return_types", "return_alignment", "return_confidence", "fingerspell", "consensus", "do_sample", "use_cache"),
    *("renormalize_logits", "remove_invalid_values", "return_tensors", "return_text", "clean_up_tokenization_spaces"),
}
_CHECKED = _RANGES.keys() | _NUMBERS | _SWITCHES
_OF_ANY_MODEL = _CHECKED | {"truncation", "early_stopping", "lexicon", "playable"}
_ID = {"bos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id"}
_IDS = {"eos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens"}

# Arguments of the stock pipeline or of `generate`: the values accepted, and why others are refused.
_REFUSED = {
    "return_tensors": ((False,), "an answer holds glosses; call the model's generate for ids"),
    "return_text": ((True,), "an answer always holds generated_text"),
    "return_type": (("TEXT",), "an answer holds glosses; call the model's generate for ids"),
    "clean_up_tokenization_spaces": ((False,), "glosses are joined by a space, and none is superfluous"),
    "stop_sequence": ((), "sequences end at ids; give eos_token_id, a list of ids of glosses"),
    "padding": ((True, "longest"), "texts are batched by length, and a batch is padded to its longest text"),
    "num_workers": ((0,), "texts are read and batched in this process; give batch_size"),
    "prefix": ((), "a model reads the Korean sentence alone"),
    "stop_strings": ((), "sequences end at ids; give eos_token_id, a list of ids of glosses"),
    "custom_generate": ((), "it may return anything; call the model's generate"),
    **dict.fromkeys(
        ("guidance_scale", "negative_prompt_ids", "negative_prompt_attention_mask", "token_healing"),
        ((), "it is for models that continue a text"),
    ),
    **dict.fromkeys(
        ("constraints", "force_words_ids", "penalty_alpha", "dola_layers", "low_memory"),
        ((), "transformers does this with code from the Hub, which is not run"),
    ),
    "num_beam_groups": ((1,), "transformers does this with code from the Hub, which is not run"),
    "diversity_penalty": ((0.0,), "transformers does this with code from the Hub, which is not run"),
    **dict.fromkeys(
        (
            *("assistant_model", "assistant_tokenizer", "assistant_early_exit", "assistant_confidence_threshold"),
            *("assistant_lookbehind", "assistant_ensemble_weight", "target_lookbehind", "is_assistant", "use_mtp"),
            *("num_assistant_tokens", "num_assistant_tokens_schedule", "prompt_lookup_num_tokens", "speculation_type"),
            "max_matching_ngram_size",
        ),
        ((), "assisted generation accepts only single sentences; call the model's generate"),
    ),
    **dict.fromkeys(OUTPUTS, ((False,), "an answer holds glosses; call the model's generate for its other outputs")),
}


_FROM_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "mpnet")


@dataclass
class Request:
    """Settings of one call, with the model that answers it, which another thread may replace meanwhile."""

    model: Any
    options: dict[str, Any]  # of the pipeline itself
    generate: dict[str, Any]
    config: GenerationConfig  # the model's, with the call's values
    sequences: int | None  # per text, returned as a list; None: one, without a list
    searched: int | None  # candidates per text that the search returns, if not `sequences`
    plain: dict[str, Any] | None = None  # arguments of a second search, for the answer without `playable="prefer"`


def request_of(model: Any, task: str, given_before: Mapping[str, Any], given: Mapping[str, Any]) -> Request:
    """Return the settings of a call.

    Its arguments take precedence over those of the pipeline, then of the task, then of the checkpoint.

    Args:
        model: Model that answers.
        task: Task of the pipeline, for `task_specific_params`.
        given_before: The pipeline's own arguments, from `settings_of`.
        given: The call's arguments.

    Raises:
        TypeError: As for `settings_of`.
        ValueError: As for `settings_of`; also if the checkpoint's own settings are wrong.
    """
    size = vocab_size_of(model)
    for name, value in vars(model.generation_config).items():
        if name not in ("suppress_tokens", "begin_suppress_tokens"):  # too long to check at each call
            _check_kind(f"generation_config.json, {name}", name, value, size)
    if model.generation_config.stop_strings:
        raise ValueError(f"generation_config.json, stop_strings: expected none: {_REFUSED['stop_strings'][1]}")
    if given.get("generation_config") is None:
        of_task = (getattr(model.config, "task_specific_params", None) or {}).get(task) or {}
        chosen = _nearer(_nearer({}, settings_of(model, of_task)), given_before)
    else:
        chosen = {name: value for name, value in given_before.items() if name in _OWN}
    chosen = _nearer(chosen, settings_of(model, given))
    options = {name: chosen.pop(name) for name in chosen.keys() & _OWN}
    generate = {name: value for name, value in chosen.items() if name not in _REFUSED}
    config = copy.copy(model.generation_config)
    vars(config).update({name: value for name, value in generate.items() if name in vars(config)})
    sequences = generate.get("num_return_sequences")
    _check_playable(options, config)
    if options.get("consensus"):
        if config.do_sample:
            raise ValueError("consensus: expected the best answers of a beam search, found do_sample; leave one out")
        if options.get("return_confidence"):
            raise ValueError(
                "return_confidence: expected the answer of one model's search, found consensus, whose answer has an "
                "agreement instead; leave one out"
            )
        if sequences is None:
            sequences = generate["num_return_sequences"] = generate.get("num_beams", CANDIDATES)
    if sequences is None and (config.num_return_sequences or 1) > 1:
        sequences = config.num_return_sequences
    searched, plain = sequences, None
    if options.get("playable") == "prefer":
        plain = generate | {"num_return_sequences": 1}
        searched = generate["num_return_sequences"] = max(sequences or 1, generate.get("num_beams", CANDIDATES))
        if searched == 1:
            raise ValueError(
                "playable: expected several candidates to choose from, found one (num_beams); ask for more, or leave "
                "out playable"
            )
    if searched is not None and ((config.num_beams or 1) > 1 or not config.do_sample):
        generate["num_beams"] = config.num_beams = max(config.num_beams or 1, searched)
    if generate.get("suppress_tokens"):
        emitted_ids(config.suppress_tokens, size)
    _check_length(model, config)
    return Request(model, options, generate, config, sequences, searched, plain)


def _check_playable(options: Mapping[str, Any], config: GenerationConfig) -> None:
    """Refuse `playable` without a lexicon, or without several candidates to choose from."""
    if (playable := options.get("playable")) is None:
        return
    if options.get("lexicon") is None:
        raise ValueError(
            f"playable: expected a lexicon to look glosses up in, found none; pass lexicon=, or leave out "
            f"playable={playable!r}"
        )
    if playable == "prefer" and options.get("consensus"):
        raise ValueError(
            "playable: expected 'only' or nothing with consensus, which combines all candidates into one answer, found "
            "'prefer'; leave one out"
        )
    if playable == "prefer" and config.do_sample:
        raise ValueError("playable: expected the best answers of a beam search, found do_sample; leave one out")


def settings_for_others(request: Request) -> dict[str, Any]:
    """Return the settings of a call as arguments for models with other vocabularies.

    Args:
        request: The call's request to the first model.

    Raises:
        ValueError: An argument means something different for each model, such as ids.
    """
    settings = request.options | request.generate
    if specific := sorted(name for name, value in settings.items() if name not in _OF_ANY_MODEL and value is not None):
        raise ValueError(
            f"{specific[0]}: expected no such argument with others, whose vocabularies have other ids; pass it to the "
            "pipeline of each model"
        )
    asked = {name: bool(settings.get(name)) for name in ("return_types", "return_alignment", "fingerspell")}
    asked["return_confidence"] = False
    return {name: value for name, value in settings.items() if name != "consensus"} | asked


def settings_of(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked arguments by name, including those of a GenerationConfig.

    Args:
        model: Model that answers.
        given: Arguments of the pipeline or of `generate`; those that are None are left out.

    Raises:
        TypeError: An argument is unknown or has the wrong type.
        ValueError: An argument has an impossible value, or asks for something that the pipeline does not do.
    """
    size, (known, defaults) = vocab_size_of(model), _arguments()
    settings = {}
    for name, value in given.items():
        if name not in known:
            close = "".join(f"; did you mean {match}?" for match in get_close_matches(name, known, 1))
            raise TypeError(f"{name}: expected an argument of this pipeline or of generate, found another{close}")
        value = checked(name, value, size)
        if value is not None or name in defaults.keys() - _CHECKED:
            settings[name] = value
    beams, sequences = settings.get("num_beams"), settings.get("num_return_sequences")
    if beams and sequences and beams < sequences and not (beams == 1 and settings.get("do_sample")):
        raise ValueError(
            f"num_return_sequences: expected at most num_beams, which is {beams}, found {sequences}; leave out "
            "num_beams, or raise it"
        )
    for kind in ("max", "min"):
        if settings.keys() >= {f"{kind}_length", f"{kind}_new_tokens"}:
            raise ValueError(f"expected {kind}_length or {kind}_new_tokens, found both; leave one out")
    config = settings.pop("generation_config", None)
    if config is None:
        return settings
    if not isinstance(config, GenerationConfig):
        raise TypeError(f"generation_config: expected a GenerationConfig, found {type(config).__name__}")
    chosen = {name: value for name, value in vars(config).items() if value not in (None, defaults.get(name))}
    of_model = vars(model.generation_config)  # config may be a copy of this
    if unknown := [name for name in chosen if name not in {*known, *of_model, "transformers_version"}]:
        raise TypeError(f"generation_config: expected arguments of generate, found {', '.join(unknown)}")
    return _nearer({name: checked(name, value, size) for name, value in chosen.items() if name in known}, settings)


@cache
def _arguments() -> tuple[frozenset[str], dict[str, Any]]:
    """Return the names of all arguments, and those of generate with their defaults in this version of transformers."""
    defaults = {name: value for name, value in vars(GenerationConfig()).items() if not name.startswith("_")}
    parameters = signature(transformers.GenerationMixin.generate).parameters
    defaults |= {"num_return_sequences": 1}  # a GenerationConfig of transformers 4 does not tell whether 1 was set
    names = {*_OWN, *_REFUSED, *defaults, *parameters}
    names -= {"self", "inputs", "kwargs", "use_model_defaults", "transformers_version"}
    return frozenset(names), defaults


def _nearer(far: Mapping[str, Any], near: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings overridden by nearer ones; a length also overrides one that is counted in the other way."""
    merged = dict(far)
    for kind in ("max", "min"):
        if f"{kind}_length" in near and f"{kind}_new_tokens" not in near:
            merged[f"{kind}_new_tokens"] = None  # generate would prefer it
    return merged | dict(near)


def checked(name: str, value: Any, vocab_size: int = 0) -> Any:
    """Return the checked value of an argument, numbers as plain Python numbers.

    Args:
        name: Name of the argument.
        value: Value as given.
        vocab_size: Number of ids, for arguments that are ids.

    Raises:
        TypeError: The value has the wrong type.
        ValueError: The value is impossible, or asks for something that the pipeline does not do.
    """
    if value is None:
        return None
    if name == "truncation":
        truncates(value)
    value = _check_kind(name, name, value, vocab_size)
    allowed, reason = _REFUSED.get(name, ((value,), ""))
    if getattr(value, "name", value) not in allowed:
        default = f"{allowed[0]} or nothing" if allowed else "nothing"
        raise ValueError(f"{name}: expected {default}, found {value!r:.60}: {reason}")
    return value


def _check_kind(label: str, name: str, value: Any, vocab_size: int) -> Any:
    if value is None:
        return None
    if name in _RANGES or name in _ID:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool):
            raise TypeError(f"{label}: expected an integer, found {value!r:.60}")
        least, most = _RANGES.get(name, (0, vocab_size - 1))
        if number < least and name not in _ID:
            raise ValueError(f"{label}: expected {least} or more, found {number}")
        if not least <= number <= most:
            raise ValueError(f"{label}: expected an {'id' if name in _ID else 'integer'} up to {most}, found {number}")
        return number
    if name in _NUMBERS:
        if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
            raise TypeError(f"{label}: expected a number, found {value!r:.60}")
        if not isfinite(value):
            raise ValueError(f"{label}: expected a finite number, found {value}")
        if name in _SHARES and not 0 <= value <= 1:
            raise ValueError(f"{label}: expected a number from 0 to 1, found {value}")
        if name in (PENALTY, REPETITION):
            if value <= 0:
                raise ValueError(f"{label}: expected a number above 0 (1: off), found {value}")
            return float(value)  # transformers refuses an integer
    if name in _SWITCHES or name == "int8":
        if not isinstance(value, (bool, int)) or value not in (0, 1):
            raise TypeError(f"{label}: expected True or False, found {value!r:.60}")
        return bool(value)
    if name == "lexicon" and not (hasattr(value, "sign") and hasattr(value, "plays")):
        raise TypeError(
            f"{label}: expected a Lexicon, found {type(value).__name__}; read a file with kgloss_hf.load_lexicon(path)"
        )
    if name == "playable" and value not in PLAYABLE:
        raise ValueError(f"{label}: expected one of {', '.join(PLAYABLE)}, found {value!r:.60}")
    if name in ("logits_processor", "stopping_criteria") and not isinstance(value, list):
        raise TypeError(f"{label}: expected a list, found {type(value).__name__}")
    if name == "streamer" and not hasattr(value, "put"):
        raise TypeError(f"{label}: expected a streamer of transformers, found {type(value).__name__}")
    if name == "prefix_allowed_tokens_fn" and not callable(value):
        raise TypeError(f"{label}: expected a function, found {type(value).__name__}")
    if name == "watermarking_config" and not hasattr(value, "validate"):
        if not isinstance(value, dict):
            raise TypeError(f"{label}: expected a WatermarkingConfig, found {type(value).__name__}")
        return transformers.WatermarkingConfig.from_dict(value)  # as transformers 5 does
    if name in _IDS:
        check_ids(label, [value] if isinstance(value, int) else value, vocab_size)
    return value


def truncates(value: Any) -> bool:
    """Return whether a text is cut, for any value that the stock pipeline accepts.

    Args:
        value: Value of the argument `truncation`.

    Raises:
        ValueError: The stock pipeline does not accept the value.
    """
    name = getattr(value, "value", value)
    cut: dict[Any, bool] = {True: True, False: False, "longest_first": True, "only_first": True}
    cut["do_not_truncate"] = False
    if not isinstance(name, (bool, str)) or name not in cut:
        raise ValueError(f"truncation: expected one of {', '.join(map(str, cut))}, found {value!r:.60}")
    return cut[name]


def vocab_size_of(model: Any) -> int:
    """Return the number of ids in the vocabulary of a model's output.

    Args:
        model: An encoder-decoder or the RNN.
    """
    return int(getattr(model.config, "decoder", model.config).vocab_size)


def positions_of(model: Any, part: str) -> int | None:
    """Return how many tokens the encoder or the decoder of a model can read, or None if there is no limit.

    Args:
        model: An encoder-decoder or the RNN.
        part: `encoder` or `decoder`.
    """
    config: Any = getattr(model.config, part, model.config)
    if config.model_type == "kgloss-rnn" and part == "encoder":
        return None
    positions = getattr(config, "max_position_embeddings", None)
    # RoBERTa and similar models count positions from the id after that of padding.
    return positions - config.pad_token_id - 1 if positions and config.model_type in _FROM_PADDING else positions


def _check_length(model: Any, config: GenerationConfig) -> None:
    name = "max_length" if config.max_new_tokens is None else "max_new_tokens"
    length, positions = getattr(config, name), positions_of(model, "decoder")
    # The decoder does not read the last token. Where only new tokens are counted, it reads [BOS] in addition.
    longest = None if positions is None else positions + (name == "max_length")
    if longest is not None and length is not None and length > longest:
        raise ValueError(f"{name}: expected at most {longest}, the model's number of positions, found {length}")
