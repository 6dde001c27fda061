"""Model presets, and building an EncoderDecoderModel of two BERTs for a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, EncoderDecoderConfig, GenerationConfig
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.encoder_decoder.modeling_encoder_decoder import shift_tokens_right

from .glosses import PLACEHOLDERS
from .tokenization_kgloss import OPTIONS, KGlossTokenizerFast


@dataclass(frozen=True)
class Preset:
    """Shape of encoder and decoder, and the decoding that goes with it.

    Args:
        hidden_size: Width of every layer.
        num_hidden_layers: Layers of the encoder, and again of the decoder.
        num_attention_heads: Heads a layer.
        intermediate_size: Width inside the feed-forward blocks.
        dropout: Dropout on hidden states and attention weights.
        tie_output: The decoder's output projection is its embedding matrix.
        share_embeddings: Encoder and decoder embeddings start equal and are trained as one matrix
            (`kgloss_hf.training.SharedEmbeddings`).
        num_beams: Beams in generation; 1 is greedy.
        max_position_embeddings: Longest input in tokens (paper: 128).
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    dropout: float = 0.1
    tie_output: bool = True
    share_embeddings: bool = True
    num_beams: int = 4
    max_position_embeddings: int = 128


PRESETS = {
    "tiny": Preset(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512),
    "small": Preset(hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024, dropout=0.2),
    "paper": Preset(
        hidden_size=512,
        num_hidden_layers=8,
        num_attention_heads=8,
        intermediate_size=3072,
        tie_output=False,
        share_embeddings=False,
        num_beams=1,
    ),
}
"""`tiny` trains on the bundled sample in a minute or two of CPU, `small` on GKSL in tens of minutes; `paper` is the
paper's shape: 94,882,396 parameters at its vocabulary of 12,078 (section IV.1)."""


class EncoderDecoderModel(transformers.EncoderDecoderModel):
    """transformers' EncoderDecoderModel with a training step that is right and does no wasted work.

    Parameters, checkpoints and generation are the stock model's; what differs happens where `labels` are given:

    - The loss is summed over target tokens and divided by `num_items_in_batch`, the target tokens of the whole
      optimiser step. The stock forward takes that argument and ignores it, so Trainer multiplies the gradients by
      accumulation steps × processes.
    - On a CPU the output projection is computed at target positions alone, not at padding.
    - Dropout on a CPU draws one random byte an element (`FastDropout`).

    Example:
        >>> tokenizer = getfixture("tokenizer")
        >>> batch = tokenizer(["몸의 형태"], text_target=[["몸", "모습"]], return_tensors="pt")
        >>> round(build_model("tiny", tokenizer)(**batch).loss.item())  # three tokens, as good as at random
        5
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_fast_dropout(self)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        smoothing: float = 0.0,
        **kwargs: Any,
    ) -> Any:
        """The stock forward, or with `labels` the loss alone.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            labels: Target ids, batch × target length, -100 where padded.
            num_items_in_batch: What the summed loss is divided by; default the target tokens of this batch.
            smoothing: Probability mass spread over the vocabulary (default 0, as in the paper).
            **kwargs: The stock model's other arguments, used without labels.
        """
        if labels is None:
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        encoded = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        # A target's padding comes after it, so the causal mask hides it from every position that counts.
        hidden = self.decoder.bert(
            input_ids=shift_tokens_right(labels, self.config.pad_token_id, self.config.decoder_start_token_id),
            encoder_hidden_states=encoded,
            encoder_attention_mask=attention_mask,
            use_cache=False,
        )[0]
        return Seq2SeqLMOutput(loss=token_loss(self.decoder.cls, hidden, labels, num_items_in_batch, smoothing))


def token_loss(
    project: Callable[[torch.Tensor], torch.Tensor],
    hidden: torch.Tensor,
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy summed over target tokens, divided by the tokens of the whole optimiser step.

    Args:
        project: From hidden states to logits over the vocabulary.
        hidden: Decoder states, batch × length × width.
        labels: Target ids, batch × length, -100 where padded.
        num_items_in_batch: The divisor; default the target tokens of this batch.
        smoothing: Probability mass spread over the vocabulary.

    Example:
        >>> hidden, labels = torch.zeros(1, 2, 4), torch.tensor([[3, -100]])
        >>> torch.exp(token_loss(lambda states: states, hidden, labels)).item()
        4.0
    """
    hidden, labels = hidden.flatten(0, 1), labels.flatten()
    if hidden.device.type == "cpu":  # where finding the positions costs less than projecting padding
        kept = (labels != -100).nonzero().squeeze(1)
        hidden, labels = hidden[kept], labels[kept]
    total = cross_entropy(project(hidden).float(), labels, reduction="sum", label_smoothing=smoothing)
    return total / ((labels != -100).sum() if num_items_in_batch is None else num_items_in_batch)


