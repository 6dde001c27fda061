"""Load a pre-trained model and its tokenizer, and find its embedding's rows for pieces and for glosses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from ..runtime.glosses import PLACEHOLDERS
from ..runtime.tokenization_kgloss import KGlossTokenizerFast


def tokenizer_of(checkpoint: str) -> Any:
    """Return a pre-trained model's own fast tokenizer.

    Args:
        checkpoint: Folder or Hub repository of the model. Code from there never runs.

    Raises:
        ValueError: The checkpoint has no fast tokenizer, or one that cannot pad, or it is a model of this package.
        OSError: The checkpoint does not exist.

    Examples:
        >>> tokenizer_of(getfixture("encoder")).is_fast
        True
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    except ValueError as error:
        if "TokenizersBackend" not in str(error):  # transformers 5's name for a tokenizer without its own class
            raise
        with quiet():
            tokenizer = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    if isinstance(tokenizer, KGlossTokenizerFast):
        raise ValueError(
            f"{checkpoint}: expected a pre-trained encoder with its own tokenizer, found a model of kgloss-hf; use "
            "--pretext to continue from one"
        )
    if not tokenizer.is_fast:
        raise ValueError(
            f"{checkpoint}: expected a fast tokenizer (tokenizer.json), which knows the place of each piece in the "
            f"sentence, found {type(tokenizer).__name__}; use a checkpoint that has one, or convert it with "
            "transformers.convert_slow_tokenizer and save it next to the weights"
        )
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"{checkpoint}: expected a tokenizer with a pad_token, found none; use an encoder such as BERT or XLM-R"
        )
    return tokenizer


def load_pretrained(auto: Any, checkpoint: str, config: Any, may_lack: Collection[str]) -> Any:
    """Load the weights of a pre-trained model in float32, only from safetensors.

    Args:
        auto: The class of transformers that loads it, such as `AutoModel`.
        checkpoint: Folder or Hub repository of the model. Code from there never runs.
        config: The model's configuration.
        may_lack: Parts of names of weights that the checkpoint may lack.

    Raises:
        ValueError: Other weights are missing or have another shape.
        OSError: The checkpoint does not exist or has no safetensors.

    Examples:
        >>> from transformers import AutoConfig, AutoModel
        >>> config = AutoConfig.from_pretrained(getfixture("encoder"))
        >>> type(load_pretrained(AutoModel, getfixture("encoder"), config, ["pooler"])).__name__
        'BertModel'
    """
    settings = {
        "use_safetensors": True,
        "trust_remote_code": False,
        "dtype": torch.float32,
        "output_loading_info": True,
    }
    with quiet():
        model, loaded = auto.from_pretrained(checkpoint, config=config, **settings)
    absent = [name for name in sorted(loaded["missing_keys"]) if not any(part in name for part in may_lack)]
    if absent or loaded["mismatched_keys"]:
        raise ValueError(
            f"{checkpoint}: expected all weights of a model of type {config.model_type}, found none with the right "
            f"shape for {(absent or sorted(map(str, loaded['mismatched_keys'])))[0]}; use a complete checkpoint"
        )
    return model


def means_of_names(tokenizer: KGlossTokenizerFast, embeddings: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Return ids of glosses and the mean embedding of each name's pieces, without glosses that have unknown pieces.

    Args:
        tokenizer: Tokenizer from `warm_tokenizer`.
        embeddings: Embedding matrix of the pre-trained model, pieces × width.
    """
    known, unknown = tokenizer.target_vocab, tokenizer.unk_token_id
    named = [gloss for gloss in tokenizer.glosses if gloss not in PLACEHOLDERS]
    encodings = tokenizer.backend_tokenizer.encode_batch(named, add_special_tokens=False)
    pieces = {known[gloss]: row.ids for gloss, row in zip(named, encodings, strict=True)}
    pieces = {index: ids for index, ids in pieces.items() if ids and unknown not in ids}
    means = [embeddings[ids].mean(dim=0) for ids in pieces.values()]
    return list(pieces), torch.stack(means) if means else embeddings[:0]


def kept_rows(checkpoint: str, tokenizer: KGlossTokenizerFast, model: Any) -> list[int]:
    """Return the id in the pre-trained model of each piece of a tokenizer, which may be pruned.

    Args:
        checkpoint: Folder or Hub repository of the pre-trained model.
        tokenizer: Tokenizer from `warm_tokenizer` for this model.
        model: The pre-trained model.

    Raises:
        ValueError: The tokenizer belongs to another model, or the model lacks embeddings of pieces.
    """
    own, pieces = tokenizer_of(checkpoint).get_vocab(), tokenizer.get_vocab()
    rows = [own.get(piece, -1) for piece in sorted(pieces, key=pieces.__getitem__)]
    number = model.get_input_embeddings().num_embeddings
    if not all(0 <= row < number for row in rows) or sorted(pieces.values()) != [*range(len(pieces))]:
        raise ValueError(
            f"{checkpoint}: expected an embedding for each of the {len(pieces):,} pieces of its tokenizer, found "
            f"{number:,}, or other pieces; use a checkpoint whose model and tokenizer belong together"
        )
    return rows


def renumber(config: Any, own: list[int]) -> None:
    """Renumber the special ids of a configuration after only some rows of an embedding were kept.

    Args:
        config: Configuration of a model or an encoder, changed in place.
        own: The old ids that were kept, in order.

    Examples:
        >>> from transformers import BertConfig
        >>> config = BertConfig(pad_token_id=5)
        >>> renumber(config, [0, 5, 9])
        >>> config.pad_token_id
        1
    """
    new = {old: index for index, old in enumerate(own)}
    for name in ("pad", "bos", "eos", "sep", "cls", "unk", "mask"):
        if isinstance(old := getattr(config, f"{name}_token_id", None), int):
            setattr(config, f"{name}_token_id", new.get(old))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' reports of new weights, which are intended."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
