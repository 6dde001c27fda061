"""Starting points of a training run: none, a pretext model, a trained model, or a pre-trained model from the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..data.pairs import Pair
from ..files import check_model
from ..models.modeling import PRESETS, build_model, transfer
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from . import continued
from .arguments import MODEL_OPTIONS, PRETRAINED, StartArguments
from .record import digest_of_checkpoint
from .run import run_of
from .tokenizer_run import tokenizer_for
from .warm import base_facts, freeze_trained, learning_rates_of, warm_model_for, warm_tokenizer_for


class Start:
    """Starting point of a run.

    Args:
        arguments: Options of the run.

    Raises:
        ValueError: Options contradict each other or the model that the run begins from, and the message names them; or
            a folder holds no model.
        FileNotFoundError: A folder does not exist.

    Examples:
        >>> Start(StartArguments(preset="rnn")).preset
        'rnn'
    """

    def __init__(self, arguments: StartArguments) -> None:
        self.arguments = arguments
        names = ("pretext", "tokenizer", "vocab_size", "vocabulary")
        options = {name: getattr(arguments, name) for name in names}
        arguments.check(preset=arguments.preset, **options, init_from=arguments.init_from)
        for option in MODEL_OPTIONS:
            check_model(getattr(arguments, option), f"--{option}", owned=option not in PRETRAINED)
        check_model(arguments.tokenizer, "--tokenizer", "tokenizer_config.json")
        self.origin = arguments.init_from or arguments.pretext
        use = "glosses" if arguments.init_from else "pretext"
        self.before: dict[str, Any] = run_of(self.origin, use) if self.origin else {"data": [], "preset": None}
        self.preset = arguments.preset or self.before["preset"] or arguments.default_preset or "tiny"
        if arguments.init_from:
            options |= {name: getattr(arguments, name) for name in ("copy_names", "analyzer")}
            self.preset = continued.check_options(arguments.init_from, self.before, arguments.preset, options)
        self.base = base_facts(arguments)

    def digests(self) -> dict[str, dict[str, Any]]:
        """Return hashes of the checkpoints that the run begins from, by their role."""
        arguments = self.arguments
        named = {
            "tokenizer": arguments.tokenizer,
            "pretext": arguments.pretext,
            "init_from": arguments.init_from,
            "base model": arguments.base,
        }
        return {name: digest_of_checkpoint(checkpoint) for name, checkpoint in named.items() if checkpoint}

    def tokenizer(self, pairs: Sequence[Pair], folder: Path) -> KGlossTokenizerFast:
        """Return the run's tokenizer, which is kept in the run's folder for resuming.

        Args:
            pairs: Training set.
            folder: Folder of the run.
        """
        arguments = self.arguments
        names, analyzer = arguments.copy_names, arguments.analyzer
        if self.base:
            return warm_tokenizer_for(pairs, folder, arguments, copy_names=names, analyzer=analyzer)
        return tokenizer_for(
            pairs,
            folder,
            vocab_size=arguments.vocab_size,
            vocabulary=arguments.vocabulary,
            trained=arguments.tokenizer or self.origin,
            extend=self.origin is not None,
            copy_names=names,
            analyzer=analyzer,
        )

    def model(
        self, tokenizer: KGlossTokenizerFast, types: Mapping[str, str], longest: int, *, trains: bool = True
    ) -> PreTrainedModel:
        """Return the model before the first step.

        Args:
            tokenizer: Tokenizer returned by `tokenizer`.
            types: Types of the glosses, which are saved with the model for a signing avatar that plays its output.
            longest: Number of tokens of the longest target.
            trains: Whether a training step will follow. If not, a trained model keeps its answers.
        """
        arguments = self.arguments
        if arguments.init_from:
            model = continued.continued_model(
                arguments.init_from, tokenizer, types, num_beams=arguments.num_beams, release=trains
            )
            continued.make_room(model, longest)
            freeze_trained(model, tokenizer, arguments)
            return model
        if self.base:
            model = warm_model_for(tokenizer, arguments, arguments.preset, arguments.num_beams)
        else:
            model = build_model(self.preset, tokenizer, num_beams=arguments.num_beams)
        if arguments.pretext:
            transfer(model, tokenizer, arguments.pretext)
        model.config.gloss_types = types
        # An untrained model would generate up to the limit at every evaluation, far beyond the learnt lengths.
        model.generation_config.max_length = min(model.generation_config.max_length, 2 * longest)
        return model

    def training_options(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return the arguments of `kgloss_hf.training.trainer.build_trainer` that depend on the starting point.

        Args:
            model: Model returned by `model`.
        """
        shared = not self.base and self.preset in PRESETS and PRESETS[self.preset].share_embeddings
        if self.arguments.init_from:
            shared = continued.shares_embeddings(model)
        return {"share_embeddings": shared, "learning_rates": learning_rates_of(model, self.arguments)}

    def facts(self, tokenizer: KGlossTokenizerFast, sources: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the entries of metrics.json about the starting point.

        Args:
            tokenizer: The run's tokenizer.
            sources: Corpora of the run, to which those of the starting point are added.
        """
        arguments, facts = self.arguments, dict(self.base)
        earlier = self.before["data"]
        if arguments.init_from:
            facts["init_from"] = continued.facts_of(arguments.init_from, self.before, tokenizer)
            earlier = continued.earlier_data(earlier, sources)
        elif arguments.pretext:
            on_the_hub = None if Path(arguments.pretext).exists() else arguments.pretext
            facts["pretext"] = {"base_model": on_the_hub, "command": self.before["command"]}
            earlier = continued.other_data(earlier, sources)
        return {"preset": self.preset, **facts, "data": [*sources, *earlier, *self.base.values()]}
