"""Options of training runs, tokenizers and Table 5, free of heavy imports so that `--help` is quick."""

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
"""Word that stands for the training sentences in `--prune_vocabulary`."""

SYSTEMS = ("rnn", "bert-small", "bert-large", "transfer")
"""The four systems of Table 5."""

LOSSES = ("glosses", "vocabulary")
"""Choices of the classes that the softmax of training runs over."""

_BERTS = tuple(name for name, shape in PRESETS.items() if isinstance(shape, Preset))

PRETRAINED = ("encoder_model_name_or_path", "model_name_or_path")
"""Options that name a pre-trained model from any source."""

MODEL_OPTIONS = ("pretext", "init_from", *PRETRAINED)
"""Options that name the model that a training run begins from."""

_OF_TRAINED = ("freeze_encoder", "freeze_layers")
"""Options that `--init_from` accepts too."""

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
    """Options for the tokenizer that a training run learns; each is an argument of `tokenizer_for`."""

    vocab_size: int | None = field(
        default=None,
        metadata={"help": "Maximum number of word pieces, without glosses; default 10,000."},
    )
    copy_names: int | None = field(
        default=None,
        metadata={
            "help": "Copy unknown nouns; learnt from nouns in at most this many sentences. Default: do not copy."
        },
    )
    analyzer: str | None = field(
        default=None,
        metadata={
            "help": "Morphological analyser; default okt. For languages other than Korean: whitespace.",
            "choices": tuple(ANALYZERS),
        },
    )


@dataclass
class WarmStartArguments:
    """Options of a training run that begins from a pre-trained encoder or seq2seq model.

    Examples:
        >>> WarmStartArguments(encoder_model_name_or_path="klue/bert-base").base
        'klue/bert-base'
    """

    USUAL: ClassVar = ("encoder_model_name_or_path", "model_name_or_path", "freeze_encoder")

    encoder_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pre-trained encoder to begin from, with a new gloss decoder: a folder or Hub repository of the "
            "BERT, RoBERTa, XLM-R, ELECTRA or DistilBERT family. Default: train from scratch."
        },
    )
    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Complete pre-trained seq2seq model to begin from: a folder or Hub repository of a BART, mBART, "
            "T5, M2M100 or Marian model. Default: train from scratch."
        },
    )
    encoder_prefix: str = field(
        default="",
        metadata={"help": 'Text that the encoder expects before each sentence, such as "query: " for E5.'},
    )
    decoder_layers: int | None = field(
        default=None, metadata={"help": "Decoder layers on a pre-trained encoder; default 2."}
    )
    fresh_layers: int = field(default=0, metadata={"help": "New layers on top of the pre-trained encoder."})
    joined_layers: list[int] = field(
        default_factory=list,
        metadata={
            "help": "Hidden states of the pre-trained encoder that are concatenated for the decoder, such as 0 4 8 12: "
            "0 for its embeddings, N for its layer N. Default: the last one only.",
        },
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "Freeze the pre-trained encoder; fresh layers are still trained."}
    )
    freeze_layers: int | None = field(
        default=None,
        metadata={"help": "Freeze the encoder's embeddings and its N lowest layers."},
    )
    encoder_learning_rate: float | None = field(
        default=None,
        metadata={"help": "Peak learning rate of the pre-trained weights; default --learning_rate."},
    )

    prune_vocabulary: list[str] = field(
        default_factory=list,
        metadata={
            "help": f"Keep only the pieces of the pre-trained model that occur in these texts: {CORPUS} for the "
            "training sentences, or files and data sets as for kgloss train-tokenizer. Default: keep all pieces.",
        },
    )

    @property
    def base(self) -> str | None:
        """The pre-trained model to begin from, or None."""
        return self.encoder_model_name_or_path or self.model_name_or_path

    @property
    def default_preset(self) -> str | None:
        """The preset where none is given: `encoder` (the decoder takes the encoder's width), `seq2seq`, or None."""
        return "encoder" if self.encoder_model_name_or_path else "seq2seq" if self.model_name_or_path else None

    def check(self, *, preset: str | None = None, **others: Any) -> None:
        """Check that the options can be combined.

        Args:
            preset: The run's preset, or None if none was given.
            **others: Options of the run that have no effect with a warm start, by name. An option that is None or False
                counts as not given.

        Raises:
            ValueError: An option has no effect, or contradicts another; the message names it.

        Examples:
            >>> WarmStartArguments(fresh_layers=1).check()
            Traceback (most recent call last):
            ...
            ValueError: --fresh_layers: expected --encoder_model_name_or_path with it, found none; add it, or leave ...
        """
        changed = [name for name, default in asdict(WarmStartArguments()).items() if getattr(self, name) != default]
        if self.freeze_encoder and self.freeze_layers is not None:
            raise ValueError(
                "--freeze_layers: expected none with --freeze_encoder, which freezes all layers; use one of the two"
            )
        if self.base is None:
            if others.get("init_from"):
                changed = [name for name in changed if name not in _OF_TRAINED]
            if changed:
                raise ValueError(
                    f"--{changed[0]}: expected --encoder_model_name_or_path with it, found none; add it, or leave "
                    f"--{changed[0]} out"
                )
            return
        if self.encoder_model_name_or_path and self.model_name_or_path:
            raise ValueError(
                "--model_name_or_path: expected none with --encoder_model_name_or_path; use one of the two"
            )
        if self.model_name_or_path:
            of_encoders = {*_OF_ENCODERS, "preset"} & {*changed, *(["preset"] if preset else [])}
            if of_encoders:
                raise ValueError(
                    f"--{min(of_encoders)}: expected none with --model_name_or_path, whose shape is fixed and which is "
                    "trained as a whole; leave it out"
                )
        if refused := [name for name, value in others.items() if value]:
            raise ValueError(
                f"--{refused[0]}: expected none with a pre-trained model, which has its own pieces and weights, "
                f"found {others[refused[0]]}; leave one of the two out"
            )
        if self.freeze_encoder and self.encoder_learning_rate is not None:
            raise ValueError(
                "--encoder_learning_rate: expected none with --freeze_encoder, which trains none of the encoder"
            )
        if self.encoder_learning_rate is not None and not self.encoder_learning_rate > 0:
            raise ValueError(f"--encoder_learning_rate: expected more than 0, found {self.encoder_learning_rate}")


