"""The configuration of the RNN baseline."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class KGlossRnnConfig(PretrainedConfig):
    """Shape of an `RnnEncoderDecoderModel` (`kgloss_hf.runtime.modeling_rnn`).

    Args:
        vocab_size: Tokens, of source and target.
        embedding_size: Width of the token embeddings and of what the output projection reads.
        hidden_size: Width of the GRUs, each direction of the encoder's and the decoder's, and of the attention.
        dropout: Dropout on embeddings and before the output projection.
        max_position_embeddings: Longest target in tokens; the GRUs themselves know no limit.
        **kwargs: PretrainedConfig's, such as `pad_token_id` and `decoder_start_token_id`.

    Example:
        >>> KGlossRnnConfig(vocab_size=100).hidden_size
        512
    """

    model_type = "kgloss-rnn"

    def __init__(
        self,
        vocab_size: int = 10_000,
        embedding_size: int = 256,
        hidden_size: int = 512,
        dropout: float = 0.3,
        max_position_embeddings: int = 128,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**{"is_encoder_decoder": True, "tie_word_embeddings": False, **kwargs})
