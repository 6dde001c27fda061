"""Registration with other libraries. No other file changes their registries.

`import kgloss_hf` calls `register`, which imports none of these libraries. Each one is extended right after its own
first import, or at once if it is already imported, so the order of imports does not matter.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .artefacts import DATASETS, METRIC, MODELS, artefact
from .version import __version__

logger = logging.getLogger(__name__)

_SCRIPTS = "kgloss_hf.dataset_scripts"
_PIPELINE = "kgloss_hf.runtime.pipeline_kgloss"
_RNN = "kgloss_hf.runtime.modeling_rnn"
_JOINED = "kgloss_hf.runtime.modeling_joined"
_HASHED = (".py", ".csv", ".jsonl")


def register() -> None:
    """Extend the libraries that are imported now, and the others once they are. Calling it again changes nothing.

    `datasets` then loads the names in `DATASETS`, in both of its generations: `load_dataset`, `load_dataset_builder`,
    `get_dataset_config_names` and similar functions accept the bare names, with configurations, `data_dir`, `streaming`
    and `num_proc`. A local folder of the same name takes precedence, with a warning. The builders' modules are
    importable as `kgloss_hf.dataset_scripts.NAME.NAME`, so that worker processes can unpickle them.

    `evaluate.load` accepts the metric's name, `gloss_jaccard`, unless a local folder of that name holds a metric.

    `transformers` loads our tokenizer and models by its Auto classes, and our checkpoints by `pipeline`. The task is
    `text2text-generation`, which the current generation no longer has, or `text-to-gloss`. The script era has its own
    pipeline for the former, which continues to serve checkpoints that are not ours. The configuration of an
    encoder-decoder is checked when it is read, because some configurations describe no model that could be built
    (`check_configuration`).

    Examples:
        >>> register()
        >>> from datasets import get_dataset_config_names
        >>> get_dataset_config_names("gksl")
        ['original', 'augmented']
        >>> from transformers.pipelines import PIPELINE_REGISTRY
        >>> PIPELINE_REGISTRY.check_task("text-to-gloss")[0]
        'text-to-gloss'
    """
    if _SCRIPTS not in sys.modules:
        # In a checkout the folder lies next to the package, where the import system would not look for it.
        spec = ModuleSpec(_SCRIPTS, None, is_package=True)
        spec.submodule_search_locations = [str(artefact("dataset_scripts"))]
        sys.modules[_SCRIPTS] = module_from_spec(spec)
    _when_imported("datasets", _extend_datasets)
    _when_imported("evaluate", _extend_evaluate)
    _when_imported("transformers.models.auto.configuration_auto", _register_configuration)
    _when_imported("transformers.models.encoder_decoder.configuration_encoder_decoder", _check_encoder_decoders)
    _when_imported("transformers.models.auto.tokenization_auto", _register_tokenizer)
    # Our modules import theirs, so whichever comes first, registration waits for ours to be complete.
    for model in MODELS.values():
        module, name = f"kgloss_hf.runtime.{model}".rsplit(".", 1)
        _when_imported(module, partial(_register_model, module, name))
    _when_imported("transformers.models.auto.modeling_auto", partial(importlib.import_module, _RNN))
    _when_imported(_PIPELINE, _register_pipelines)
    _when_imported("transformers.pipelines", partial(importlib.import_module, _PIPELINE))


def _register_configuration() -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    from .runtime.configuration_kgloss import KGlossJoinedConfig, KGlossRnnConfig

    for config in (KGlossJoinedConfig, KGlossRnnConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)
    original: Any = KGlossJoinedConfig.__init__

    @wraps(original)
    def with_model(self: Any, *args: Any, **kwargs: Any) -> None:
        importlib.import_module(_JOINED)
        original(self, *args, **kwargs)

    # This model consists of others, which cannot be imported while transformers imports its Auto classes. Loading such
    # a model always creates its configuration first.
    if not hasattr(original, "__wrapped__"):
        type.__setattr__(KGlossJoinedConfig, "__init__", with_model)


def _check_encoder_decoders() -> None:
    """Make configurations of impossible shapes fail when they are read; `pipeline` would never finish building them."""
    from transformers.models.encoder_decoder.configuration_encoder_decoder import EncoderDecoderConfig

    from .runtime.configuration_kgloss import check_configuration

    original = EncoderDecoderConfig.from_dict.__func__

    @wraps(original)
    def from_dict(cls: type, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        check_configuration(config_dict)
        return original(cls, config_dict, **kwargs)

    if "from_dict" not in vars(EncoderDecoderConfig):
        EncoderDecoderConfig.from_dict = classmethod(from_dict)


def _register_tokenizer() -> None:
    from transformers.models.auto.tokenization_auto import AutoTokenizer

    from .runtime.configuration_kgloss import KGlossConfig, KGlossJoinedConfig, KGlossRnnConfig
    from .runtime.tokenization_kgloss import KGlossTokenizerFast

    for config in (KGlossConfig, KGlossJoinedConfig, KGlossRnnConfig):
        AutoTokenizer.register(config, fast_tokenizer_class=KGlossTokenizerFast, exist_ok=True)


def _register_model(module: str, name: str) -> None:
    from transformers.models.auto.configuration_auto import AutoConfig
    from transformers.models.auto.modeling_auto import AutoModelForSeq2SeqLM

    model = getattr(importlib.import_module(module), name)
    AutoConfig.register(model.config_class.model_type, model.config_class, exist_ok=True)
    AutoModelForSeq2SeqLM.register(model.config_class, model, exist_ok=True)


def _register_pipelines() -> None:
    from transformers import AutoModelForSeq2SeqLM, pipelines

    from .runtime.pipeline_kgloss import Text2GlossPipeline, text2text_pipeline

    getattr(pipelines, "REMOVED_TASKS", {}).pop("text2text-generation", None)
    for task, pipeline_class in (("text2text-generation", text2text_pipeline), ("text-to-gloss", Text2GlossPipeline)):
        entry = {"impl": pipeline_class, "pt": (AutoModelForSeq2SeqLM,), "tf": (), "type": "text"}
        known = pipelines.PIPELINE_REGISTRY.supported_tasks.get(task, {})
        pipelines.PIPELINE_REGISTRY.supported_tasks[task] = {**known, **entry}


def _extend_datasets() -> None:
    # Both modules hold a reference to the function.
    _wrap("datasets.load", "dataset_module_factory", _with_our_names)
    _wrap("datasets.inspect", "dataset_module_factory", _with_our_names)
    if hasattr(importlib.import_module("datasets.streaming"), "lock_importable_file"):  # the script era
        _wrap("datasets.streaming", "lock_importable_file", _without_lock)


def _extend_evaluate() -> None:
    for module in ("evaluate.loading", "evaluate.inspect"):
        _wrap(module, "evaluation_module_factory", _with_our_metric)


def _wrap(module_name: str, function: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a module's function with a wrapper around it, once."""
    module = importlib.import_module(module_name)
    original = getattr(module, function)
    if not hasattr(original, "_wrapped_by_kgloss_hf"):
        wrapped = wraps(original)(wrapper(original))
        vars(wrapped)["_wrapped_by_kgloss_hf"] = True
        vars(module)[function] = wrapped