class FastDropout(nn.Dropout):
    """Dropout that draws one random byte an element on a CPU, where the stock one is slower than a linear layer.

    The probability is rounded to a multiple of 1/256, and what is kept is scaled by that. On other devices it is the
    stock one.

    Example:
        >>> dropout = FastDropout(0.5)
        >>> sorted(dropout(torch.ones(100)).unique().tolist())
        [0.0, 2.0]
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        threshold = round(256 * self.p)
        if not self.training or input.device.type != "cpu" or threshold in (0, 256) or torch.compiler.is_compiling():
            return super().forward(input)
        words = torch.empty((input.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), 2**63 - 1)
        kept = words.view(torch.uint8)[: input.numel()].view(input.shape) >= threshold
        return input * (kept.to(input.dtype) * (256 / (256 - threshold)))


def use_fast_dropout(model: nn.Module) -> None:
    """Put `FastDropout` in the place of each stock dropout module.

    Args:
        model: Changed in place.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.1))
        >>> use_fast_dropout(model)
        >>> model[0]
        FastDropout(p=0.1, inplace=False)
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, FastDropout(child.p))


def build_model(preset: str, tokenizer: KGlossTokenizerFast, *, num_beams: int | None = None) -> EncoderDecoderModel:
    """A new model of a preset's shape whose generation can only emit glosses, placeholders and [EOS].

    The restriction is data, not code: `generation_config.suppress_tokens` lists every other id, so it travels with the
    checkpoint and any `generate` obeys it.

    Args:
        preset: `tiny`, `small` or `paper`.
        tokenizer: Gives the vocabulary, the special ids and the glosses.
        num_beams: Beams in generation; default is the preset's.

    Raises:
        ValueError: The preset is not known.

    Example:
        >>> from kgloss_hf.tokenizer_training import train_tokenizer
        >>> tokenizer = train_tokenizer(["문화를 확인한다."], [["문화", "확인"]], vocab_size=50)
        >>> build_model("tiny", tokenizer).config.model_type
        'encoder-decoder'
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}")
    shape = asdict(PRESETS[preset])
    beams, dropout = shape.pop("num_beams"), shape.pop("dropout")
    tie, share = shape.pop("tie_output"), shape.pop("share_embeddings")
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    shape |= {"vocab_size": len(tokenizer), "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    decoder = BertConfig(**shape, **special, is_decoder=True, add_cross_attention=True, tie_word_embeddings=tie)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(BertConfig(**shape, **special), decoder)
    config.update(special | {"decoder_start_token_id": tokenizer.bos_token_id, "tie_word_embeddings": False})
    config.vocab_size = len(tokenizer)
    model = EncoderDecoderModel(config)
    if share:
        model.encoder.get_input_embeddings().load_state_dict(model.decoder.get_input_embeddings().state_dict())
    model.generation_config = GenerationConfig(
        **special,
        decoder_start_token_id=tokenizer.bos_token_id,
        max_length=shape["max_position_embeddings"],
        num_beams=beams if num_beams is None else num_beams,
        suppress_tokens=_not_emitted(tokenizer),
    )
    return model


def freeze_unused(model: EncoderDecoderModel) -> None:
    """Freeze the parameters that no gradient ever reaches, which DistributedDataParallel does not forgive.

    These are the encoder's pooler, whose output the decoder does not read, and, in transformers 5 where the output
    projection is not tied, the second of two output biases.
    """
    head = model.decoder.cls.predictions
    unused = [*model.encoder.pooler.parameters()]
    if head.bias is not head.decoder.bias:
        unused.append(head.bias)
    for parameter in unused:
        parameter.requires_grad = False


def _not_emitted(tokenizer: KGlossTokenizerFast) -> list[int]:
    emitted = {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids([*tokenizer.glosses, *PLACEHOLDERS])}
    return [index for index in range(len(tokenizer)) if index not in emitted]


def transfer(model: EncoderDecoderModel, tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    """Take over a pretext model's parameters, all but the decoder's final layer (paper, section III.2.3).

    The final layer is the output projection and its bias; where that projection is the embedding matrix (presets with
    `tie_output`), it is its bias alone. It keeps its fresh values.

    Args:
        model: A new model, changed in place.
        tokenizer: Its tokenizer.
        checkpoint: Folder or Hub repository of the pretext model and its tokenizer.

    Raises:
        ValueError: The checkpoint's vocabulary, analyser options or shape differ; says in what.

    Example:
        >>> tokenizer, checkpoint = getfixture("tokenizer"), getfixture("checkpoint")
        >>> model = build_model("tiny", tokenizer)
        >>> transfer(model, tokenizer, checkpoint)
        >>> source = EncoderDecoderModel.from_pretrained(checkpoint)
        >>> torch.equal(model.encoder.get_input_embeddings().weight, source.encoder.get_input_embeddings().weight)
        True
    """
    _check_same_vocabulary(tokenizer, KGlossTokenizerFast.from_pretrained(checkpoint), checkpoint)
    source = EncoderDecoderModel.from_pretrained(checkpoint)
    parameters = source.state_dict()
    shapes, expected = ({name: tuple(p.shape) for name, p in m.state_dict().items()} for m in (source, model))
    if wrong := [name for name in {**expected, **shapes} if shapes.get(name) != expected.get(name)]:
        here, there = (found.get(wrong[0], "not there") for found in (expected, shapes))
        raise ValueError(
            f"{checkpoint}: expected a model of the preset's shape, found another: of {len(wrong)} parameters that "
            f"differ {wrong[0]} should be {here} and is {there}; take the preset that the pretext was trained with"
        )
    final = model.decoder.get_output_embeddings()
    tied = final.weight is model.decoder.get_input_embeddings().weight
    kept = [final.bias, model.decoder.cls.predictions.bias, *([] if tied else [final.weight])]
    kept = [(value, value.detach().clone()) for value in kept]
    model.load_state_dict(parameters)
    with torch.no_grad():
        for value, fresh in kept:
            value.copy_(fresh)


def _check_same_vocabulary(here: KGlossTokenizerFast, there: KGlossTokenizerFast, checkpoint: str) -> None:
    differences = []
    ours, theirs = here.get_vocab(), there.get_vocab()
    for only, where in ((ours.keys() - theirs.keys(), "here"), (theirs.keys() - ours.keys(), "there")):
        if only:
            differences.append(f"{len(only)} entries are only {where}, such as {min(only)!r}")
    if moved := [token for token in ours.keys() & theirs.keys() if ours[token] != theirs[token]]:
        differences.append(f"{len(moved)} entries have another id, such as {min(moved)!r}")
    for name, default in OPTIONS.items():
        found = [tokenizer.init_kwargs.get(name, default) for tokenizer in (here, there)]
        if list(found[0]) != list(found[1]) if name == "stop_words" else found[0] != found[1]:
            differences.append(f"{name} is {found[0]!r} here and {found[1]!r} there")
    if differences:
        raise ValueError(
            f"{checkpoint}: expected the vocabulary of the pretext, found another: {'; '.join(differences)}. "
            "Take the pretext's tokenizer, which is in its folder"
        )
