"""Makes text that came from a machine harmless to a terminal: whoever wrote it is not whoever reads it."""

import unicodedata
from typing import Any

_KEPT = "\n\t"
_SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """Return the text with a mark in place of each character that is no text.

    That is what a terminal obeys (escape sequences begin with a control character; ECMA-48, 5.2 and 5.3) and
    what changes the direction or the look of other characters (Unicode's category Cf).
    """
    return "".join(character if _is_text(character) else _SUBSTITUTE for character in text)


def plain_document(content: Any) -> Any:
    """Return a document of JSON with each text in it made plain, names included."""
    match content:
        case str():
            return plain(content)
        case list():
            return [plain_document(part) for part in content]
        case dict():
            return {plain(name): plain_document(part) for name, part in content.items()}
    return content


def _is_text(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