@dataclass
class StartArguments(VocabularyArguments, WarmStartArguments):
    """Options for what a model begins from, its shape and its tokenizer."""

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
            "help": "Learn word pieces, or keep each word whole (the paper's small vocabulary). Default: pieces.",
            "choices": ("pieces", "words"),
        },
    )
    tokenizer: str | None = field(
        default=None,
        metadata={"help": "Tokenizer from kgloss train-tokenizer; default: learn one on the training set."},
    )
    pretext: str | None = field(
        default=None,
        metadata={
            "help": "Model from kgloss pretext to continue from, with its tokenizer. Default: train from scratch.",
        },
    )
    init_from: str | None = field(
        default=None,
        metadata={
            "help": "Trained text-to-gloss model to continue from; glosses that it lacks are added. Default: none.",
        },
    )
    num_beams: int | None = field(
        default=None,
        metadata={"help": "Number of beams of the saved model; default: that of the preset, or of --init_from."},
    )


@dataclass
class DecodingArguments:
    """Decoding settings of the trained model; a setting left out is chosen on the validation set."""

    USUAL: ClassVar = ()

    encoder_repetition_penalty: float | None = field(
        default=None,
        metadata={
            "help": "Favour glosses that are words of the sentence; 1: off. Default: chosen on the validation set.",
        },
    )
    repetition_penalty: float | None = field(
        default=None,
        metadata={"help": "Penalise repeated glosses; 1: off. Default: chosen on the validation set."},
    )

    def check(self, tokenizer: KGlossTokenizerFast | None = None) -> None:
        """Check the penalties before training.

        Args:
            tokenizer: The model's tokenizer (default: not known yet).

        Raises:
            ValueError: A penalty is not above 0, or `encoder_repetition_penalty` is not 1 for a model whose sentences
                and glosses have no ids in common.

        Examples:
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
    """Training options whose defaults differ from those of transformers, or which transformers lacks."""

    USUAL: ClassVar = ("output_dir", "learning_rate", "num_train_epochs", "per_device_train_batch_size", "seed")
    """Options that `--help` shows; `--help-all` shows the rest."""

    output_dir: str = field(default="outputs/text2gloss", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=5e-4, metadata={"help": "Peak learning rate of AdamW (paper: SGD with 1e-4)."})
    num_train_epochs: float = field(
        default=20.0, metadata={"help": "Number of passes over the training pairs (paper: 10 and 100)."}
    )
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Pairs per device and step (paper: 32)."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Sentences per device during generation."})
    warmup_steps: float = field(default=100, metadata={"help": "Number of linear warm-up steps."})
    label_smoothing_factor: float = field(default=0.1, metadata={"help": "Label smoothing (paper: 0)."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save; must agree with eval_strategy."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep: the best and the last."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Load the best checkpoint at the end."})
    metric_for_best_model: str | None = field(
        default="jaccard", metadata={"help": "Metric that chooses the best checkpoint."}
    )
    predict_with_generate: bool = field(default=True, metadata={"help": "Evaluate by generation."})
    report_to: str | None = field(default="none", metadata={"help": "Experiment trackers, such as tensorboard."})
    bf16: bool | None = field(
        default=None,
        metadata={
            "help": "Train in bfloat16 (default: where the GPU, or the CPU through AMX, computes it quickly).",
        },
    )
    loss_over: str = field(
        default="glosses",
        metadata={
            "help": "Softmax over glosses, or the whole vocabulary (paper).",
            "choices": LOSSES,
        },
    )
    batches_by_length: bool = field(
        default=True, metadata={"help": "Group pairs of similar length in each step; this reduces padding."}
    )
    seed: int = field(default=42, metadata={"help": "Seed of weights, dropout and order of pairs."})


@dataclass
class DataArguments(CorpusArguments):
    """Pairs of a training run, and what the model card states about them."""

    data_license: str | None = field(
        default=None,
        metadata={
            "help": "For the model card: licence of your corpus, as the Hub names it (cc-by-4.0), or kogl-type-0 to "
            "kogl-type-4 (with -ai if it carries the AI mark), aihub or nikl."
        },
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the model card: subject of your corpus."})


@dataclass
class ModelArguments(StartArguments):
    """Options for the model of a training run, and for how the run ends."""

    patience: int | None = field(default=None, metadata={"help": "Stop after N evaluations without improvement."})
    refit: bool = field(
        default=False,
        metadata={
            "help": "Train again on training and validation sets; the validation set chooses the number of epochs."
        },
    )
    resume: bool = field(default=False, metadata={"help": "Continue from output_dir's last checkpoint."})


@dataclass
class PretextDataArguments(PartArguments):
    """Sentences of the pretext task, and pairs whose glosses its vocabulary holds."""

    pretext_dir: str = field(
        kw_only=True, metadata={"help": "Folder from kgloss back-translate, or of the public corpora."}
    )
    pairs: str = field(
        default="backtranslation",
        metadata={
            "help": "Back-translations, or human paraphrases.",
            "choices": ("backtranslation", "paraphrase"),
        },
    )
    corpus: str = field(default="all", metadata={"help": "One of the corpora, such as parakqc, or all."})
    validation_share: float = field(default=0.3, metadata={"help": "Share of pairs that choose the checkpoint."})
    split: str = field(
        default="group",
        metadata={
            "help": "group: keep each sentence on one side. row: split at random by pair, as in the paper.",
            "choices": ("group", "row"),
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Seed of the split, independent of training."})
    data_license: str | None = field(default=None, metadata={"help": "Licence of the pairs, as in run_text2gloss.py."})
    data_domain: str | None = field(default=None, metadata={"help": "Subject of the pairs, as in run_text2gloss.py."})


@dataclass
class PretextModelArguments(VocabularyArguments):
    """Options for the model of the pretext task, and for how the run ends."""

    preset: str = field(default="small", metadata={"help": "Shape of the model.", "choices": tuple(PRESETS)})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer from kgloss train-tokenizer; default: learn one on all sentences."}
    )
    patience: int | None = field(default=None, metadata={"help": "Stop after N evaluations without improvement."})
    resume: bool = field(default=False, metadata={"help": "Continue from output_dir's last checkpoint."})


@dataclass
class TokenizerTrainingArguments(PartArguments):
    """Options of `kgloss train-tokenizer`: the corpus, the vocabulary, and the folder that `train_and_save` writes."""

    output_dir: str = field(default="outputs/tokenizer", metadata={"help": "Folder to create for the tokenizer."})
    corpus: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Text to learn from: .txt, .txt.gz, CSV, TSV, JSON Lines, Parquet or XLSX files, or data sets as "
            "NAME or NAME:CONFIGURATION. Default: the sentences of --dataset."
        },
    )
    corpus_column: str | None = field(
        default=None,
        metadata={
            "help": "Column of --corpus that holds the text (default: recognised by its name, such as text or 문장)."
        },
    )
    model: str = field(
        default="wordpiece",
        metadata={"help": "Learn word pieces, or keep words whole.", "choices": MODELS},
    )
    vocab_size: int = field(default=10_000, metadata={"help": "Maximum number of word pieces, without glosses."})
    analyzer: str = field(default=ANALYZER, metadata={"help": "Morphological analyser.", "choices": tuple(ANALYZERS)})
    normalize: bool = field(default=True, metadata={"help": "Lower-case words and drop punctuation."})
    lemmatize: bool = field(default=True, metadata={"help": "Use dictionary forms of verbs and adjectives."})
    stop_words: list[str] = field(default_factory=list, metadata={"help": "Morphemes to drop."})
    copy_names: int = field(
        default=0,
        metadata={"help": "Copy unknown nouns; learnt from nouns in at most this many sentences. 0: do not copy."},
    )
    max_length: int = field(default=128, metadata={"help": "Maximum length of the input, in tokens."})
    data_license: str | None = field(
        default=None, metadata={"help": "For the card: licence of your text, as the Hub names it (cc-by-4.0)."}
    )
    data_domain: str | None = field(default=None, metadata={"help": "For the card: subject of your text."})


@dataclass
class Table5Arguments(CorpusArguments):
    """Options of `reproduce`: the corpus, the systems and the number of runs."""

    pretext: str = field(
        kw_only=True,
        metadata={
            "help": "Model from kgloss pretext. Its vocabulary is the large one, and all systems use its analyser.",
        },
    )
    output_dir: str = field(
        default="outputs/table5", metadata={"help": "Folder for the runs, the table and the curves."}
    )
    preset: str = field(
        default="small",
        metadata={
            "help": "Shape of the three BERT models; must be that of --pretext.",
            "choices": _BERTS,
        },
    )
    optimisers: str = field(
        default="kgloss",
        metadata={
            "help": "Optimiser settings of the paper or of kgloss. Those of the paper are exact.",
            "choices": ("paper", "kgloss"),
        },
    )
    systems: list[str] = field(
        default_factory=lambda: list(SYSTEMS),
        metadata={"help": "Systems to train, out of the four.", "choices": SYSTEMS},
    )
    epochs: list[int] = field(default_factory=lambda: [10, 100], metadata={"help": "Numbers of training epochs."})
    runs: int = field(
        default=10, metadata={"help": "Number of runs of each; run N has seed and split seed N (paper: 10)."}
    )
    patience: int = field(default=10, metadata={"help": "Stop after N evaluations without improvement."})
    workers: int = field(default=1, metadata={"help": "Runs at a time, spread over the GPUs if any."})
