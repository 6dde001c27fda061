"""Read the JSON values of an array or a sequence one by one, so that few are in memory at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PIECE = 2**16  # characters
_FILLED = re.compile(r"[^ \t\r\n]")
_NUMBER_GOES_ON = len("e+1")  # characters needed to decide whether a number ends where it seems to
_DECODE = json.JSONDecoder().raw_decode


class JsonError(ValueError):
    """Error for damaged JSON."""


def json_items(pieces: Iterator[str], most: int) -> Iterator[Any]:
    """Yield the items of a JSON array, or of a sequence of values.

    Args:
        pieces: The text, cut at arbitrary places.
        most: Maximum number of characters per value.

    Raises:
        JsonError: The text is damaged after the last value that was yielded, or a value is longer than `most`.

    Examples:
        >>> list(json_items(iter(['[{"text": "집', '"}, 7', "5]"]), most=100))
        [{'text': '집'}, 75]
    """
    text = _Text(pieces, most)
    is_array = text.sign() == "["
    text.at += is_array
    count = 0
    while (sign := text.sign()) and not (is_array and sign == "]"):
        if is_array and count:
            if sign != ",":
                raise JsonError("no comma before the next item")
            text.at += 1
            if not (sign := text.sign()):
                break
        yield text.value()
        count += 1
    if is_array and not sign:
        raise JsonError("the array is not closed")
    text.at += is_array
    if text.sign():
        raise JsonError("unexpected content after the array")


class _Text:
    """JSON text, held in memory little more than one value at a time."""

    def __init__(self, pieces: Iterator[str], most: int) -> None:
        self.text, self.at = "", 0
        self._pieces, self._most = pieces, most

    def sign(self) -> str:
        """Return the next character that is not blank, or an empty string at the end."""
        while True:
            if match := _FILLED.search(self.text, self.at):
                self.at = match.start()
                return match[0]
            self.at = len(self.text)
            if not self._more():
                return ""

    def value(self) -> Any:
        self.sign()
        while True:
            try:
                item, end = _DECODE(self.text, self.at)
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > self._most or not self._more():
                    raise JsonError(error.msg) from error
                continue
            except (ValueError, RecursionError) as error:  # values too long or too deeply nested
                raise JsonError(str(error)) from error
            size = end - self.at
            if len(self.text) - end < _NUMBER_GOES_ON and self._more():
                continue
            self.at += size
            return item

    def _more(self) -> bool:
        """Read at least one piece, and as much text again as is left; return whether there was any more."""
        parts, size = [self.text[self.at :]], 0
        while size < max(_PIECE, len(parts[0])) and (piece := next(self._pieces, "")):
            parts.append(piece)
            size += len(piece)
        self.text, self.at = "".join(parts), 0
        return size > 0
