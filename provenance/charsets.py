"""Character encodings as the WHATWG Encoding Standard names and reads them, by Python's codecs."""

import codecs
from functools import lru_cache

# Python's codec and its labels: all of the Encoding Standard's (https://encoding.spec.whatwg.org/#names-and-labels), then
# those that archives and detectors use besides. Compared by their letters and digits alone; `windows-125x` and
# `iso-8859-x` follow by rule.
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8 utf-8-sig utf8mb4 utf",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-32-le": "utf-32 utf-32le",
    "utf-32-be": "utf-32be",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gb2312-80 gbk iso-ir-58 x-gbk gb18030 cp936 ms936 windows-936 euc-cn",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950 windows-950 big5-eten",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp ujis eucjp-ms cp51932",
    "iso2022_jp_ext": "csiso2022jp iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-ext cp50220 cp50221 jis",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis cp932 windows-932 cp943",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949 cp949 ms949 uhc",
    "iso2022_kr": "csiso2022kr iso-2022-kr",
    "hz": "hz-gb-2312 hz",
    "johab": "johab cp1361 ms1361",
    "cp866": "866 cp866 csibm866 ibm866",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874 cp874",
    "cp1252": "ansi_x3.4-1968 ascii cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso_8859-1:1987 l1 latin1 us-ascii x-user-defined ansi",
    "cp1254": "csisolatin5 iso-8859-9 iso-ir-148 iso_8859-9:1989 l5 latin5",
    "iso8859-2": "csisolatin2 iso-ir-101 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-ir-109 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-ir-110 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-ir-144 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i iso-ir-127 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-ir-157 l6 latin6",
    "iso8859-15": "csisolatin9 l9 latin9",
    "iso8859-16": "l10 latin10",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "koi8-t": "koi8-t",
    "kz1048": "kz1048 kz-1048 strk1048-2002 rk1048",
    "ptcp154": "ptcp154 pt154 cp154 cyrillic-asian",
    "hp-roman8": "hp-roman8 roman8 r8",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian mac-cyrillic",
    "mac-greek": "x-mac-greek mac-greek",
    "mac-turkish": "x-mac-turkish mac-turkish",
    "mac-latin2": "x-mac-ce x-mac-centraleurope mac-latin2 mac-centraleurope",
}
_WINDOWS = "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258".split()
_DOS = "cp437 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp869 cp1125".split()
_ISO = "2 3 4 5 6 7 8 10 13 14 15 16".split()
# Characters that Python's codec reads otherwise than the standard: pairs of (Python's, the standard's).
_STANDARD = {"koi8-u": "\u255d\u045e\u256c\u040e"}
# Codecs with characters that `_extension` adds.
_EXTENDED = frozenset("euc_jp iso2022_jp_ext big5hkscs gb18030".split())


def _key(label: str) -> str:
    return "".join(filter(str.isalnum, label.lower()))


def _table() -> dict[str, str]:
    """Python's codec for each label's letters and digits, and for its own name's."""
    table = {_key(label): codec for codec, labels in _LABELS.items() for label in (codec, *labels.split())}
    for name in _WINDOWS:
        table |= {prefix + name[2:]: name for prefix in ("cp", "windows", "win", "xcp")}
    for name in _DOS:
        table |= {prefix + name[2:]: name for prefix in ("cp", "ibm", "csibm")}
    return table | {"iso8859" + part: "iso8859-" + part for part in _ISO}


_BY_LABEL = _table()


@lru_cache(maxsize=1024)
def codec(label: str) -> str | None:
    """Python's codec for an encoding label, read as the WHATWG standard reads it; None for an unknown label.

    Labels of the standard's `replacement` encoding are read too where Python can; browsers refuse them lest they hide
    markup from a filter, which is no concern here. `x-user-defined` is windows-1252, as in a `<meta>` of HTML.
    """
    return _BY_LABEL.get(_key(label)) if label.isascii() and len(label) <= 80 else None


def read(data: bytes, name: str) -> tuple[str, int]:
    """(text, characters that did not decode, which are U+FFFD); a character that the end of the data cuts is left out."""
    lost = 0
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        if error.end == len(data) and error.reason in ("incomplete multibyte sequence", "truncated data", "unexpected end of data"):
            text = data[: error.start].decode(name, "replace")
        else:
            text = data.decode(name, "replace")
            lost = text.count("\ufffd")
            if name in _EXTENDED and lost < 64 + len(data) // 20:
                text = data.decode(name, _EXTENSIONS)
                lost = text.count("\ufffd")
    pairs = _STANDARD.get(name, "")
    for ours, standards in zip(pairs[::2], pairs[1::2], strict=True):
        text = text.replace(ours, standards)
    return text, lost


def _extension(error: UnicodeError) -> tuple[str, int]:
    """Characters that the standard's decoder knows and Python's codec does not; U+FFFD for all others.

    NEC's and IBM's characters in JIS X 0208 rows 13 and 89 to 92, from their places in Shift_JIS; the euro of Big5 and GBK.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if error.encoding == "gb18030" and pair[:1] == b"\x80":
        return "\u20ac", error.start + 1
    if error.encoding == "big5hkscs" and pair == b"\xa3\xe1":
        return "\u20ac", error.start + 2
    if error.encoding in ("euc_jp", "iso2022_jp_ext") and len(pair) == 2:
        row, cell = (byte & 0x7F for byte in pair)
        row, cell = row - 0x20, cell - 0x20
        if row in (13, 89, 90, 91, 92) and 1 <= cell <= 94:
            lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
            trail = cell + 0x3F + (cell >= 64) if row % 2 else cell + 0x9E
            return bytes((lead, trail)).decode("cp932", "replace"), error.start + 2
    return "\ufffd", error.end


_EXTENSIONS = "provenance.charsets.extension"
codecs.register_error(_EXTENSIONS, _extension)
