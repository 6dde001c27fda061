"""The configuration with which a checkpoint brings its own pipeline, where its code is trusted."""

from __future__ import annotations

from typing import Any

from transformers import EncoderDecoderConfig, PretrainedConfig

from .configuration_int8 import KGlossInt8Config
from .configuration_rnn import KGlossRnnConfig

CONFIGURATIONS: dict[str, type[PretrainedConfig]] = {
    config.model_type: config for config in (EncoderDecoderConfig, KGlossRnnConfig, KGlossInt8Config)
}
"""By the `model_type` of config.json."""


class KGlossConfig(EncoderDecoderConfig):
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
            ValueError: `model_type` is none of `CONFIGURATIONS`.
        """
        content, _ = cls.get_config_dict(pretrained_model_name_or_path, **kwargs)
        model_type = content.get("model_type")
        if model_type not in CONFIGURATIONS:
            raise ValueError(f"model_type: expected one of {', '.join(CONFIGURATIONS)}, found {model_type!r}")
        found = CONFIGURATIONS[model_type].from_pretrained(pretrained_model_name_or_path, **kwargs)
        config = found[0] if isinstance(found, tuple) else found  # a tuple where unused arguments are asked for
        config.custom_pipelines = {
            "text2text-generation": {
                "impl": "pipeline_kgloss.Text2GlossPipeline",
                "pt": ["AutoModelForSeq2SeqLM"],
                "tf": [],
                "type": "text",
            }
        }
        return found
