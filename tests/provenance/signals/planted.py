"""Planted truths and traps of the signals of markup, residue and disclosure, as data: what must be found, and what must not.

Each case is a page (columns of `signals.PAGE` that it names; see `pages.batch`). `FOUND` gives per signal the lowest value that the case must
reach, `TRAPS` the highest that it may (None: no row at all). Other tests, such as those of the verdict, may reuse them.
"""

import base64
import datetime
import json
import struct
from typing import Any

Case = dict[str, Any]

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SCHEMA = "https://schema.org/TrainedAlgorithmicMediaDigitalSource"
BEFORE = datetime.datetime(2019, 5, 1, tzinfo=datetime.UTC)
PROSE = "The river rises in the hills and reaches the sea at the old port. Boats wait there for the tide.\n" * 12
FRENCH = "La rivière descend des collines et rejoint la mer près du vieux port. " * 12
DATA = b"jumb c2pa.actions digitalSourceType http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia sig"
ENCODED = base64.b64encode(DATA).decode()


def page(head: str = "", body: str = "", root: str = "", text: str = PROSE) -> str:
    """An HTML page with a text."""
    return f"<!DOCTYPE html>\n<html {root}>\n<head><title>The river</title>{head}</head>\n<body>{body}<p>{text}</p></body></html>"


def linked(*things: object, kind: str = "application/ld+json") -> str:
    """A page with a JSON-LD script for each thing; a string stands as it is."""
    scripts = (thing if isinstance(thing, str) else json.dumps(thing) for thing in things)
    return page("".join(f'<script type="{kind}">{script}</script>' for script in scripts))


def hidden(data: bytes, magic: bytes = b"C2PATXT\0") -> str:
    """A C2PATextManifestWrapper (C2PA 2.4, A.8)."""
    wrapped = magic + struct.pack("!BI", 1, len(data)) + data
    return "\ufeff" + "".join(chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in wrapped)


def article(**fields: object) -> dict[str, object]:
    return {"@context": "https://schema.org", "@type": "Article", "headline": "The river"} | fields


def _html(html: str, text: str = PROSE, **columns: Any) -> Case:
    return {"html": html, "text": text} | columns


def _french(head: str = "", body: str = "", root: str = 'lang="fr"', **columns: Any) -> Case:
    return {"html": page(head, body, root, FRENCH), "text": FRENCH, "language": "fr"} | columns


_WHOLE_VALUES = (
    SCHEMA,
    "http://schema.org/TrainedAlgorithmicMediaDigitalSource",
    "TrainedAlgorithmicMediaDigitalSource",
    "schema:TrainedAlgorithmicMediaDigitalSource",
    IPTC + "trainedAlgorithmicMedia",
    IPTC.replace("http:", "https:") + "trainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
    "TRAINED_ALGORITHMIC_MEDIA",
)
_NAMES = (
    "digitalSourceType",
    "schema:digitalSourceType",
    "https://schema.org/digitalSourceType",
    "http://schema.org/digitalSourceType",
)
_PARTLY_VALUES = (
    IPTC + "compositeWithTrainedAlgorithmicMedia",
    "https://schema.org/CompositeWithTrainedAlgorithmicMediaDigitalSource",
)
_META = (
    '<meta name="ai-disclosure" content="ai-generated">',
    "<meta name=ai-disclosure content=ai-generated>",
    "<META CONTENT='ai-generated' NAME='AI-Disclosure'/>",
    '<meta content="AI-Generated; model=x" data-x="1" name="Ai-Disclosure" />',
    '<meta name="ai_disclosure" content="ai_generated_autonomous; required=required; icon=ai_generated">',
    '<meta\n  name = "ai-disclosure"\n  content = "machine-generated">',
    '<meta name="ai-disclosure" content="fully AI-generated">',
    '<meta name="ai-disclosure" content="autonomous">',
)
_HEADERS = (
    {"ai-disclosure": "mode=ai-originated"},
    {"ai-disclosure": 'mode="ai-originated", model="gpt-4", provider="OpenAI", reviewed-by="editorial-team", date=@1745286896'},
    {"ai-disclosure": 'provider="x", mode=machine-generated'},
    {"AI-Disclosure": "mode=machine-generated"},
    {"ai-disclosure": "ai-generated"},
)

