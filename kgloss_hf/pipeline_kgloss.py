"""The pipeline behind `text2text-generation` and `text-to-gloss`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import transformers
from transformers import Pipeline

from .glosses import restore_placeholders
from .tokenization_kgloss import has_analyzer


class Text2GlossPipeline(Pipeline):
    """Korean text in, Korean Sign Language glosses out.

    Returns a dict for a string and a list of dicts for a list of strings: `generated_text` holds the glosses joined by
    a space, `glosses` the list (a gloss may hold a space itself). Numbers and Latin words of the text are put back
    where the model emitted `Number` and `Alpha`; one without a counterpart stays a bare placeholder. A text without a
    word in it gives no glosses. Text beyond the model's length is cut.

    Args, on call: any of `generate`'s, such as `num_beams=1`; `batch_size`, the sentences a step (default 1).

    Raises:
        TypeError: A text is not a string, or the tokenizer is not a KGlossTokenizerFast.

    Example:
        >>> import kgloss_hf
        >>> from transformers import pipeline
        >>> text_to_gloss = pipeline("text2text-generation", model=getfixture("checkpoint"))
        >>> sorted(text_to_gloss("이 토기는 4세기에 만들어졌습니다."))
        ['generated_text', 'glosses']
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_analyzer(self.tokenizer):
            raise TypeError(
                f"expected a checkpoint with a KGlossTokenizerFast, found {type(self.tokenizer).__name__}, which would "
                "give ids without Okt; import kgloss_hf before loading the tokenizer"
            )

    def __call__(self, inputs: str | Iterable[str], **kwargs: Any) -> Any:
        if isinstance(inputs, str):
            return self([inputs], **kwargs)[0]
        if inputs is None or isinstance(inputs, (bytes, int, float)):
            raise TypeError(f"expected a string or several, found {type(inputs).__name__}")
        texts = list(inputs)
        self.tokenizer.morphemes(texts)  # one call for all words; what follows finds them cached
        return super().__call__(texts, **kwargs) if texts else []

    def _sanitize_parameters(self, **generate_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, generate_kwargs, {}

    def preprocess(self, text: str, **_: Any) -> dict[str, Any]:
        return {**self.tokenizer(text, truncation=True, return_tensors="pt"), "text": text}

    def _forward(self, inputs: dict[str, Any], **generate_kwargs: Any) -> dict[str, Any]:
        text = inputs.pop("text")
        return {"sequences": self.model.generate(**inputs, **generate_kwargs), "text": text}

    def postprocess(self, outputs: dict[str, Any], **_: Any) -> dict[str, Any]:
        if not self.tokenizer.words([outputs["text"]])[0]:
            return {"generated_text": "", "glosses": []}
        tokens = self.tokenizer.convert_ids_to_tokens(outputs["sequences"][0], skip_special_tokens=True)
        glosses = restore_placeholders(tokens, self.tokenizer.morphemes([outputs["text"]])[0])
        return {"generated_text": " ".join(glosses), "glosses": glosses}


class Text2TextPipeline(Text2GlossPipeline):
    """`text2text-generation` with this plug-in: ours for our checkpoints, the stock one for all others."""

    def __new__(cls, *args: Any, tokenizer: Any = None, **kwargs: Any) -> Any:
        stock = getattr(transformers, "Text2TextGenerationPipeline", None)
        if stock is None or has_analyzer(tokenizer):
            return super().__new__(cls)
        return stock(*args, tokenizer=tokenizer, **kwargs)
