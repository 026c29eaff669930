"""Language identification on texts of known languages and scripts."""

import time
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import language

TEXTS = {
    "en": "This page is about old books\n\nand the people who read them.",
    "de": "Diese Seite handelt von alten Büchern und den Menschen, die sie lasen.",
    "fr": "Cette page parle de vieux livres et des gens qui les ont lus.",
    "es": "Esta página trata de libros antiguos y de las personas que los leyeron.",
    "pl": "Ta strona opowiada o starych książkach i ludziach, którzy je czytali.",
    "tr": "Bu sayfa eski kitaplar ve onları okuyan insanlar hakkındadır.",
    "vi": "Trang này nói về những cuốn sách cũ và những người đã đọc chúng.",
    "fi": "Tämä sivu kertoo vanhoista kirjoista ja niitä lukeneista ihmisistä.",
    "hu": "Ez az oldal régi könyvekről és az őket olvasó emberekről szól.",
    "ru": "Эта страница о старых книгах и о людях, которые их читали.",
    "uk": "Ця сторінка про старі книжки та людей, які їх читали.",
    "bg": "Тази страница е за стари книги и за хората, които са ги чели.",
    "el": "Αυτή η σελίδα μιλά για παλιά βιβλία και για τους ανθρώπους που τα διάβασαν.",
    "hy": "Այս էջը հին գրքերի և դրանք կարդացող մարդկանց մասին է։",
    "ka": "ეს გვერდი ძველ წიგნებსა და მათ მკითხველებზეა.",
    "he": "העמוד הזה עוסק בספרים ישנים ובאנשים שקראו אותם.",
    "ar": "هذه الصفحة عن الكتب القديمة وعن الناس الذين قرأوها.",
    "fa": "این صفحه درباره کتاب‌های قدیمی و مردمی است که آن‌ها را خوانده‌اند.",
    "ur": "یہ صفحہ پرانی کتابوں اور انہیں پڑھنے والے لوگوں کے بارے میں ہے۔",
    "hi": "यह पृष्ठ पुरानी किताबों और उन्हें पढ़ने वाले लोगों के बारे में है।",
    "bn": "এই পাতাটি পুরনো বই এবং যারা সেগুলি পড়েছে তাদের নিয়ে।",
    "pa": "ਇਹ ਪੰਨਾ ਪੁਰਾਣੀਆਂ ਕਿਤਾਬਾਂ ਬਾਰੇ ਹੈ।",
    "gu": "આ પાનું જૂનાં પુસ્તકો વિશે છે.",
    "ta": "இந்தப் பக்கம் பழைய புத்தகங்களைப் பற்றியது.",
    "te": "ఈ పేజీ పాత పుస్తకాల గురించి.",
    "kn": "ಈ ಪುಟ ಹಳೆಯ ಪುಸ್ತಕಗಳ ಬಗ್ಗೆ.",
    "ml": "ഈ താൾ പഴയ പുസ്തകങ്ങളെക്കുറിച്ചാണ്.",
    "si": "මෙම පිටුව පැරණි පොත් ගැන ය.",
    "th": "หน้านี้เกี่ยวกับหนังสือเก่าและผู้คนที่อ่านมัน",
    "lo": "ໜ້ານີ້ກ່ຽວກັບປຶ້ມເກົ່າ",
    "km": "ទំព័រនេះគឺអំពីសៀវភៅចាស់ៗ",
    "my": "ဤစာမျက်နှာသည် စာအုပ်ဟောင်းများအကြောင်း ဖြစ်သည်။",
    "bo": "ཤོག་ངོས་འདི་དཔེ་ཆ་རྙིང་པའི་སྐོར་ཡིན།",
    "am": "ይህ ገጽ ስለ አሮጌ መጻሕፍት ነው።",
    "dv": "މި ޞަފްޙާއަކީ ކުރީގެ ފޮތްތަކާ ބެހޭ ޞަފްޙާއެކެވެ.",
    "ko": "이 페이지는 오래된 책과 그것을 읽은 사람들에 관한 것이다.",
    "ja": "古い本と、それを読んだ人々についてのページです。",
    "zh": "这是关于旧书以及读过它们的人的网页。",
}
# Scripts that no language of the model is written in: N'Ko, Cherokee, Syriac, Gothic (outside the BMP), Yi.
UNKNOWN = ("ߒߞߏ ߦߋ߫ ߞߊ߲ ߠߎ߬ ߘߏ߫ ߟߋ߬ ߘߌ߫", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᎠᎴ ᏗᎦᎪᏗ", "ܐܢܐ ܐܝܬܝ ܟܬܒܐ", "𐌰𐍄𐍄𐌰 𐌿𐌽𐍃𐌰𐍂 𐌸𐌿 𐌹𐌽 𐌷𐌹𐌼𐌹𐌽𐌰𐌼", "ꆈꌠꁱꂷ ꆈꌠꁱꂷ")
SOME = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([*TEXTS.values(), *UNKNOWN, "https://a.example/b?c=d", "me@b.example", "123 + 4", "\U0001f600", "\u0301"]))
    .map(" ".join),
)  # fmt: skip


