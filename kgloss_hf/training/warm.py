"""Options of a warm start from a pre-trained model, what they exclude, and the tokenizer and model that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
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

CORPUS = "corpus"
"""In --prune_vocabulary: the training sentences."""

_OF_TRAINED = ("freeze_encoder", "freeze_layers")
"""Options that go with --init_from too."""

_OF_ENCODERS = (
    "decoder_layers",
    "fresh_layers",
    "joined_layers",
    "freeze_encoder",
    "freeze_layers",
    "encoder_learning_rate",
)


@dataclass
class WarmStartArguments:
    """Options of a training run that begins from a pre-trained encoder.

    Example:
        >>> WarmStartArguments(encoder_model_name_or_path="klue/bert-base").base
        'klue/bert-base'
    """

    encoder_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pre-trained encoder to begin from, in front of a new gloss decoder: a folder or Hub repository of "
            "the BERT, RoBERTa, XLM-R, ELECTRA or DistilBERT family. Default: from scratch."
        },
    )
    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Whole pre-trained seq2seq to begin from: a folder or Hub repository of a BART, mBART, T5, M2M100 "
            "or Marian. Default: from scratch."
        },
    )
    encoder_prefix: str = field(
        default="", metadata={"help": 'Text that the encoder wants before a sentence, such as "query: " for E5.'}
    )
    decoder_layers: int | None = field(
        default=None, metadata={"help": "Layers of the decoder on a pre-trained encoder; default 2."}
    )
    fresh_layers: int = field(default=0, metadata={"help": "New layers on top of the pre-trained encoder."})
    joined_layers: list[int] = field(
        default_factory=list,
        metadata={
            "help": "Hidden states of the pre-trained encoder that the decoder reads joined, such as 0 4 8 12: 0 for "
            "its embeddings, N for its layer N. Default: the last alone."
        },
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "Leave the pre-trained encoder as it is; fresh layers are trained."}
    )
    freeze_layers: int | None = field(
        default=None,
        metadata={"help": "Leave the encoder's embeddings and its N lowest layers as they are."},
    )
    encoder_learning_rate: float | None = field(
        default=None, metadata={"help": "Peak learning rate of the pre-trained part; default --learning_rate."}
    )

    prune_vocabulary: list[str] = field(
        default_factory=list,
        metadata={
            "help": f"Keep only pieces of the pre-trained model that occur in these texts: {CORPUS} for the training "
            "sentences, or files and data sets as kgloss train-tokenizer takes them. Default: keep all."
        },
    )

    @property
    def base(self) -> str | None:
        """The pre-trained model to begin from, or None."""
        return self.encoder_model_name_or_path or self.model_name_or_path

    @property
    def default_preset(self) -> str | None:
        """What stands for the name of a preset where none is given: `encoder`, whose width the decoder takes."""
        return "encoder" if self.encoder_model_name_or_path else "seq2seq" if self.model_name_or_path else None

    def check(self, *, preset: str | None = None, **others: Any) -> None:
        """Refuse options that do not go together.

        Args:
            preset: The run's, None where none was given.
            **others: Options of the run that have no meaning with a warm start, by name; those that are None or False
                were not given.

        Raises:
            ValueError: An option has no effect, or contradicts another; says which.

        Example:
            >>> WarmStartArguments(fresh_layers=1).check()
            Traceback (most recent call last):
            ...
            ValueError: --fresh_layers: expected --encoder_model_name_or_path with it, found none; add it, or leave ...
        """
        given = [name for name, default in asdict(WarmStartArguments()).items() if getattr(self, name) != default]
        if self.freeze_encoder and self.freeze_layers is not None:
            raise ValueError("--freeze_layers: expected none with --freeze_encoder, which freezes all; take one")
        if self.base is None:
            if others.get("init_from"):
                given = [name for name in given if name not in _OF_TRAINED]
            if given:
                raise ValueError(
                    f"--{given[0]}: expected --encoder_model_name_or_path with it, found none; add it, or leave "
                    f"--{given[0]} out"
                )
            return
        if self.encoder_model_name_or_path and self.model_name_or_path:
            raise ValueError(
                "--model_name_or_path: expected none with --encoder_model_name_or_path; take one of the two"
            )
        if self.model_name_or_path:
            of_encoders = {*_OF_ENCODERS, "preset"} & {*given, *(["preset"] if preset else [])}
            if of_encoders:
                raise ValueError(
                    f"--{min(of_encoders)}: expected none with --model_name_or_path, whose shape is given and which is "
                    "trained as a whole; leave it out"
                )
        if refused := [name for name, value in others.items() if value]:
            raise ValueError(
                f"--{refused[0]}: expected none with a pre-trained model, which brings its own pieces and weights, "
                f"found {others[refused[0]]}; leave one of the two out"
            )
        if self.freeze_encoder and self.encoder_learning_rate is not None:
            raise ValueError("--encoder_learning_rate: expected none with --freeze_encoder, which trains none of it")
        if self.encoder_learning_rate is not None and not self.encoder_learning_rate > 0:
            raise ValueError(f"--encoder_learning_rate: expected more than 0, found {self.encoder_learning_rate}")


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
