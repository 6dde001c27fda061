"""Demo of `text-to-gloss` that shows the Korean Sign Language glosses of a sentence and the source of each gloss.

python examples/space/app.py outputs/demo/model [--host 0.0.0.0] [--port 8080]
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from kgloss_hf.runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE

LIMIT = 500
"""Maximum number of characters in a sentence."""

SEQUENCES = 5

EXAMPLES = (
    "이 토기는 4세기에 만들어졌습니다.",
    "2층 전시실에서 청자를 볼 수 있습니다.",
    "QR 코드를 스캔하면 수어 해설을 볼 수 있습니다.",
)

LANGUAGES = {"en": "English", "ko": "한국어"}

COLOURS = {
    "sign_word": ("#dbeafe", "#1e3a8a"),
    "similar_word": ("#ccfbf1", "#134e4a"),
    "iconic": ("#fef3c7", "#78350f"),
    "fingerspelling": ("#ede9fe", "#4c1d95"),
    "fingerspelled_number": ("#fce7f3", "#831843"),
    "non_manual": ("#ecfccb", "#365314"),
    UNKNOWN_TYPE: ("#e5e7eb", "#1f2937"),
}
"""Background and text colours of the chips of each type; the dark theme swaps them."""

TYPE_NAMES = {
    "en": {
        "sign_word": "sign word",
        "similar_word": "similar word",
        "iconic": "iconic",
        "fingerspelling": "fingerspelling",
        "fingerspelled_number": "fingerspelled number",
        "non_manual": "non-manual",
        UNKNOWN_TYPE: "type unknown",
    },
    "ko": {
        "sign_word": "수어 단어",
        "similar_word": "유사어",
        "iconic": "도상 수어",
        "fingerspelling": "지문자",
        "fingerspelled_number": "지숫자",
        "non_manual": "비수지 신호",
        UNKNOWN_TYPE: "유형 미상",
    },
}

WORDS = {
    "en": {
        "title": "Korean text to Korean Sign Language glosses",
        "intro": "Enter a Korean sentence to get its glosses, the written names of signs, in signing order.",
        "note": "Glosses are not a signed language: they leave out face, body and space. Consult signers before use.",
        "language": "Language · 언어",
        "text": "Korean sentence",
        "limit": f"Up to {LIMIT} characters. Press Enter to translate.",
        "fingerspell": "Fingerspell numbers, Latin words and unknown nouns",
        "translate": "Translate",
        "examples": "Examples",
        "sentence": "Sentence",
        "glosses": "Glosses",
        "count": "Number of glosses: {count}",
        "hint": "Point at a gloss, or move to it with the Tab key, to highlight the word it comes from.",
        "unknown": "The model does not know these words, so the glosses may be wrong: {words}",
        "copy": "Copy glosses",
        "json": "JSON, as returned by the API and kgloss translate",
        "alternatives": "Most probable sequences",
        "rank": "Rank",
        "score": "Score",
        "legend": "Colours and marks",
        "from": "from {source}",
        "unresolved": "no source",
        "unresolved_long": "the sentence has no content for this placeholder",
        "fallback": "fallback",
        "fallback_long": "fingerspelled because there is no gloss",
        "empty": "Enter a Korean sentence first.",
        "none": "No glosses: the model found nothing to sign in this text.",
        "too_long": "The text has {count} characters; at most {limit} can be translated. Please shorten it.",
        "failed": "The model cannot translate this text: {reason}",
    },
    "ko": {
        "title": "한국어–한국수어 글로스 번역",
        "intro": "한국어 문장을 입력하면 글로스(수어 단어의 이름)를 수어 어순대로 보여 드립니다.",
        "note": "글로스는 수어가 아닙니다. 표정과 몸짓 같은 비수지 신호와 공간 활용은 나타내지 못합니다. "
        "사용하기 전에 수어 사용자에게 확인해 주시기 바랍니다.",
        "language": "언어 · Language",
        "text": "한국어 문장",
        "limit": f"최대 {LIMIT}자까지 입력할 수 있습니다. Enter 키를 누르면 번역합니다.",
        "fingerspell": "숫자, 로마자, 모델이 모르는 명사를 지문자와 지숫자로 표기하기",
        "translate": "번역하기",
        "examples": "예문",
        "sentence": "문장",
        "glosses": "글로스",
        "count": "글로스 개수: {count}개",
        "hint": "글로스에 마우스를 올리거나 Tab 키로 이동하면 그 글로스의 바탕이 된 단어를 표시합니다.",
        "unknown": "모델이 모르는 단어가 있어 글로스가 정확하지 않을 수 있습니다: {words}",
        "copy": "글로스 복사",
        "json": "JSON (API와 kgloss translate의 출력 형식)",
        "alternatives": "확률이 가장 높은 글로스열",
        "rank": "순위",
        "score": "점수",
        "legend": "색상과 기호",
        "from": "원문: {source}",
        "unresolved": "원문 없음",
        "unresolved_long": "이 자리에 넣을 내용이 문장에 없습니다",
        "fallback": "대체 표기",
        "fallback_long": "글로스가 없어 지문자나 지숫자로 표기했습니다",
        "empty": "먼저 한국어 문장을 입력해 주십시오.",
        "none": "글로스가 없습니다. 모델이 이 글에서 수어로 표현할 내용을 찾지 못했습니다.",
        "too_long": "입력한 글은 {count}자입니다. 최대 {limit}자까지 번역할 수 있으니 글을 줄여 주십시오.",
        "failed": "모델이 이 글을 번역하지 못했습니다: {reason}",
    },
}

MARKS = {"unresolved": "?", "fallback": "*"}
"""Marks of glosses, as `GlossSequence` prints them."""

# Invisible characters that may reorder the text after them: control characters and direction marks.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_HIGHLIGHT = "background: #fde047; color: #1f2937; text-decoration: underline 3px; text-underline-offset: 5px;"

CSS = """
footer, footer * { color: var(--body-text-color) !important; opacity: 1 !important; }
.kg h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
.kg h2 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
.kg p { margin: .3rem 0; }
.kg-note { border-left: 4px solid #b45309; padding: .2rem .8rem; }
.kg-alert { border: 2px solid #b91c1c; border-radius: 8px; padding: .6rem .9rem; overflow-wrap: anywhere; }
.kg-sentence { font-size: 1.4rem; line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere; }
.kg-sentence, .kg-chip, .kg-alert, .kg-scroll { overflow-y: clip; } /* stacked combining marks */
.kg-sentence span { border-radius: 4px; padding: 2px 0; }
.kg ol, .kg ul { list-style: none; padding: 0; margin: .4rem 0; display: flex; flex-wrap: wrap; gap: .6rem; }
.kg ol > li, .kg ul > li { margin: 0; }
.kg-chip { background: var(--kg-back); color: var(--kg-front); border: 2px solid var(--kg-front); border-radius: 10px;
  padding: .35rem .8rem; text-align: center; overflow-wrap: anywhere; min-width: 0; }
.kg-chip b, .kg-chip small { display: block; color: inherit; }
.kg-chip b { font-size: 1.15rem; }
.kg-chip small { font-size: .8rem; }
.kg-chip:is(:hover, :focus) { outline: 3px solid var(--kg-front); outline-offset: 2px; }
.kg-unresolved { border-style: dotted; border-width: 3px; }
.kg-fallback { border-style: dashed; border-width: 3px; }
.kg-legend .kg-chip { font-size: .85rem; padding: .1rem .6rem; }
.kg-scroll { overflow-x: auto; }
#json * { color: var(--body-text-color) !important; }
#copy[data-copied]::after { content: " ✓"; }
/* On a phone, the answer must be visible below the field, and there is no pointer. */
@media (max-width: 640px) {
  .kg h1 { font-size: 1.15rem; margin: 0; }
  .kg h2 { font-size: .95rem; margin: .5rem 0 .2rem; }
  .kg-wide, .kg-note-top { display: none; }
  .kg-sentence { font-size: 1.1rem; line-height: 1.6; }
  .kg-chip { padding: .15rem .5rem; }
  #language .wrap { flex-wrap: nowrap; }
}
@media (min-width: 641px) { .kg-note-below { display: none; } }
.kg table { border-collapse: collapse; width: 100%; margin: 0; }
.kg table th, .kg table td { border: 0; border-bottom: 1px solid var(--border-color-primary); padding: .4rem .6rem;
  text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.kg table th { white-space: nowrap; }
.kg table th:last-child, .kg table td:last-child { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
""" + "".join(
    f".kg-type-{name} {{ --kg-back: {back}; --kg-front: {front}; }}\n"
    f".dark .kg-type-{name} {{ --kg-back: {front}; --kg-front: {back}; }}\n"
    for name, (back, front) in COLOURS.items()
)


# A page served without HTTPS, as in a local network, has no navigator.clipboard.
COPY = """() => {
  const glosses = [...document.querySelectorAll("#answer .kg-chips b")].map((gloss) => gloss.innerText).join(" ");
  const done = () => {
    const button = document.querySelector("#copy");
    button.dataset.copied = "";
    setTimeout(() => delete button.dataset.copied, 2000);
  };
  const otherwise = () => {
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = glosses;
    field.select();
    if (document.execCommand("copy")) done();
    field.remove();
  };
  navigator.clipboard ? navigator.clipboard.writeText(glosses).then(done, otherwise) : otherwise();
}"""


class Answer(NamedTuple):
    """Answer to a text, independent of the language of the page."""

    text: str = ""
    sequences: Sequence[Mapping[str, Any]] = ()
    problem: str = ""
    """Key in `WORDS` of the reason why there are no sequences, or an empty string."""
    reason: str = ""
    """Detail for the message: an error, or the number of characters."""


def translate(text_to_gloss: Callable[..., Any], text: str, fingerspell: bool) -> Answer:
    """Return the pipeline's best sequences for a text, or the problem with it."""
    text = _readable(text).strip()
    if not text:
        return Answer(problem="empty")
    if len(text) > LIMIT:
        return Answer(problem="too_long", reason=str(len(text)))  # a text of any length would stay in memory
    try:
        answers = text_to_gloss(
            text,
            num_return_sequences=SEQUENCES,
            num_beams=SEQUENCES,
            return_types=True,
            return_alignment=True,
            fingerspell=fingerspell,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        return Answer(text, problem="failed", reason=str(error))
    sequences = [dict(sequence) for sequence in answers]
    return Answer(text, sequences, "" if sequences and sequences[0]["glosses"] else "none")


def record(text_to_gloss: Callable[..., Any], text: str, n_best: int | None = None, **options: bool) -> dict[str, Any]:
    """Return the record that `kgloss translate --format jsonl` writes for a text.

    Args:
        text_to_gloss: Pipeline to call.
        text: Text of at most `LIMIT` characters.
        n_best: Number of sequences to return, as `candidates` (default: only the best one).
        **options: `return_types`, `return_alignment` and `fingerspell`.

    Raises:
        ValueError: The text is too long, or the model cannot translate it.
    """
    text = _readable(text)
    if len(text) > LIMIT:
        raise ValueError(WORDS["en"]["too_long"].format(count=len(text), limit=LIMIT))
    if n_best is not None and not 1 <= n_best <= 4 * SEQUENCES:
        raise ValueError(f"n_best: expected 1 to {4 * SEQUENCES}, found {n_best}")
    several = {} if n_best is None else {"num_return_sequences": n_best}
    return _record(text, text_to_gloss(text, **several, **options))


def _record(text: str, answer: Any) -> dict[str, Any]:
    return {"text": text, **({"candidates": answer} if isinstance(answer, list) else answer)}


def _readable(text: str | None) -> str:
    return _SURROGATE.sub("\ufffd", text or "")  # surrogates cannot be sent back to the browser


def render(answer: Answer | None, language: str) -> str:
    """Return an answer as HTML: sentence, chips and table, or a message.

    Examples:
        >>> render(Answer(problem="empty"), "ko")
        '<div class="kg" lang="ko"><p class="kg-alert" role="alert">먼저 한국어 문장을 입력해 주십시오.</p></div>'
    """
    if answer is None:
        return ""
    words = WORDS[language]
    unknown = ", ".join(map(_shown, answer.sequences[0].get("unknown_words") or ())) if answer.sequences else ""
    doubt = f'<p class="kg-note">{words["unknown"].format(words=unknown)}</p>' if unknown else ""
    if answer.problem:
        message = words[answer.problem].format(count=answer.reason, limit=LIMIT, reason=_shown(answer.reason))
        return f'<div class="kg" lang="{language}"><p class="kg-alert" role="alert">{message}</p>{doubt}</div>'
    best = answer.sequences[0]
    spans = _spans(best, len(answer.text))
    chips = "".join(
        _chip(best, place, answer.text[slice(*span)] if span else "", language) for place, span in enumerate(spans)
    )
    linked = [place for place, span in enumerate(spans) if span]
    rules = ", ".join(f".kg-answer:has(.kg-chip-{i}:is(:hover, :focus)) .kg-source-{i}" for i in linked)
    return (
        f'<div class="kg kg-answer" lang="{language}">'
        + (f"<style>{rules} {{ {_HIGHLIGHT} }}</style>" if linked else "")
        + f'<h2 class="kg-wide">{words["sentence"]}</h2>'
        f'<p class="kg-sentence" lang="ko">{_sentence(answer.text, spans)}</p>'
        f'<h2>{words["glosses"]}</h2><p role="status">{words["count"].format(count=len(spans))}</p>'
        f'{doubt}<p class="kg-wide">{words["hint"]}</p><ol role="list" class="kg-chips">{chips}</ol>'
        f"{_table(answer.sequences, language)}</div>"
    )


def legend(language: str) -> str:
    """Return the names of the types in their colours, and the two marks."""
    names, words = TYPE_NAMES[language], WORDS[language]
    note = f'<p class="kg-note kg-note-below">{words["note"]}</p>'
    items = [f'<li class="kg-chip kg-type-{name}">{names[name]}</li>' for name in (*GLOSS_TYPES, UNKNOWN_TYPE)]
    items += [
        f'<li class="kg-chip kg-type-{UNKNOWN_TYPE} kg-{mark}">{sign} {words[mark]}: {words[f"{mark}_long"]}</li>'
        for mark, sign in MARKS.items()
    ]
    return (
        f'<section class="kg kg-legend" lang="{language}">{note}<h2>{words["legend"]}</h2>'
        f'<ul role="list">{"".join(items)}</ul></section>'
    )


def header(language: str) -> str:
    """Return the title, an introduction, and a note on what glosses are not."""
    words = WORDS[language]
    return (
        f'<header class="kg" lang="{language}"><h1>{words["title"]}</h1><p class="kg-wide">{words["intro"]}</p>'
        f'<p class="kg-note kg-note-top">{words["note"]}</p></header>'
    )


def _heading(language: str) -> str:
    return f'<div class="kg" lang="{language}"><h2>{WORDS[language]["examples"]}</h2></div>'


def _shown(text: str) -> str:
    """Escape text from the user or the model, and isolate right-to-left text from its surroundings."""
    to_the_left = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)
    return f"<bdi>{_escaped(text)}</bdi>" if to_the_left else _escaped(text)


def _escaped(text: str) -> str:
    """Escape text, and show invisible characters by their codes.

    Examples:
        >>> _escaped("<b>\\u202e")
        '&lt;b&gt;[U+202E]'
    """
    return html.escape(_UNSEEN.sub(lambda unseen: f"[U+{ord(unseen.group()):04X}]", text))


def _spans(sequence: Mapping[str, Any], length: int) -> list[tuple[int, int] | None]:
    spans: list[tuple[int, int] | None] = [
        (span[0], span[1]) if span and 0 <= span[0] < span[1] <= length else None
        for span in sequence.get("alignment") or ()
    ]
    return (spans + [None] * len(sequence["glosses"]))[: len(sequence["glosses"])]


def _sentence(text: str, spans: Sequence[tuple[int, int] | None]) -> str:
    """Return the text as HTML, divided where the source of a gloss begins or ends, since sources may overlap."""
    places = [(place, *span) for place, span in enumerate(spans) if span]
    cuts = sorted({0, len(text), *(edge for _, *span in places for edge in span)})
    parts = []
    for start, end in pairwise(cuts):
        classes = " ".join(f"kg-source-{place}" for place, first, last in places if first <= start and end <= last)
        part = _escaped(text[start:end])
        parts.append(f'<span class="{classes}">{part}</span>' if classes else part)
    return "".join(parts)


def _marks(sequence: Mapping[str, Any], place: int) -> list[str]:
    return [mark for mark in MARKS if place in (sequence.get(mark) or ())]


def _chip(sequence: Mapping[str, Any], place: int, source: str, language: str) -> str:
    words, names = WORDS[language], TYPE_NAMES[language]
    gloss = sequence["glosses"][place]
    types = sequence.get("types") or ()
    kind = types[place] if place < len(types) and types[place] in COLOURS else UNKNOWN_TYPE
    marks = _marks(sequence, place)
    label = ", ".join(
        [gloss, names[kind], *(words[mark] for mark in marks)]
        + ([words["from"].format(source=source)] if source else [])
    )
    classes = " ".join([f"kg-chip kg-chip-{place} kg-type-{kind}", *(f"kg-{mark}" for mark in marks)])
    lines = [names[kind], *(f"{MARKS[mark]} {words[mark]}" for mark in marks)]
    return (
        f'<li class="{classes}" tabindex="0" aria-label="{_escaped(label)}"><b lang="ko">{_shown(gloss)}</b>'
        + "".join(f"<small>{line}</small>" for line in lines)
        + "</li>"
    )


def _table(sequences: Sequence[Mapping[str, Any]], language: str) -> str:
    words = WORDS[language]
    rows = ""
    for rank, sequence in enumerate(sequences, start=1):
        glosses = " | ".join(
            _shown(gloss) + "".join(MARKS[mark] for mark in _marks(sequence, place))
            for place, gloss in enumerate(sequence["glosses"])
        )
        score = sequence.get("score")
        rows += (
            f'<tr><th scope="row">{rank}</th><td lang="ko">{glosses or "–"}</td>'
            f"<td>{'–' if score is None else f'{score:.2f}'}</td></tr>"
        )
    heads = "".join(f'<th scope="col">{words[key]}</th>' for key in ("rank", "glosses", "score"))
    title = words["alternatives"]
    return (
        f'<h2>{title}</h2><div class="kg-scroll" role="region" aria-label="{title}" tabindex="0">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def build(text_to_gloss: Callable[..., Any]) -> Any:
    """Return the app as Gradio blocks.

    Args:
        text_to_gloss: Pipeline, or a callable that answers in the same way.
    """
    import gradio

    # One request at a time, since torch already uses all cores for one sentence.
    alone = threading.Lock()

    def answer(text: str, fingerspell: bool, language: str) -> tuple[str, Answer, Any, Any]:
        with alone:
            answer = translate(text_to_gloss, text, fingerspell)
        several = [*answer.sequences]
        return render(answer, language), answer, _record(answer.text, several), gradio.update(visible=bool(several))

    def example(text: str, fingerspell: bool, language: str) -> tuple[str, str, Answer, Any, Any]:
        return text, *answer(text, fingerspell, language)

    def korean_to_glosses(
        text: str,
        n_best: int | None = None,
        types: bool = False,
        alignment: bool = False,
        fingerspell: bool = False,
    ) -> dict[str, Any]:
        """Translate a Korean sentence into Korean Sign Language (KSL) glosses, the names of signs in signing order.

        Glosses are a draft for signers to check, not signed language: they leave out face, body and space. A model
        knows only the glosses and the domain of its training data.

        Args:
            text: One Korean sentence, at most 500 characters.
            n_best: Return this many gloss sequences as `candidates`, the most probable first (default: only one).
            types: Add the type of each gloss, such as sign_word or fingerspelling.
            alignment: Add the place of each gloss's source in the text: start and end, in characters.
            fingerspell: Fingerspell names, numbers and nouns that the model does not know.

        Returns:
            `text`, `generated_text`, `glosses`, `unresolved` (places of numbers or names without a source) and
            `unknown_words` (words that the model does not know), as in `kgloss translate --format jsonl`.
        """
        options = {"return_types": types, "return_alignment": alignment, "fingerspell": fingerspell}
        try:
            with alone:
                return record(text_to_gloss, text, n_best, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise gradio.Error(str(error), print_exception=False) from error

    def switch(language: str, last: Answer | None) -> list[Any]:
        words = WORDS[language]
        return [
            header(language),
            gradio.update(label=words["language"]),
            gradio.update(label=words["text"], info=words["limit"]),
            gradio.update(label=words["fingerspell"]),
            gradio.update(value=words["translate"]),
            render(last, language),
            gradio.update(value=words["copy"]),
            gradio.update(label=words["json"]),
            _heading(language),
            legend(language),
        ]

    words = WORDS["en"]
    with gradio.Blocks(title="KSL glosses", analytics_enabled=False) as app:
        last = gradio.State(None)
        top = gradio.HTML(header("en"), js_on_load=None)
        language = gradio.Radio(
            [(name, code) for code, name in LANGUAGES.items()], value="en", label=words["language"], elem_id="language"
        )
        text = gradio.Textbox(
            label=words["text"],
            info=words["limit"],
            # With one line, Enter submits; the box still grows.
            lines=1,
            max_lines=8,
            autofocus=True,
            elem_id="text",
            html_attributes=gradio.InputHTMLAttributes(lang="ko", autocorrect="off", spellcheck=False),
        )
        fingerspell = gradio.Checkbox(label=words["fingerspell"])
        button = gradio.Button(words["translate"], variant="primary", elem_id="translate")
        shown = gradio.HTML("", js_on_load=None, elem_id="answer")
        with gradio.Group(visible=False) as more:
            copy = gradio.Button(words["copy"], size="sm", elem_id="copy")
            with gradio.Accordion(words["json"], open=False, elem_id="json") as unfolded:
                data = gradio.JSON(show_label=False)  # has a copy button
        examples = gradio.HTML(_heading("en"), js_on_load=None)
        with gradio.Row():
            choices = [
                gradio.Button(sentence, size="sm", min_width=240, elem_classes="kg-example") for sentence in EXAMPLES
            ]
        colours = gradio.HTML(legend("en"), js_on_load=None)
        # These events answer in HTML, which is useful only to this page.
        gradio.on(
            [text.submit, button.click],
            answer,
            [text, fingerspell, language],
            [shown, last, data, more],
            concurrency_id="model",
            api_visibility="private",
        )
        for choice in choices:
            choice.click(
                example,
                [choice, fingerspell, language],
                [text, shown, last, data, more],
                concurrency_id="model",  # otherwise Gradio runs one call per function at once
                api_visibility="private",
            )
        copy.click(None, js=COPY, queue=False, api_visibility="private")
        gradio.api(korean_to_glosses, api_name="translate", concurrency_id="model")
        language.input(
            switch,
            [language, last],
            [top, language, text, fingerspell, button, shown, copy, unfolded, examples, colours],
            # Screen readers choose a voice by the language of the page.
            js="(...values) => { document.documentElement.lang = values[0]; return values; }",
            queue=False,
            api_visibility="private",
        )
    return app.queue(default_concurrency_limit=1, max_size=32)


def launch(app: Any, **options: Any) -> Any:
    """Serve the app with its own theme and without resources from other hosts."""
    import gradio

    theme = gradio.themes.Default(
        primary_hue="blue",
        font=["system-ui", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        # The greys of the default theme, and its white on light blue, have less contrast than WCAG AA requires.
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_border_color="*neutral_500",
        input_border_color_dark="*neutral_400",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )
    # A run history would keep texts in the browser, visible to its next user. Set by a variable, since only newer
    # versions of launch() have an argument for it.
    os.environ.setdefault("GRADIO_RUN_HISTORY", "False")
    # Gradio accepts uploads on any page; this one needs none.
    settings = {"theme": theme, "css": CSS, "ssr_mode": False, "footer_links": ["api", "settings"], "max_file_size": 0}
    return app.launch(mcp_server=True, **{**settings, **options})


def main() -> None:
    """Load the model, translate a first sentence, and serve the app."""
    parser = argparse.ArgumentParser(description="Korean text to Korean Sign Language glosses, in a browser.")
    parser.add_argument("model", nargs="?", help="folder of a model, or its name on the Hub (default: KGLOSS_MODEL)")
    parser.add_argument(
        "--host", help="address to listen on; 0.0.0.0 for all (default: GRADIO_SERVER_NAME, or 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, help="port to listen on (default: the first free one from 7860)")
    chosen = parser.parse_args()
    published = Path(__file__).with_name("model.json")  # exists in a Space made by kgloss publish
    if model := chosen.model or os.environ.get("KGLOSS_MODEL"):
        source = {"model": model}
    elif published.is_file():
        source = json.loads(published.read_text("utf-8"))
    else:
        sys.exit(
            "expected a model, found none; pass its folder or its name on the Hub: app.py MODEL, or KGLOSS_MODEL=MODEL"
        )
    from transformers import pipeline

    import kgloss_hf  # noqa: F401 - registers the pipeline

    # No remote code is run, and no weights are read in a format that can contain code.
    safe: dict[str, Any] = {"trust_remote_code": False, "model_kwargs": {"use_safetensors": True}}
    address = {"server_name": chosen.host, "server_port": chosen.port}
    try:
        text_to_gloss = pipeline("text-to-gloss", **source, **safe)
        translate(text_to_gloss, EXAMPLES[0], fingerspell=False)  # starts Java before the first visitor
        launch(build(text_to_gloss), **{name: value for name, value in address.items() if value is not None})
    except (OSError, ValueError) as error:
        sys.exit(f"app.py: {error}")


if __name__ == "__main__":
    main()
