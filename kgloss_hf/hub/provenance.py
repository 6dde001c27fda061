"""Describe where training data come from, for a model's card."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.repocard import metadata_load
from huggingface_hub.utils import HfHubHTTPError, HFValidationError

from ..artefacts import DATASETS, artefact
from ..data.arguments import PartArguments
from ..data.corpora import CORPORA
from ..data.lines import is_text_file
from ..data.rows import is_files
from .licences import OTHER

DOMAINS = {
    "mcksg": "museum commentary and visitor guidance: a demonstration sample that no KSL signer has reviewed",
    "gksl": "taxi rides, airports, daily life and emergencies",
    "kornli": "captions of pictures, and text of ten genres, in translation",
    "korsts": "news, captions and forums, in translation",
    "question_pair": "questions",
    "parakqc": "questions and commands",
    "stylekqc": "questions and commands, formal and informal",
    "pawsx": "Wikipedia, in translation",
}
"""Domains of the bundled data sets and of the pretext's corpora."""

_http: Any = importlib.import_module(HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
NO_ANSWER: type[Exception] = getattr(_http, "TransportError", None) or _http.RequestException
"""Error that the HTTP library of huggingface_hub, another one before version 1, raises if no server answers."""

_HUB_LICENSES = {"CC BY-SA 4.0": "cc-by-sa-4.0", "MIT": "mit", "free for any purpose": "other"}


def source_of(
    dataset: str,
    use: str = "glosses",
    *,
    data_dir: str | None = None,
    license: str | None = None,
    domain: str | None = None,
) -> dict[str, Any]:
    """Return the known facts about a corpus.

    Args:
        dataset: As for `kgloss_hf.data.pairs.load_pairs`, or one source of `read_texts`.
        use: What the corpus was used to learn: `glosses`, `pretext` or `vocabulary` (default `glosses`).
        data_dir: As for `load_pairs`. `mcksg` with a data_dir is the user's own copy, about which nothing is known.
        license: Licence of the corpus, as the Hub names it, used if no card states one.
        domain: Domain of the corpus, used if it is not known.

    Returns:
        `name`, `use`, `license`, `domain` and `url`; unknown facts are None. Folders of files are left out.

    Examples:
        >>> source_of("gksl")["license"]
        'cc-by-nc-sa-4.0'
    """
    source: dict[str, Any] = {"name": dataset, "use": use, "license": None, "domain": None, "url": None}
    files = dataset.split(",")
    name, _, configuration = dataset.partition(":")
    if any(map(is_text_file, files)) or is_files(dataset) or Path(dataset).exists():
        source["name"] = ", ".join(Path(name).name for name in files)
    elif name == "mcksg" and data_dir:
        source["name"] = "mcksg (own copy)"
    elif name == "ko_backtranslation":
        source = pretext_sources([configuration or name])[0] | {"use": use}
    elif name in DATASETS:
        card = metadata_load(artefact(f"dataset_scripts/{name}") / "README.md") or {}
        source |= {"license": card["license"], "domain": DOMAINS[name]}
        if name == "gksl":
            source["url"] = "https://github.com/AIRC-KETI/GKSL-dataset"
    else:
        source |= {"license": _license_on_the_hub(name), "url": f"https://huggingface.co/datasets/{name}"}
    defaults = {"license": license, "domain": domain}
    return source | {key: value for key, value in defaults.items() if source[key] is None}


def gloss_sources(arguments: PartArguments, **known: Any) -> list[dict[str, Any]]:
    """Return the known facts about the corpora that a run learns glosses on.

    Args:
        arguments: The data set, the files of its training, validation and test sets, and extra training pairs: a
            configuration of the same data set, or files, which count as a corpus of their own.
        **known: `license` and `domain`, as for `source_of`.

    Examples:
        >>> [source["name"] for source in gloss_sources(PartArguments(dataset="gksl", extra_train="augmented"))]
        ['gksl']
        >>> [source["name"] for source in gloss_sources(PartArguments(train="a.csv", test="b.csv"))]
        ['a.csv', 'b.csv']
    """
    extra = arguments.extra_train
    files = [arguments.train, arguments.validation, arguments.test, extra if extra and is_files(extra) else None]
    own = [] if arguments.train else [source_of(arguments.dataset, data_dir=arguments.data_dir, **known)]
    return own + [source_of(name, **known) for name in files if name]


def origins_of(folder: Path) -> set[str]:
    """Return the values of the column `origin` in the Parquet files of a folder; `unknown` for files without it.

    Args:
        folder: Folder that `kgloss export-dataset ko_backtranslation` wrote.

    Examples:
        >>> origins_of(Path(getfixture("tmp_path")))
        set()
    """
    import pyarrow.parquet as pq

    origins: set[str] = set()
    for path in sorted(folder.rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            if "origin" not in file.schema_arrow.names:
                origins.add("unknown")
                continue
            for batch in file.iter_batches(columns=["origin"]):
                origins.update(str(origin) for origin in batch.column(0).unique().to_pylist())
    return origins


def _license_on_the_hub(dataset: str) -> str | None:
    try:
        card = HfApi().dataset_info(dataset).card_data
    except (HfHubHTTPError, HFValidationError, NO_ANSWER, OSError):
        return None  # the card then asks its author
    fields: Any = card or {}
    licence = fields.get("license")
    if licence == OTHER:
        licence = fields.get("license_name") or licence
    return licence if isinstance(licence, str) else None


def pretext_sources(origins: Iterable[str]) -> list[dict[str, Any]]:
    """Return the known facts about a pretext's corpora.

    Args:
        origins: Values of the column `origin` of `ko_backtranslation`.

    Returns:
        Facts as from `source_of`, one entry per origin.

    Examples:
        >>> [(source["name"], source["license"]) for source in pretext_sources({"parakqc", "naver_ner"})]
        [('naver_ner', None), ('parakqc', 'cc-by-sa-4.0')]
    """
    sources: list[dict[str, Any]] = []
    for origin in sorted(origins):
        source = {"name": Path(origin).name, "use": "pretext", "license": None, "domain": None, "url": None}
        if corpus := CORPORA.get(origin):
            source["license"] = _HUB_LICENSES.get(corpus.licence)
            if "://" in corpus.repository:
                source |= {"domain": DOMAINS.get(origin), "url": corpus.repository}
        sources.append(source)
    return sources
