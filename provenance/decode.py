"""Bytes to text: which character encoding a page is in.

The cascade, each step only where those before it give nothing:

1. a byte order mark;
2. the NUL pattern of UTF-16 and UTF-32 without a mark;
3. escape sequences of ISO-2022-JP in bytes below 0x80;
4. UTF-8, where the bytes are valid UTF-8 that no declared multi-byte encoding explains as well;
5. the charset of the HTTP header, then of the `<meta>` or XML declaration: taken if less than 0.1 % of what it
   decodes to is U+FFFD, because a declaration is evidence and not truth;
6. UTF-8 with less than 1 % of damage among its non-ASCII bytes;
7. the detector (uchardet) on a prefix, then windows-1252.

Labels are read as the WHATWG Encoding Standard reads them: `gb2312` is gb18030, `iso-8859-1` is windows-1252.
"""

import codecs
import re
from functools import lru_cache

from resiliparse.parse.encoding import detect_encoding

VERSION = "1"
PRESCAN = 4096
"""Bytes that are searched for a declaration. The standard says 1,024; pages put scripts before it."""
DETECT = 1 << 16
MAX_REPLACED = 0.001

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"<meta\b[^>]{0,512}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.\-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml[^>]{0,256}?encoding\s*=\s*[\"']\s*([a-zA-Z0-9_:.\-]{2,40})", re.IGNORECASE)
_ASCII = bytes(range(128))
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_CONTROLS = re.compile("[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# Python's codec for each label that the WHATWG standard (or a detector) names otherwise than Python does.
_LABELS = {
    "gb18030": "gb2312 gb_2312 gb_2312-80 gb2312-80 gbk x-gbk cp936 ms936 windows-936 chinese csgb2312 euc-cn iso-ir-58 csiso58gb231280",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji csshiftjis windows-31j ms932 cp943",
    "cp949": "euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean windows-949 uhc cseuckr iso-ir-149 csksc56011987",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950",
    "cp1252": "iso-8859-1 iso8859-1 iso_8859-1 iso88591 latin1 latin-1 l1 ascii us-ascii ansi_x3.4-1968 cp819 ansi x-user-defined",
    "cp1254": "iso-8859-9 iso8859-9 iso_8859-9 latin5 l5 x-cp1254",
    "cp874": "tis-620 tis620 iso-8859-11 iso8859-11 windows-874 dos-874",
    "utf-8": "utf8 utf_8 utf-8-sig unicode-1-1-utf-8 x-unicode20utf8 utf8mb4 utf",
    "utf-16-le": "utf-16 utf16 utf-16le unicode ucs-2 iso-10646-ucs-2 csunicode",
    "utf-16-be": "utf-16be unicodefffe",
    "utf-32-le": "utf-32 utf32 utf-32le",
    "utf-32-be": "utf-32be",
    "iso8859-8": "iso-8859-8-i iso-8859-8-e logical visual hebrew",
    "iso2022_jp_ext": "iso-2022-jp csiso2022jp",
    "iso2022_kr": "iso-2022-kr",
    "euc_jp": "euc-jp x-euc-jp eucjp",
    "euc_tw": "",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian maccyrillic",
    "mac-roman": "macintosh x-mac-roman mac",
    "koi8-u": "koi8-ru",
    "cp1251": "x-cp1251 win-1251 win1251",
    "cp1250": "x-cp1250",
    "iso8859-15": "iso-8859-15 latin9 l9",
}
_BY_LABEL = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_CODECS = frozenset(
    "utf-8 utf-16-le utf-16-be utf-32-le utf-32-be gb18030 cp932 cp949 big5hkscs euc_jp iso2022_jp_ext iso2022_kr hz johab "
    "koi8-r koi8-u koi8-t kz1048 mac-cyrillic mac-roman mac-greek mac-turkish mac-latin2 tis-620 hp-roman8 ptcp154 "
    "cp437 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 "
    "cp1125 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 "
    "iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14 iso8859-15 iso8859-16".split()
)
_MULTI_BYTE = frozenset("gb18030 cp932 cp949 big5hkscs euc_jp johab".split())


@lru_cache(maxsize=1024)
def codec(label: str) -> str | None:
    """Python's codec for an encoding label, read as the WHATWG standard reads it; None for an unknown label."""
    name = label.strip().lower()
    name = _BY_LABEL.get(name, name)
    if name in _CODECS:
        return name
    try:
        name = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    name = _BY_LABEL.get(name, name)
    return name if name in _CODECS else None


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """(text, codec name) of any bytes; `declared` is the charset of the HTTP header.

    The text holds neither NUL nor lone surrogates; what does not decode is U+FFFD.
    """
    text, charset = _decode(data, declared)
    return clean(text), charset


def clean(text: str) -> str:
    """`text` without NUL, and with U+FFFD in place of lone surrogates, so that it has a UTF-8 form."""
    if text.isascii():
        return text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "")


