"""Options of training, of the tokenizer's and of Table 5: without the libraries that carry them out, for quick help."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from ..data.arguments import CorpusArguments, PartArguments
from ..models.presets import MODELS, PRESETS, Preset
from ..runtime.analyzers import ANALYZER, ANALYZERS

if TYPE_CHECKING:
    from ..runtime.tokenization_kgloss import KGlossTokenizerFast

CORPUS = "corpus"
"""In --prune_vocabulary: the training sentences."""

SYSTEMS = ("rnn", "bert-small", "bert-large", "transfer")
"""The four systems of Table 5."""

LOSSES = ("glosses", "vocabulary")
"""What the softmax of training runs over."""

_BERTS = tuple(name for name, shape in PRESETS.items() if isinstance(shape, Preset))

PRETRAINED = ("encoder_model_name_or_path", "model_name_or_path")
"""Options that name a pre-trained model of any owner."""

MODEL_OPTIONS = ("pretext", "init_from", *PRETRAINED)
"""Options of a training run that name what it begins from."""

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
class VocabularyArguments:
    """Options of a training run for a tokenizer that it learns; each of `tokenizer_for`."""

    vocab_size: int | None = field(
        default=None, metadata={"help": "Word pieces to learn at most, before glosses; default 10,000."}
    )
    copy_names: int | None = field(
        default=None,
        metadata={"help": "Copy unknown nouns; learn it on those of at most this many sentences. Default: do not."},
    )
    analyzer: str | None = field(
        default=None,
        metadata={
            "help": "Morphological analyser; default okt. Other languages: whitespace.",
            "choices": tuple(ANALYZERS),
        },
    )


@dataclass
class WarmStartArguments:
    """Options of a training run that begins from a pre-trained encoder.

    Example:
        >>> WarmStartArguments(encoder_model_name_or_path="klue/bert-base").base
        'klue/bert-base'
    """

    USUAL: ClassVar = ("encoder_model_name_or_path", "model_name_or_path", "freeze_encoder")

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
        default="",
        metadata={"help": 'Text that the encoder wants before a sentence, such as "query: " for E5.'},
    )
    decoder_layers: int | None = field(
        default=None, metadata={"help": "Layers of the decoder on a pre-trained encoder; default 2."}
    )
    fresh_layers: int = field(default=0, metadata={"help": "New layers on top of the pre-trained encoder."})
    joined_layers: list[int] = field(
        default_factory=list,
        metadata={
            "help": "Hidden states of the pre-trained encoder that the decoder reads joined, such as 0 4 8 12: 0 for "
            "its embeddings, N for its layer N. Default: the last alone.",
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
        default=None,
        metadata={"help": "Peak learning rate of the pre-trained part; default --learning_rate."},
    )

    prune_vocabulary: list[str] = field(
        default_factory=list,
        metadata={
            "help": f"Keep only pieces of the pre-trained model that occur in these texts: {CORPUS} for the training "
            "sentences, or files and data sets as kgloss train-tokenizer takes them. Default: keep all.",
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


@dataclass
class StartArguments(VocabularyArguments, WarmStartArguments):
    """Options that say what a model begins from, and what it and its tokenizer are like."""

    preset: str | None = field(
        default=None,
        metadata={
            "help": "Shape of the model (default: that of --pretext, the width of a pre-trained encoder, else tiny).",
            "choices": tuple(PRESETS),
        },
    )
    vocabulary: str | None = field(
        default=None,
        metadata={
            "help": "Learn word pieces (default), or take each word whole (paper: small).",
            "choices": ("pieces", "words"),
        },
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of kgloss train-tokenizer; default: learn one on the training part."}
    )
    pretext: str | None = field(
        default=None,
        metadata={
            "help": "Model of kgloss pretext to go on from; brings its tokenizer. Default: from scratch.",
        },
    )
    init_from: str | None = field(
        default=None,
        metadata={
            "help": "Trained text-to-gloss model to go on from; glosses it lacks are added. Default: none.",
        },
    )
    num_beams: int | None = field(
        default=None, metadata={"help": "Beams of the saved model; default the preset's, or those of --init_from."}
    )


@dataclass
class DecodingArguments:
    """How the trained model decodes, where the validation part is not to choose it."""

    USUAL: ClassVar = ()

    encoder_repetition_penalty: float | None = field(
        default=None,
        metadata={
            "help": "Favour glosses that the sentence holds as words; 1: off. Default: chosen on the validation part.",
        },
    )
    repetition_penalty: float | None = field(
        default=None,
        metadata={"help": "Disfavour repeated glosses; 1: off. Default: chosen on the validation part."},
    )

    def check(self, tokenizer: KGlossTokenizerFast | None = None) -> None:
        """Refuse penalties that cannot be, before the training.

        Args:
            tokenizer: The model's (default: not known yet).

        Raises:
            ValueError: A penalty is not above 0, or `encoder_repetition_penalty` is other than 1 for a model whose
                sentences and glosses have no ids in common.

        Example:
            >>> DecodingArguments(repetition_penalty=0.0).check()
            Traceback (most recent call last):
            ...
            ValueError: --repetition_penalty: expected a number above 0 (1: off), found 0.0
        """
        from ..runtime.penalties import PENALTY, is_penalised

        for name, value in asdict(self).items():
            if value is not None and not (isfinite(value) and value > 0):
                raise ValueError(f"--{name}: expected a number above 0 (1: off), found {value}")
        penalty = self.encoder_repetition_penalty
        if is_penalised(penalty) and tokenizer is not None and tokenizer.two_vocabularies:
            raise ValueError(
                f"--{PENALTY}: expected 1 or nothing, found {penalty}; the sentences and the glosses of this model "
                "have no ids in common"
            )


@dataclass
class TrainingDefaults:
    """Defaults of training that differ from those of transformers, and options that transformers does not have."""

    USUAL: ClassVar = ("output_dir", "learning_rate", "num_train_epochs", "per_device_train_batch_size", "seed")
    """What `--help` shows of them; the rest is in `--help-all`."""

    output_dir: str = field(default="outputs/text2gloss", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=5e-4, metadata={"help": "Peak learning rate of AdamW (paper: SGD, 1e-4)."})
    num_train_epochs: float = field(default=20.0, metadata={"help": "Passes over the training pairs (paper: 10, 100)."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Pairs per device and step (paper: 32)."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Sentences per device in generation."})
    warmup_steps: float = field(default=100, metadata={"help": "Steps of linear warm-up."})
    label_smoothing_factor: float = field(default=0.1, metadata={"help": "Label smoothing (paper: 0)."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save; must agree with eval_strategy."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints kept: the best and the last."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(default="jaccard", metadata={"help": "What best means."})
    predict_with_generate: bool = field(default=True, metadata={"help": "Evaluate by generation."})
    report_to: str | None = field(default="none", metadata={"help": "Trackers, such as tensorboard."})
    bf16: bool | None = field(
        default=None,
        metadata={
            "help": "Train in bfloat16 (default: where the GPU, or the CPU by AMX, is quick at it).",
        },
    )
    loss_over: str = field(
        default="glosses",
        metadata={
            "help": "What a gloss is compared with: glosses, or the whole vocabulary (paper).",
            "choices": LOSSES,
        },
    )
    batches_by_length: bool = field(default=True, metadata={"help": "Steps of pairs of similar length: less padding."})
    seed: int = field(default=42, metadata={"help": "Seed of weights, of dropout and of the order of pairs."})


@dataclass
class DataArguments(CorpusArguments):
    """The pairs of a training run, and what its model's card says of them."""

    data_license: str | None = field(
        default=None,
        metadata={
            "help": "For the model's card: licence of your corpus, as the Hub names it (cc-by-4.0), or kogl-type-0 to "
            "kogl-type-4, with -ai where the AI mark stands beside it, aihub, nikl."
        },
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the model's card: what your corpus is about."})


@dataclass
class ModelArguments(StartArguments):
    """What the model of a training run is like, and how the run ends."""

    patience: int | None = field(default=None, metadata={"help": "Stop after this many evaluations without a gain."})
    refit: bool = field(
        default=False,
        metadata={
            "help": "Train anew on the training and validation part, for the epochs that the validation part chose."
        },
    )
    resume: bool = field(default=False, metadata={"help": "Go on from the last checkpoint in output_dir."})


@dataclass
class PretextDataArguments(PartArguments):
    """The sentences of a pretext, and the pairs whose glosses its vocabulary holds."""

    pretext_dir: str = field(
        kw_only=True, metadata={"help": "Folder of kgloss back-translate, or of the public corpora."}
    )
    pairs: str = field(
        default="backtranslation",
        metadata={
            "help": "backtranslation, or paraphrase: human ones.",
            "choices": ("backtranslation", "paraphrase"),
        },
    )
    corpus: str = field(default="all", metadata={"help": "One of the pretext's corpora, such as parakqc, or all."})
    validation_share: float = field(default=0.3, metadata={"help": "Share of the pairs that choose the checkpoint."})
    split: str = field(
        default="group",
        metadata={
            "help": "group: a sentence stays on one side. row: the paper's, at random by pair.",
            "choices": ("group", "row"),
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Seed of the split, apart from the seed of training."})
    data_license: str | None = field(default=None, metadata={"help": "Its licence: as in run_text2gloss.py."})
    data_domain: str | None = field(default=None, metadata={"help": "What it is about: as in run_text2gloss.py."})


@dataclass
class PretextModelArguments(VocabularyArguments):
    """What the model of a pretext is like, and how the run ends."""

    preset: str = field(default="small", metadata={"help": "Shape of the model.", "choices": tuple(PRESETS)})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of kgloss train-tokenizer; default: learn one on all sentences."}
    )
    patience: int | None = field(default=None, metadata={"help": "Stop after this many evaluations without a gain."})
    resume: bool = field(default=False, metadata={"help": "Go on from the last checkpoint in output_dir."})


@dataclass
class TokenizerTrainingArguments(PartArguments):
    """What `train_and_save` learns on, what it learns, and where it writes; each option of `kgloss train-tokenizer`."""

    output_dir: str = field(default="outputs/tokenizer", metadata={"help": "Folder to make for the tokenizer."})
    corpus: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Text to learn on: .txt, .txt.gz, CSV, TSV, JSON Lines, Parquet or XLSX files, or data sets as "
            "NAME or NAME:CONFIGURATION. Default: the sentences of --dataset."
        },
    )
    corpus_column: str | None = field(
        default=None,
        metadata={"help": "Column of --corpus with the text (default: by its name, such as text or 문장)."},
    )
    model: str = field(
        default="wordpiece", metadata={"help": "Word pieces, or each different word whole.", "choices": MODELS}
    )
    vocab_size: int = field(default=10_000, metadata={"help": "Word pieces to learn at most, before glosses."})
    analyzer: str = field(default=ANALYZER, metadata={"help": "Morphological analyser.", "choices": tuple(ANALYZERS)})
    normalize: bool = field(default=True, metadata={"help": "Lower-case words and drop punctuation."})
    lemmatize: bool = field(default=True, metadata={"help": "Dictionary forms of verbs and adjectives."})
    stop_words: list[str] = field(default_factory=list, metadata={"help": "Morphemes to drop."})
    copy_names: int = field(
        default=0,
        metadata={"help": "Copy unknown nouns; learn it on those of at most this many sentences. 0: do not."},
    )
    max_length: int = field(default=128, metadata={"help": "Longest input in tokens."})
    data_license: str | None = field(
        default=None, metadata={"help": "For the card: licence of your text, as the Hub names it (cc-by-4.0)."}
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the card: what your text is about."})


@dataclass
class Table5Arguments(CorpusArguments):
    """What `reproduce` trains on, and how often."""

    pretext: str = field(
        kw_only=True,
        metadata={
            "help": "Model of kgloss pretext: its vocabulary is the large one, its analyser that of all.",
        },
    )
    output_dir: str = field(default="outputs/table5", metadata={"help": "Folder for the runs, the table, the curves."})
    preset: str = field(
        default="small",
        metadata={
            "help": "Shape of the three BERTs; that of --pretext.",
            "choices": _BERTS,
        },
    )
    optimisers: str = field(
        default="kgloss", metadata={"help": "The paper's, to the letter, or ours.", "choices": ("paper", "kgloss")}
    )
    systems: list[str] = field(
        default_factory=lambda: list(SYSTEMS), metadata={"help": "Which of the four.", "choices": SYSTEMS}
    )
    epochs: list[int] = field(default_factory=lambda: [10, 100], metadata={"help": "Lengths of training."})
    runs: int = field(default=10, metadata={"help": "Runs of each; run N has seed and split seed N (paper: 10)."})
    patience: int = field(default=10, metadata={"help": "Evaluations without a gain that end a run early."})
    workers: int = field(default=1, metadata={"help": "Runs at a time, spread over the GPUs where there are any."})
