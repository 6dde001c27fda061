"""Pipeline behind `text2text-generation` and `text-to-gloss`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from functools import partial
from inspect import signature
from itertools import islice, tee
from operator import itemgetter
from os import PathLike
from typing import Any, overload

import torch
import transformers
from transformers import Pipeline

from .analyzers import has_analyzer
from .answers import BATCH_SIZE, WINDOW, GlossSequence, Row, answer_of, what_is_read
from .arguments import (
    OUTPUTS,
    Request,
    checked,
    positions_of,
    request_of,
    settings_for_others,
    settings_of,
    truncates,
    vocab_size_of,
)
from .beams import BeamDecoder  # noqa: F401 - transformers 4 copies only neighbours that a loaded file names
from .configuration_kgloss import check_configuration
from .consensus import agreed_answer
from .decoding import emitted_ids, end_ids
from .explaining import explain
from .fingerspelling import fingerspell  # noqa: F401 - for the same reason, like the others below
from .glosses import PLACEHOLDERS
from .int8 import with_int8_weights
from .java import start_jvm  # noqa: F401
from .lexicon import PREFERENCE, playable_share
from .normalization import normalize_line
from .numerals import Source  # noqa: F401
from .okt import Morpheme
from .penalties import PENALTY, is_penalised, penalty_arguments
from .placeholders import assign_sources  # noqa: F401
from .plain import has_plain_decoder  # noqa: F401
from .search import OwnSearch
from .words import DROPPED_TAGS  # noqa: F401


class Text2GlossPipeline(Pipeline):
    """Translate Korean text to Korean Sign Language glosses.

    A string yields a `GlossSequence`; a list or tuple yields a list of them; any other iterable (a generator, a column
    of a data set, a data set with a column `text`) yields an iterator, which reads a few thousand texts ahead. Texts
    are batched by length and answered in order. Numbers and Latin words of the text replace the placeholders `Number`
    and `Alpha` that the model emitted; one without a counterpart stays a bare placeholder. A text without words gets no
    glosses. Text beyond the model's length is cut, and a warning counts what is lost. Threads can call one pipeline at
    the same time.

    Args, on call or to `pipeline`. A call's value takes precedence over the pipeline's, and that over the checkpoint's;
    None means not set:
        batch_size: Sentences per step (default 128). Without `int8`, the result does not depend on it.
        num_return_sequences: Return a list of N sequences per text with `score`, the best `score` first (default: one
            sequence, no list). Uses N beams if the checkpoint has fewer. With the same number of beams, the first
            sequence is the one returned without this option; for checkpoints without `renormalize_logits`, whose beam
            search also weighs ids that no model may emit, this is only usually so.
        encoder_repetition_penalty: Above 1, favour glosses that occur as words in the sentence (default: the value
            chosen in training, from the checkpoint; 1 is off). Not available for models with two vocabularies.
        repetition_penalty: Above 1, penalise glosses that the answer already contains (default as above).
        truncation: If False, raise an error for a text longer than the model can read (default True: cut it).
        return_types: Add the type of each gloss, from the checkpoint or from the notation (default False).
        return_alignment: Add the source morpheme of each gloss, by cross-attention (default False).
        fingerspell: Spell names and Latin words letter by letter and numbers with fingerspelled numbers. Also add nouns
            in the part of the text read that are not in the vocabulary and that no gloss represents (default False).
        return_confidence: Add the probability of each gloss given those before it (default False).
        lexicon: A `kgloss_hf.Lexicon`; adds `signs`, which say what plays each gloss (default: none).
        playable: With `lexicon`, `prefer` ranks the 10 best candidates (more with `num_return_sequences` or
            `num_beams`) and the answer without this option by `score` combined with the share of their glosses that can
            be played; no candidate less playable than that answer is ranked before it. `only` excludes glosses that
            cannot be played, placeholders apart, with fewer beams if few glosses are left (default: neither).
        consensus: Return the answer that agrees best with the 10 best of a beam search (`num_return_sequences` or
            `num_beams` set another number), with `agreement` (default: True with `others`, else False).
        generation_config: A GenerationConfig for `generate`. In a call, it replaces everything that was passed to
            `pipeline` for `generate`. Settings left at their defaults come from the checkpoint; in transformers 4, that
            includes a value equal to the default (`num_beams=1`), which has to be passed as a separate argument.
        **generate: Any argument of `generate`, such as `num_beams=1`.

    Args, only to `pipeline`:
        int8: Answer with eight-bit weights (`with_int8_weights`): faster on a CPU, but a few answers differ, and they
            depend on the other texts of a batch. If rounding may have changed a single answer, that of the full
            weights, which stay in memory, is returned (default False).
        others: Folders, Hub repositories or pipelines of other models, whose candidates have the same weight as this
            model's. Folders and repositories are loaded like this model, without their own code.

    Raises:
        TypeError: A text is not a string, the tokenizer is not a KGlossTokenizerFast, or an argument is unknown or has
            the wrong type.
        ValueError: The tokenizer is not the one with which the model was trained, `int8` is requested for a model that
            does not support it, or an argument or a setting of the checkpoint has an impossible value, asks for
            something that an answer does not contain, or exceeds the model's length.

    Examples:
        >>> import kgloss_hf
        >>> from transformers import pipeline
        >>> text_to_gloss = pipeline("text2text-generation", model=getfixture("checkpoint"))
        >>> sorted(text_to_gloss("이 토기는 4세기에 만들어졌습니다.", return_types=True))
        ['generated_text', 'glosses', 'log_prob', 'types', 'unknown_words', 'unresolved']
    """

    model: Any  # can be replaced
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = True

    def __init__(self, *args: Any, int8: bool = False, others: Sequence[Any] = (), **kwargs: Any) -> None:
        # The base class would consume generate's arguments, differently in each generation of transformers.
        bases = {*signature(Pipeline.__init__).parameters, "args_parser", "dtype", "torch_dtype"}
        settings = {name: kwargs.pop(name) for name in [*kwargs] if name not in bases}
        super().__init__(*args, **kwargs)
        if not has_analyzer(self.tokenizer):
            raise TypeError(
                f"expected a checkpoint with a KGlossTokenizerFast, found {type(self.tokenizer).__name__}, which does "
                "not use Okt; import kgloss_hf before loading the tokenizer"
            )
        digest = getattr(self.model.config, "vocabulary_digest", None)  # older checkpoints have none
        if digest not in (None, self.tokenizer.vocabulary_digest):
            raise ValueError(
                "expected the tokenizer that the model was trained with, found another (entries: "
                f"{len(self.tokenizer)}), whose ids stand for other glosses; load both from the same folder"
            )
        check_configuration(self.model.config.to_dict())
        if prefix := getattr(self, "prefix", None):  # the base class reads it from the configuration
            raise ValueError(f"config.json, prefix: expected none, found {prefix!r}; remove it from the file")
        self.model.eval()
        self.int8 = checked("int8", int8)
        self.special = self.tokenizer.target_specials
        weights: dict[str, Any] = {}
        if self.int8:
            full, self.model = self.model, with_int8_weights(self.model)
            weights = {"rounded": self.model, "full": full}
        self.search = OwnSearch(self.special, **weights)
        self.stop_words = frozenset(map(normalize_line, self.tokenizer.init_kwargs.get("stop_words", ())))
        if not isinstance(others, list | tuple):
            raise TypeError(f"others: expected a list of models, found {type(others).__name__}")
        self.others = [self._other(one) for one in others]
        self.playable: tuple[Any, Any, list[int]] = (None, None, [])  # lexicon, ids suppressed, those with unplayable
        self.given = settings_of(self.model, ({"consensus": True} if others else {}) | settings)
        emitted_ids(self._request({}).config.suppress_tokens, vocab_size_of(self.model))

    @overload
    def __call__(
        self, inputs: str, batch_size: int | None = None, *, num_return_sequences: None = None, **kwargs: Any
    ) -> GlossSequence: ...

    @overload
    def __call__(
        self, inputs: str, batch_size: int | None = None, *, num_return_sequences: int, **kwargs: Any
    ) -> list[GlossSequence]: ...

    @overload
    def __call__(
        self,
        inputs: list[str] | tuple[str, ...],
        batch_size: int | None = None,
        *,
        num_return_sequences: None = None,
        **kwargs: Any,
    ) -> list[GlossSequence]: ...

    @overload
    def __call__(
        self,
        inputs: list[str] | tuple[str, ...],
        batch_size: int | None = None,
        *,
        num_return_sequences: int,
        **kwargs: Any,
    ) -> list[list[GlossSequence]]: ...

    @overload
    def __call__(
        self, inputs: Iterable[Any], batch_size: int | None = None, *, num_return_sequences: None = None, **kwargs: Any
    ) -> Iterator[GlossSequence]: ...

    @overload
    def __call__(
        self, inputs: Iterable[Any], batch_size: int | None = None, *, num_return_sequences: int, **kwargs: Any
    ) -> Iterator[list[GlossSequence]]: ...

    def __call__(self, inputs: str | Iterable[Any], batch_size: int | None = None, **kwargs: Any) -> Any:
        request = self._request({"batch_size": batch_size, **kwargs})
        if isinstance(inputs, str):
            return next(self._given_answers([inputs], request))
        if inputs is None or isinstance(inputs, (bytes, int, float, Mapping)):
            raise TypeError(f"expected a string or several strings, found {type(inputs).__name__}")
        if hasattr(inputs, "columns"):
            raise TypeError("expected a string or several strings, found a table; pass one of its columns")
        if not isinstance(inputs, Iterable) and isinstance(inputs, Sized):
            rows: Any = inputs  # torch's Dataset raises no IndexError at its end
            inputs = (rows[index] for index in range(len(rows)))
        if isinstance(inputs, (list, tuple)):
            for index, text in enumerate(inputs):
                _text_of(index, text)
            return list(self._given_answers(inputs, request))
        return self._given_answers(inputs, request)

    def _sanitize_parameters(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, {}, {}  # `_request` handles parameters

    def _request(self, given: Mapping[str, Any]) -> Request:
        request = request_of(self.model, self.task, self.given, given)
        if is_penalised(request.config.encoder_repetition_penalty) and self.tokenizer.two_vocabularies:
            raise ValueError(
                f"{PENALTY}: expected 1 or nothing, as the sentences and the glosses of this model have no ids in "
                f"common, found {request.config.encoder_repetition_penalty:g}; leave it out"
            )
        if request.options.get("playable") == "only":
            self._restrict(request)
        return request

    def _restrict(self, request: Request) -> None:
        """Suppress the glosses that the lexicon cannot play."""
        lexicon, suppressed = request.options["lexicon"], list(request.config.suppress_tokens or ())
        known = self.playable  # all at once, as another thread may replace them
        if known[0] is not lexicon or known[1] != suppressed:
            self.playable = known = lexicon, suppressed, self._without_signs(request, lexicon, suppressed)
        config, left = request.config, vocab_size_of(request.model) - len(known[2])
        config.suppress_tokens = known[2]
        most = max(1, left // max(2, 1 + len(end_ids(config))))  # maximum number of beams for a search
        if request.options.get("consensus") and request.searched:  # combines as many candidates as possible
            request.searched = request.sequences = min(request.searched, most)
            request.generate["num_return_sequences"] = request.searched
        if (request.searched or 1) > most and not config.do_sample:
            raise ValueError(
                f"playable: expected glosses for {request.searched} sequences, found {left} ids that can be played or "
                f"end an answer; ask for at most {most}, or leave out 'only'"
            )
        if (config.num_beams or 1) > most:
            request.generate["num_beams"] = config.num_beams = most

    def _without_signs(self, request: Request, lexicon: Any, suppressed: Sequence[int]) -> list[int]:
        types: Mapping[str, str] = getattr(request.model.config, "gloss_types", None) or {}
        ids = emitted_ids(suppressed, vocab_size_of(request.model)).tolist()
        glosses = [index for index in ids if index not in self.special]
        named = list(zip(glosses, self.tokenizer.convert_ids_to_glosses([[index] for index in glosses]), strict=True))
        missing = [index for index, [gloss] in named if not lexicon.plays(gloss, types.get(gloss, ""))]
        words = {index for index, [gloss] in named if gloss not in PLACEHOLDERS}
        if words.issubset(missing):
            raise ValueError(
                "playable: expected a lexicon that plays some of the model's glosses, found one that plays none of "
                f"them (glosses: {len(words):,}); use another lexicon, or leave out 'only'"
            )
        return sorted({*suppressed, *missing})

    def _other(self, source: Any) -> Any:
        """Return the pipeline of another model: the one passed, or that of a folder or repository."""
        if isinstance(source, str | PathLike):
            safe: dict[str, Any] = {"trust_remote_code": False}  # users who trust a model's code pass a loaded pipeline
            model = transformers.AutoModelForSeq2SeqLM.from_pretrained(source, use_safetensors=True, **safe)
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **safe)
            model = model if self.int8 else model.to(self.model.dtype)
            return type(self)(model=model, tokenizer=tokenizer, task=self.task, device=self.device, int8=self.int8)
        if not isinstance(source, Pipeline) or not has_analyzer(source.tokenizer):
            raise TypeError(
                f"others: expected folders, Hub repositories or pipelines of this kind, found {type(source).__name__}"
            )
        if getattr(source, "others", ()):
            raise ValueError(
                "others: expected pipelines of one model each, found one with others; pass its models here"
            )
        return source

    def _given_answers(self, inputs: Iterable[Any], request: Request) -> Iterator[Any]:
        """Return the answers of this model, or those that agree best with the candidates of all models."""
        if not request.options.get("consensus"):
            return self._answers(inputs, request)
        if not self.others and request.sequences == 1:
            raise ValueError(
                "consensus: expected several answers to choose from, found one (num_return_sequences or num_beams); "
                "ask for more, or leave out consensus"
            )
        options = dict(request.options)
        if options.get("fingerspell"):  # places in the text distinguish the letters of one word from those of the next
            options["return_alignment"] = True
        wanted = replace(request, options=options)
        settings = settings_for_others(wanted) if self.others else {}
        first, *streams = tee(inputs, 1 + len(self.others))
        candidates = [self._answers(first, wanted)]
        candidates += [other(texts, **settings) for other, texts in zip(self.others, streams, strict=True)]
        return (self._agreed(of_text, request) for of_text in zip(*candidates, strict=True))

    def _agreed(self, candidates: Sequence[list[GlossSequence]], request: Request) -> GlossSequence:
        nothing = self._blank(replace(request, sequences=None)) | {"log_prob": 0.0}  # for a text without words
        answer = agreed_answer([of_model or [nothing] for of_model in candidates])
        if not request.options.get("return_alignment"):
            answer.pop("alignment", None)
        return answer

    def _answers(self, inputs: Iterable[Any], request: Request) -> Iterator[Any]:
        size = request.options.get("batch_size", BATCH_SIZE)
        truncation = truncates(request.options.get("truncation", True))
        limit = positions_of(request.model, "encoder")
        longest = {} if limit is None or not truncation else {"max_length": min(limit, self.tokenizer.model_max_length)}
        texts = (_text_of(index, text) for index, text in enumerate(inputs))
        first = 0
        while window := list(islice(texts, size * WINDOW)):
            morphemes = self.tokenizer.morphemes(window)
            encoded = self.tokenizer(window, truncation=truncation, return_offsets_mapping=True, **longest)
            lengths = [len(ids) for ids in encoded["input_ids"]]
            if limit is not None and (long := next((i for i, n in enumerate(lengths) if n > limit), None)) is not None:
                raise ValueError(
                    f"text {first + long}: expected at most {limit} tokens with truncation=False, found {lengths[long]}"
                )
            answers: list[Any] = [self._blank(request) for _ in window]
            readable = self._readable(lengths, morphemes)
            order = sorted((i for i in range(len(window)) if readable[i]), key=lengths.__getitem__)
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                padded = self.preprocess([encoded["input_ids"][i] for i in batch])
                outputs = self.forward(padded, request=request)
                rows = [what_is_read(morphemes[i], encoded["offset_mapping"][i], encoded.encodings[i]) for i in batch]
                for index, answer in zip(batch, self.postprocess(outputs, rows, request=request), strict=True):
                    answers[index] = answer
            first += len(window)
            yield from answers

    def _readable(self, lengths: Sequence[int], morphemes: list[list[Morpheme]]) -> list[bool]:
        """Return whether each text has words. Our own pieces always belong to words, but an encoder's may not."""
        if self.tokenizer.two_vocabularies:
            return list(self.tokenizer.have_words(morphemes))
        return [length > 2 for length in lengths]

    def _blank(self, request: Request) -> Any:
        asked = {"types": "return_types", "alignment": "return_alignment", "fallback": "fingerspell"}
        asked |= {"confidence": "return_confidence", "signs": "lexicon"}
        chosen = {key for key, option in asked.items() if request.options.get(option) not in (None, False)}
        extra: dict[str, Any] = {key: [] for key in asked if key in chosen}
        certain: dict[str, Any] = {"unknown_words": [], "log_prob": 0.0}
        blank = GlossSequence(generated_text="", glosses=[], unresolved=[], **certain, **extra)
        return blank if request.sequences is None else []

    def preprocess(self, ids: Sequence[Sequence[int]], **_: Any) -> dict[str, Any]:
        """Return the ids of a batch of texts as padded tensors."""
        return dict(self.tokenizer.pad({"input_ids": ids}, return_tensors="pt"))

    def _forward(self, inputs: dict[str, Any], request: Request) -> dict[str, Any]:
        model = request.model
        ids, mask = (inputs[name].to(model.device) for name in ("input_ids", "attention_mask"))
        restricted: dict[str, Any] = {"suppress_tokens": request.config.suppress_tokens}
        only = restricted if request.options.get("playable") == "only" else {}
        sequences, log_probs = self.decode(ids, mask, request.generate | only, model)
        if request.plain is not None:  # adds one candidate, the last
            plain, _ = self.decode(ids, mask, request.plain, model)
            each, log_probs = len(sequences) // len(ids), None  # computed again below, alike for all candidates
            sequences = [
                row for at, last in enumerate(plain) for row in (*sequences[at * each : (at + 1) * each], last)
            ]
        outputs: dict[str, Any] = {"sequences": sequences, "each": len(sequences) // len(ids), "log_probs": log_probs}
        attention, steps = self._needs_attention(request.options), request.options.get("return_confidence")
        if attention or steps or log_probs is None:
            ids, mask = (values.repeat_interleave(outputs["each"], dim=0) for values in (ids, mask))
            # A sequence that generate was forced to emit against the model's settings has no probability among glosses.
            strict = attention or request.searched is not None
            emitted = {*emitted_ids(request.config.suppress_tokens, vocab_size_of(model)).tolist()}
            sound = [strict or emitted.issuperset(row) for row in sequences]
            read = [row if is_sound else [] for row, is_sound in zip(sequences, sound, strict=True)]
            explained = explain(model, ids, mask, read, request.config, attention)
            if attention:
                outputs["attention"] = explained.attention
            if steps:
                outputs["steps"] = [
                    of_row if is_sound else None for of_row, is_sound in zip(explained.steps, sound, strict=True)
                ]
            if log_probs is None:
                pairs = zip(explained.log_probs, sound, strict=True)
                outputs["log_probs"] = [log_prob if is_sound else None for log_prob, is_sound in pairs]
        return outputs

    def decode(
        self, ids: torch.Tensor, mask: torch.Tensor, generate: Mapping[str, Any], model: Any = None
    ) -> tuple[list[list[int]], list[float] | None]:
        """Return the output of the model's `generate` without special ids, from our own loop if that gives the same.

        Args:
            ids: Source ids, batch × source length.
            mask: 1 where a source id is not padding; same shape.
            generate: Arguments of `generate`.
            model: Model that generates (default: the pipeline's model).

        Returns:
            The sequences, and their log-probabilities if our own loop computed them.
        """
        model = self.model if model is None else model
        config = model.generation_config
        decoded = self.search.decode(model, ids, mask, generate)
        if decoded is not None:
            rows, log_probs = decoded
        else:
            changed: dict[str, Any] = {name: False for name in OUTPUTS if getattr(config, name, None)}
            changed |= penalty_arguments(generate.get(PENALTY, config.encoder_repetition_penalty), ids, generate)
            rows = model.generate(input_ids=ids, attention_mask=mask, **{**generate, **changed}).tolist()
            log_probs = None
        return [[index for index in row if index not in self.special] for row in rows], log_probs

    @staticmethod
    def _needs_attention(options: Mapping[str, Any]) -> bool:
        return bool(options.get("return_alignment") or options.get("fingerspell"))

    def postprocess(self, outputs: dict[str, Any], rows: Sequence[Row] = (), *, request: Request) -> list[Any]:
        """Return the answers to a batch of texts from the model's outputs."""
        each, attention = outputs["each"], outputs.get("attention")
        config, answers = request.config, []
        types: Mapping[str, str] = getattr(request.model.config, "gloss_types", None) or {}
        glosses = self.tokenizer.convert_ids_to_glosses(outputs["sequences"])
        for number, (sequence, tokens) in enumerate(zip(outputs["sequences"], glosses, strict=True)):
            weights = None if attention is None else attention[number].tolist()
            steps = outputs["steps"][number] if "steps" in outputs else None
            answers.append(
                answer_of(
                    tokens,
                    rows[number // each],
                    weights,
                    types=types,
                    knows=self.tokenizer.knows,
                    options=request.options,
                    stop_words=self.stop_words,
                    log_probs=None if steps is None else steps[: len(tokens)],
                )
            )
            log_prob = outputs["log_probs"][number]
            answers[-1]["log_prob"] = log_prob
            if request.searched is not None:
                penalty = 1.0 if config.length_penalty is None else config.length_penalty
                length = (len(sequence) + 1) ** (penalty if (config.num_beams or 1) > 1 else 0)
                answers[-1]["score"] = log_prob / length
        if request.searched is None:
            return answers
        best_first = _by_preference if request.plain else partial(sorted, key=itemgetter("score"), reverse=True)
        ranked = [best_first(answers[at : at + each]) for at in range(0, len(answers), each)]
        if not request.plain:
            return ranked
        if request.sequences is not None:
            return [candidates[: request.sequences] for candidates in ranked]
        for best, *_ in ranked:
            del best["score"]
        return [best for best, *_ in ranked]


def _by_preference(candidates: Sequence[GlossSequence]) -> list[GlossSequence]:
    """Rank candidates by score and playable share, with those less playable than the last, plain one behind it."""
    *searched, plain = candidates
    least = playable_share(plain.signs)
    different = searched if plain.glosses in [answer.glosses for answer in searched] else candidates

    def rank(answer: GlossSequence) -> tuple[bool, float]:
        share = playable_share(answer.signs)
        return share >= least, answer.score + PREFERENCE * share

    return sorted(different, key=rank, reverse=True)


def _text_of(index: int, text: Any) -> str:
    if isinstance(text, Mapping) and "text" in text:  # a row of a data set
        text = text["text"]
    if not isinstance(text, str):
        raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
    return text


def text2text_pipeline(*args: Any, tokenizer: Any = None, **kwargs: Any) -> Pipeline:
    """Return a pipeline for `text2text-generation`: ours for our checkpoints, the stock one for all others.

    Args:
        *args: Positional arguments of the pipeline.
        tokenizer: Tokenizer, which decides between the two.
        **kwargs: Keyword arguments of the pipeline.
    """
    stock = getattr(transformers, "Text2TextGenerationPipeline", None)  # transformers 5 has none
    chosen = Text2GlossPipeline if stock is None or has_analyzer(tokenizer) else stock
    return chosen(*args, tokenizer=tokenizer, **kwargs)


# transformers reads these attributes of a pipeline's class before it loads a model.
for _part in ("processor", "image_processor", "video_processor", "feature_extractor", "tokenizer"):
    vars(text2text_pipeline)[f"_load_{_part}"] = getattr(Text2GlossPipeline, f"_load_{_part}", False)