DISCLOSED: dict[str, tuple[Case, float]] = {
    **{f"JSON-LD value {v}": (_html(linked(article(digitalSourceType=v))), 3) for v in _WHOLE_VALUES},
    **{f"JSON-LD name {n}": (_html(linked(article(**{n: SCHEMA}))), 3) for n in _NAMES},
    **{f"JSON-LD partly {v}": (_html(linked(article(digitalSourceType=v))), 2) for v in _PARTLY_VALUES},
    "JSON-LD value object": (_html(linked(article(digitalSourceType={"@id": IPTC + "trainedAlgorithmicMedia"}))), 3),
    "JSON-LD value list": (_html(linked(article(digitalSourceType=["digitalCreation", SCHEMA]))), 3),
    "JSON-LD list at the top": (_html(linked([{"@type": "Organization"}, article(digitalSourceType=SCHEMA)])), 3),
    "JSON-LD graph": (_html(linked({"@graph": [{"@type": "WebSite"}, {"@graph": [article(digitalSourceType=SCHEMA)]}]})), 3),
    "JSON-LD types": (_html(linked(article(digitalSourceType=SCHEMA) | {"@type": ["CreativeWork", "BlogPosting"]})), 3),
    "JSON-LD type URL": (_html(linked(article(digitalSourceType=SCHEMA) | {"@type": "http://schema.org/NewsArticle"})), 3),
    "JSON-LD main entity": (_html(linked({"@type": "WebPage", "mainEntity": article(digitalSourceType=SCHEMA)})), 3),
    "JSON-LD of the page": (_html(linked({"@type": "WebPage", "digitalSourceType": SCHEMA})), 3),
    "JSON-LD in two scripts": (
        _html(linked({"@type": "Article", "@id": "#a"}, {"@id": "#a", "digitalSourceType": SCHEMA})),
        3,
    ),
    "JSON-LD beside broken JSON": (_html(linked('{"@type": "Article", "digitalSourceType": ', article(digitalSourceType=SCHEMA))), 3),
    "JSON-LD with entities": (_html(linked(json.dumps(article(digitalSourceType=SCHEMA)).replace('"', "&quot;"))), 3),
    "JSON-LD in CDATA": (_html(linked("//<![CDATA[\n" + json.dumps(article(digitalSourceType=SCHEMA)) + "\n//]]>")), 3),
    "JSON-LD with a trailing comma": (_html(linked('{"@type": "Article", "digitalSourceType": "' + SCHEMA + '",}')), 3),
    "JSON-LD with a line feed in a string": (
        _html(linked('{"@type": "Article", "headline": "a\nb", "digitalSourceType": "' + SCHEMA + '"}')),
        3,
    ),
    "JSON-LD escaped slashes": (_html(linked(json.dumps(article(digitalSourceType=SCHEMA)).replace("/", "\\/"))), 3),
    "JSON-LD type with charset": (_html(linked(article(digitalSourceType=SCHEMA), kind="application/ld+json; charset=utf-8")), 3),
    "JSON-LD type in capitals": (_html(linked(article(digitalSourceType=SCHEMA), kind="Application/LD+JSON")), 3),
    "Merchant description": (
        _html(
            linked(
                {
                    "@type": "Product",
                    "structured_description": {"digital_source_type": "TRAINED_ALGORITHMIC_MEDIA", "content": PROSE},
                }
            )
        ),
        3,
    ),
    "Merchant feed": (
        {
            "html": "<?xml version='1.0'?><rss><channel><item><g:structured_description><g:digital_source_type>TRAINED_ALGORITHMIC_MEDIA"
            "</g:digital_source_type><g:content>A chair.</g:content></g:structured_description></item></channel></rss>"
        },
        2,
    ),
    "microdata link": (
        _html(page(body=f'<article itemscope itemtype="https://schema.org/Article"><link href="{SCHEMA}" itemprop="digitalSourceType">x</article>')),
        3,
    ),
    "microdata meta": (
        _html(page(body=f"<div itemtype=http://schema.org/BlogPosting itemscope><meta content='{SCHEMA}' itemprop='digitalSourceType'>x</div>")),
        3,
    ),
    "microdata text": (
        _html(page(body='<div itemscope itemtype="https://schema.org/Article"><span itemprop="digitalSourceType">trainedAlgorithmicMedia</span></div>')),
        3,
    ),
    "microdata names": (
        _html(page(body=f'<div itemscope itemtype="https://schema.org/Article"><a itemprop="about digitalSourceType" href="{SCHEMA}">AI</a></div>')),
        3,
    ),
    "microdata article of a page": (
        _html(
            page(
                body=f'<div itemscope itemtype="https://schema.org/Article"><p>x<p>y<meta itemprop="digitalSourceType" content="{SCHEMA}"></div>',
                root='itemscope itemtype="https://schema.org/WebPage"',
            )
        ),
        3,
    ),
    "RDFa": (
        _html(page(body=f'<div vocab="https://schema.org/" typeof="Article"><link property="digitalSourceType" href="{SCHEMA}">x</div>')),
        3,
    ),
    "RDFa prefix": (
        _html(page(body=f'<div typeof="schema:NewsArticle"><meta property="schema:digitalSourceType" content="{SCHEMA}">x</div>')),
        3,
    ),
    "meta source type": (_html(page(f'<meta name="digitalSourceType" content="{IPTC}trainedAlgorithmicMedia">')), 3),
    **{f"meta {m}": (_html(page(m)), 3) for m in _META},
    "Drupal summarized": (_html(page('<meta name="ai-disclosure" content="ai_summarized; required=undetermined; icon=ai_generated">')), 2),
    "Drupal assisted": (_html(page('<meta name="ai-disclosure" content="ai_assisted_hitl; required=required; icon=ai_modified">')), 2),
    "Drupal JSON-LD": (
        _html(linked({"@context": "https://schema.org", "@type": "CreativeWork", "digitalSourceType": SCHEMA})),
        3,
    ),
    "attribute of the article": (_html(page(body=f'<article ai-disclosure="ai-generated">{PROSE}</article>')), 3),
    **{f"header {json.dumps(h)}": ({"http_headers": json.dumps(h), "text": PROSE}, 3) for h in _HEADERS},
    "header modified": ({"http_headers": '{"ai-disclosure": "mode=ai-modified"}', "text": PROSE}, 2),
    "header and page": (_html(page(), http_headers='{"content-type": "text/html", "ai-disclosure": "mode=ai-originated"}'), 3),
    "C2PA script": (_html(page(f'<script type="application/c2pa">\n{ENCODED}\n</script>')), 3),
    "C2PA script of a store": (_html(page(f"<script type='application/x-c2pa-manifest-store'>{ENCODED}</script>")), 3),
    "C2PA link with data": (_html(page(f'<link href="data:application/c2pa;base64,{ENCODED}" rel="c2pa-manifest">')), 3),
    "C2PA hidden in text": ({"text": PROSE + hidden(DATA)}, 3),
    "C2PA hidden at the start": ({"text": hidden(DATA) + PROSE}, 3),
    "C2PA hidden, byte order mark taken": ({"text": hidden(DATA)[1:] + PROSE}, 3),
    "C2PA hidden in a page": ({"html": page(text=PROSE + hidden(DATA))}, 3),
    "C2PA lines": ({"text": f"{PROSE}\n-----BEGIN C2PA MANIFEST-----\n{ENCODED}\n-----END C2PA MANIFEST-----\n"}, 3),
    "C2PA one line": ({"text": f"-----BEGIN C2PA MANIFEST----- data:application/c2pa;base64,{ENCODED} -----END C2PA MANIFEST-----\n{PROSE}"}, 3),
    "C2PA lines commented out": (
        {"text": f"# -----BEGIN C2PA MANIFEST-----\n# {ENCODED[:60]}\n# {ENCODED[60:]}\n# -----END C2PA MANIFEST-----\n{PROSE}"},
        3,
    ),
    "C2PA in an HTML comment": ({"html": page(body=f"<!-- -----BEGIN C2PA MANIFEST-----\n{ENCODED}\n-----END C2PA MANIFEST----- -->")}, 3),
}  # fmt: skip
"""Disclosures: page and value, 3 of the whole text and 2 of a part."""

