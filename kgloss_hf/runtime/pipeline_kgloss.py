"""The pipeline behind `text2text-generation` and `text-to-gloss`."""

from __future__ import annotations

import copy
import operator
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import signature
from itertools import accumulate, islice
from math import isfinite
from typing import Any

import torch
import transformers
from transformers import GenerationConfig, Pipeline

from .analyzers import has_analyzer
from .configuration_kgloss import check_configuration, check_ids
from .decoding import GreedyDecoder, emitted_ids, explain
from .fingerspelling import fingerspell
from .glosses import PLACEHOLDERS, type_of_notation
from .int8 import with_int8_weights
from .java import start_jvm  # noqa: F401 - transformers 4 copies only neighbours that a loaded file names
from .normalization import normalize  # noqa: F401 - for the same reason
from .numerals import Source
from .okt import Morpheme
from .placeholders import assign_sources
from .plain import is_plain

_BATCH_SIZE = 128  # sentences per step where a call does not say
_WINDOW = 16  # batches that are sorted by length together, and read ahead where the input is no list

# Arguments of the pipeline itself, which `generate` does not see.
_OWN = {"batch_size", "num_workers", "truncation", "return_types", "return_alignment", "fingerspell"}
# What generate can return besides sequences. It changes none of them, so that a checkpoint's setting is overruled.
_OUTPUTS = {"return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states"}
# What our own loop takes as arguments, and settings of a checkpoint that it follows or that one beam does not heed.
_OWN_LOOP = {"num_beams", "max_length", "max_new_tokens", "do_sample", "num_return_sequences"}
_OWN_SETTINGS = _OWN_LOOP | {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "suppress_tokens", "use_cache"),
    *("early_stopping", "length_penalty", "num_beam_groups", "diversity_penalty"),
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind", "transformers_version"),
}

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
_SWITCHES = _OUTPUTS | {
    *("return_types", "return_alignment", "fingerspell", "do_sample", "use_cache"),
    *("renormalize_logits", "remove_invalid_values", "return_tensors", "return_text", "clean_up_tokenization_spaces"),
}
_CHECKED = _RANGES.keys() | _NUMBERS | _SWITCHES
_ID = {"bos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id"}
_IDS = {"eos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens"}

# Arguments of the stock pipeline, or of `generate`, for values other than these: why not.
_REFUSED = {
    "return_tensors": ((False,), "an answer holds glosses; call the model's generate for ids"),
    "return_text": ((True,), "an answer always holds generated_text"),
    "return_type": (("TEXT",), "an answer holds glosses; call the model's generate for ids"),
    "clean_up_tokenization_spaces": ((False,), "glosses are joined by a space, and none is superfluous"),
    "stop_sequence": ((), "sequences end at ids; give eos_token_id, a list of ids of glosses"),
    "num_workers": ((0,), "texts are read and batched in this process; give batch_size"),
    "prefix": ((), "a model reads the Korean sentence alone"),
    "stop_strings": ((), "sequences end at ids; give eos_token_id, a list of ids of glosses"),
    "custom_generate": ((), "it may return anything; call the model's generate"),
    **dict.fromkeys(
        ("guidance_scale", "negative_prompt_ids", "negative_prompt_attention_mask", "token_healing"),
        ((), "it is for models that go on with a text"),
    ),
    **dict.fromkeys(
        ("constraints", "force_words_ids", "penalty_alpha", "dola_layers", "low_memory"),
        ((), "transformers does this by code from the Hub, which is not run"),
    ),
    "num_beam_groups": ((1,), "transformers does this by code from the Hub, which is not run"),
    "diversity_penalty": ((0.0,), "transformers does this by code from the Hub, which is not run"),
    **dict.fromkeys(
        (
            *("assistant_model", "assistant_tokenizer", "assistant_early_exit", "assistant_confidence_threshold"),
            *("assistant_lookbehind", "assistant_ensemble_weight", "target_lookbehind", "is_assistant", "use_mtp"),
            *("num_assistant_tokens", "num_assistant_tokens_schedule", "prompt_lookup_num_tokens", "speculation_type"),
            "max_matching_ngram_size",
        ),
        ((), "assisted generation takes single sentences; call the model's generate"),
    ),
    **dict.fromkeys(_OUTPUTS, ((False,), "an answer holds glosses; call the model's generate for its other outputs")),
}

