"""Demo of the metric for pasted glosses, one sequence per line; evaluate's own widget does not run on Gradio 6."""

from __future__ import annotations

import html
from typing import Any

from kgloss_hf.evaluation.metrics import jaccard_result, jaccard_scores

EXAMPLE = ("집 불\n나라 박물관 높이", "불 집 나다 빨리\n나라 박물관 높이")

LIMIT = 500_000
"""Maximum number of characters per side: some ten thousand sequences."""


def score(predictions: str, references: str, multiset: bool = False) -> tuple[float, str, str, list[list[str | float]]]:
    """Score pasted glosses.

    Args:
        predictions: One gloss sequence per line, with spaces between glosses; an empty line is an empty sequence.
        references: One gloss sequence per prediction, in the same form.
        multiset: Count repetitions.

    Returns:
        The mean score, from 0 to 100; its 95% interval; its signature; prediction, reference and score of each line.

    Raises:
        ValueError: There are no lines, more characters than `LIMIT`, or not as many references as predictions.

    Examples:
        >>> score("집 불", "불")[0]
        50.0
    """
    if (longest := max(len(predictions), len(references))) > LIMIT:
        raise ValueError(f"expected at most {LIMIT:,} characters, found {longest:,}; use kgloss evaluate for more")
    sides = predictions.splitlines(), references.splitlines()
    result = jaccard_result(*sides, multiset=multiset, resamples=1000)
    scores = (100 * jaccard_scores(*sides, multiset=multiset)).round(2).tolist()
    rows: list[list[str | float]] = [list(row) for row in zip(*sides, scores, strict=True)]
    return round(result["jaccard"], 2), f"{result['low']:.2f} – {result['high']:.2f}", result["signature"], rows


def build() -> Any:
    """Return the app as Gradio blocks; its API is `/score`."""
    import gradio

    def answer(predictions: str, references: str, multiset: bool) -> Any:
        try:
            return score(predictions, references, multiset)
        except ValueError as error:
            # Gradio shows messages as HTML.
            raise gradio.Error(html.escape(str(error))) from error

    with gradio.Blocks(title="Gloss Jaccard") as app:
        gradio.Markdown(
            "# Gloss Jaccard\nHow far two gloss sequences agree as sets of glosses. Write one sequence per line."
        )
        with gradio.Row():
            predictions = gradio.Textbox(EXAMPLE[0], label="Predictions", lines=6)
            references = gradio.Textbox(EXAMPLE[1], label="References", lines=6)
        multiset = gradio.Checkbox(label="Count repetitions")
        button = gradio.Button("Score", variant="primary")
        with gradio.Row():
            mean = gradio.Number(label="Jaccard × 100")
            interval = gradio.Textbox(label="95% interval")
            signature = gradio.Textbox(label="Signature")
        # Columns of type str are shown as they are, not as HTML.
        lines = gradio.Dataframe(headers=["prediction", "reference", "score"], datatype=["str", "str", "number"])
        outputs = [mean, interval, signature, lines]
        button.click(answer, [predictions, references, multiset], outputs, api_name="score")
    return app.queue(default_concurrency_limit=1, max_size=32)


if __name__ == "__main__":
    build().launch(max_file_size=0)  # Gradio accepts uploads on any page; this one needs none