def _decode(data: bytes, declared: str | None) -> tuple[str, str]:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name
    wide = nul_pattern(data)
    if wide is not None:
        return data.decode(wide, "replace"), wide
    if b"\x1b" in data and (b"\x1b$" in data or b"\x1b(" in data) and data.isascii():
        text, share = _attempt(data, "iso2022_jp_ext")
        if share < MAX_REPLACED:
            return text, "iso2022_jp_ext"
    candidates = _declared(data, declared)
    text8 = _utf8(data)
    if text8 is not None:
        ambiguous = _ambiguous(data, text8, candidates)
        return ambiguous if ambiguous is not None else (text8, "utf-8")
    for name in candidates:
        text, share = _attempt(data, name)
        if share < MAX_REPLACED:
            return text, name
    return _guess(data)


def nul_pattern(data: bytes) -> str | None:
    """The UTF-16 or UTF-32 form that the NUL bytes of a prefix show; None for none.

    In UTF-32 two bytes of four are NUL in every character; in UTF-16 the markup's characters have one of two.
    """
    head = data[:2048]
    head = head[: len(head) & ~3]
    if head.count(0) * 8 < len(head) or len(head) < 8:
        return None
    zero = [head[i::4].count(0) * 4 / len(head) for i in range(4)]
    even, odd = (zero[0] + zero[2]) / 2, (zero[1] + zero[3]) / 2
    if zero[0] > 0.9 and zero[1] > 0.9 and zero[3] < 0.1:
        name = "utf-32-be"
    elif zero[3] > 0.9 and zero[2] > 0.9 and zero[0] < 0.1:
        name = "utf-32-le"
    elif odd > 0.2 and even < 0.05:
        name = "utf-16-le"
    elif even > 0.2 and odd < 0.05:
        name = "utf-16-be"
    else:
        return None
    return None if _CONTROLS.search(head.decode(name, "ignore")) else name


def _declared(data: bytes, declared: str | None) -> list[str]:
    """Codecs that the HTTP header and then the document itself name, without repeats.

    A document that can be read as far as its declaration is not UTF-16, whatever it says; the standard reads UTF-8.
    """
    labels = [declared] if declared else []
    head = data[:PRESCAN]
    found = _XML.match(head)
    if found:
        labels.append(found[1].decode("ascii"))
    labels += [label.decode("ascii") for label in _META.findall(head)[:2]]
    names = [name for name in map(codec, labels) if name is not None]
    return list(dict.fromkeys("utf-8" if name.startswith(("utf-16", "utf-32")) else name for name in names))


def _utf8(data: bytes) -> str | None:
    """`data` as UTF-8, its last character possibly cut; None where it is not valid."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start and not data[: error.start].isascii():
            return data[: error.start].decode()
        return None


def _ambiguous(data: bytes, text: str, candidates: list[str]) -> tuple[str, str] | None:
    """A declared multi-byte encoding's reading of bytes that may be valid UTF-8 by chance.

    A GB2312 character is valid UTF-8 where its lead byte is C2 to DF (30 of 72 rows) and its trail byte A1 to BF (31
    of 94): 14 %. So four characters or fewer yield to the declaration; with more, chance is below 1 in 10,000.
    """
    extra = len(data) - len(text)
    if not 0 < extra <= 4 or not candidates or candidates[0] not in _MULTI_BYTE:
        return None
    other, share = _attempt(data, candidates[0])
    return (other, candidates[0]) if share == 0 else None


def _attempt(data: bytes, name: str) -> tuple[str, float]:
    """(text, share of it that did not decode)."""
    try:
        return data.decode(name), 0.0
    except UnicodeDecodeError:
        text = data.decode(name, "replace")
        return text, text.count("\ufffd") / max(len(text), 1)


def _guess(data: bytes) -> tuple[str, str]:
    text = data.decode("utf-8", "replace")
    if text.count("\ufffd") * 100 < len(data.translate(None, _ASCII)):
        return text, "utf-8"
    name = codec(detect_encoding(data[:DETECT], html5_compatible=False) or "")
    # The detector knows no KOI8-U, which differs only where KOI8-R has box drawings.
    name = "koi8-u" if name == "koi8-r" else name
    if name is not None:
        guessed, share = _attempt(data, name)
        if share < 0.01:
            return guessed, name
    return data.decode("cp1252", "replace"), "cp1252"


def looks_like_text(data: bytes) -> bool:
    """Whether a prefix could be text: no binary control byte (WHATWG MIME Sniffing section 7.1), or UTF-16/32."""
    head = data[:1024]
    return not _CONTROL.search(head) or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or nul_pattern(head) is not None
