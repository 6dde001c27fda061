"""Configurations: the RNN's, and the one with which a checkpoint brings its own pipeline, where its code is trusted."""

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


class KGlossConfig(PretrainedConfig):
    """What `auto_map` of a checkpoint names: the checkpoint's own configuration, told which pipeline is in the folder.

    It stands in no `config.json`. With `trust_remote_code=True` transformers reads the file through it, and `pipeline`
    then finds `Text2GlossPipeline` beside the weights; without, transformers reads the file as it is, and the plug-in's
    registration decides. It also marks our tokenizer for `AutoTokenizer`.

    Example:
        >>> config = KGlossConfig.from_pretrained(getfixture("checkpoint"))
        >>> type(config).__name__, config.custom_pipelines["text2text-generation"]["impl"]
        ('EncoderDecoderConfig', 'pipeline_kgloss.Text2GlossPipeline')
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """The configuration that `model_type` names, with `custom_pipelines`.

        Args:
            pretrained_model_name_or_path: Folder or Hub repository of the checkpoint.
            **kwargs: As for any configuration of transformers.

        Raises:
            ValueError: The checkpoint holds another kind of model.
        """
        # Registration imports this file while transformers may still be importing that one.
        from transformers import EncoderDecoderConfig

        kinds: dict[str, Any] = {kind.model_type: kind for kind in (EncoderDecoderConfig, KGlossRnnConfig)}
        content, _ = cls.get_config_dict(pretrained_model_name_or_path, **kwargs)
        model_type = content.get("model_type")
        if model_type not in kinds:
            raise ValueError(f"model_type: expected one of {', '.join(kinds)}, found {model_type!r}")
        loaded = kinds[model_type].from_pretrained(pretrained_model_name_or_path, **kwargs)
        config = loaded[0] if isinstance(loaded, tuple) else loaded  # a tuple where unused arguments are asked for
        config.custom_pipelines = {
            "text2text-generation": {
                "impl": "pipeline_kgloss.Text2GlossPipeline",
                "pt": ["AutoModelForSeq2SeqLM"],
                "tf": [],
                "type": "text",
            }
        }
        return loaded