def _with_our_names(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return `datasets.load.dataset_module_factory`, extended by the names in `DATASETS`."""

    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        ours = path in DATASETS
        if ours and Path(path).is_dir() and Path(path).resolve() != artefact(f"dataset_scripts/{path}"):
            logger.warning(
                "The local folder %s/ takes precedence over the data set %r of kgloss-hf. "
                "To load the latter, rename the folder or change the working directory.",
                path,
                path,
            )
        elif ours:
            from datasets.load import DatasetModule

            if (revision := kwargs.get("revision", args[0] if args else None)) is not None:
                raise _no_revision(path, revision)

            return DatasetModule(f"{_SCRIPTS}.{path}.{path}", _fingerprint(path), {"dataset_name": path})
        return factory(path, *args, **kwargs)

    return dataset_module_factory


def _with_our_metric(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return `evaluate.loading.evaluation_module_factory`, extended by the name of our metric."""

    def evaluation_module_factory(
        path: str, module_type: str | None = None, revision: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if path == METRIC and not Path(path, f"{path}.py").is_file():  # a local folder keeps precedence
            if revision is not None:
                raise _no_revision(path, revision)
            path = str(artefact(f"metric_scripts/{path}"))
        return factory(path, module_type, revision, *args, **kwargs)

    return evaluation_module_factory


def _no_revision(name: str, revision: Any) -> ValueError:
    return ValueError(
        f"{name} comes with kgloss-hf {__version__} and has no other revision, found {revision!r}; leave it out, or "
        "install the version of kgloss-hf that you want"
    )


def _without_lock(lock: Callable[..., Any]) -> Callable[..., Any]:
    """Return `datasets.streaming.lock_importable_file`, without locks for our scripts.

    It guards the scripts that `datasets` copies into its cache by a lock file next to them. Our scripts stay where they
    were installed, and the user may not be allowed to write there.
    """

    def lock_importable_file(file: str) -> Any:
        return nullcontext() if Path(file).is_relative_to(artefact("dataset_scripts")) else lock(file)

    return lock_importable_file


def _fingerprint(name: str) -> str:
    """Return the hash under which `datasets` caches a data set; it changes with the script and the data next to it.

    The major version of `datasets` is part of the hash because both generations share a cache and 3.x cannot read what
    5.x writes there. The user's own files are part of the configuration's identifier, which the builders create.
    """
    import datasets

    digest = hashlib.sha256(datasets.__version__.partition(".")[0].encode())
    for file in sorted(artefact(f"dataset_scripts/{name}").iterdir()):
        if file.suffix in _HASHED:
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _when_imported(module_name: str, callback: Callable[[], object]) -> None:
    """Call `callback` now if the module is imported, else right after its first import; twice if registered twice."""
    if module_name in sys.modules:
        callback()
        return
    _IMPORTS.callbacks.setdefault(module_name, []).append(callback)
    if _IMPORTS not in sys.meta_path:
        sys.meta_path.insert(0, _IMPORTS)


class _ImportHook(MetaPathFinder):
    """Finder that leaves finding a module to the other finders, and has callbacks run after the module's code."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Callable[[], object]]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.callbacks:
            return None
        finders = sys.meta_path[sys.meta_path.index(self) + 1 :]
        specs = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((candidate for candidate in specs if candidate is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _CallingLoader(spec.loader, self.callbacks)
        return spec


class _CallingLoader(Loader):
    """A module's own loader that then runs the callbacks for the module, once, even if the module is reloaded."""

    def __init__(self, loader: Loader, callbacks: dict[str, list[Callable[[], object]]]) -> None:
        self.loader = loader
        self.callbacks = callbacks

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # inspect and importlib.resources want the module's own loader.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        for callback in self.callbacks.pop(module.__name__, []):
            callback()


_IMPORTS = _ImportHook()
