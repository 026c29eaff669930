"""The cascade from bytes to text, on made cases and on pages whose encoding is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.decode import clean, codec, decode, looks_like_text, nul_pattern
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


@pytest.mark.parametrize("label", ["base64", "rot13", "unicode_escape", "idna", "x" * 300, "a\0b", "../x", "ünknown", "", "mbcs"])
def test_labels_that_are_no_charset_are_unknown(label: str) -> None:
    assert codec(label) is None


def test_clean_takes_out_what_has_no_utf8_form() -> None:
    assert clean("a\0b\ud800c\udfff") == "ab\ufffdc\ufffd"


@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "gbk", "utf-16", "iso-2022-jp", "utf-7", "hz", "x", "euc-kr"]))
def test_any_bytes_give_text_that_has_a_utf8_form(data: bytes, declared: str | None) -> None:
    text, name = decode(data, declared)
    assert "\0" not in text and codec(name) == name
    text.encode()


def known(shared, name: str):  # type: ignore[no-untyped-def]
    """(decoded, truth) of the pages whose encoding stands in the archive; one in `ascii` holds other bytes."""
    aliases = {"GB2312": "gb18030", "SHIFT_JIS": "cp932", "EUC-KR": "cp949", "TIS-620": "cp874", "windows-1255-hebrew": "cp1255"}
    for headers, response, charset in responses(shared / "crawl" / "html_pages" / name):
        gold = headers.get("x-gold-encoding")
        if gold and gold.lower() != "ascii":
            yield (
                decode(response.body, charset)[0],
                clean(response.body.decode(aliases.get(gold, gold), "replace").lstrip("\ufeff")),
            )


def differs(text: str, truth: str) -> bool:
    """More than 0.5 % of the characters differ."""
    return len(text) != len(truth) or sum(a != b for a, b in zip(text, truth, strict=True)) > 0.005 * len(truth)


def test_charset_pages(shared) -> None:  # type: ignore[no-untyped-def]
    results = [differs(text, truth) for text, truth in known(shared, "charset_pages.warc.gz")]
    assert len(results) > 330 and sum(results) == 0


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
