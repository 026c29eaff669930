"""The cascade from bytes to text, on made cases and on pages whose encoding is known."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.decode import STEPS, clean, codec, decide, decode, looks_like_text, nul_pattern
from tests.provenance.warcs import responses

RUSSIAN = "Добрый день, это страница о старых книгах и о людях, которые их читали. " * 5
JAPANESE = "古い本と、それを読んだ人々についてのページです。カタカナもあります。" * 5
KOREAN = "오래된 책과 그것을 읽은 사람들에 대한 페이지입니다. " * 5
CHINESE = "这是关于旧书以及读过它们的人的网页。" * 5


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_beats_every_declaration(name: str) -> None:
    assert decode(RUSSIAN.encode(name), "windows-1252")[0] == RUSSIAN


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_seen_by_its_nuls(name: str) -> None:
    html = f"<html><head><title>page</title></head><body><p>{RUSSIAN}</p></body></html>"
    assert decode(html.encode(name), "iso-8859-1") == (html, name)
    assert looks_like_text(html.encode(name))


def test_a_few_nuls_are_no_wide_text_and_are_taken_out() -> None:
    data = b"<p>some\0 words\0 of text</p>" * 5
    assert nul_pattern(data) is None
    assert decode(data)[0] == data.decode().replace("\0", "")


@pytest.mark.parametrize("declared", [None, "utf-8", "iso-8859-1"])
def test_iso_2022_jp_is_seen_by_its_escapes(declared: str | None) -> None:
    assert decode(JAPANESE.encode("iso-2022-jp"), declared)[0] == JAPANESE


@pytest.mark.parametrize(
    ("label", "name", "text"),
    [
        ("gb2312", "gb18030", CHINESE),
        ("Shift_JIS", "cp932", JAPANESE),
        ("ks_c_5601-1987", "cp949", KOREAN),
        ("Big5", "big5", "這是關於舊書以及讀過它們的人的網頁。"),
        ("windows-1251", "cp1251", RUSSIAN),
        ("ISO-8859-1", "cp1252", "Caf\xe9 \u201cquoted\u201d \u20ac 5"),
    ],
)
def test_declared_charsets_in_header_and_document(label: str, name: str, text: str) -> None:
    assert decode(text.encode(name), label)[0] == text
    page = f'<html><meta http-equiv="Content-Type" content="text/html; charset={label}">{text}'
    assert decode(page.encode(name))[0] == page
    feed = f"<?xml version='1.0' encoding='{label}'?>{text}"
    assert decode(feed.encode(name))[0] == feed


def test_the_header_comes_before_the_document() -> None:
    page = '<meta charset="koi8-r">' + RUSSIAN
    assert decode(page.encode("cp1251"), "windows-1251") == (page, "cp1251")


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "gbk", None])
def test_utf8_with_an_untrue_declaration_is_utf8(declared: str | None) -> None:
    assert decode(RUSSIAN.encode(), declared) == (RUSSIAN, "utf-8")


def test_a_declaration_that_does_not_decode_is_not_believed() -> None:
    assert decode(RUSSIAN.encode("cp1251"), "utf-8")[0] == RUSSIAN
    assert decode(KOREAN.encode("cp949"), "utf-8") == (KOREAN, "cp949")


def test_two_gb2312_characters_that_are_valid_utf8_follow_the_declaration() -> None:
    data = "<p>目录</p>".encode("gb18030")
    short = b"<p>\xc4\xa1\xc5\xa2</p>"
    assert decode(short, "gb2312") == (short.decode("gb18030"), "gb18030")
    assert decode(short)[1] == "utf-8"
    assert decode(data, "gb2312")[0] == "<p>目录</p>"


def test_utf8_cut_inside_a_character_or_lightly_damaged_stays_utf8() -> None:
    assert decode(RUSSIAN.encode()[:-2])[1] == "utf-8"
    damaged = (RUSSIAN * 20).encode() + b"\xff" + RUSSIAN.encode()
    text, name = decode(damaged)
    assert name == "utf-8" and text.count("\ufffd") == 1


def test_clean_takes_out_what_has_no_utf8_form() -> None:
    assert clean("a\0b\ud800c\udfff") == "ab\ufffdc\ufffd"


@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "gbk", "utf-16", "iso-2022-jp", "utf-7", "hz", "x", "euc-kr"]))
def test_any_bytes_give_text_that_has_a_utf8_form(data: bytes, declared: str | None) -> None:
    text, name = decode(data, declared)
    assert "\0" not in text and codec(name) == name
    text.encode()


def page(markup: str, text: str = RUSSIAN, name: str = "cp1251") -> bytes:
    return f"<html><head>{markup}</head><body>{text}</body></html>".encode(name)


@pytest.mark.parametrize(
    ("data", "declared", "name", "step"),
    [
        (RUSSIAN.encode("utf-8-sig"), "koi8-r", "utf-8", "bom"),
        (page("", JAPANESE, "utf-16-le"), "iso-8859-1", "utf-16-le", "nuls"),
        (JAPANESE.encode("iso-2022-jp"), "utf-8", "iso2022_jp_ext", "escapes"),
        (KOREAN.encode("iso2022_kr"), None, "iso2022_kr", "escapes"),
        (page('<meta charset="koi8-r">'), "windows-1251", "cp1251", "http"),
        (b"<p>plain", "windows-1251", "cp1251", "http"),
        (page('<meta charset="windows-1251">'), None, "cp1251", "document"),
        (page('<meta charset="windows-1251">', RUSSIAN, "utf-8"), None, "utf-8", "utf8"),
        (RUSSIAN.encode(), None, "utf-8", "utf8"),
        (RUSSIAN.encode("cp1251"), None, "cp1251", "detector"),
        (("Une page légère à côté. " * 9).encode("cp1252") + b"\x81 .", "iso-8859-1", "cp1252", "damaged"),
        ("El Niño".encode("cp1252"), None, "cp1252", "last"),
    ],
)
def test_each_step_decides_where_those_before_it_cannot(data: bytes, declared: str | None, name: str, step: str) -> None:
    assert decide(data, declared)[1:] == (name, step)


def test_the_steps_stand_in_the_documented_order() -> None:
    assert [name for name, _ in STEPS] == "bom nuls escapes http document utf8 detector damaged".split()


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (JAPANESE.encode("shift_jis"), "euc-jp", JAPANESE),
        (JAPANESE.encode("euc_jp"), "shift_jis", JAPANESE),
        (RUSSIAN.encode("cp1251"), "euc-jp", RUSSIAN),
        (RUSSIAN.encode("cp1251"), "windows-1253", RUSSIAN),
        (RUSSIAN.encode("cp1251"), "x-no-such-charset", RUSSIAN),
        (f"<p>{RUSSIAN}".encode(), "utf-16", f"<p>{RUSSIAN}"),
        (RUSSIAN.encode("utf-16-le"), "utf-16", RUSSIAN),
        (RUSSIAN.encode("utf-16-be"), "utf-16be", RUSSIAN),
        ("你好，世界".encode("hz"), "hz-gb-2312", "你好，世界"),
        (("<p>plain " * 200 + "McDonald\u2019s").encode("cp1252"), "utf-8", "<p>plain " * 200 + "McDonald\u2019s"),
    ],
)
def test_an_untrue_declaration_is_found_out_and_a_true_one_used(data: bytes, declared: str, text: str) -> None:
    assert decode(data, declared)[0] == text


@pytest.mark.parametrize("declared", ["gb2312", "iso-8859-1", "utf-8", None])
def test_damaged_utf8_is_utf8_whatever_is_declared(declared: str | None) -> None:
    data = (CHINESE * 4).encode()
    damaged = data[:300] + b"\xff" + data[300:]
    assert decode(damaged, declared) == (damaged.decode("utf-8", "replace"), "utf-8")


def test_a_wrong_first_part_does_not_hide_that_the_page_is_utf8() -> None:
    data = "Pi\xf1ata ".encode("cp1252") + RUSSIAN.encode() * 3
    assert decode(data)[1] == "utf-8"
    assert decode(RUSSIAN.encode("koi8-r") + RUSSIAN.encode())[1] != "utf-8"


@pytest.mark.parametrize(
    "declared", ["windows-1251", "windows-1252", "windows-1253", "windows-1255", "windows-1257", "windows-874"]
)
@pytest.mark.parametrize("length", [12, 400, 40_000])
def test_one_undefined_byte_damages_no_page(declared: str, length: int) -> None:
    name = codec(declared)
    letters = "".join(char for char in bytes(range(0xE0, 0xF9)).decode(name or "", "ignore"))
    text = ((letters + " and plain words ") * (length // 12 + 1))[: max(length, len(letters))]
    data = text.encode(name or "") + b"\x98 end"
    assert decode(data, declared) == (data.decode(name or "", "replace"), name)
    assert decode(data, declared)[0].count("\ufffd") == (0 if b"\x98".decode(name or "", "replace") != "\ufffd" else 1)


def test_where_metas_disagree_the_first_that_the_bytes_bear_out_counts() -> None:
    both = '<meta charset="shift_jis"><meta charset="windows-1251">'
    assert decide(page(both, "Ж" * 9 + RUSSIAN))[1:] == ("cp1251", "document")
    first = '<meta charset="windows-1251"><meta charset="koi8-r">'
    assert decode(page(first)) == (page(first).decode("cp1251"), "cp1251")


@pytest.mark.parametrize(
    "markup",
    [
        '<!-- <meta charset="koi8-r"> --><meta charset="windows-1251">',
        '<!--><meta charset="windows-1251"><!-- -->',
        """<script>document.write('<meta charset="koi8-r">')</script><meta charset="windows-1251">""",
        '<title>how <meta charset="koi8-r"> works</title><meta charset="windows-1251">',
        '<meta name="description" content="use charset=koi8-r"><meta charset="windows-1251">',
        '<metal charset="koi8-r"><meta charset="windows-1251">',
        '<meta data-charset="koi8-r"><meta charset="windows-1251">',
        '<meta charset="windows-1251" charset="koi8-r">',
        "<META CHARSET = windows-1251 />",
        "<meta/charset='windows-1251'>",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
        "<meta content='text/html;charset=\"windows-1251\"' http-equiv=content-type>",
        "<meta id=x content=text/html;charset=windows-1251 lang=ru http-equiv='Content-Type'>",
        '<meta name="Content-Type" content="text/html; charset=windows-1251">',
        '<meta http-equiv="Content-Type" content="charset = windows-1251">',
        '<meta name="a"\n\tx="y"><meta\ncharset="windows-1251">',
        "<style>" + "p {}" * 600 + '</style><meta charset="windows-1251">',
        "<style>" + "p {}" * 6000 + '</style><meta charset="windows-1251">',
    ],
)
def test_the_declaration_of_a_document_is_found_where_markup_has_it(markup: str) -> None:
    text = page(markup, "Да. ")
    assert decide(text)[1:] == ("cp1251", "document")


@pytest.mark.parametrize(
    "markup", ['<!-- <meta charset="koi8-r">', "<script>'<meta charset=koi8-r>'", '<meta name="x" content="charset=koi8-r">']
)
def test_what_is_no_declaration_declares_nothing(markup: str) -> None:
    assert decide(page(markup)).step == "detector"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_an_xml_declaration_counts_in_either_quotes(quote: str) -> None:
    data = f"<?xml version={quote}1.0{quote} encoding={quote}windows-1251{quote} ?><a>Да</a>".encode("cp1251")
    assert decide(data)[1:] == ("cp1251", "document")


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("label", ["iso-8859-1", "utf-16", None])
def test_utf16_is_seen_whatever_its_label_and_where_it_is_cut(name: str, mark: str, label: str | None) -> None:
    data = page("", JAPANESE + "😀", name)
    whole, cut = data.decode(name), (mark + JAPANESE * 2 + "<p>" * 99 + "😀").encode(name)
    assert decode(mark.encode(name) + data, label) == (whole, name)
    for length in (1, 2, 3):
        assert decode(cut[:-length], label)[0] == JAPANESE * 2 + "<p>" * 99
    assert decode(mark.encode(name) + data + b"\x20", label)[0] == whole


@pytest.mark.parametrize("name", ["gb18030", "cp932", "cp949", "euc_jp"])
def test_a_character_that_the_end_cuts_is_left_out(name: str) -> None:
    text = {"gb18030": CHINESE, "cp949": KOREAN.strip()[:-1]}.get(name, JAPANESE[:-1])
    assert decode(text.encode(name)[:-1], name)[0] == text[:-1]


def test_surrogates_that_were_encoded_one_by_one_are_joined() -> None:
    data = b"<p>\xc3\xa9t\xc3\xa9 \xed\xa0\xbd\xed\xb8\x80</p>"
    assert decode(data) == ("<p>été 😀</p>", "utf-8")
    assert decode(data[-10:-4] * 500) == ("😀" * 500, "utf-8")
    lone = "été ".encode() * 20 + b"\xed\xa0\xbd."
    assert decode(lone)[0] == "été " * 20 + "\ufffd" * 3 + "."


def test_the_nul_of_java_is_left_out() -> None:
    assert decode(b"a\xc0\x80b \xc3\xa9") == ("ab é", "utf-8")


def test_c1_controls_that_stand_in_the_text_stay() -> None:
    assert decode("a\x85b\x9dc".encode()) == ("a\x85b\x9dc", "utf-8")
    assert decode(b"Caf\xe9 \x85", "iso-8859-1")[0] == "Café …"


def test_the_detector_reads_from_the_first_letter_that_is_not_ascii() -> None:
    script = b"<script>" + b"var a = 1;\n" * 8000 + b"</script>"
    assert decode(script + RUSSIAN.encode("cp1251"))[0] == script.decode() + RUSSIAN


@pytest.mark.parametrize(
    "unit", [b"<meta ", b"<meta a=", b"<meta charset='", b"<?xml ", b"\0", b"\x1b", b"\x1b$B", b"<!--", b"<script>", b"charset="]
)
@pytest.mark.parametrize("end", [b"", b"\xff charset"])
def test_hostile_bytes_take_linear_time(unit: bytes, end: bytes) -> None:
    data = (unit * (1 << 24))[: 1 << 24] + end
    start = time.process_time()
    decode(data, None)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("unit", [b"\x81", b"\xff", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0", b"\xad\xa1", b"\x8f"])
@pytest.mark.parametrize("declared", ["euc-jp", "gbk", "big5"])
def test_bytes_that_no_codec_likes_take_linear_time(unit: bytes, declared: str) -> None:
    data = unit * ((1 << 20) // len(unit))
    start = time.process_time()
    decode(data, declared)
    assert time.process_time() - start < 6


def known(shared, name: str):  # type: ignore[no-untyped-def]
    """(decoded, truth) of the pages whose encoding stands in the archive."""
    aliases = {"GB2312": "gb18030", "SHIFT_JIS": "cp932", "EUC-KR": "cp949", "TIS-620": "cp874", "windows-1255-hebrew": "cp1255"}
    for headers, response, charset in responses(shared / "crawl" / "html_pages" / name):
        gold = headers.get("x-gold-encoding")
        if gold:
            yield (
                decode(response.body, charset)[0],
                clean(response.body.decode(aliases.get(gold, gold), "replace").lstrip("\ufeff")),
            )


def differs(text: str, truth: str) -> bool:
    """More than 0.5 % of the characters differ."""
    return len(text) != len(truth) or sum(a != b for a, b in zip(text, truth, strict=True)) > 0.005 * len(truth)


def test_charset_pages(shared) -> None:  # type: ignore[no-untyped-def]
    results = [differs(text, truth) for text, truth in known(shared, "charset_pages.warc.gz")]
    assert len(results) == 338 and sum(results) == 0


def test_httpd_manual(shared) -> None:  # type: ignore[no-untyped-def]
    results = [differs(text, truth) for text, truth in known(shared, "httpd_manual_parallel.warc.gz")]
    assert len(results) == 863 and sum(results) == 0


def test_transcoded_pages(shared) -> None:  # type: ignore[no-untyped-def]
    """29 encodings, declared in HTTP, in the document, nowhere, or wrongly as UTF-8; two pages are in UTF-7."""
    right: dict[str, int] = {}
    for headers, response, charset in responses(shared / "crawl" / "warc_bad" / "derived" / "h07_charsets.warc.gz"):
        name, mode = headers["warc-target-uri"].partition("?enc=")[2].split("&mode=")
        truth = clean(response.body.decode(name, "replace").lstrip("\ufeff"))
        right[mode] = right.get(mode, 0) + (not differs(decode(response.body, charset)[0], truth))
    assert right["http"] >= 64 and right["meta"] >= 64 and right["none"] >= 63 and right["wrong"] >= 63