_IMAGE = {"@type": "ImageObject", "contentUrl": "a.jpg", "digitalSourceType": IPTC + "trainedAlgorithmicMedia"}
_HUMAN = ("digitalCapture", "digitalCreation", "humanEdits", "minorHumanEdits", "negativeFilm", "screenCapture", "compositeCapture")

UNDISCLOSED: dict[str, tuple[Case, float | None]] = {
    "image of an article": (_html(linked(article(image=_IMAGE))), 0),
    "images of an article": (_html(linked(article(image=[_IMAGE, _IMAGE]))), 0),
    "image in a graph": (_html(linked({"@graph": [article(image={"@id": "#i"}), _IMAGE | {"@id": "#i"}]})), 0),
    "image of a product": (_html(linked({"@type": "Product", "image": _IMAGE})), 0),
    "thumbnail": (_html(linked(article(thumbnail={"digitalSourceType": SCHEMA}))), 0),
    "video": (_html(linked({"@type": "VideoObject", "digitalSourceType": SCHEMA})), 0),
    "audio": (_html(linked({"@type": "AudioObject", "digitalSourceType": SCHEMA})), 0),
    "gallery": (_html(linked({"@type": "ImageGallery", "digitalSourceType": SCHEMA})), 0),
    "main image of the page": (_html(linked({"@type": "WebPage", "primaryImageOfPage": {"digitalSourceType": SCHEMA}})), 0),
    "microdata image": (
        _html(page(body=f'<div itemscope itemtype="https://schema.org/ImageObject"><meta itemprop="digitalSourceType" content="{SCHEMA}"></div>')),
        0,
    ),
    "attribute of an image": (_html(page(body='<img src="a.png" ai-disclosure="ai-generated">')), 0),
    "another work": (_html(linked({"@type": "WebPage", "about": {"@type": "Book", "digitalSourceType": SCHEMA}})), 1),
    "cited work": (_html(linked(article(citation=article(digitalSourceType=SCHEMA)))), 1),
    "related article": (_html(linked({"@type": "ItemList", "itemListElement": [article(digitalSourceType=SCHEMA)]})), 1),
    "manifest elsewhere": (_html(page('<link rel="c2pa-manifest" href="https://example.org/m.c2pa">')), 0),
    "manifest elsewhere, header": ({"http_headers": '{"link": "<https://example.org/m.c2pa>; rel=\\"c2pa-manifest\\""}'}, 0),
    "manifest of a camera": ({"text": PROSE + hidden(DATA.replace(b"trainedAlgorithmicMedia", b"digitalCapture"))}, 0),
    "manifest address": ({"text": "-----BEGIN C2PA MANIFEST----- https://example.org/m.c2pa -----END C2PA MANIFEST-----\n" + PROSE}, 0),
    **{f"human source {h}": (_html(linked(article(digitalSourceType=IPTC + h))), None) for h in _HUMAN},
    **{
        f"statement {w}": (_html(page(f'<meta name="ai-disclosure" content="{w}">')), None)
        for w in ("none", "no", "human", "human-written", "human_only; required=not-required", "human-generated", "not ai-generated", "no-ai", "0", "")
    },
    "header none": ({"http_headers": '{"ai-disclosure": "mode=none"}', "text": PROSE}, None),
    "header false": ({"http_headers": '{"ai-disclosure": "ai-generated=?0"}', "text": PROSE}, None),
    "other header": ({"http_headers": '{"x-ai-disclosure-policy": "mode=ai-originated"}', "text": PROSE}, None),
    "prose about it": (
        {"text": "Use digitalSourceType trainedAlgorithmicMedia, or AI-Disclosure: mode=ai-originated.\n" + PROSE, "html": page(text="digitalSourceType: trainedAlgorithmicMedia, ai-disclosure")},
        None,
    ),
    "code sample": (_html(page(body='<pre>&lt;meta name="ai-disclosure" content="ai-generated"&gt;</pre>')), None),
    "sample in a text area": (_html(page(body='<textarea><meta name="ai-disclosure" content="ai-generated"></textarea>')), None),
    "sample in a comment": (_html(page('<!-- <meta name="ai-disclosure" content="ai-generated"> -->')), None),
    "sample in a template": (_html(page(body='<template><meta name="ai-disclosure" content="ai-generated"></template>')), None),
    "JSON-LD in a comment": (_html(page(f'<!-- <script type="application/ld+json">{json.dumps(article(digitalSourceType=SCHEMA))}</script> -->')), None),
    "data attribute": (_html(page(body='<div data-ai-disclosure="ai-generated"><img data-digitalsourcetype="trainedAlgorithmicMedia"></div>')), None),
    "plain script": (_html(linked({"digitalSourceType": SCHEMA}, kind="application/json")), None),
    "emoji selectors": ({"text": "\u2764\ufe0f \ufeff\ufe0f \U000e0133 " + PROSE}, None),
    "other hidden bytes": ({"text": PROSE + hidden(b"secret message", b"SOMEELSE")}, None),
    "word c2pa": ({"text": "C2PA manifests begin with BEGIN C2PA MANIFEST.\n" + PROSE}, None),
}  # fmt: skip
"""What discloses nothing about the text: page and the highest value it may have, None for no row."""

