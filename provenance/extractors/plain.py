"""Text that needs no extraction: only its line ends are made alike."""

from provenance.extract import Extract

NAME = "plain"
VERSION = "1"


def extract(html: str, options: Extract) -> str:
    """`html`, which is plain text, with line feeds for CR LF, CR, form feeds and the separators U+2028 and U+2029."""
    text = html.replace("\r\n", "\n").replace("\r", "\n")
    for separator in "\f\u2028\u2029":
        text = text.replace(separator, "\n")
    return text.strip()
