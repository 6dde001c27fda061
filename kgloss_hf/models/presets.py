"""Named shapes of models and kinds of vocabularies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Shape of encoder and decoder, and the decoding that goes with it.

    Args:
        hidden_size: Width of every layer.
        num_hidden_layers: Number of layers of the encoder, and of the decoder.
        num_attention_heads: Heads per layer.
        intermediate_size: Width inside the feed-forward blocks.
        dropout: Dropout on hidden states and attention weights.
        tie_output: The decoder's output projection is its embedding matrix.
        share_embeddings: Encoder and decoder embeddings start equal and are trained as one matrix
            (`kgloss_hf.training.trainer.SharedEmbeddings`).
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


@dataclass(frozen=True)
class RnnPreset:
    """Shape of the RNN baseline, and the decoding that goes with it (`kgloss_hf.runtime.modeling_rnn`).

    Args:
        embedding_size: Width of the embeddings.
        hidden_size: Width of the GRUs.
        dropout: Dropout on embeddings and before the output projection.
        share_embeddings: As in `Preset`.
        num_beams: Beams in generation; 1 is greedy.
        max_position_embeddings: Longest target in tokens.
    """

    embedding_size: int = 256
    hidden_size: int = 512
    dropout: float = 0.3
    share_embeddings: bool = False
    num_beams: int = 4
    max_position_embeddings: int = 128


PRESETS: dict[str, Preset | RnnPreset] = {
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
    "rnn": RnnPreset(),
}
"""Presets by name. `tiny` trains on the bundled sample in a minute or two of CPU time, `small` on GKSL in tens of
minutes. `paper` has the paper's shape: 94,882,396 parameters at its vocabulary of 12,078 (section IV.1). `rnn` is the
model that the paper compares with."""

MODELS = ("wordpiece", "wordlevel")
"""Contents of a vocabulary besides glosses: word pieces, or each different word of the text (the paper's Table 5:
"small vocabulary"), where any other word becomes [UNK]."""
