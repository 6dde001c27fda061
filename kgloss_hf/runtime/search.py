"""Choose between our own search loops and `generate`, which give the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeVar

import torch

from .beams import BeamDecoder
from .decoding import Decoded, GreedyDecoder, PlainDecoder, end_ids
from .int8 import settled
from .penalties import PENALTY, REPETITION
from .plain import has_plain_decoder

_Decoder = TypeVar("_Decoder", bound=PlainDecoder)

# Arguments of our own loops, and settings of a checkpoint that they follow or that searches ignore.
_OWN_LOOP = {
    *("num_beams", "max_length", "max_new_tokens", "do_sample", "num_return_sequences", "suppress_tokens"),
    *(PENALTY, REPETITION, "renormalize_logits"),
}
_SETTINGS_OF_BEAMS = {
    *("num_beams", "num_return_sequences", "length_penalty", "early_stopping", "renormalize_logits"),
    *(PENALTY, REPETITION, "suppress_tokens"),
}
_OWN_SETTINGS = _OWN_LOOP | {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "suppress_tokens", "use_cache"),
    *("early_stopping", "length_penalty", "num_beam_groups", "diversity_penalty"),
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind", "transformers_version"),
}


class OwnSearch:
    """Search as `generate` does, in our own loops, if the model and the arguments allow it.

    Args:
        special: Ids that are neither glosses nor placeholders. The log-probability of a row is unknown if it contains
            any of them except [BOS] and an end.
        rounded: A model with eight-bit weights (default: none).
        full: The same model with full weights, which answer if rounding may have decided.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> ids = torch.tensor([[2, 7, 8, 3]])
        >>> rows, _ = OwnSearch(frozenset({0, 1, 2, 3, 4})).decode(model, ids, torch.ones_like(ids), {"num_beams": 2})
        >>> rows == model.generate(input_ids=ids, num_beams=2).tolist()
        True
    """

    def __init__(self, special: Set[int], *, rounded: Any = None, full: Any = None) -> None:
        self.greedy: GreedyDecoder | None = None
        """Loop of one beam, created at first use."""
        self.beams: BeamDecoder | None = None
        """Beam search, created at first use."""
        self._special = special
        self._rounded = rounded
        self._exact = {} if rounded is None else {kind: kind(full) for kind in (GreedyDecoder, BeamDecoder)}

    def decode(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, generate: Mapping[str, Any]
    ) -> tuple[list[list[int]], list[float] | None] | None:
        """Return the output of `model.generate`, or None if the arguments ask for more than our own loops do.

        Args:
            model: Model that answers, in evaluation mode.
            ids: Source ids, batch × source length.
            mask: 1 where a source id is not padding; same shape.
            generate: Arguments of `generate`.

        Returns:
            Rows of ids, including special ones but not padding, and their log-probabilities if they are known.
        """
        config = model.generation_config
        if limit := self.greedy_limit(model, generate):
            self.greedy = greedy = self._fitting(GreedyDecoder, self.greedy, model)
            if greedy is None:
                return None
            penalty = generate.get(PENALTY, config.encoder_repetition_penalty)
            settings = {"repetition": generate.get(REPETITION), "suppress_tokens": generate.get("suppress_tokens")}
            rows, log_probs, _ = self._settled(greedy, ids, mask, limit, penalty, **settings)
            return rows, log_probs
        if limit := self.beam_limit(model, generate):
            self.beams = beams = self._fitting(BeamDecoder, self.beams, model)
            number = generate.get("num_beams", config.num_beams)
            if beams and beams.can_search(number, generate.get("suppress_tokens")):
                asked = {name: generate[name] for name in _SETTINGS_OF_BEAMS & generate.keys()}
                rows, log_probs, _ = self._settled(beams, ids, mask, limit, **asked)
                return rows, log_probs if self._are_whole(rows, end_ids(config)) else None
        return None

    def _settled(self, decoder: GreedyDecoder | BeamDecoder, *asked: Any, **settings: Any) -> Decoded:
        decoded = decoder.decode(*asked, **settings)
        if self._rounded is None or decoder.model is not self._rounded:
            return decoded
        exact = self._exact[type(decoder)]
        exact.model.generation_config = decoder.model.generation_config
        return settled(decoded, exact, *asked, **settings)

    def _fitting(self, kind: type[_Decoder], before: _Decoder | None, model: Any) -> _Decoder | None:
        """Return one of our own loops for a model, the previous one if it fits; None if the decoder is not plain."""
        if before and before.fits(model):
            return before
        int8 = self._rounded is not None
        return kind(model, int8=int8) if has_plain_decoder(model, int8=int8) else None

    def _are_whole(self, rows: Sequence[Sequence[int]], ends: Sequence[int]) -> bool:
        """Return whether rows are glosses between [BOS] and an end that `explain` counts: the first, or a gloss."""
        counted = {*ends} - self._special | {*ends[:1]}
        return all(row[-1] in counted and self._special.isdisjoint(row[1:-1]) for row in rows)

    def greedy_limit(self, model: Any, generate: Mapping[str, Any]) -> int | None:
        """Return the target length for our own loop of one beam, or None if the arguments ask for more.

        Args:
            model: Model that answers.
            generate: Arguments of `generate`.
        """
        if _asked("num_beams", generate, model, 1) == _asked("num_return_sequences", generate, model, 1) == 1:
            return _limit(generate, model, _OWN_LOOP)
        return None

    def beam_limit(self, model: Any, generate: Mapping[str, Any]) -> int | None:
        """Return the target length for our own beam search, or None if the arguments ask for more.

        Args:
            model: Model that answers.
            generate: Arguments of `generate`.
        """
        early = _asked("early_stopping", generate, model, False)
        as_ours = (
            1 < _asked("num_beams", generate, model, 1) >= _asked("num_return_sequences", generate, model, 1)
            and (isinstance(early, bool) or early == "never")
            and _asked("num_beam_groups", {}, model, 1) == 1
            and not _asked("diversity_penalty", {}, model, 0.0)
        )
        return _limit(generate, model, _OWN_LOOP | _SETTINGS_OF_BEAMS) if as_ours else None


def _asked(name: str, generate: Mapping[str, Any], model: Any, default: Any) -> Any:
    value = generate.get(name, getattr(model.generation_config, name, None))
    return default if value is None else value


def _limit(generate: Mapping[str, Any], model: Any, known: Set[str]) -> int | None:
    config = model.generation_config
    chosen = {name: generate.get(name, getattr(config, name)) for name in _OWN_LOOP}
    suppressed = generate.get("suppress_tokens")
    plain = (
        generate.keys() <= known
        and not chosen["do_sample"]
        and isinstance(config.decoder_start_token_id, int)
        and all(_changes_nothing(name, value) for name, value in vars(config).items())
        # otherwise, special ids may be emitted
        and (suppressed is None or {*suppressed}.issuperset(config.suppress_tokens or ()))
    )
    new = chosen["max_new_tokens"]
    limit: int | None = chosen["max_length"] if new is None else 1 + new
    return limit if plain and limit and limit > 1 else None


def _changes_nothing(setting: str, value: Any) -> bool:
    neutral = value in (None, False, 0) or (value == 1 and setting.endswith("_penalty"))
    return neutral or setting in _OWN_SETTINGS or setting.startswith("_")  # private: how it was created
