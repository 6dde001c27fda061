"""Beam search without needless work, with the same results as transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch

from .decoding import Decoded, PlainDecoder, cut_head, end_ids
from .penalties import is_penalised, penalised, source_penalty

_MOSTLY_DONE = 0.9  # finished sentences leave a batch once this share of its sentences, or less, is unfinished
_OUT = -1.0e9  # transformers adds this to the score of a beam that must not continue


class _Hypothesis(NamedTuple):
    """A finished sequence."""

    score: float  # by which transformers ranks
    log_prob: float
    row: list[int]


class BeamDecoder(PlainDecoder):
    """Faster equivalent of `model.generate` with several beams.

    It computes the same results from the same parameters. Sentences leave the batch when their search ends. Beams are
    additional positions of their sentence rather than rows of the batch, so that they share one copy of it. The cache
    is never reordered: a mask marks the keys on the path of each beam.

    Args:
        model: As for `PlainDecoder`.
        int8: As for `is_plain`.

    Raises:
        ValueError: The model's decoder is not plain.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> decoder = BeamDecoder(model)
        >>> ids = torch.tensor([[2, 9, 8, 3]])
        >>> [row] = decoder.decode(ids, torch.ones_like(ids), 6, num_beams=4).rows
        >>> model.generate(ids, max_length=6, num_beams=4)[0].tolist() == row
        True
    """

    def can_search(self, num_beams: int, suppress_tokens: Sequence[int] | None = None) -> bool:
        """Return whether the model can emit at least as many ids as a search compares.

        With fewer, transformers compares beams that have not begun.

        Args:
            num_beams: As for `decode`.
            suppress_tokens: As for `decode`.
        """
        return len(self._emitted(torch.device("cpu"), suppress_tokens)) >= self._candidates(num_beams)

    def _candidates(self, num_beams: int) -> int:
        return max(2, 1 + len(end_ids(self.model.generation_config))) * num_beams

    @torch.inference_mode()
    def decode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        max_length: int,
        *,
        num_beams: int | None = None,
        num_return_sequences: int | None = None,
        length_penalty: float | None = None,
        early_stopping: bool | str | None = None,
        renormalize_logits: bool | None = None,
        encoder_repetition_penalty: float | None = None,
        repetition_penalty: float | None = None,
        suppress_tokens: Sequence[int] | None = None,
    ) -> Decoded:
        """Return the best rows of each sentence as `generate` does, without padding, and their log-probabilities.

        The probability of a row that reaches `max_length` is that of its ids, without the end.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is not padding; same shape.
            max_length: Maximum number of target ids, including [BOS] and [EOS].
            num_beams: Number of beams; this and the following are as for `generate` (default: the model's).
            num_return_sequences: Number of rows per sentence, the best first.
            length_penalty: Exponent of the length by which a score is divided.
            early_stopping: When the search for a sentence ends.
            renormalize_logits: Weigh beams by probabilities among the ids that can be emitted.
            encoder_repetition_penalty: Above 1, favour ids of the source.
            repetition_penalty: Above 1, disfavour ids that the row already contains.
            suppress_tokens: Ids that cannot be emitted.

        Raises:
            ValueError: More rows than beams are requested, or fewer ids can be emitted than `can_search` requires.
        """
        config = self.model.generation_config

        def chosen(name: str, value: Any, default: Any) -> Any:
            value = getattr(config, name) if value is None else value
            return default if value is None else value

        beams: int = chosen("num_beams", num_beams, 1)
        returned: int = chosen("num_return_sequences", num_return_sequences, 1)
        exponent: float = chosen("length_penalty", length_penalty, 1.0)
        stopping: bool | str = chosen("early_stopping", early_stopping, False)
        renormalised: bool = chosen("renormalize_logits", renormalize_logits, False)
        of_source: float = chosen("encoder_repetition_penalty", encoder_repetition_penalty, 1.0)
        repetition: float = chosen("repetition_penalty", repetition_penalty, 1.0)

        if returned > beams:
            raise ValueError(
                f"num_return_sequences: expected at most num_beams, which is {beams}, found {returned}; search with "
                "more beams"
            )
        if not self.can_search(beams, suppress_tokens):
            raise ValueError(
                f"num_beams: expected at least {self._candidates(beams)} ids that can be emitted for num_beams={beams} "
                "to compare, found fewer; search with fewer beams, or call the model's generate"
            )
        start, ends = config.decoder_start_token_id, end_ids(config)
        candidates, ids = self._candidates(beams), self._emitted(input_ids.device, suppress_tokens)
        is_end = (ids.unsqueeze(1) == ids.new_tensor(ends)).any(dim=1)
        # Scores that are renormalised at once need no normalisation before, unless a penalty comes in between.
        cut = renormalised and not is_penalised(of_source) and not is_penalised(repetition)
        size = self.model.decoder.get_output_embeddings().out_features
        head = cut_head(self.model, ids) if cut else self.model.decoder.cls.predictions
        of_sources = source_penalty(of_source, input_ids, ids, size) if is_penalised(of_source) else None

        rows = list(range(len(input_ids)))
        finished: list[list[_Hypothesis]] = [[] for _ in rows]
        ended = [False] * len(rows)
        mask = attention_mask[:, None, None].bool()
        sources = self._sources(input_ids, mask)
        pasts: list[Any] = [None] * len(self.decoder_layers)
        # Indices into ids, sentences × beams × length; at first, each sentence has one beam.
        read = (ids == start).nonzero().view(1, 1, -1).expand(len(rows), 1, -1)
        token = input_ids.new_full((len(rows), 1), start)
        # 0 where a beam attends to a key, sentences × 1 × beams × keys.
        path = torch.zeros(len(rows), 1, 1, 1, device=token.device)
        new_keys = torch.full((beams, beams), -torch.inf, device=token.device).fill_diagonal_(0.0)
        running = torch.zeros(len(rows), 1, device=token.device)  # scores of beams
        mass = torch.zeros_like(running)  # log-mass of the ids that can be emitted, summed along the beam
        first = read.shape[2]
        for position in range(max_length - 1):
            width = token.shape[1]
            hidden = self.decoder(token.view(-1, 1), position).view(len(rows), width, -1)
            for index, layer in enumerate(self.decoder_layers):
                query, key, value = layer.keys_of_self(hidden)
                if position:
                    key, value = (torch.cat(both, dim=2) for both in zip(pasts[index], (key, value), strict=True))
                pasts[index] = (key, value)
                hidden = layer.self_attention(hidden, (query, key, value), path)
                hidden = layer.feed_forward(layer.cross_attention(hidden, sources[index], mask))
            scores = head(hidden)
            if not cut:
                whole = scores.logsumexp(dim=-1, keepdim=True)
                scores = scores.index_select(-1, ids).sub_(whole)
            if of_sources is not None:
                scores = of_sources(scores.flatten(0, 1)).view(scores.shape)
            if is_penalised(repetition):
                scores.scatter_(2, read, penalised(scores.gather(2, read), repetition))
            emitted = scores.logsumexp(dim=-1, keepdim=True)
            if renormalised:
                scores.sub_(emitted)
            else:
                mass = mass + emitted.squeeze(2)
            scores.add_(running.unsqueeze(2))
            best, at = scores.flatten(1).topk(candidates)
            parents, places = at // len(ids), at % len(ids)
            length = position + 1
            over = is_end[places] if length < max_length - 1 else torch.ones_like(places, dtype=torch.bool)
            ending = [(place, rank) for place, rank in over[:, :beams].nonzero().tolist() if not ended[place]]
            if ending:
                at_place, at_rank = torch.tensor(ending, device=ids.device).unbind(1)
                parent, score = parents[at_place, at_rank], best[at_place, at_rank]
                ids_before, last = ids[read[at_place, parent, first:]], ids[places[at_place, at_rank]].unsqueeze(1)
                endings = zip(
                    (score / length**exponent).tolist(),
                    (score - mass[at_place, parent]).tolist(),
                    torch.cat([ids_before, last], dim=1).tolist(),
                    strict=True,
                )
                for (place, _), (normalised, log_prob, row) in zip(ending, endings, strict=True):
                    finished[rows[place]].append(_Hypothesis(normalised, log_prob, [start, *row]))
                for place in {place for place, _ in ending}:
                    ranked = sorted(finished[rows[place]], key=lambda one: one.score, reverse=True)
                    finished[rows[place]] = ranked[:beams]
            if length == max_length - 1:
                break
            running, kept = (best + over * _OUT).topk(beams)
            best_length = max_length - 1 if stopping == "never" and exponent > 0 else length
            for place, possible in enumerate((running[:, 0] / best_length**exponent).tolist()):
                of_sentence = finished[rows[place]]
                if len(of_sentence) == beams and (stopping is True or possible <= of_sentence[-1].score):
                    ended[place] = True
            left = [place for place, over_already in enumerate(ended) if not over_already]
            if not left:
                break
            parents, places = parents.gather(1, kept), places.gather(1, kept)
            token = ids[places]
            mass = mass.gather(1, parents)
            read = torch.cat([read.take_along_dim(parents.unsqueeze(2), 1), places.unsqueeze(2)], dim=2)
            path = path.take_along_dim(parents[:, None, :, None], 2)
            path = torch.cat([path, new_keys.expand(len(rows), 1, -1, -1)], dim=3)
            if of_sources is not None and not position:
                of_sources.repeat(beams)
            if len(left) <= _MOSTLY_DONE * len(rows):
                taken = torch.tensor(left, device=ids.device)
                token, mask, read, path, running, mass = (t[taken] for t in (token, mask, read, path, running, mass))
                pasts, sources = ([tuple(t[taken] for t in pair) for pair in pairs] for pairs in (pasts, sources))
                rows, ended = [rows[place] for place in left], [False] * len(left)
                if of_sources is not None:
                    of_sources.keep((taken.unsqueeze(1) * beams + torch.arange(beams, device=ids.device)).flatten())
        best_of = list(chain.from_iterable(of_sentence[:returned] for of_sentence in finished))
        leads = []
        if self.int8 and returned == 1:
            pairs = (of_sentence[:2] for of_sentence in finished)
            leads = [pair[0].score - pair[1].score if len(pair) == 2 else math.inf for pair in pairs]
        return Decoded([one.row for one in best_of], [one.log_prob for one in best_of], leads)
