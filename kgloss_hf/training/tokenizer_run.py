"""Learn a tokenizer, for a run or as a separate command, and measure how well it fits its texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

from accelerate import PartialState

from ..data.language import SAMPLE, check_language
from ..data.pairs import Pair, marked_glosses
from ..data.parts import training_pairs
from ..data.texts import read_texts
from ..files import new_folder, public_path, save_folder, write_json
from ..hub.cards import tokenizer_card
from ..hub.provenance import gloss_sources, source_of
from ..models.coverage import fit, target_in_source, unknown_words
from ..models.extending import extend_tokenizer
from ..models.vocabulary import (
    check_names,
    count_words,
    distinct_glosses,
    learn_entries,
    rare_names,
    train_tokenizer,
    untrained_tokenizer,
    with_glosses,
)
from ..optional import versions
from ..reporting import Table, counted
from ..runtime.analyzers import get_analyzer
from ..runtime.normalization import normalize_line
from ..runtime.targets import RESERVED
from ..runtime.tokenization_kgloss import ANALYZER, OPTIONS, KGlossTokenizerFast
from .arguments import TokenizerTrainingArguments


def tokenizer_for(
    pairs: Sequence[Pair],
    folder: Path,
    *,
    vocab_size: int | None = None,
    vocabulary: str | None = None,
    trained: str | None = None,
    texts: Iterable[str] = (),
    copy_names: int | None = None,
    analyzer: str | None = None,
    extend: bool = False,
) -> KGlossTokenizerFast:
    """Return the run's tokenizer, which one process learns for all and which is kept for resuming.

    Args:
        pairs: Pairs to learn from, such as the training set. Their glosses are the target side.
        folder: Folder of the run.
        vocab_size: Maximum number of word pieces to learn, before glosses are added (default 10,000).
        vocabulary: `pieces` (default), or `words` to keep each word whole.
        trained: Folder or Hub repository of a tokenizer to use instead (default: none). Glosses that it does not know
            become [UNK] and are counted in a warning; see `extend`.
        texts: Further sentences to learn word pieces from, read once.
        copy_names: Learn nouns that occur in at most this many different sentences and are signed as they are written
            as the placeholder `Name` (`kgloss_hf.models.vocabulary.rare_names`); default none.
        analyzer: Name of the morphological analyser (default `okt`).
        extend: Add the glosses that a trained tokenizer lacks (`kgloss_hf.models.extending.extend_tokenizer`), report
            their number, and keep the result in the folder (default False). If the tokenizer copies names, nouns that
            occur in at most three sentences and are signed as they are written are not added.

    Raises:
        ValueError: A trained tokenizer is given together with options for learning one; or the analyser, including that
            of a trained tokenizer, does not read the language of the pairs
            (`kgloss_hf.data.language.check_language`).
    """
    learning = {"vocab_size": vocab_size, "vocabulary": vocabulary, "copy_names": copy_names, "analyzer": analyzer}
    if trained and (conflicting := [f"--{name} {value}" for name, value in learning.items() if value is not None]):
        raise ValueError(
            f"expected no options for learning a tokenizer besides the trained tokenizer {trained}, found "
            f"{', '.join(conflicting)}; leave them out"
        )
    sentences = [pair.text for pair in pairs]
    kept = folder / "tokenizer"
    if trained:
        tokenizer = KGlossTokenizerFast.from_pretrained(trained)
        check_language(tokenizer, sentences, f"training sentences, for the tokenizer of {trained}")
        return _extended(tokenizer, pairs, kept, trained) if extend else tokenizer
    analyzer = analyzer or ANALYZER
    with PartialState().main_process_first():
        if not kept.exists():
            if copy_names:
                check_names(analyzer)
            check_language(analyzer, sentences)
            tokenizer = train_tokenizer(
                chain(sentences, _checked(texts, analyzer, "more sentences for the vocabulary")),
                marked_glosses(pairs, get_analyzer(analyzer)),
                model="wordlevel" if vocabulary == "words" else "wordpiece",
                vocab_size=10_000 if vocab_size is None else vocab_size,
                analyzer=analyzer,
                copy_names=bool(copy_names),
                names=rare_names(pairs, copy_names) if copy_names else (),
            )
            save_folder(kept, tokenizer.save_pretrained)
    return KGlossTokenizerFast.from_pretrained(kept)


def _checked(texts: Iterable[str], analyzer: str, origin: str) -> Iterator[str]:
    """Return texts after checking the language of the first ones."""
    remaining = iter(texts)
    first = list(islice(remaining, SAMPLE))
    check_language(analyzer, first, origin)
    return chain(first, remaining)


def with_glosses_of(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> KGlossTokenizerFast:
    """Return a tokenizer extended by the glosses of pairs (`kgloss_hf.models.extending.extend_tokenizer`).

    Args:
        tokenizer: Tokenizer to extend. If it copies names, nouns that occur in at most three sentences and are signed
            as they are written are not added.
        pairs: Pairs with the glosses to add.

    Examples:
        >>> pairs = [Pair("몸의 형태는 12m", ("몸", "처음보는글로스", "12"))]
        >>> with_glosses_of(getfixture("tokenizer"), pairs).glosses[-1]
        '처음보는글로스'
    """
    glosses = marked_glosses(pairs, get_analyzer(tokenizer.init_kwargs.get("analyzer", ANALYZER)))
    names = set(map(normalize_line, rare_names(pairs))) if tokenizer.init_kwargs.get("copy_names") else set()
    return extend_tokenizer(tokenizer, [[gloss for gloss in distinct_glosses(glosses) if gloss not in names]])


def _extended(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair], kept: Path, origin: str) -> KGlossTokenizerFast:
    """Return a tokenizer extended by the glosses that it lacks, keep it in the run's folder, and report its fit."""
    with PartialState().main_process_first():
        if not kept.exists():
            extended = with_glosses_of(tokenizer, pairs)
            if extended.glosses == tokenizer.glosses:
                return tokenizer
            save_folder(kept, extended.save_pretrained)
    extended = KGlossTokenizerFast.from_pretrained(kept)
    added = extended.glosses[len(tokenizer.glosses) :]
    unknown, words = unknown_words(extended, [pair.text for pair in pairs])
    examples = ", ".join([*added[:3], *["…"][: len(added) > 3]])
    PartialState().print(
        f"{origin}: added {counted(len(added), 'gloss', 'glosses')} of the training pairs ({examples}) to the "
        f"{counted(len(tokenizer.glosses), 'gloss', 'glosses')} of its vocabulary. Words of the training sentences "
        f"that are or contain [UNK]: {unknown:,} of {words:,}"
    )
    return extended