@cache
def shipped() -> Any:
    return language.load()


def identify(text: str, characters: int = language.CHARACTERS) -> tuple[str | None, float | None]:
    return language.identify(text, shipped(), characters)


@pytest.mark.parametrize("code", TEXTS)
def test_languages(code: str) -> None:
    named, score = identify(TEXTS[code])
    assert named == code and score is not None and 0.5 < score <= 1


@pytest.mark.parametrize("text", ["", " \n\t ", "12345 + 67 = ?", "--- *** ---", "\u0301\u0301", "' '' '", "\U0001f600 \U0001f600"])
def test_a_text_without_letters_has_no_language(text: str) -> None:
    assert identify(text) == (None, None)


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_script_that_the_model_does_not_know_has_no_language(text: str) -> None:
    assert identify(text) == (None, None)
    assert identify(text * 3 + " " + "a" * len(text)) == (None, None)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("한국 서울", {"ko"}),
        ("カタカナ", {"ja"}),
        ("東京へ行く", {"ja"}),
        ("Νέα Υόρκη", {"el"}),
        ("กรุงเทพ", {"th"}),
        ("თბილისი", {"ka", "xmf"}),
        ("Ереван", set("av az ba be bg bs ce cv kk ky mhr mk mn os ru rue sah sh sr tg tk tt uk uz".split())),
        ("ירושלים", {"he", "yi"}),
        ("𠮷𠮷这里的牛肉饭很好吃", {"zh", "wuu", "yue"}),
    ],
)
def test_a_short_text_is_in_a_language_of_its_script(text: str, codes: set[str]) -> None:
    assert identify(text)[0] in codes


def test_every_language_of_the_model_has_its_scripts() -> None:
    labels = {label.removeprefix("__label__") for _, label in shipped().f.predict("a\n", 1000, -1.0, "replace")}
    assert len(labels) == language._LANGUAGES
    assert set(language._scripts_of()) <= labels
    for code, text in TEXTS.items():
        assert language._scripts_of().get(code, language._LATIN) & language._written_in(language._letters(text)[1])


def test_short_texts_say_so() -> None:
    latin = ("en", "de", "fr", "es", "pl", "fi", "hu", "tr")
    means = [sum(identify(TEXTS[code][:length])[1] or 0.0 for code in latin) / len(latin) for length in (5, 12, 30, 60)]
    assert means == sorted(means) and means[0] < 0.5 and means[-1] > 0.9
    assert identify("OK") == (None, None) and identify("中") == (None, None)


def test_addresses_digits_and_symbols_have_no_say() -> None:
    noise = (
        " https://www.example.com/the/quick-brown-fox?over=the_lazy+dog someone.important@mail.example.com 1234567890 \U0001f600 "
    )
    for code in ("de", "ru", "ja", "hi"):
        assert identify(TEXTS[code] + noise * 3) == identify(TEXTS[code])


def test_foreign_words_in_latin_letters_do_not_outweigh_the_script() -> None:
    assert identify("DSC Resource (PowerShell 5.1, Windows) 구성에서 단일 인스턴스만 허용하는 리소스를 정의합니다")[0] == "ko"


def test_the_sample_is_of_start_middle_and_end() -> None:
    text = "a" * 300 + " " + "b " * 5000 + "c" * 290 + " end"
    sample = language._sample(text, 600)
    assert len(sample) <= 602 and sample.startswith("a" * 200) and " b b b " in sample and sample.endswith(" end")
    menu, article = "Home News Contact About us Login Register Search ", TEXTS["ru"] + " "
    assert identify(menu * 10 + article * 40)[0] == "ru"
    assert identify(TEXTS["en"] * 8 + TEXTS["ru"] * 30, 200)[0] == "ru"


def test_case_does_not_matter() -> None:
    for code in ("fr", "pl", "ru", "el"):
        assert identify(TEXTS[code].title()) == identify(TEXTS[code])


@pytest.mark.parametrize("text", ["a" * 20_000_000, "\u0301" * 5_000_000, "漢" * 5_000_000, "x@" * 5_000_000, "@" * 5_000_000])
def test_time_does_not_grow_with_the_text(text: str) -> None:
    identify("warm \u00e9")
    start = time.process_time()
    identify(text)
    assert time.process_time() - start < 1


@given(SOME)
def test_any_text_has_both_or_neither(text: str) -> None:
    named, score = identify(text)
    assert (named is None) == (score is None) and (score is None or 0 <= score <= 1)
    assert identify(text) == (named, score)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6))
def test_the_score_rises_with_the_models_share(one: float, other: float, letters: int) -> None:
    low, high = sorted((one, other))
    assert 0 < language.calibrated(low, letters) <= language.calibrated(high, letters) <= 1


def test_the_score_rises_with_the_letters() -> None:
    scores = [language.calibrated(0.9, letters) for letters in (5, 20, 100, 512)]
    assert scores == sorted(set(scores))
