"""Similarity of sentences in meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..optional import require
from ..reporting import counted


class SemanticScorer:
    """A scorer of how similar two sentences are in meaning, which uses any sentence-transformers model.

    The model is loaded at the first call, on the device that `accelerate` assigns to this process.

    Args:
        model: Name of a model on the Hub, or a folder.
        batch_size: Sentences per batch (default 64).

    Raises:
        ImportError: sentence-transformers is not installed.

    Examples:
        >>> scorer = SemanticScorer("intfloat/multilingual-e5-small")  # doctest: +SKIP
        >>> (similarity,) = scorer(["불이 났어요."], ["화재가 났습니다."])  # doctest: +SKIP
    """

    def __init__(self, model: str, batch_size: int = 64) -> None:
        require("semantic", "sentence_transformers", purpose="similarity of meaning")
        self.model = model
        self.batch_size = batch_size
        self._encoder: Any = None

    @property
    def name(self) -> str:
        """The model's name; for a folder, its last path component."""
        return Path(self.model).resolve().name if Path(self.model).is_dir() else self.model

    def __call__(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Return the cosine similarity of each source and its target, from -1 to 1, to four decimals.

        Args:
            sources: Sentences. A lone surrogate is read as a question mark.
            targets: One sentence per source.

        Raises:
            ValueError: The numbers of sources and targets differ.
        """
        if len(sources) != len(targets):
            raise ValueError(
                f"expected one target per source, found {counted(len(sources), 'source')} and "
                f"{counted(len(targets), 'target')}"
            )
        if not sources:
            return []
        number = {text: i for i, text in enumerate(dict.fromkeys([*sources, *targets]))}
        texts = [text.encode("utf-8", "replace").decode() for text in number]
        vectors = self._loaded().encode(
            texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        sides = (vectors[[number[text] for text in side]] for side in (sources, targets))
        cosines = np.einsum("ij,ij->i", *sides, dtype=np.float64)
        return [round(cosine, 4) for cosine in cosines.clip(-1, 1).tolist()]

    def _loaded(self) -> Any:
        if self._encoder is None:
            from accelerate import PartialState
            from sentence_transformers import SentenceTransformer

            self._encoder = SentenceTransformer(self.model, device=str(PartialState().device))
        return self._encoder
