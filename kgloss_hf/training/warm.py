"""Make the tokenizer and the model of a run with a warm start from a pre-trained model."""

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
    """Return the run's tokenizer with the pieces of a pre-trained model, which is kept for resuming.

    Args:
        pairs: Training set, whose glosses are the target side.
        folder: Folder of the run.
        arguments: Options that name the pre-trained model.
        copy_names: As for `kgloss_hf.training.tokenizer_run.tokenizer_for`.
        analyzer: Name of the morphological analyser (default `okt`).

    Raises:
        ValueError: The analyser does not read the language of the pairs. Errors of `warm_tokenizer` are raised too.
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
    """Return the run's model, with layers frozen as requested.

    Args:
        tokenizer: Tokenizer from `warm_tokenizer_for`.
        arguments: Options that name the pre-trained model and the layers to freeze.
        preset: Shape of the decoder (default: the width of the encoder).
        num_beams: Number of beams in generation (default: that of the preset).
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
    """Freeze the requested layers of a model from `--init_from`, since checkpoints do not store what is frozen.

    Args:
        model: Model from `kgloss_hf.training.continued.continued_model`, changed in place.
        tokenizer: The run's tokenizer.
        arguments: Options that select the layers to freeze.

    Raises:
        ValueError: The model has no pre-trained encoder, or does not record which of its layers are pre-trained.
    """
    if not (arguments.freeze_encoder or arguments.freeze_layers is not None):
        return
    option = "freeze_encoder" if arguments.freeze_encoder else "freeze_layers"
    if not isinstance(model, (EncoderDecoderModel, JoinedEncoderDecoderModel)) or not tokenizer.two_vocabularies:
        raise ValueError(
            f"--{option}: expected a model with a pre-trained encoder in --init_from, found another kind; leave "
            f"--{option} out"
        )
    layers = model.config.encoder.num_hidden_layers
    if arguments.freeze_encoder and not isinstance(model, JoinedEncoderDecoderModel):
        raise ValueError(
            f"--freeze_encoder: expected --freeze_layers with this model, because it does not record which of the "
            f"{layers} layers of its encoder were fresh; give the number of lowest layers to freeze"
        )
    freeze_encoder(model, layers if arguments.freeze_layers is None else arguments.freeze_layers)


def learning_rates_of(model: PreTrainedModel, arguments: WarmStartArguments) -> dict[int, float]:
    """Return the learning rates of parameters with a separate rate, by `id`.

    Args:
        model: Model from `warm_model_for`.
        arguments: Options of the model.
    """
    rate = arguments.encoder_learning_rate
    parameters: Sequence[nn.Parameter] = pretrained_parameters(model, arguments.fresh_layers) if rate else ()
    return {id(parameter): float(rate or 0) for parameter in parameters}


def base_facts(arguments: WarmStartArguments) -> dict[str, Any]:
    """Return the entry of metrics.json about the pre-trained model, with the licence that its own card states.

    Args:
        arguments: Options that name the pre-trained model.

    Returns:
        `base_model`, described as `kgloss_hf.hub.provenance.source_of` describes a corpus, with the licence None if the
        model's card states none; an empty dictionary without a warm start.

    Examples:
        >>> base_facts(WarmStartArguments(encoder_model_name_or_path=getfixture("encoder")))["base_model"]["license"]
    """
    if arguments.base is None:
        return {}
    missing = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    card = cached_file(arguments.base, "README.md", **missing)
    try:
        stated = (metadata_load(card) or {}).get("license") if card else None
    except (OSError, ValueError, YAMLError):  # an unreadable card states no licence
        stated = None
    facts = {"name": public_path(arguments.base), "use": "base model", "domain": None, "url": None}
    return {"base_model": {**facts, "license": stated if isinstance(stated, str) else None}}