ARTEFACTS = (
    ":contentReference[oaicite:3]{index=3}",
    "[oaicite:0]",
    "oaicite",
    "citeturn0search0",
    "turn0search12",
    "\ue200cite\ue202turn1view0\ue201",
    "【12†source】",
    "【4:0†report.pdf】",
    '({"attribution":{"attributableIndex":"0-1"}})',
    "grok_card",
    '<grok-card data-id="1">',
)

VOICES = {
    "en": "As an AI language model, I cannot have an opinion about rivers.",
    "en typographic": "As an AI language model, I don’t have personal experiences with rivers.",
    "en no comma": "As an AI language model I don't have feelings about rivers.",
    "en assistant": "As an AI assistant, I can't visit the river myself.",
    "en by": "As a large language model, trained by Google, I cannot swim.",
    "en artificial": "As an artificial intelligence, I do not have a favourite river.",
    "en am": "I'm just an AI, it's not within my programming to judge rivers.",
    "en am model": "I am a large language model and cannot see the river.",
    "en order": "As a language model AI, I don't have an opinion.",
    "en impersonal": "As an AI language model, it is important to note that rivers differ.",
    "en made": "I was trained by OpenAI on many texts, so I may be wrong.",
    "en refusal": "I'm sorry, but I cannot fulfill this request.",
    "en refusal typographic": "I’m sorry, but I can’t assist with that request. I cannot fulfil your request as it is.",
    "en cutoff": "As of my knowledge cutoff in September 2021, the port was open.",
    "en update": "As of my last update in April 2023, the port was open.",
    "es": "Como modelo de lenguaje de IA, no puedo opinar sobre esto.",
    "es soy": "Soy un modelo de lenguaje, así que carezco de opiniones.",
    "es ia": "Como inteligencia artificial, no tengo opiniones personales.",
    "es refusal": "Lo siento, pero no puedo cumplir con esta solicitud.",
    "es cutoff": "Hasta la fecha de corte de mi conocimiento, el puerto estaba abierto.",
    "de": "Als KI-Sprachmodell kann ich dazu keine Meinung haben.",
    "de ki": "Als KI habe ich keine persönlichen Erfahrungen.",
    "de bin": "Ich bin nur ein Sprachmodell, deshalb sehe ich den Fluss nicht.",
    "de refusal": "Es tut mir leid, aber ich kann diese Anfrage nicht erfüllen.",
    "de cutoff": "Stand meines Wissens im September 2021 war der Hafen offen.",
    "fr": "En tant que modèle de langage, je ne peux pas donner d'avis.",
    "fr ia": "En tant qu’IA, je n’ai pas d’opinion personnelle.",
    "fr assistant": "En tant qu'assistant IA, je ne peux pas voir la rivière.",
    "fr suis": "Je suis un modèle de langage, donc je ne vois pas la rivière.",
    "fr refusal": "Je suis désolé, mais je ne peux pas répondre à cette demande.",
    "pt": "Como modelo de linguagem, não posso dar opiniões.",
    "pt ia": "Como uma inteligência artificial, eu não tenho opiniões.",
    "pt refusal": "Sinto muito, mas não posso atender a essa solicitação.",
    "it": "Come modello linguistico, non posso avere opinioni.",
    "it ia": "In quanto intelligenza artificiale, non ho esperienze personali.",
    "it refusal": "Mi dispiace, ma non posso soddisfare questa richiesta.",
    "ru": "Как языковая модель, я не могу иметь мнения.",
    "ru ии": "Как искусственный интеллект, я не имею личного опыта.",
    "ru refusal": "Извините, но я не могу выполнить этот запрос.",
    "nl": "Als AI-taalmodel kan ik geen mening hebben.",
    "pl": "Jako model językowy, nie mogę mieć opinii.",
    "ja": "AI言語モデルとして、私は意見を持ちません。",
    "ja polite": "私はAIですので、川を見ることはできません。私はAI言語モデルです。",
    "ja refusal": "申し訳ありませんが、そのリクエストにはお応えできません。",
    "zh": "作为一个人工智能语言模型，我无法提供意见。",
    "zh half width": "作为AI助手,我没有自己的看法。",
    "zh traditional": "作為一個AI語言模型，我無法提供意見。",
    "zh am": "我是一个大型语言模型，没有浏览能力。",
    "zh refusal": "抱歉，我无法满足您的请求。",
    "zh cutoff": "截至我的知识更新到2021年，港口是开放的。",
    "ko": "저는 AI 언어 모델이므로 의견이 없습니다.",
    "ko as": "인공지능 언어 모델로서 저는 의견이 없습니다.",
    "tr": "Bir yapay zeka dil modeli olarak, bir fikrim yok.",
}

