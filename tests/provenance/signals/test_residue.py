"""What assistants leave in text, in thirteen languages, and the pages that only speak of it."""

import datetime

import pytest

from provenance.signals.residue import ALARM, DOUBTFUL, FORMULA, INTERFACE, SELF, SPOKEN_OF
from tests.provenance.signals.pages import read, value

NAME = "residue"
PROSE = "The river rises in the hills and reaches the sea at the old port.\n" * 12
BEFORE = datetime.datetime(2019, 5, 1, tzinfo=datetime.UTC)

ARTEFACTS = [
    ":contentReference[oaicite:3]{index=3}",
    "oaicite",
    "citeturn0search0",
    "turn0search12",
    "\ue200cite\ue202turn1view0\ue201",
    "【12†source】",
    "【4:0†report.pdf】",
    "attributableIndex",
    "grok_card",
]
VOICES = {
    "en": "As an AI language model, I cannot have an opinion about rivers.",
    "en by": "As an AI language model developed by OpenAI, I do not have access to it.",
    "es": "Como modelo de lenguaje, no puedo opinar sobre esto.",
    "de": "Als KI-Sprachmodell kann ich dazu keine Meinung haben.",
    "fr": "En tant que modèle de langage, je ne peux pas donner d'avis.",
    "pt": "Como modelo de linguagem, não posso dar opiniões.",
    "it": "Come modello linguistico, non posso avere opinioni.",
    "ru": "Как языковая модель, я не могу иметь мнения.",
    "nl": "Als AI-taalmodel kan ik geen mening hebben.",
    "pl": "Jako model językowy, nie mogę mieć opinii.",
    "ja": "AI言語モデルとして、私は意見を持ちません。",
    "zh": "作为一个人工智能语言模型，我无法提供意见。",
    "ko": "저는 AI 언어 모델이므로 의견이 없습니다.",
    "tr": "Bir yapay zeka dil modeli olarak, bir fikrim yok.",
    "refusal": "I'm sorry, but I cannot fulfill this request.",
    "knowledge": "As of my knowledge cutoff in September 2021, this was open.",
}


@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_artefacts(artefact):
    assert value(NAME, text=f"{PROSE}The port is old {artefact}.\n{PROSE}") == INTERFACE


@pytest.mark.parametrize("language", VOICES)
def test_a_voice_at_the_edge_and_in_the_middle(language):
    voice = VOICES[language]
    assert value(NAME, text=f"{voice}\n{PROSE}") == SELF
    assert value(NAME, text=f"{PROSE}{voice}") == SELF
    assert value(NAME, text=f"{PROSE}{voice}\n{PROSE}") == DOUBTFUL


def test_weaker_strings():
    assert value(NAME, text=f"Certainly! Here is a short article about the river.\n{PROSE}") == DOUBTFUL
    assert value(NAME, text=f"Natürlich! Hier ist ein Text über den Fluss.\n{PROSE}") == DOUBTFUL
    assert value(NAME, text=f"{PROSE}I hope this helps!") == FORMULA
    assert value(NAME, text=f"{PROSE}See https://example.org/a?utm_source=chatgpt.com for more.\n{PROSE}") == FORMULA


QUOTES = {
    "double": 'Many pages begin with "As an AI language model, I cannot" and nobody reads them.',
    "typographic": "Many pages begin with “As an AI language model, I cannot” and nobody reads them.",
    "German": "Viele Seiten beginnen mit „Als KI-Sprachmodell kann ich nicht“ und niemand liest sie.",
    "guillemets": "Beaucoup de pages disent « En tant que modèle de langage, je ne peux pas » sans relecture.",
    "topic in the sentence": "ChatGPT tells you that as an AI language model, I cannot say more.",
    "line of a mail": "> As an AI language model, I cannot say.",
    "artefact named": "The marker `oaicite` comes from the interface.",
    "artefact of ChatGPT": "ChatGPT leaves oaicite in pasted text.",
}


@pytest.mark.parametrize("case", QUOTES)
def test_quoted_or_spoken_of(case):
    assert value(NAME, text=f"{QUOTES[case]}\n{PROSE}") == SPOKEN_OF


@pytest.mark.parametrize("element", ["blockquote", "q", "code", "pre"])
def test_in_a_quoting_element(element):
    line = "As an AI language model, I cannot have an opinion."
    html = f"<html><body><p>What it answered:</p><{element} class=x>As an AI   language model, I cannot have an opinion.</{element}><p>{PROSE}</p></body></html>"
    assert value(NAME, text=f"{line}\n{PROSE}", html=html) == SPOKEN_OF
    outside = html.replace(f"</{element}>", f"</{element}><p>{line}</p>")
    assert value(NAME, text=f"{line}\n{PROSE}", html=outside) == SELF


def test_a_page_about_ai_is_not_decided():
    about = "OpenAI sells a chatbot. Large language models write texts.\n"
    assert value(NAME, text=f"As an AI language model, I cannot.\n{PROSE}{about}") == FORMULA
    assert value(NAME, text=f"{PROSE}{about}The mark: oaicite is pasted along.\n{PROSE}") == DOUBTFUL


@pytest.mark.parametrize(
    "text",
    [
        "ELMo works as a language model, and I used it.",
        "As an artist I paint rivers.",
        "I'm sorry, but I cannot come to the meeting.",
        "Sure, the river rises.",
        "Als KI-Forscher arbeite ich.",
    ],
)
def test_what_people_say(text):
    assert value(NAME, text=f"{text}\n{PROSE}") in (None, SPOKEN_OF)


@pytest.mark.parametrize("artefact", [a for a in ARTEFACTS if "†" not in a])
def test_an_artefact_before_its_time_is_an_alarm(artefact):
    found = read(NAME, text=f"{PROSE}The port {artefact}.", date_end=BEFORE)
    assert found is not None and found[0] == ALARM and "2022-11" in found[1]


def test_other_strings_before_their_time_say_nothing():
    assert value(NAME, text=f"As an AI language model, I cannot.\n{PROSE}", date_end=BEFORE) is None
    assert value(NAME, text=f"{PROSE}I hope this helps!", date_end=BEFORE) is None
    assert value(NAME, text=f"{PROSE}【12†source】", date_end=BEFORE) is None


def test_without_a_date_it_is_evidence():
    assert value(NAME, text=f"{PROSE}oaicite", date_end=None) == INTERFACE
