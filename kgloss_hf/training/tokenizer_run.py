"""Learn a tokenizer for a run, or as a command of its own, and measure how well it fits."""

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
from ..reporting import Table
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
    """Return the run's tokenizer, which one process learns for all, and which is kept for a resumed run.

    Args:
        pairs: What it is learnt on, such as the training part alone. Their glosses are its target side.
        folder: The run's.
        vocab_size: Word pieces to learn at most, before glosses (default 10,000).
        vocabulary: `pieces` (default), or `words`, each word whole.
        trained: Folder or Hub repository of a tokenizer to take instead (default: none). A gloss that it does not know
            becomes [UNK], which is counted in a warning; see `extend`.
        texts: More sentences to learn word pieces on, read once.
        copy_names: Nouns in at most this many different sentences that are signed as they are written are learnt as
            the placeholder `Name` (`kgloss_hf.models.vocabulary.rare_names`); default none.
        analyzer: Name of the morphological analyser (default `okt`).
        extend: Add the glosses that a trained tokenizer lacks (`kgloss_hf.models.extending.extend_tokenizer`), say how
            many, and keep the result in the folder (default False). Where it copies names, nouns in at most three
            sentences that are signed as they are written are left to that.

    Raises:
        ValueError: A trained tokenizer is given, and how to learn one; or the analyser, also that of a trained
            tokenizer, does not read the language of the pairs (`kgloss_hf.data.language.check_language`).
    """
    how = {"vocab_size": vocab_size, "vocabulary": vocabulary, "copy_names": copy_names, "analyzer": analyzer}
    if trained and (given := [f"--{name} {value}" for name, value in how.items() if value is not None]):
        raise ValueError(
            f"expected options of training alone, found {', '.join(given)}, which a tokenizer is learnt with, beside "
            f"the trained one of {trained}; leave them out"
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
    """Return texts, of which the first were checked for their language."""
    remaining = iter(texts)
    first = list(islice(remaining, SAMPLE))
    check_language(analyzer, first, origin)
    return chain(first, remaining)


def with_glosses_of(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> KGlossTokenizerFast:
    """Return a tokenizer that has the glosses of pairs too (`kgloss_hf.models.extending.extend_tokenizer`).

    Args:
        tokenizer: The tokenizer. Where it copies names, nouns in at most three sentences that are signed as they are
            written are left to that.
        pairs: The pairs.

    Example:
        >>> pairs = [Pair("몸의 형태는 12m", ("몸", "처음보는글로스", "12"))]
        >>> with_glosses_of(getfixture("tokenizer"), pairs).glosses[-1]
        '처음보는글로스'
    """
    glosses = marked_glosses(pairs, get_analyzer(tokenizer.init_kwargs.get("analyzer", ANALYZER)))
    names = set(map(normalize_line, rare_names(pairs))) if tokenizer.init_kwargs.get("copy_names") else set()
    return extend_tokenizer(tokenizer, [[gloss for gloss in distinct_glosses(glosses) if gloss not in names]])


def _extended(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair], kept: Path, origin: str) -> KGlossTokenizerFast:
    """Return a tokenizer with the glosses that it lacks, kept in the run's folder, and say how well it fits."""
    with PartialState().main_process_first():
        if not kept.exists():
            extended = with_glosses_of(tokenizer, pairs)
            if extended.glosses == tokenizer.glosses:
                return tokenizer
            save_folder(kept, extended.save_pretrained)
    extended = KGlossTokenizerFast.from_pretrained(kept)
    added = extended.glosses[len(tokenizer.glosses) :]
    unknown, words = unknown_words(extended, [pair.text for pair in pairs])
    PartialState().print(
        f"{origin}: the training pairs have {len(added):,} glosses that its vocabulary of {len(tokenizer.glosses):,} "
        f"glosses lacked, such as {', '.join(added[:3])}; they were added. Of the {words:,} words of their sentences "
        f"{unknown:,} are [UNK] to it, or hold [UNK]"
    )
    return extended


def train_and_save(arguments: TokenizerTrainingArguments) -> dict[str, Any]:
    """Learn a vocabulary on a corpus that need not fit in memory, and write the tokenizer and how well it fits.

    Args:
        arguments: Corpus, pairs with the glosses, options and the folder, which appears only once it is complete.

    Returns:
        What `statistics.json` in that folder holds. `vocabulary`: entries by kind, and how many glosses were word
        pieces (or words) already. `corpus` and `pairs` (its sentences): sentences, blank texts, words, different
        words, coverage (share of words without [UNK]), tokens per sentence without [BOS] and [EOS], unknown rate (share
        of tokens that are [UNK]), placeholder rate (share of words that are `Number` or `Alpha`). `target_in_source`:
        the share of the pairs' gloss tokens that are also a token of their sentence, and the mean of that share over
        pairs (41% on average in the paper, section III.2.2). `arguments` and `versions`.

    Raises:
        ValueError: The folder is there already, or the corpus holds no words, or the analyser does not read the
            language of corpus or pairs, or it finds no names to copy; and whatever
            `kgloss_hf.data.pairs.load_pairs`, `kgloss_hf.data.texts.read_texts` and `train_tokenizer` raise.

    Example:
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
    counted = count_words(texts, model=arguments.model, **options) if arguments.corpus else of_pairs
    if not counted.words:
        raise ValueError(
            f"no words in {', '.join(arguments.corpus)} ({counted.sentences} sentences, {counted.blank} blank lines); "
            "expected Korean text"
        )
    entries = learn_entries(counted.words, model=arguments.model, vocab_size=arguments.vocab_size)
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
        "corpus": fit(tokenizer, counted),
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
        statistics: As `kgloss_hf.training.tokenizer_run.train_and_save` returns them.
    """
    vocabulary = [(name.replace("_", " "), f"{count:,}") for name, count in statistics["vocabulary"].items()]
    parts = (statistics["corpus"], statistics["pairs"])
    fit = [(name.replace("_", " "), *(_readable(name, part[name]) for part in parts)) for name in parts[0]]
    shared = statistics["target_in_source"]
    fit.append(("gloss tokens in the source", "", f"{shared['of_tokens']:.2%}"))
    fit.append(("the same, mean of pairs", "", f"{shared['mean_of_pairs']:.2%}"))
    return [Table("Vocabulary", ("entries", "number"), vocabulary), Table("Fit", ("", "corpus", "pairs"), fit)]


def _readable(name: str, value: float) -> str:
    if name == "coverage" or name.endswith("_rate"):
        return f"{value:.2%}"
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