OPENERS = (
    "Certainly! Here is a short article about the river.",
    "Certainly! Here’s a short article about the river.",
    "Sure, here's a text about the river:",
    "Of course! Below is a revised version.",
    "¡Claro! Aquí tienes un artículo sobre el río.",
    "Natürlich! Hier ist ein Text über den Fluss.",
    "Bien sûr ! Voici un article sur la rivière.",
    "Claro! Aqui está um artigo sobre o rio.",
    "Certo! Ecco un articolo sul fiume.",
    "Конечно! Вот статья о реке.",
    "もちろんです。以下は川についての記事です。",
    "当然！以下是一篇关于河流的文章。",
)

ABOUT_AI = (
    "ChatGPT is a chatbot of OpenAI. Large language models write texts, and chatbots repeat them. Artificial intelligence is debated.\n"
    * 6
)

QUOTED = {
    "double quotes": 'Many pages begin with "As an AI language model, I cannot" and nobody reads them.',
    "typographic quotes": "Many pages begin with “As an AI language model, I cannot” and nobody reads them.",
    "single quotes": "Many pages begin with 'As an AI language model, I can't do it' and nobody reads them.",
    "German quotes": "Viele Seiten beginnen mit „Als KI-Sprachmodell kann ich nicht“ und niemand liest sie.",
    "German guillemets": "Viele Seiten beginnen mit »Als KI-Sprachmodell kann ich nicht« und niemand liest sie.",
    "French guillemets": "Beaucoup de pages disent « En tant que modèle de langage, je ne peux pas » sans relecture.",
    "Japanese quotes": "多くのページは「AI言語モデルとして、私は意見を持ちません」と書いている。",
    "Chinese quotes": "很多网页写着“作为一个人工智能语言模型，我无法提供意见”。",
    "assistant in the sentence": "ChatGPT tells you that as an AI language model, I cannot say more.",
    "Claude in the sentence": "Claude answered: as an AI language model, I cannot say more.",
    "line of a mail": "> As an AI language model, I cannot say.",
    "fenced block": "Sample:\n```\nAs an AI language model, I cannot say.\n```",
    "headline": "As an AI language model, I wrote this: how answers get into shops\n",
    "artefact in quotes": 'The marker "oaicite" comes from the interface.',
    "artefact in backticks": "The marker `contentReference[oaicite:0]` comes from the interface.",
    "artefact of an assistant": "ChatGPT leaves oaicite in pasted text.",
}

