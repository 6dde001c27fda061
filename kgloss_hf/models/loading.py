"""Load a trained model as a pipeline whose type is known to type checkers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from ..files import check_model
from ..runtime.lexicon import Lexicon
from ..runtime.pipeline_kgloss import Text2GlossPipeline


def load(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    device: int | str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    int8: bool = False,
    others: Sequence[str | os.PathLike[str] | Text2GlossPipeline] = (),
    model_kwargs: Mapping[str, Any] | None = None,
    lexicon: str | os.PathLike[str] | Lexicon | None = None,
    **options: Any,
) -> Text2GlossPipeline:
    """Load a trained model like `transformers.pipeline("text-to-gloss", …)`, but as a pipeline of a known type.

    No code from the model's repository runs, and weights are read only from safetensors files.

    Args:
        model: Folder or Hub repository.
        revision: Branch, tag or commit of the repository (default: main).
        token: Token of the Hub, for a private repository (default: that of `hf auth login` or HF_TOKEN).
        device: Device to compute on, such as `cuda:0` (default: transformers' choice).
        dtype: Data type of the weights, such as `torch.float16` (default: the checkpoint's).
        int8: Compute with eight-bit weights (default False).
        others: Further models, from their main revisions, which answer together with this one (default: none).
        model_kwargs: Further arguments of `from_pretrained` for the model, such as `attn_implementation`
            (default: none).
        lexicon: A lexicon or its file (`kgloss_hf.load_lexicon`); answers then say what plays each gloss (default:
            none).
        **options: Any other argument of `Text2GlossPipeline`, such as `return_types=True`.

    Returns:
        The pipeline. Call it with a sentence for a `GlossSequence`, with a list for a list of them.

    Raises:
        FileNotFoundError: `model` is neither a folder nor a Hub repository's name, or `lexicon` does not exist.
        OSError: The Hub cannot be reached or has no such repository.
        ValueError: The folder holds no model (the message names the folder that was probably meant), the model is not
            one of this package, or its files are damaged; also as for `Text2GlossPipeline`.
        TypeError: As for `Text2GlossPipeline`.

    Examples:
        >>> import kgloss_hf
        >>> text_to_gloss = kgloss_hf.load(getfixture("checkpoint"))
        >>> type(text_to_gloss("이 토기는 4세기에 만들어졌습니다.").glosses).__name__
        'list'
        >>> kgloss_hf.load("nowhere/demo/modle")
        Traceback (most recent call last):
        ...
        FileNotFoundError: nowhere/demo/modle: no such folder; expected a model folder or a Hub repository OWNER/NAME
    """
    name = os.fspath(model)
    of_hub = {"revision": revision, "token": token, "trust_remote_code": False}
    check_model(name)
    if isinstance(lexicon, str | os.PathLike):
        from ..data.lexicon import load_lexicon  # late, because it imports pyarrow

        lexicon = load_lexicon(lexicon)
    try:
        _check_tokenizer(name, of_hub)
        tokenizer = AutoTokenizer.from_pretrained(name, **of_hub)
        weights = {"use_safetensors": True, "dtype": dtype, **of_hub, **(model_kwargs or {})}
        loaded = AutoModelForSeq2SeqLM.from_pretrained(name, **weights)
    except SafetensorError as error:
        raise ValueError(
            f"{name}: the weights are cut short or damaged ({error}); download or copy the files again"
        ) from error
    except (OSError, ValueError) as error:
        # Further lines of transformers' messages give advice that does not apply here, such as to trust code.
        first = str(error).strip().partition("\n")[0]
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(first if name in first else f"{name}: {first}") from error
    alike: dict[str, Any] = {"device": device, "int8": int8}
    if isinstance(others, list | tuple):
        of_others = {"token": token, "dtype": loaded.dtype, "model_kwargs": model_kwargs, **alike}
        others = [load(one, **of_others) if isinstance(one, str | os.PathLike) else one for one in others]
    arguments = {"task": "text-to-gloss", "others": others, "lexicon": lexicon, **alike, **options}
    return Text2GlossPipeline(model=loaded, tokenizer=tokenizer, **arguments)


def _check_tokenizer(name: str, of_hub: dict[str, Any]) -> None:
    """Refuse another package's model before its weights are read. Without a network, nothing is checked."""
    config = get_tokenizer_config(name, **of_hub)
    tokenizer_class = config.get("tokenizer_class")
    if str(tokenizer_class).removesuffix("Fast") != "KGlossTokenizer" and (config or Path(name).is_dir()):
        raise ValueError(
            f"{name}: expected a model that kgloss-hf trained, with a KGlossTokenizerFast, found "
            f"{tokenizer_class or 'no tokenizer class'}; use another model"
        )
