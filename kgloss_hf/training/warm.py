"""Options of a warm start from a pre-trained model, what they exclude, and the tokenizer and model that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from huggingface_hub.repocard import metadata_load
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import cached_file
from yaml import YAMLError

from ..data.language import check_language
from ..data.pairs import Pair, marked_glosses
from ..data.texts import read_texts
from ..files import public_path, save_folder
from ..models.joined import JoinedEncoderDecoderModel
from ..models.modeling import EncoderDecoderModel
from ..models.seq2seq import build_seq2seq
from ..models.vocabulary import check_names, rare_names
from ..models.warm_start import build_warm_model, freeze_encoder, pretrained_parameters, warm_tokenizer
from ..runtime.analyzers import get_analyzer
from ..runtime.normalization import normalize
from ..runtime.tokenization_kgloss import ANALYZER, KGlossTokenizerFast
from .arguments import CORPUS, WarmStartArguments


def warm_tokenizer_for(
    pairs: Sequence[Pair],
    folder: Path,
    arguments: WarmStartArguments,
    *,
    copy_names: int | None = None,
    analyzer: str | None = None,
) -> KGlossTokenizerFast:
    """Return the run's tokenizer with a pre-trained model's pieces, which is kept for a resumed run.

    Args:
        pairs: The training part, whose glosses are the target side.
        folder: The run's.
        arguments: Name the pre-trained model.
        copy_names: As for `kgloss_hf.training.tokenizer_run.tokenizer_for`.
        analyzer: Name of the morphological analyser (default `okt`).

    Raises:
        ValueError: The analyser does not read the language of the pairs; and what `warm_tokenizer` raises.
    """
    kept, analyzer = folder / "tokenizer", analyzer or ANALYZER
    with PartialState().main_process_first():
        if not kept.exists():
            if copy_names:
                check_names(analyzer)
            sentences = [pair.text for pair in pairs]
            check_language(analyzer, sentences)
            tokenizer = warm_tokenizer(
                str(arguments.base),
                marked_glosses(pairs, get_analyzer(analyzer)),
                prefix=arguments.encoder_prefix,
                texts=sentences,
                analyzer=analyzer,
                copy_names=bool(copy_names),
                names=rare_names(pairs, copy_names) if copy_names else (),
                seq2seq=arguments.model_name_or_path is not None,
                keep=_kept_texts(arguments, sentences) if arguments.prune_vocabulary else None,
            )
            save_folder(kept, tokenizer.save_pretrained)
    return KGlossTokenizerFast.from_pretrained(kept)


def _kept_texts(arguments: WarmStartArguments, sentences: Sequence[str]) -> Iterator[str]:
    """Yield the texts whose pieces are kept. The training sentences are always among them."""
    yield from map(normalize, sentences)
    yield from map(normalize, read_texts([source for source in arguments.prune_vocabulary if source != CORPUS]))


def warm_model_for(
    tokenizer: KGlossTokenizerFast, arguments: WarmStartArguments, preset: str | None, num_beams: int | None
) -> PreTrainedModel:
    """Return the run's model, frozen as asked.

    Args:
        tokenizer: From `warm_tokenizer_for`.
        arguments: Name the pre-trained model, and what of it is frozen.
        preset: Shape of the decoder (default: the encoder's width).
        num_beams: Beams in generation; default is the preset's.
    """
    if arguments.model_name_or_path:
        return build_seq2seq(arguments.model_name_or_path, tokenizer, num_beams=num_beams)
    model = build_warm_model(
        str(arguments.base),
        tokenizer,
        preset=preset,
        decoder_layers=2 if arguments.decoder_layers is None else arguments.decoder_layers,
        fresh_layers=arguments.fresh_layers,
        joined_layers=arguments.joined_layers,
        num_beams=num_beams,
    )
    layers = model.config.encoder.num_hidden_layers - (0 if arguments.joined_layers else arguments.fresh_layers)
    if arguments.freeze_encoder or arguments.freeze_layers is not None:
        freeze_encoder(model, layers if arguments.freeze_layers is None else arguments.freeze_layers)
    return model


def freeze_trained(model: PreTrainedModel, tokenizer: KGlossTokenizerFast, arguments: WarmStartArguments) -> None:
    """Freeze what is asked of a model that `--init_from` names, which nothing else would freeze again.

    Args:
        model: From `kgloss_hf.training.continued.continued_model`, changed in place.
        tokenizer: The run's.
        arguments: What to freeze.

    Raises:
        ValueError: The model has no pre-trained encoder, or does not tell which layers of it are pre-trained.
    """
    if not (arguments.freeze_encoder or arguments.freeze_layers is not None):
        return
    option = "freeze_encoder" if arguments.freeze_encoder else "freeze_layers"
    if not isinstance(model, (EncoderDecoderModel, JoinedEncoderDecoderModel)) or not tokenizer.two_vocabularies:
        raise ValueError(
            f"--{option}: expected a model with a pre-trained encoder in --init_from, found another; leave --{option} "
            "out"
        )
    layers = model.config.encoder.num_hidden_layers
    if arguments.freeze_encoder and not isinstance(model, JoinedEncoderDecoderModel):
        raise ValueError(
            f"--freeze_encoder: expected --freeze_layers with this model, for the {layers} layers of its encoder do "
            "not tell which of them were fresh; give how many of the lowest to freeze"
        )
    freeze_encoder(model, layers if arguments.freeze_layers is None else arguments.freeze_layers)


def learning_rates_of(model: PreTrainedModel, arguments: WarmStartArguments) -> dict[int, float]:
    """Return the learning rate of each parameter that has one of its own, by `id`.

    Args:
        model: From `warm_model_for`.
        arguments: Its options.
    """
    rate = arguments.encoder_learning_rate
    parameters: Sequence[nn.Parameter] = pretrained_parameters(model, arguments.fresh_layers) if rate else ()
    return {id(parameter): float(rate or 0) for parameter in parameters}


def base_facts(arguments: WarmStartArguments) -> dict[str, Any]:
    """Return what metrics.json says of the pre-trained model, and its licence as its own card states it.

    Args:
        arguments: Name the pre-trained model.

    Returns:
        `base_model`, as `kgloss_hf.hub.provenance.source_of` describes a corpus, with a licence of None where the
        model's card states none; nothing without a warm start.

    Example:
        >>> base_facts(WarmStartArguments(encoder_model_name_or_path=getfixture("encoder")))["base_model"]["license"]
    """
    if arguments.base is None:
        return {}
    missing = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    card = cached_file(arguments.base, "README.md", **missing)
    try:
        stated = (metadata_load(card) or {}).get("license") if card else None
    except (OSError, ValueError, YAMLError):  # the author is asked
        stated = None
    facts = {"name": public_path(arguments.base), "use": "base model", "domain": None, "url": None}
    return {"base_model": {**facts, "license": stated if isinstance(stated, str) else None}}