RESIDUE: dict[str, tuple[Case, float]] = {
    **{f"artefact {a}": ({"text": f"{PROSE}The port is old {a}.\n{PROSE}"}, 4) for a in ARTEFACTS},
    **{f"artefact {a}, no date": ({"text": f"{PROSE}The port is old {a}.", "date_end": None}, 4) for a in ARTEFACTS},
    **{f"voice at the start, {k}": ({"text": f"{v}\n{PROSE}"}, 3) for k, v in VOICES.items()},
    **{f"voice at the end, {k}": ({"text": f"{PROSE}{v}"}, 3) for k, v in VOICES.items()},
    **{f"voice in the middle, {k}": ({"text": f"{PROSE}{v}\n{PROSE}"}, 2) for k, v in VOICES.items()},
    **{f"opener {o}": ({"text": f"{o}\n{PROSE}"}, 2) for o in OPENERS},
    "link of an assistant": ({"text": f"{PROSE}See https://example.org/a?utm_source=chatgpt.com for more.\n{PROSE}"}, 1),
    "link of another": ({"text": f"{PROSE}See https://example.org/a?b=1&utm_source=openai for more.\n{PROSE}"}, 1),
    "link of copilot": ({"text": f"{PROSE}See https://example.org/a?utm_source=copilot.com.\n{PROSE}"}, 1),
    "closer": ({"text": f"{PROSE}I hope this helps!"}, 1),
}
"""Residue: page and the lowest value."""

_ELEMENTS = ("blockquote", "q", "code", "pre", "samp", "kbd")
_VOICE = VOICES["en"]

NO_RESIDUE: dict[str, tuple[Case, float | None]] = {
    **{f"quoted: {k}": ({"text": f"{v}\n{PROSE}"}, 0) for k, v in QUOTED.items()},
    **{f"in {e}": ({"text": f"{_VOICE}\n{PROSE}", "html": page(body=f"<{e}>{_VOICE}</{e}>")}, 0) for e in _ELEMENTS},
    **{f"artefact in {e}": ({"text": f"The marker oaicite.\n{PROSE}", "html": page(body=f"<p>The marker <{e}>oaicite</{e}>.</p>")}, 0) for e in _ELEMENTS},
    "page about AI": ({"text": f"{_VOICE}\n{ABOUT_AI}"}, 1),
    "page about AI, artefact": ({"text": f"{ABOUT_AI}The mark oaicite stays behind.\n{ABOUT_AI}"}, 2),
    **{
        f"people: {line}": ({"text": f"{line}\n{PROSE}"}, None)
        for line in (
            "ELMo works as a language model, and I used it.",
            "As an artist I paint rivers.",
            "As an AI researcher, I study rivers.",
            "I'm sorry, but I cannot come to the meeting.",
            "I am an AI engineer at the port.",
            "Sure, the river rises.",
            "Als KI-Forscher arbeite ich.",
            "Como modelo de conducta, no es perfecto.",
            "En tant que citoyen, je ne peux pas voter.",
            "我是一个大学生。",
            "作为一个父亲，我无法同意。",
            "My training data is imbalanced.",
            "Come modello, non è perfetto.",
            "Turn 0 search 0 results.",
        )
    },
    **{f"old voice {k}": ({"text": f"{v}\n{PROSE}", "date_end": BEFORE}, None) for k, v in VOICES.items()},
    "old dagger": ({"text": f"{PROSE}【12†source】", "date_end": BEFORE}, None),
    "old closer": ({"text": f"{PROSE}I hope this helps!", "date_end": BEFORE}, None),
    "old opener": ({"text": f"Certainly! Here is the text.\n{PROSE}", "date_end": BEFORE}, None),
}  # fmt: skip
"""What is no residue of this text: page and the highest value it may have, None for no row."""

TAMPERED: dict[str, Case] = {
    **{f"artefact {a}": {"text": f"{PROSE}{a}", "date_end": BEFORE} for a in ARTEFACTS if "†" not in a},
    "quoted": {"text": f'The marker "oaicite".\n{PROSE}', "date_end": BEFORE},
    "link in the page": {
        "text": PROSE,
        "html": page(body='<a href="https://example.org/?utm_source=chatgpt.com">x</a>'),
        "date_end": BEFORE,
    },
    "day before": {"text": f"{PROSE}oaicite", "date_end": datetime.datetime(2022, 10, 31, 23, 59, tzinfo=datetime.UTC)},
}
"""Artefacts in captures dated before there were any: alarms against the date and no evidence of a machine."""

_PAIR = "<font style='vertical-align: inherit;'><font style='vertical-align: inherit;'>"
_PAIR_NEW = '<font dir="auto" style="vertical-align: inherit;"><font dir="auto" style="vertical-align: inherit;">'
_DEFAULT = '<link rel="alternate" hreflang="en" href="/p"><link rel="alternate" hreflang="fr" href="/fr/p"><link rel="alternate" hreflang="x-default" href="/p">'
_PLUGINS = {
    "Weglot": '<script src="https://cdn.weglot.com/weglot.min.js"></script><div data-wg-notranslate></div>',
    "TranslatePress": '<ul class="trp-language-switcher"><li data-no-translation>x</li></ul>',
    "ConveyThis": '<script src="//cdn.conveythis.com/javascript/conveythis.js"></script>',
    "Bablic": '<script src="//cdn2.bablic.com/js/bablic.3.0.js"></script>',
    "Transifex Live": '<script src="//cdn.transifex.com/live.js"></script>',
    "Localize": '<script src="https://global.localizecdn.com/localize.js"></script>',
    "GTranslate paid": '<script>window.gtranslateSettings = {"default_language":"en","url_structure":"sub_domain"}</script>',
}
NOTICES = {
    "en": "This page was machine translated.",
    "en automatically": "This article has been automatically translated from German.",
    "en sentence": "Automatically translated from the English original.",
    "en by": "Translated by Google.",
    "es": "Esta página ha sido traducida automáticamente.",
    "es machine": "Este artículo se ha traducido mediante traducción automática.",
    "de": "Diese Seite wurde maschinell übersetzt.",
    "de automatic": "Dieser Artikel wurde automatisch aus dem Englischen übersetzt.",
    "fr": "Cette page a été traduite automatiquement.",
    "fr par": "Cet article a été traduit par une machine.",
    "pt": "Esta página foi traduzida automaticamente.",
    "it": "Questa pagina è stata tradotta automaticamente.",
    "ru": "Эта страница была переведена автоматически.",
    "ru machine": "Этот текст переведён с помощью машинного перевода.",
    "ja": "このページは機械翻訳されています。",
    "ja this": "この記事は自動翻訳によって作成されています。",
    "zh": "本页面由机器翻译。",
    "zh traditional": "本文由機器翻譯產生。",
    "nl": "Deze pagina is automatisch vertaald.",
    "pl": "Ta strona została przetłumaczona automatycznie.",
    "ko": "이 페이지는 기계 번역되었습니다.",
    "tr": "Bu sayfa otomatik olarak çevrilmiştir.",
}