_Row = tuple[list[Morpheme], list[tuple[int, int]]]  # a text's morphemes, and the spans of its tokens


@dataclass
class _Request:
    """What one call asks for, with the model that answers it, which another thread may replace meanwhile."""

    model: Any
    options: dict[str, Any]  # of the pipeline itself
    generate: dict[str, Any]
    config: GenerationConfig  # the model's, with the call's values
    sequences: int | None  # for each text, in a list; None is one without a list


class GlossSequence(dict[str, Any]):
    """The glosses of a sentence: a dict that goes to JSON as it is, and prints as its glosses.

    Keys:
        generated_text: The glosses joined by a space.
        glosses: The glosses in signing order; one may hold a space itself.
        unresolved: Places in `glosses` of placeholders for which the sentence has no content.
        log_prob: Natural logarithm of the sequence's probability among glosses, its end included; with
            `num_return_sequences`.
        score: What sequences are ranked by: `log_prob` divided by the number of glosses, the end counted as one, to
            the power of `length_penalty`; where glosses are drawn without beams, `log_prob`. With
            `num_return_sequences`.
        types: Each gloss's type, one of `kgloss_hf.runtime.glosses.GLOSS_TYPES`, or `unknown`; with `return_types`.
        alignment: For each gloss start and end, in characters of the text, of the morpheme that the model attends to
            most, or None; with `return_alignment`.
        fallback: Places in `glosses` of what was fingerspelled for want of a gloss; with `fingerspell`.

    Example:
        >>> print(GlossSequence(generated_text="흙 그릇", glosses=["흙", "그릇"], unresolved=[]))
        흙 | 그릇
    """

    @property
    def glosses(self) -> list[str]:
        """The glosses in signing order."""
        return self["glosses"]

    @property
    def generated_text(self) -> str:
        """The glosses joined by a space."""
        return self["generated_text"]

    def __str__(self) -> str:
        marked = dict.fromkeys(self["unresolved"], "?") | dict.fromkeys(self.get("fallback", ()), "*")
        return " | ".join(gloss + marked.get(place, "") for place, gloss in enumerate(self.glosses))


