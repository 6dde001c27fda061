"""Load a pre-trained model and its tokenizer, and find the rows that its embedding has for pieces and for glosses."""

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
        checkpoint: Folder or Hub repository of the model. Code from there is never run.

    Raises:
        ValueError: It has no fast tokenizer, none that can pad, or is one of this package.
        OSError: There is no such checkpoint.

    Example:
        >>> tokenizer_of(getfixture("encoder")).is_fast
        True
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    except ValueError as error:
        if "TokenizersBackend" not in str(error):  # what transformers 5 calls a tokenizer of no class of its own
            raise
        with quiet():
            tokenizer = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    if isinstance(tokenizer, KGlossTokenizerFast):
        raise ValueError(
            f"{checkpoint}: expected a pre-trained encoder with its own tokenizer, found a model of kgloss-hf; go on "
            "from one with --pretext"
        )
    if not tokenizer.is_fast:
        raise ValueError(
            f"{checkpoint}: expected a fast tokenizer (tokenizer.json), which tells where in the sentence a piece "
            f"stands, found {type(tokenizer).__name__}; take a checkpoint that has one, or convert it with "
            "transformers.convert_slow_tokenizer and save it beside the weights"
        )
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"{checkpoint}: expected a tokenizer with a pad_token, found none; take an encoder such as BERT or XLM-R"
        )
    return tokenizer


def load_pretrained(auto: Any, checkpoint: str, config: Any, may_lack: Collection[str]) -> Any:
    """Load the weights of a pre-trained model in float32, from safetensors alone.

    Args:
        auto: The class of transformers that loads it, such as `AutoModel`.
        checkpoint: Folder or Hub repository of the model. Code from there is never run.
        config: The model's configuration.
        may_lack: Parts of names of weights that the checkpoint may lack.

    Raises:
        ValueError: Other weights are missing or have another shape.
        OSError: There is no such checkpoint, or it has no safetensors.

    Example:
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
            f"{checkpoint}: expected all weights of a model of the type {config.model_type}, found none of the right "
            f"shape for {(absent or sorted(map(str, loaded['mismatched_keys'])))[0]}; take a whole checkpoint"
        )
    return model


def means_of_names(tokenizer: KGlossTokenizerFast, embeddings: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Return ids of glosses, and for each the mean embedding of its name's pieces; not of those with unknown pieces.

    Args:
        tokenizer: From `warm_tokenizer`.
        embeddings: The pre-trained model's, pieces × width.
    """
    known, unknown = tokenizer.target_vocab, tokenizer.unk_token_id
    named = [gloss for gloss in tokenizer.glosses if gloss not in PLACEHOLDERS]
    encodings = tokenizer.backend_tokenizer.encode_batch(named, add_special_tokens=False)
    pieces = {known[gloss]: row.ids for gloss, row in zip(named, encodings, strict=True)}
    pieces = {index: ids for index, ids in pieces.items() if ids and unknown not in ids}
    means = [embeddings[ids].mean(dim=0) for ids in pieces.values()]
    return list(pieces), torch.stack(means) if means else embeddings[:0]


def kept_rows(checkpoint: str, tokenizer: KGlossTokenizerFast, model: Any) -> list[int]:
    """Return the id that each piece of a tokenizer, which may have been pruned, has in the pre-trained model.

    Args:
        checkpoint: Folder or Hub repository of the pre-trained model.
        tokenizer: From `warm_tokenizer` for it.
        model: The pre-trained model.

    Raises:
        ValueError: The tokenizer is another model's, or the model lacks embeddings of pieces.
    """
    own, pieces = tokenizer_of(checkpoint).get_vocab(), tokenizer.get_vocab()
    rows = [own.get(piece, -1) for piece in sorted(pieces, key=pieces.__getitem__)]
    number = model.get_input_embeddings().num_embeddings
    if not all(0 <= row < number for row in rows) or sorted(pieces.values()) != [*range(len(pieces))]:
        raise ValueError(
            f"{checkpoint}: expected an embedding for each of the {len(pieces)} pieces of its tokenizer, found "
            f"{number}, or other pieces; take a checkpoint whose model and tokenizer belong together"
        )
    return rows


def renumber(config: Any, own: list[int]) -> None:
    """Set ids in a configuration to what they are where only some rows of an embedding were kept.

    Args:
        config: Of a model or an encoder, changed in place.
        own: The old ids that were kept, in order.

    Example:
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
    """Keep transformers from reporting weights that are new, as they are meant to be."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
