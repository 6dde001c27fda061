"""Build a model from a whole pre-trained seq2seq, with the ids of glosses after its own pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSeq2SeqLM, GenerationConfig, PretrainedConfig, PreTrainedModel

from ..runtime.arguments import positions_of
from ..runtime.configuration_kgloss import SEQ2SEQS, check_configuration
from ..runtime.layers import TokenLoss
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .modeling import generation_config_of
from .pretrained import kept_rows, load_pretrained, means_of_names, renumber
from .step import StepLoss

_BEAMS = 4
_MAX_LENGTH = 128
_OF_MODELS = {"use_cache", "output_attentions", "output_hidden_states", "return_dict", "transformers_version"}
# Weights of tied matrices, and positions that are computed.
_NEED_NOT_BE_SAVED = ("lm_head", "embed_tokens", "embed_positions", "final_logits_bias")


class GlossSeq2Seq(StepLoss):
    """Mixin for a stock seq2seq class that computes the loss of a whole optimiser step.

    With `labels`, forward returns only the loss, like `kgloss_hf.models.modeling.EncoderDecoderModel`. The stock
    classes divide it by the tokens of the current batch and support no smoothing.
    """

    def loss_of_step(
        self,
        read: torch.Tensor,
        labels: torch.Tensor,
        items: torch.Tensor | int | None,
        smoothing: float,
        input_ids: Any,
        attention_mask: Any,
    ) -> torch.Tensor:
        """Return the loss of the stock model's logits."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "decoder_input_ids": read}
        loss: torch.Tensor = self.token_loss(
            self.forward(**inputs, use_cache=False).logits, labels, nn.Identity(), items, smoothing
        )
        return loss


def build_seq2seq(checkpoint: str, tokenizer: KGlossTokenizerFast, *, num_beams: int | None = None) -> PreTrainedModel:
    """Return a pre-trained seq2seq that can emit only glosses, placeholders and [EOS].

    The embedding of a gloss starts from the model's own pieces of the gloss's name. Those of [BOS], [EOS] and [PAD]
    start from the tokens that the model uses for the same purpose.

    Args:
        checkpoint: Folder or Hub repository of a BART, mBART, T5, M2M100 or Marian model, with safetensors. Code from
            there never runs.
        tokenizer: Tokenizer from `kgloss_hf.models.warm_start.warm_tokenizer` for this model, with `seq2seq`.
        num_beams: Beams in generation (default: 4).

    Raises:
        ValueError: The checkpoint is of another kind, its weights do not fit its configuration, it has several
            embedding matrices, or `num_beams` is below 1.
        OSError: The checkpoint does not exist or has no safetensors.
    """
    if num_beams is not None and num_beams < 1:
        raise ValueError(f"--num_beams: expected 1 or more, found {num_beams}")
    config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    check_configuration(config.to_dict())
    if config.model_type not in SEQ2SEQS:
        raise ValueError(
            f"{checkpoint}: expected a whole seq2seq ({', '.join(SEQ2SEQS)}), found {config.model_type}; pass an "
            "encoder with --encoder_model_name_or_path"
        )
    if not getattr(config, "share_encoder_decoder_embeddings", True):
        raise ValueError(
            f"{checkpoint}: expected one embedding matrix, found one each for encoder and decoder; use another model"
        )
    model = load_pretrained(AutoModelForSeq2SeqLM, checkpoint, config, _NEED_NOT_BE_SAVED)
    _extend(model, checkpoint, tokenizer)
    _forget_generation(model.config)
    model.config._name_or_path = ""  # may be a local path; it has no public setter
    model.config.decoder_start_token_id = tokenizer.target_special_ids["bos_token_id"]
    model.config.vocabulary_digest = tokenizer.vocabulary_digest
    longest = min(_MAX_LENGTH, positions_of(model, "decoder") or _MAX_LENGTH)
    model.generation_config = generation_config_of(tokenizer, longest, _BEAMS if num_beams is None else num_beams)
    return with_whole_steps(model)


def with_whole_steps(model: PreTrainedModel) -> PreTrainedModel:
    """Make a stock seq2seq compute its loss like `GlossSeq2Seq`, and return the model.

    Args:
        model: Stock seq2seq, changed in place.

    Examples:
        >>> from transformers import BartConfig, BartForConditionalGeneration
        >>> config = BartConfig(vocab_size=9, d_model=16, encoder_layers=1, decoder_layers=1)
        >>> isinstance(with_whole_steps(BartForConditionalGeneration(config)), GlossSeq2Seq)
        True
    """
    stock: Any = type(model)
    model.__class__ = type(stock.__name__, (GlossSeq2Seq, stock), {"__module__": stock.__module__})
    model.token_loss = TokenLoss()
    return model


@torch.no_grad()
def _extend(model: Any, checkpoint: str, tokenizer: KGlossTokenizerFast) -> None:
    """Keep only the model's rows of the tokenizer's pieces, and append rows for glosses."""
    own = kept_rows(checkpoint, tokenizer, model)
    ids = ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    start, end, pad = (getattr(model.config, name) for name in ids)
    start = end if start is None else start
    matrices = {id(half.weight): half.weight.detach().clone() for half in _matrices(model)}
    before = {name: matrices[id(half.weight)] for name, half in zip(("in", "out"), _matrices(model), strict=True)}
    bias = getattr(model, "final_logits_bias", None)
    model.resize_token_embeddings(tokenizer.target_size, mean_resizing=False)
    if bias is not None:
        model.final_logits_bias.zero_()
    special = tokenizer.target_special_ids
    for name, half in zip(("in", "out"), _matrices(model), strict=True):
        rows = before[name][own]
        half.weight[: len(own)] = rows
        for index, counterpart in (("bos_token_id", start), ("eos_token_id", end), ("pad_token_id", pad)):
            if isinstance(counterpart, int):
                half.weight[special[index]] = before[name][counterpart]
        glosses, means = means_of_names(tokenizer, rows)
        half.weight[glosses] = means
    renumber(model.config, own)


def _matrices(model: Any) -> tuple[Any, Any]:
    return model.get_input_embeddings(), model.get_output_embeddings()


def _forget_generation(config: Any) -> None:
    """Leave generation settings to the generation configuration; transformers 4 would read some from here."""
    plain = PretrainedConfig()
    for name in vars(GenerationConfig()).keys() - _OF_MODELS:
        usual = getattr(plain, name, None)
        if not name.endswith("_token_id") and getattr(config, name, usual) != usual:
            setattr(config, name, usual)
    for name in ("forced_bos_token_id", "forced_eos_token_id", "task_specific_params", "prefix", "bad_words_ids"):
        if hasattr(config, name):
            setattr(config, name, None)