TRANSLATED: dict[str, tuple[Case, float]] = {
    "lang": (_french(root='lang="fr-x-mtfrom-en"'), 4),
    "lang unquoted": (_french(root="lang=fr-x-mtfrom-en"), 4),
    "lang upper case": (_french(root="LANG='FR-X-MTFROM-EN'"), 4),
    "lang among attributes": (_french(root='class="a" dir=ltr lang="fr-FR-x-mtfrom-en" id=x'), 4),
    "xml:lang": (_french(root='xml:lang="fr-x-mtfrom-en"'), 4),
    "lang of a div": ({"text": FRENCH, "html": f'<html><body><div id="a" lang="fr-x-mtfrom-en"><p>{FRENCH}</p></div></body></html>'}, 4),
    "lang of spans": ({"text": FRENCH, "html": "".join(f"<p><span lang=fr-x-mtfrom-en>{FRENCH[:70]}</span></p>" for _ in range(12))}, 4),
    "link": (_french('<link rel="alternate machine-translated-from" hreflang="en" href="/en">'), 4),
    "link, other order": (_french("<LINK HREF=/en HREFLANG=en REL='machine-translated-from alternate'/>"), 4),
    "link header": (_french(http_headers='{"link": "</en>; rel=\\"alternate machine-translated-from\\"; hreflang=\\"en\\""}'), 4),
    "content-language": (_french(http_headers='{"content-language": "fr-x-mtfrom-en"}'), 4),
    "translate.goog": ({"url": "https://example-org.translate.goog/p", "text": FRENCH}, 4),
    "translate.goog upper case": ({"url": "HTTPS://EXAMPLE-ORG.TRANSLATE.GOOG:443/p?_x_tr_sl=auto&_x_tr_tl=fr", "text": FRENCH}, 4),
    "googleusercontent": ({"url": "http://translate.googleusercontent.com/translate_c?hl=fr&u=http://example.org/", "text": FRENCH}, 4),
    "parameters": ({"url": "https://example.org/p?a=1&_x_tr_sl=en&_x_tr_tl=fr&_x_tr_hl=fr&_x_tr_pto=wapp", "text": FRENCH}, 4),
    "ms": (_french('<meta name="ms.translationtype" content="MT" />'), 4),
    "ms, other order": (_french("<META CONTENT='mt' NAME='ms.TranslationType'>"), 4),
    "translated-ltr": (_french(root='lang="fr" class="js translated-ltr"'), 3),
    "translated-rtl": (_french(root="class=translated-rtl lang=ar"), 3),
    "fonts": ({"text": FRENCH, "html": f"<p>{_PAIR}{FRENCH}</font></font></p><p>{_PAIR}{FRENCH}</font></font></p>"}, 3),
    "fonts with direction": ({"text": FRENCH, "html": f"<p>{_PAIR_NEW}{FRENCH}</font></font></p><p>{_PAIR_NEW}{FRENCH}</font></font></p>"}, 3),
    "Edge": ({"text": FRENCH, "html": "".join(f'<p _msttexthash="12" _msthash="3">{FRENCH[:70]}</p>' for _ in range(12))}, 3),
    **{f"{k} by x-default": (_french(_DEFAULT, v), 2) for k, v in _PLUGINS.items()},
    "Weglot by its data": (_french('<script type="application/json" id="weglot-data">{"language_from":"en"}</script>'), 2),
    "TranslatePress by its data": (
        _french("<script>var trp_data = {'trp_original_language':'en_US','trp_current_language':'fr_FR'}</script>", root='lang="fr-FR"'),
        2,
    ),
    **{f"notice at the start, {k}": (_french() | {"text": f"{v}\n{FRENCH}"}, 3) for k, v in NOTICES.items()},
    **{f"notice at the end, {k}": (_french() | {"text": f"{FRENCH}\n{v}"}, 3) for k, v in NOTICES.items()},
    **{f"notice beside, {k}": (_french(body=f'<div class="banner">{v}</div>'), 3) for k, v in NOTICES.items()},
    "badge": (_french() | {"text": f"机器翻译\n{FRENCH}"}, 3),
    "badge beside": (_french(body="<span class=badge>Automatically translated</span>"), 3),
}  # fmt: skip
"""Machine translation: page and value, 4 decisive, 3 strong, 2 medium."""

