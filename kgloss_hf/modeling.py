"""Model presets, and building an EncoderDecoderModel of two BERTs for a tokenizer."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel, GenerationConfig

from .glosses import PLACEHOLDERS
from .tokenization_kgloss import KGlossTokenizerFast


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
