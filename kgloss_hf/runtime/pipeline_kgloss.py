"""The pipeline behind `text2text-generation` and `text-to-gloss`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import transformers
from transformers import Pipeline

from .analyzers import has_analyzer
from .decoding import GreedyDecoder, explain
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

# What our own loop takes as arguments, and settings of a checkpoint that it follows or that one beam does not heed.
_OWN_LOOP = {"num_beams", "max_length", "max_new_tokens", "do_sample", "num_return_sequences"}
_OWN_SETTINGS = _OWN_LOOP | {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "suppress_tokens", "use_cache"),
    *("early_stopping", "length_penalty", "num_beam_groups", "diversity_penalty"),
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind", "transformers_version"),
}

_Row = tuple[list[Morpheme], list[tuple[int, int]]]  # a text's morphemes, and the spans of its tokens


class GlossSequence(dict[str, Any]):
    """The glosses of a sentence: a dict that goes to JSON as it is, and prints as its glosses.

    Keys:
        generated_text: The glosses joined by a space.
        glosses: The glosses in signing order; one may hold a space itself.
        unresolved: Places in `glosses` of placeholders for which the sentence has no content.
        log_prob: Natural logarithm of the sequence's probability among glosses, its end included; with
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
    word in it gives no glosses. Text beyond the model's length is cut, and a warning counts what is lost.

    Args, on call or to `pipeline`:
        batch_size: Sentences per step (default 128). Without `int8` the result does not depend on it.
        num_return_sequences: Give for each text a list of so many sequences, with `log_prob`, in `generate`'s order,
            which weighs length (default: one sequence, no list). Takes as many beams, if the checkpoint has fewer.
        return_types: Add the type of each gloss: the checkpoint's, or what the notation tells (default False).
        return_alignment: Add the source morpheme of each gloss, by cross-attention (default False).
        fingerspell: Spell names and Latin words letter by letter and numbers by fingerspelled numbers; and add nouns
            that the vocabulary does not hold and no gloss stands for (default False).
        **generate: Any of `generate`'s, such as `num_beams=1`.

    Args, to `pipeline` alone:
        int8: Answer with eight-bit weights (`with_int8_weights`): faster on a CPU, with some other answers, which
            depend on what else is in a batch (default False).

    Raises:
        TypeError: A text is not a string, or the tokenizer is not a KGlossTokenizerFast.
        ValueError: The tokenizer is not the one that the model was trained with, or `int8` is asked for a model that
            has no such form.

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
        self.model.eval()
        self.int8 = int8
        if int8:
            self.model = with_int8_weights(self.model)
        self.special = frozenset(self.tokenizer.all_special_ids)
        self.greedy: GreedyDecoder | None = None  # made at the first use

    def __call__(self, inputs: str | Iterable[Any], batch_size: int | None = None, **kwargs: Any) -> Any:
        own, generate, _ = self._sanitize_parameters(**kwargs)
        options = {**self._preprocess_params, **own}
        generate = {**self._forward_params, **generate}
        size = batch_size or self._batch_size or _BATCH_SIZE
        if isinstance(inputs, str):
            return next(self._answers([inputs], size, options, generate))
        if inputs is None or isinstance(inputs, (bytes, int, float, Mapping)):
            raise TypeError(f"expected a string or several, found {type(inputs).__name__}")
        if isinstance(inputs, (list, tuple)):
            for index, text in enumerate(inputs):
                _text_of(index, text)
            return list(self._answers(inputs, size, options, generate))
        return self._answers(inputs, size, options, generate)

    def _sanitize_parameters(
        self,
        num_return_sequences: int | None = None,
        return_types: bool | None = None,
        return_alignment: bool | None = None,
        fingerspell: bool | None = None,
        **generate: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if num_return_sequences is not None:
            if num_return_sequences < 1:
                raise ValueError(f"num_return_sequences: expected 1 or more, found {num_return_sequences}")
            generate["num_return_sequences"] = num_return_sequences
            beams = generate.get("num_beams") or self.model.generation_config.num_beams or 1
            if not generate.get("do_sample"):
                generate["num_beams"] = max(beams, num_return_sequences)
        own = {
            "num_return_sequences": num_return_sequences,
            "return_types": return_types,
            "return_alignment": return_alignment,
            "fingerspell": fingerspell,
        }
        return {name: value for name, value in own.items() if value is not None}, generate, {}

    def _answers(
        self, inputs: Iterable[Any], size: int, options: dict[str, Any], generate: dict[str, Any]
    ) -> Iterator[Any]:
        texts = (_text_of(index, text) for index, text in enumerate(inputs))
        while window := list(islice(texts, size * _WINDOW)):
            morphemes = self.tokenizer.morphemes(window)
            encoded = self.tokenizer(window, truncation=True, return_offsets_mapping=True)
            lengths = [len(ids) for ids in encoded["input_ids"]]
            answers: list[Any] = [self._blank(options) for _ in window]
            order = sorted((i for i in range(len(window)) if lengths[i] > 2), key=lengths.__getitem__)
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                padded = self.preprocess([encoded["input_ids"][i] for i in batch])
                outputs = self.forward(padded, options=options, **generate)
                rows = [(morphemes[i], encoded["offset_mapping"][i]) for i in batch]
                for index, answer in zip(batch, self.postprocess(outputs, rows, **options), strict=True):
                    answers[index] = answer
            yield from answers

    def _blank(self, options: Mapping[str, Any]) -> Any:
        asked = {"types": "return_types", "alignment": "return_alignment", "fallback": "fingerspell"}
        extra: dict[str, Any] = {key: [] for key, option in asked.items() if options.get(option)}
        blank = GlossSequence(generated_text="", glosses=[], unresolved=[], **extra)
        return blank if options.get("num_return_sequences") is None else []

    def preprocess(self, ids: Sequence[Sequence[int]], **_: Any) -> dict[str, Any]:
        return dict(self.tokenizer.pad({"input_ids": ids}, return_tensors="pt"))

    def _forward(self, inputs: dict[str, Any], options: Mapping[str, Any], **generate: Any) -> dict[str, Any]:
        ids, mask = (inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask"))
        sequences = self.decode(ids, mask, generate)
        outputs: dict[str, Any] = {"sequences": sequences, "each": len(sequences) // len(ids)}
        if self._needs_attention(options) or options.get("num_return_sequences") is not None:
            ids, mask = (values.repeat_interleave(outputs["each"], dim=0) for values in (ids, mask))
            suppressed = generate.get("suppress_tokens")
            outputs |= explain(self.model, ids, mask, sequences, suppressed)._asdict()
        return outputs

    def decode(self, ids: torch.Tensor, mask: torch.Tensor, generate: Mapping[str, Any]) -> list[list[int]]:
        """Return what the model's `generate` gives, without special ids, by our own loop where that gives the same.

        Args:
            ids: Source ids, batch × source length.
            mask: 1 where a source id is no padding; same shape.
            generate: Arguments of `generate`.
        """
        limit = self._greedy_limit(generate)
        if limit and not (self.greedy and self.greedy.fits(self.model)):
            plain = is_plain(self.model, int8=self.int8)
            self.greedy = GreedyDecoder(self.model, int8=self.int8) if plain else None
        if limit and self.greedy:
            rows = self.greedy(ids, mask, limit)
        else:
            rows = self.model.generate(input_ids=ids, attention_mask=mask, **generate).tolist()
        return [[index for index in row if index not in self.special] for row in rows]

    @staticmethod
    def _needs_attention(options: Mapping[str, Any]) -> bool:
        return bool(options.get("return_alignment") or options.get("fingerspell"))

    def _greedy_limit(self, generate: Mapping[str, Any]) -> int | None:
        """Return the target's length for our own loop, or None where `generate` is asked for more than it does."""
        config = self.model.generation_config
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

    def postprocess(self, outputs: dict[str, Any], rows: Sequence[_Row] = (), **options: Any) -> list[Any]:
        each, attention = outputs["each"], outputs.get("attention")
        answers = []
        for number, sequence in enumerate(outputs["sequences"]):
            tokens = self.tokenizer.convert_ids_to_tokens(sequence)
            weights = None if attention is None else attention[number].tolist()
            answers.append(self._answer(tokens, rows[number // each], weights, options))
            if options.get("num_return_sequences") is not None:
                answers[-1]["log_prob"] = outputs["log_probs"][number]
        if options.get("num_return_sequences") is None:
            return answers
        return [answers[at : at + each] for at in range(0, len(answers), each)]

    def _answer(
        self, tokens: list[str], row: _Row, attention: list[list[float]] | None, options: Mapping[str, Any]
    ) -> GlossSequence:
        morphemes, offsets = row
        sources = assign_sources(tokens, morphemes)
        signs = [_Sign(token, self._type(token), unresolved=token in PLACEHOLDERS) for token in tokens]
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

    def _type(self, token: str) -> str:
        known: Mapping[str, str] = getattr(self.model.config, "gloss_types", None) or {}
        return known.get(token) or type_of_notation(token)

    def _spelled(
        self, signs: list[_Sign], sources: Sequence[Source | None], morphemes: Sequence[Morpheme]
    ) -> list[_Sign]:
        """Restored contents spelled, and nouns beyond the vocabulary put in where their neighbours are."""
        spelled: list[_Sign] = []
        for sign, source in zip(signs, sources, strict=True):
            spelled += [sign] if source is None else _letters(source.content, sign.span)
        for morpheme in morphemes:
            span = (morpheme.start, morpheme.end)
            covered = any(sign.span and sign.span[0] < span[1] and span[0] < sign.span[1] for sign in spelled)
            if morpheme.tag == "Noun" and not covered and not self.tokenizer.knows(morpheme):
                before = [place for place, sign in enumerate(spelled) if sign.span and sign.span[1] <= span[0]]
                place = before[-1] + 1 if before else 0
                spelled[place:place] = _letters(morpheme.surface, span)
        return spelled


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