class Text2GlossPipeline(Pipeline):
    """Korean text in, Korean Sign Language glosses out.

    A string gives a `GlossSequence`; a list or tuple gives a list of them; anything else that can be iterated (a
    generator, a column of a data set, a data set with a column `text`) gives an iterator, which reads a few thousand
    texts ahead. Texts are batched by length and answered in order. Numbers and Latin words of the text are put back
    where the model emitted `Number` and `Alpha`; one without a counterpart stays a bare placeholder. A text without a
    word in it gives no glosses. Text beyond the model's length is cut, and a warning counts what is lost. Threads can
    call one pipeline at the same time.

    Args, on call or to `pipeline`. A call's value goes before the pipeline's, and that before the checkpoint's; None is
    the same as nothing:
        batch_size: Sentences per step (default 128). Without `int8` the result does not depend on it.
        num_return_sequences: Give for each text a list of up to N sequences, no two with the same glosses, with
            `log_prob` and `score`, the best `score` first (default: one sequence, no list). Takes as many beams, if the
            checkpoint has fewer. The first is mostly the one that is given without a list; another where more beams
            find a better one.
        truncation: False: raise an error where a text is longer than the model can read (default True: cut it).
        return_types: Add the type of each gloss: the checkpoint's, or what the notation tells (default False).
        return_alignment: Add the source morpheme of each gloss, by cross-attention (default False).
        fingerspell: Spell names and Latin words letter by letter and numbers by fingerspelled numbers; and add nouns
            of the text that was read that the vocabulary does not hold and no gloss stands for (default False).
        generation_config: A GenerationConfig for `generate`. A call's replaces all that `pipeline` was given for
            `generate`. What it leaves at its default is the checkpoint's; in transformers 4 that includes a value
            that equals the default (`num_beams=1`), which has to be an argument of its own.
        **generate: Any of `generate`'s, such as `num_beams=1`.

    Args, to `pipeline` alone:
        int8: Answer with eight-bit weights (`with_int8_weights`): faster on a CPU, with some other answers, which
            depend on what else is in a batch (default False).

    Raises:
        TypeError: A text is not a string, the tokenizer is not a KGlossTokenizerFast, or an argument is not known or
            of another type.
        ValueError: The tokenizer is not the one that the model was trained with, `int8` is asked for a model that has
            no such form, an argument has a value that cannot be, asks for what an answer does not hold, or exceeds
            the model's length, or so does a setting of the checkpoint.

    Example:
        >>> import kgloss_hf
        >>> from transformers import pipeline
        >>> text_to_gloss = pipeline("text2text-generation", model=getfixture("checkpoint"))
        >>> sorted(text_to_gloss("이 토기는 4세기에 만들어졌습니다.", return_types=True))
        ['generated_text', 'glosses', 'types', 'unresolved']
    """

    model: Any  # another can be put in its place
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = True

    def __init__(self, *args: Any, int8: bool = False, **kwargs: Any) -> None:
        # The base class would take generate's arguments for itself, in another way in each generation.
        bases = {*signature(Pipeline.__init__).parameters, "args_parser", "dtype", "torch_dtype"}
        given = {name: kwargs.pop(name) for name in [*kwargs] if name not in bases}
        super().__init__(*args, **kwargs)
        if not has_analyzer(self.tokenizer):
            raise TypeError(
                f"expected a checkpoint with a KGlossTokenizerFast, found {type(self.tokenizer).__name__}, which would "
                "give ids without Okt; import kgloss_hf before loading the tokenizer"
            )
        digest = getattr(self.model.config, "vocabulary_digest", None)  # older checkpoints have none
        if digest not in (None, self.tokenizer.vocabulary_digest):
            raise ValueError(
                f"expected the tokenizer that the model was trained with, found another of {len(self.tokenizer)} "
                "entries, with which it would say other glosses; take model and tokenizer from one run's folder"
            )
        check_configuration(self.model.config.to_dict())
        if getattr(self, "prefix", None):  # the base class reads it from the configuration
            raise ValueError(f"config.json, prefix: expected none, found {self.prefix!r}; {_REFUSED['prefix'][1]}")
        self.model.eval()
        self.int8 = _checked("int8", int8)
        if self.int8:
            self.model = with_int8_weights(self.model)
        self.special = frozenset(self.tokenizer.all_special_ids)
        self.greedy: GreedyDecoder | None = None  # made at the first use
        self.given = self._settings(given)
        emitted_ids(self._request({}).config.suppress_tokens, _vocab_size(self.model))

    def __call__(self, inputs: str | Iterable[Any], batch_size: int | None = None, **kwargs: Any) -> Any:
        request = self._request({"batch_size": batch_size, **kwargs})
        if isinstance(inputs, str):
            return next(self._answers([inputs], request))
        if inputs is None or isinstance(inputs, (bytes, int, float, Mapping)):
            raise TypeError(f"expected a string or several, found {type(inputs).__name__}")
        if isinstance(inputs, (list, tuple)):
            for index, text in enumerate(inputs):
                _text_of(index, text)
            return list(self._answers(inputs, request))
        return self._answers(inputs, request)

    def _sanitize_parameters(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, {}, {}  # `_request` does it

    def _settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments by name, checked, with those of a GenerationConfig among them."""
        size, (known, defaults) = _vocab_size(self.model), _arguments()
        settings = {}
        for name, value in given.items():
            if name not in known:
                close = "".join(f"; did you mean {match}?" for match in get_close_matches(name, known, 1))
                raise TypeError(f"{name}: expected an argument of this pipeline or of generate, found another{close}")
            value = _checked(name, value, size)
            if value is not None or name in defaults.keys() - _CHECKED:
                settings[name] = value
        beams, sequences = settings.get("num_beams"), settings.get("num_return_sequences")
        if beams and sequences and beams < sequences and not (beams == 1 and settings.get("do_sample")):
            raise ValueError(
                f"num_return_sequences: expected at most num_beams, which is {beams}, found {sequences}; leave out "
                "num_beams, or give as many"
            )
        for kind in ("max", "min"):
            if settings.keys() >= {f"{kind}_length", f"{kind}_new_tokens"}:
                raise ValueError(f"expected {kind}_length or {kind}_new_tokens, found both; leave one out")
        config = settings.pop("generation_config", None)
        if config is None:
            return settings
        if not isinstance(config, GenerationConfig):
            raise TypeError(f"generation_config: expected a GenerationConfig, found {type(config).__name__}")
        said = {name: value for name, value in vars(config).items() if value not in (None, defaults.get(name))}
        theirs = vars(self.model.generation_config)  # of which it may be a copy
        if unknown := [name for name in said if name not in {*known, *theirs, "transformers_version"}]:
            raise TypeError(f"generation_config: expected arguments of generate, found {', '.join(unknown)}")
        return _nearer({name: _checked(name, value, size) for name, value in said.items() if name in known}, settings)

    def _request(self, given: Mapping[str, Any]) -> _Request:
        model = self.model
        size = _vocab_size(model)
        for name, value in vars(model.generation_config).items():
            if name not in ("suppress_tokens", "begin_suppress_tokens"):  # which are long
                _check_kind(f"generation_config.json, {name}", name, value, size)
        if model.generation_config.stop_strings:
            raise ValueError(f"generation_config.json, stop_strings: expected none: {_REFUSED['stop_strings'][1]}")
        if given.get("generation_config") is None:
            task = (getattr(model.config, "task_specific_params", None) or {}).get(self.task) or {}
            chosen = _nearer(_nearer({}, self._settings(task)), self.given)
        else:
            chosen = {name: value for name, value in self.given.items() if name in _OWN}
        chosen = _nearer(chosen, self._settings(given))
        options = {name: chosen.pop(name) for name in chosen.keys() & _OWN}
        generate = {name: value for name, value in chosen.items() if name not in _REFUSED}
        config = copy.copy(model.generation_config)
        vars(config).update({name: value for name, value in generate.items() if name in vars(config)})
        sequences = generate.get("num_return_sequences")
        if sequences is None and (config.num_return_sequences or 1) > 1:
            sequences = config.num_return_sequences
        if sequences is not None and ((config.num_beams or 1) > 1 or not config.do_sample):
            generate["num_beams"] = config.num_beams = max(config.num_beams or 1, sequences)
        if generate.get("suppress_tokens"):
            emitted_ids(config.suppress_tokens, size)
        _check_length(model, config)
        return _Request(model, options, generate, config, sequences)

    def _answers(self, inputs: Iterable[Any], request: _Request) -> Iterator[Any]:
        size = request.options.get("batch_size", _BATCH_SIZE)
        truncation = _truncation(request.options.get("truncation", True))
        limit = _positions(request.model, "encoder")
        longest = {} if limit is None or not truncation else {"max_length": min(limit, self.tokenizer.model_max_length)}
        texts = (_text_of(index, text) for index, text in enumerate(inputs))
        first = 0
        while window := list(islice(texts, size * _WINDOW)):
            morphemes = self.tokenizer.morphemes(window)
            encoded = self.tokenizer(window, truncation=truncation, return_offsets_mapping=True, **longest)
            lengths = [len(ids) for ids in encoded["input_ids"]]
            if limit is not None and (long := next((i for i, n in enumerate(lengths) if n > limit), None)) is not None:
                raise ValueError(
                    f"text {first + long}: expected at most {limit} tokens with truncation=False, found {lengths[long]}"
                )
            answers: list[Any] = [self._blank(request) for _ in window]
            order = sorted((i for i in range(len(window)) if lengths[i] > 2), key=lengths.__getitem__)
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                padded = self.preprocess([encoded["input_ids"][i] for i in batch])
                outputs = self.forward(padded, request=request)
                rows = [_read(morphemes[i], encoded["offset_mapping"][i], encoded.encodings[i]) for i in batch]
                for index, answer in zip(batch, self.postprocess(outputs, rows, request=request), strict=True):
                    answers[index] = answer
            first += len(window)
            yield from answers

    def _blank(self, request: _Request) -> Any:
        asked = {"types": "return_types", "alignment": "return_alignment", "fallback": "fingerspell"}
        extra: dict[str, Any] = {key: [] for key, option in asked.items() if request.options.get(option)}
        blank = GlossSequence(generated_text="", glosses=[], unresolved=[], **extra)
        return blank if request.sequences is None else []

    def preprocess(self, ids: Sequence[Sequence[int]], **_: Any) -> dict[str, Any]:
        return dict(self.tokenizer.pad({"input_ids": ids}, return_tensors="pt"))

    def _forward(self, inputs: dict[str, Any], request: _Request) -> dict[str, Any]:
        model = request.model
        ids, mask = (inputs[name].to(model.device) for name in ("input_ids", "attention_mask"))
        sequences = self.decode(ids, mask, request.generate, model)
        outputs: dict[str, Any] = {"sequences": sequences, "each": len(sequences) // len(ids)}
        if self._needs_attention(request.options) or request.sequences is not None:
            ids, mask = (values.repeat_interleave(outputs["each"], dim=0) for values in (ids, mask))
            outputs |= explain(model, ids, mask, sequences, request.config)._asdict()
        return outputs

    def decode(
        self, ids: torch.Tensor, mask: torch.Tensor, generate: Mapping[str, Any], model: Any = None
    ) -> list[list[int]]:
        """Return what the model's `generate` gives, without special ids, by our own loop where that gives the same.

        Args:
            ids: Source ids, batch × source length.
            mask: 1 where a source id is no padding; same shape.
            generate: Arguments of `generate`.
            model: What generates (default: the pipeline's model).
        """
        model = self.model if model is None else model
        limit = self._greedy_limit(generate, model)
        greedy = self.greedy
        if limit and not (greedy and greedy.fits(model)):
            greedy = GreedyDecoder(model, int8=self.int8) if is_plain(model, int8=self.int8) else None
            self.greedy = greedy
        if limit and greedy:
            rows = greedy(ids, mask, limit)
        else:
            config = model.generation_config
            others: dict[str, Any] = {name: False for name in _OUTPUTS if getattr(config, name, None)}
            rows = model.generate(input_ids=ids, attention_mask=mask, **{**generate, **others}).tolist()
        return [[index for index in row if index not in self.special] for row in rows]

    @staticmethod
    def _needs_attention(options: Mapping[str, Any]) -> bool:
        return bool(options.get("return_alignment") or options.get("fingerspell"))

    def _greedy_limit(self, generate: Mapping[str, Any], model: Any = None) -> int | None:
        """Return the target's length for our own loop, or None where `generate` is asked for more than it does."""
        config = (self.model if model is None else model).generation_config
        chosen = {name: generate.get(name, getattr(config, name)) for name in _OWN_LOOP}
        plain = (
            generate.keys() <= _OWN_LOOP
            and (chosen["num_beams"] or 1) == (chosen["num_return_sequences"] or 1) == 1
            and not chosen["do_sample"]
            and isinstance(config.decoder_start_token_id, int)
            and all(_changes_nothing(name, value) for name, value in vars(config).items())
        )
        new = chosen["max_new_tokens"]
        limit = chosen["max_length"] if new is None else 1 + new
        return limit if plain and limit and limit > 1 else None

    def postprocess(self, outputs: dict[str, Any], rows: Sequence[_Row] = (), *, request: _Request) -> list[Any]:
        each, attention = outputs["each"], outputs.get("attention")
        config, answers = request.config, []
        for number, sequence in enumerate(outputs["sequences"]):
            tokens = self.tokenizer.convert_ids_to_tokens(sequence)
            weights = None if attention is None else attention[number].tolist()
            answers.append(self._answer(tokens, rows[number // each], weights, request))
            if request.sequences is not None:
                log_prob = outputs["log_probs"][number]
                penalty = 1.0 if config.length_penalty is None else config.length_penalty
                length = (len(sequence) + 1) ** (penalty if (config.num_beams or 1) > 1 else 0)
                answers[-1] |= {"log_prob": log_prob, "score": log_prob / length}
        if request.sequences is None:
            return answers
        return [_ranked(answers[at : at + each]) for at in range(0, len(answers), each)]

    def _answer(
        self, tokens: list[str], row: _Row, attention: list[list[float]] | None, request: _Request
    ) -> GlossSequence:
        morphemes, offsets = row
        options = request.options
        known: Mapping[str, str] = getattr(request.model.config, "gloss_types", None) or {}
        sources = assign_sources(tokens, morphemes)
        signs = [
            _Sign(token, known.get(token) or type_of_notation(token), unresolved=token in PLACEHOLDERS)
            for token in tokens
        ]
        for sign, source in zip(signs, sources, strict=True):
            if source:
                sign.gloss, sign.unresolved = source.content, False
        if attention is not None:
            for sign, source, weights in zip(signs, sources, attention, strict=False):
                sign.span = (source.start, source.end) if source else _most_attended(offsets, weights)
        if options.get("fingerspell"):
            signs = self._spelled(signs, sources, morphemes)
        glosses = [sign.gloss for sign in signs]
        answer = GlossSequence(
            generated_text=" ".join(glosses),
            glosses=glosses,
            unresolved=[place for place, sign in enumerate(signs) if sign.unresolved],
        )
        if options.get("return_types"):
            answer["types"] = [sign.type for sign in signs]
        if options.get("return_alignment"):
            answer["alignment"] = [list(sign.span) if sign.span else None for sign in signs]
        if options.get("fingerspell"):
            answer["fallback"] = [place for place, sign in enumerate(signs) if sign.fallback]
        return answer

    def _spelled(
        self, signs: list[_Sign], sources: Sequence[Source | None], morphemes: Sequence[Morpheme]
    ) -> list[_Sign]:
        """Return signs with restored contents spelled, and nouns beyond the vocabulary put in by their neighbours."""
        spelled: list[_Sign] = []
        for sign, source in zip(signs, sources, strict=True):
            spelled += [sign] if source is None else _letters(source.content, sign.span)
        ends = [sign.span[1] if sign.span else -1 for sign in spelled]
        covered = bytearray(max([0, *ends, *(morpheme.end for morpheme in morphemes)]))
        for start, end in {sign.span for sign in spelled if sign.span}:
            covered[start:end] = b"\1" * (end - start)
        # A noun goes behind the last sign whose source ends before it, and behind the nouns there already.
        last = sorted((end, place) for place, end in enumerate(ends) if end >= 0)
        latest = list(accumulate((place for _, place in last), max))
        behind: dict[int, list[_Sign]] = {}
        for morpheme in morphemes:
            start, end = morpheme.start, morpheme.end
            if morpheme.tag == "Noun" and not any(covered[start:end]) and not self.tokenizer.knows(morpheme):
                before = bisect_right(last, (start, len(spelled)))
                behind.setdefault(latest[before - 1] if before else -1, []).extend(
                    _letters(morpheme.surface, (start, end))
                )
                covered[start:end] = b"\1" * (end - start)
        places = range(-1, len(spelled))
        return [sign for at in places for sign in [*spelled[max(at, 0) : at + 1], *behind.get(at, ())]]


@dataclass
class _Sign:
    """One gloss of an answer in the making."""

    gloss: str
    type: str
    unresolved: bool = False
    fallback: bool = False
    span: tuple[int, int] | None = None


def _letters(content: str, span: tuple[int, int] | None) -> list[_Sign]:
    def kind(gloss: str) -> str:
        return "fingerspelled_number" if gloss[0].isdigit() or gloss == "." else "fingerspelling"

    return [_Sign(gloss, kind(gloss), fallback=True, span=span) for gloss in fingerspell(content)]


@cache
def _arguments() -> tuple[frozenset[str], dict[str, Any]]:
    """Return the names of all arguments, and generate's own with their defaults in this version of transformers."""
    defaults = {name: value for name, value in vars(GenerationConfig()).items() if not name.startswith("_")}
    others = signature(transformers.GenerationMixin.generate).parameters
    defaults |= {"num_return_sequences": 1}  # in a GenerationConfig of transformers 4, 1 may have been said or not
    names = {*_OWN, *_REFUSED, *defaults, *others}
    names -= {"self", "inputs", "kwargs", "use_model_defaults", "transformers_version"}
    return frozenset(names), defaults


def _nearer(far: Mapping[str, Any], near: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with nearer ones in their place, a length also in that of one counted otherwise."""
    merged = dict(far)
    for kind in ("max", "min"):
        if f"{kind}_length" in near and f"{kind}_new_tokens" not in near:
            merged[f"{kind}_new_tokens"] = None  # which generate would take
    return merged | dict(near)


def _ranked(answers: Iterable[GlossSequence]) -> list[GlossSequence]:
    """Return answers with the best score first; of those with the same glosses, the best."""
    first: dict[tuple[str, ...], GlossSequence] = {}
    for answer in sorted(answers, key=operator.itemgetter("score"), reverse=True):
        first.setdefault(tuple(answer.glosses), answer)
    return [*first.values()]


def _read(morphemes: list[Morpheme], offsets: list[tuple[int, int]], encoding: Any) -> _Row:
    """Return what the model has read of a text: all of it, or where it is cut, up to its last token."""
    if encoding.overflowing:
        end = max((end for _, end in offsets), default=0)
        morphemes = [morpheme for morpheme in morphemes if morpheme.start < end]
    return morphemes, offsets


def _checked(name: str, value: Any, vocab_size: int = 0) -> Any:
    """Return an argument's value as a plain number where it is one.

    Raises:
        TypeError: It is of another type.
        ValueError: It cannot be, or the pipeline does not do what it asks for.
    """
    if value is None:
        return None
    if name == "truncation":
        _truncation(value)
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
    if name in _SWITCHES or name == "int8":
        if not isinstance(value, (bool, int)) or value not in (0, 1):
            raise TypeError(f"{label}: expected True or False, found {value!r:.60}")
        return bool(value)
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


def _truncation(value: Any) -> bool:
    """Return whether a text is cut, of the forms in which the stock pipeline lets one say so."""
    name = getattr(value, "value", value)
    cut: dict[Any, bool] = {True: True, False: False, "longest_first": True, "only_first": True}
    cut["do_not_truncate"] = False
    if not isinstance(name, (bool, str)) or name not in cut:
        raise ValueError(f"truncation: expected one of {', '.join(map(str, cut))}, found {value!r:.60}")
    return cut[name]


def _vocab_size(model: Any) -> int:
    return int(getattr(model.config, "decoder", model.config).vocab_size)


def _positions(model: Any, part: str) -> int | None:
    """Return how many tokens a part can read; None where it knows no limit, or is of another kind than ours."""
    config: Any = getattr(model.config, part, model.config)
    limited = config.model_type == "bert" or (config.model_type == "kgloss-rnn" and part == "decoder")
    return config.max_position_embeddings if limited else None


def _check_length(model: Any, config: GenerationConfig) -> None:
    name = "max_length" if config.max_new_tokens is None else "max_new_tokens"
    length, positions = getattr(config, name), _positions(model, "decoder")
    # The decoder reads neither the last token nor, where new ones are counted, more than [BOS] besides.
    longest = None if positions is None else positions + (name == "max_length")
    if longest is not None and length is not None and length > longest:
        raise ValueError(f"{name}: expected at most {longest}, which the model has positions for, found {length}")


def _changes_nothing(setting: str, value: Any) -> bool:
    neutral = value in (None, False, 0) or (value == 1 and setting.endswith("_penalty"))
    return neutral or setting in _OWN_SETTINGS or setting.startswith("_")  # how it was made


def _most_attended(offsets: Sequence[tuple[int, int]], weights: Sequence[float]) -> tuple[int, int] | None:
    """The span of the morpheme whose word pieces together have the greatest weight."""
    sums: dict[tuple[int, int], float] = {}
    for (start, end), weight in zip(offsets, weights, strict=False):  # weights of padding are left over
        if end > start:
            sums[start, end] = sums.get((start, end), 0.0) + weight
    return max(sums, key=sums.__getitem__) if sums else None


def _text_of(index: int, text: Any) -> str:
    if isinstance(text, Mapping) and "text" in text:  # a row of a data set
        text = text["text"]
    if not isinstance(text, str):
        raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
    return text


def text2text_pipeline(*args: Any, tokenizer: Any = None, **kwargs: Any) -> Pipeline:
    """Return a pipeline for `text2text-generation`: ours for our checkpoints, the stock one for all others.

    Args:
        *args: As for the pipeline.
        tokenizer: Decides which.
        **kwargs: As for the pipeline.
    """
    stock = getattr(transformers, "Text2TextGenerationPipeline", None)  # transformers 5 has none
    chosen = Text2GlossPipeline if stock is None or has_analyzer(tokenizer) else stock
    return chosen(*args, tokenizer=tokenizer, **kwargs)


# What transformers asks the class of a pipeline before it loads a model.
for _part in ("processor", "image_processor", "video_processor", "feature_extractor", "tokenizer"):
    vars(text2text_pipeline)[f"_load_{_part}"] = getattr(Text2GlossPipeline, f"_load_{_part}", False)