def train_and_save(arguments: TokenizerTrainingArguments) -> dict[str, Any]:
    """Learn a vocabulary from a corpus that need not fit in memory, and write the tokenizer with statistics of its fit.

    Args:
        arguments: Corpus, pairs with the glosses, options, and the folder, which appears only once it is complete.

    Returns:
        The content of `statistics.json` in that folder. `vocabulary`: number of entries by kind, and number of glosses
        that were word pieces (or words) already. `corpus` and `pairs` (their sentences): sentences, blank texts, words,
        distinct words, coverage (share of words without [UNK]), tokens per sentence without [BOS] and [EOS], unknown
        rate (share of tokens that are [UNK]), placeholder rate (share of words that are `Number` or `Alpha`).
        `target_in_source`: share of the pairs' gloss tokens that are also tokens of their sentence, and the mean of
        that share over pairs (41% on average in the paper, section III.2.2). Also `data`, `arguments` and `versions`.

    Raises:
        ValueError: The folder exists already, the corpus contains no words, the analyser does not read the language of
            the corpus or the pairs, or it cannot find the names to copy. Errors of
            `kgloss_hf.data.pairs.load_pairs`, `kgloss_hf.data.texts.read_texts` and `train_tokenizer` are raised too.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     chosen = TokenizerTrainingArguments(output_dir=f"{folder}/tokenizer", model="wordlevel")
        ...     statistics = train_and_save(chosen)
        >>> statistics["corpus"]["sentences"], statistics["corpus"]["unknown_rate"]
        (357, 0.0)
    """
    folder = new_folder(arguments.output_dir)
    texts = read_texts(arguments.corpus, column=arguments.corpus_column, encoding=arguments.encoding)
    pairs = training_pairs(arguments)
    options: dict[str, Any] = {name: getattr(arguments, name) for name in OPTIONS if name != "copy_names"}
    if arguments.copy_names:
        check_names(arguments.analyzer)
    check_language(arguments.analyzer, (pair.text for pair in pairs), f"sentences of {arguments.dataset}")
    texts = _checked(texts, arguments.analyzer, f"sentences of {', '.join(arguments.corpus)}")
    of_pairs = count_words((pair.text for pair in pairs), model=arguments.model, **options)
    of_corpus = count_words(texts, model=arguments.model, **options) if arguments.corpus else of_pairs
    if not of_corpus.words:
        raise ValueError(
            f"expected Korean text in {', '.join(arguments.corpus)}, found no words (sentences: {of_corpus.sentences}, "
            f"blank lines: {of_corpus.blank}); choose other texts"
        )
    entries = learn_entries(of_corpus.words, model=arguments.model, vocab_size=arguments.vocab_size)
    glosses = marked_glosses(pairs, untrained_tokenizer(arguments.model, options).morphemes)
    names = rare_names(pairs, arguments.copy_names) if arguments.copy_names else None
    tokenizer = with_glosses(entries, glosses, arguments.model, arguments.max_length, options, names)
    shared = len(set(tokenizer.glosses).intersection(entries))
    stated: dict[str, Any] = {"license": arguments.data_license, "domain": arguments.data_domain}
    statistics = {
        "vocabulary": {
            "size": len(tokenizer),
            "special_tokens_and_placeholders": len(RESERVED),
            "word_pieces" if arguments.model == "wordpiece" else "words": len(entries),
            "glosses": len(tokenizer.glosses),
            "glosses_already_there": shared,
        },
        "corpus": fit(tokenizer, of_corpus),
        "pairs": fit(tokenizer, of_pairs),
        "target_in_source": target_in_source(tokenizer, pairs, glosses),
        "data": [
            *gloss_sources(arguments, **stated),
            *(source_of(name, "vocabulary", **stated) for name in arguments.corpus),
        ],
        "arguments": {name: _public(value) for name, value in asdict(arguments).items() if name not in stated},
        "versions": versions("tokenizers", "konlpy"),
    }

    def write(partial: Path) -> None:
        tokenizer.save_pretrained(partial)
        write_json(partial / "statistics.json", statistics)
        (partial / "README.md").write_text(tokenizer_card(partial), "utf-8")

    save_folder(folder, write)
    return statistics


def _public(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_public, value))
    return public_path(value) if isinstance(value, str) else value


def vocabulary_tables(statistics: Mapping[str, Any]) -> list[Table]:
    """Return tables of a vocabulary's entries and of how well it fits.

    Args:
        statistics: Return value of `train_and_save`.
    """
    vocabulary = [(name.replace("_", " "), f"{count:,}") for name, count in statistics["vocabulary"].items()]
    parts = (statistics["corpus"], statistics["pairs"])
    fit = [(name.replace("_", " "), *(_readable(name, part[name]) for part in parts)) for name in parts[0]]
    shared = statistics["target_in_source"]
    fit.append(("gloss tokens in the source", "", f"{shared['of_tokens']:.2%}"))
    fit.append(("gloss tokens in the source, mean over pairs", "", f"{shared['mean_of_pairs']:.2%}"))
    return [Table("Vocabulary", ("entries", "number"), vocabulary), Table("Fit", ("", "corpus", "pairs"), fit)]


def _readable(name: str, value: float) -> str:
    if name == "coverage" or name.endswith("_rate"):
        return f"{value:.2%}"
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