_LANGUAGES = ("en", "de", "es", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh")

UNTRANSLATED: dict[str, tuple[Case, float | None]] = {
    "free GTranslate": (
        _french(
            _DEFAULT,
            '<div class="gtranslate_wrapper gt_switcher_wrapper notranslate"></div><script>window.gtranslateSettings = {"default_language":"en","url_structure":"none"}</script>'
            '<script src="https://cdn.gtranslate.net/widgets/latest/float.js"></script>',
        ),
        None,
    ),
    "translate element": (
        _french(_DEFAULT, '<div id="google_translate_element"></div><script src="//translate.google.com/translate_a/element.js"></script>'),
        None,
    ),
    "goog-te styles": (_french(body='<style>.goog-te-banner-frame{display:none} .translated-ltr{top:0}</style><div class="skiptranslate goog-te-gadget"></div>'), None),
    "hreflang": (_french("".join(f'<link rel="alternate" hreflang="{a}" href="/{a}">' for a in _LANGUAGES)), None),
    "WPML": (_french(_DEFAULT, '<div class="wpml-ls"><script src="/sitepress-multilingual-cms/x.js"></script></div>'), None),
    "Polylang": (_french(_DEFAULT, '<ul class="polylang_langswitcher lang-item"></ul>'), None),
    **{f"{k} on the original": (_french(_DEFAULT, v, root='lang="en"') | {"language": "en"}, None) for k, v in _PLUGINS.items()},
    **{f"{k}, original unknown": (_french(body=v), None) for k, v in _PLUGINS.items() if "paid" not in k},
    "Weglot in prose": (_french(_DEFAULT, "<p>Nous avons essayé weglot et cdn.weglot.com.</p>"), None),
    "plug-in declared but not run": (_french(_DEFAULT, _PLUGINS["Weglot"]) | {"language": "en"}, None),
    "human translation": (_french('<meta name="ms.translationtype" content="HT">'), None),
    "code sample": (_french(body='<pre>&lt;html lang="fr-x-mtfrom-en"&gt;</pre>'), None),
    "comment": (_french(body='<!-- <div lang="fr-x-mtfrom-en">x</div> <link rel="machine-translated-from"> -->'), None),
    "data-lang": (_french(body='<div data-lang="fr-x-mtfrom-en">x</div>'), None),
    "hreflang of a link": (_french(body='<a hreflang="fr-x-mtfrom-en" href="/x">x</a>'), None),
    "quoted notice": (_french() | {"text": 'Some sites warn: "This page was machine translated from English." We do not.\n' + FRENCH}, None),
    "notice in a blockquote": (
        {"text": NOTICES["en"] + "\n" + FRENCH, "html": f"<blockquote>{NOTICES['en']}</blockquote><p>{FRENCH}</p>"},
        None,
    ),
    "hidden notices of a widget": (
        _french(body='<div id="gt-disclaimer" style=" display : none; color : #e48585;">' + "".join(f"<span>{v}</span>" for v in NOTICES.values()) + "</div>"),
        None,
    ),
    "about translation": (_french() | {"text": "Machine translation has a long history. Texts are translated by people too. " * 10}, None),
    "another text": (_french() | {"text": "The subtitles of the film were automatically translated from English by the studio's computer.\n" + FRENCH}, None),
    "notice far inside": (_french() | {"text": FRENCH * 3 + "\nThis article has been automatically translated from German.\n" + FRENCH * 3, "html": ""}, None),
    "topic in a heading": (_french() | {"text": "机器翻译\n机器翻译是自然语言处理的一个领域。\n" + FRENCH, "language": "zh"}, None),
    "same language view": ({"url": "https://example.org/p?_x_tr_sl=en&_x_tr_tl=en"}, None),
    "no target": ({"url": "https://example.org/p?_x_tr_hl=en"}, None),
    "host in the path": ({"url": "https://example.org/about/x.translate.goog"}, None),
    "host in the query": ({"url": "https://example.org/?u=https://x.translate.goog/"}, None),
    "longer host": ({"url": "https://x.translate.goog.example.org/"}, None),
    "the translator itself": ({"url": "https://translate.google.com/about/"}, None),
    "one pair of fonts": (_french(body=f"{_PAIR}mot</font></font>"), None),
}  # fmt: skip
"""What is no machine translation: page and the highest value, None for no row."""

FOUND: dict[str, dict[str, tuple[Case, float]]] = {"disclosure": DISCLOSED, "residue": RESIDUE, "translation_markup": TRANSLATED}
TRAPS: dict[str, dict[str, tuple[Case, float | None]]] = {
    "disclosure": UNDISCLOSED,
    "residue": NO_RESIDUE,
    "translation_markup": UNTRANSLATED,
}
