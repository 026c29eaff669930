"""What happens to pages between the two crawls: edits, other templates, translation by glossary, pages of machine text."""

import html
import random
import re
from collections.abc import Sequence

_BODY = re.compile(r"<body>(.*)</body>", re.DOTALL)
_MARKUP = re.compile(r"(<[^>]*>|&[#\w]+;)")
_LONG_WORD = re.compile(r"\b[a-z]{4,}\b")
_ANY_WORD = re.compile(r"[A-Za-z]+")

REPLACEMENTS = (
    "almost anyway certain clearly common every indeed likewise mostly nearly often proper rather several simply usual".split()
)

GLOSSARY = dict(
    pair.split(":")
    for pair in """a:un about:sur above:ci-dessus after:après all:tous also:aussi an:un and:et any:tout are:sont argument:argument
    arguments:arguments as:comme at:à be:être been:été before:avant between:entre but:mais by:par called:appelé can:peut
    case:cas character:caractère characters:caractères class:classe classes:classes code:code contain:contenir could:pourrait
    data:données default:défaut defined:défini dictionary:dictionnaire do:faire does:fait each:chaque either:soit else:sinon
    empty:vide end:fin error:erreur every:chaque example:exemple exception:exception expression:expression false:faux file:fichier
    files:fichiers first:premier following:suivant for:pour from:de function:fonction functions:fonctions given:donné has:a
    have:avoir help:aide here:ici if:si in:dans instance:instance instead:plutôt into:dans is:est it:il its:son key:clé
    keyword:mot-clé last:dernier length:longueur level:niveau like:comme line:ligne lines:lignes list:liste made:fait may:peut
    message:message method:méthode methods:méthodes module:module more:plus most:plupart must:doit name:nom names:noms new:nouveau
    no:non none:rien not:pas number:nombre numbers:nombres object:objet objects:objets of:de on:sur one:un only:seulement
    optional:facultatif or:ou order:ordre other:autre otherwise:autrement out:dehors path:chemin raise:lever raised:levé
    read:lire result:résultat return:retourner returns:retourne same:même second:deuxième see:voir self:soi sequence:séquence
    set:ensemble should:devrait since:depuis size:taille so:ainsi some:quelques specified:spécifié statement:instruction
    string:chaîne strings:chaînes such:tel than:que that:que the:le then:alors there:là these:ces this:ce time:temps to:à
    true:vrai two:deux type:type types:types under:sous unless:sauf until:jusque used:utilisé using:utilisant value:valeur
    values:valeurs variable:variable version:version was:était when:quand where:où which:lequel while:pendant will:sera with:avec
    without:sans word:mot words:mots would:serait write:écrire you:vous your:votre zero:zéro""".split()
)
"""English to French, word by word: all that the demo's translator knows."""


def inner(page: str) -> str:
    """What stands in a page's body."""
    found = _BODY.search(page)
    return found.group(1) if found else page


def document(title: str, body: str, head: str = "", language: str = "en") -> str:
    """A whole HTML page."""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n{head}</head><body>\n'
        f"{body}\n</body></html>"
    )


def around(title: str, page: str, head: str = "") -> str:
    """The content of `page` in another site's template."""
    before = '<header><nav><a href="/">Home</a> <a href="/manual/">Manual</a> <a href="/search">Search</a></nav></header>'
    after = "<footer><p>Mirrored for your convenience. Contact the webmaster.</p></footer>"
    return document(f"{title} - mirror", f"{before}\n<main>{inner(page)}</main>\n{after}", head)


def edited(page: str, chance: random.Random, share: float) -> str:
    """The page with one word exchanged in every 1 / `share` of its words, at least two, spread over the page."""
    start = page.find("<body>")
    pieces = _MARKUP.split(page[start:])
    places = [(i, match) for i in range(0, len(pieces), 2) for match in _LONG_WORD.finditer(pieces[i])]
    total = sum(len(re.findall(r"\w+", piece)) for piece in pieces[::2])
    count = min(len(places), max(2, round(total * share)))
    step = len(places) / count if count else 1
    chosen = [places[int((n + chance.random()) * step)] for n in range(count)]
    for i, match in reversed(chosen):
        word = chance.choice([word for word in REPLACEMENTS if word != match.group()])
        pieces[i] = pieces[i][: match.start()] + word + pieces[i][match.end() :]
    return page[:start] + "".join(pieces)


def translated(page: str) -> str:
    """The content of `page` with every word that the glossary has in French, marked as machine translation is to be marked."""
    pieces = _MARKUP.split(inner(page))
    pieces[::2] = [_ANY_WORD.sub(lambda match: GLOSSARY.get(match.group().lower(), match.group()), piece) for piece in pieces[::2]]
    return "".join(pieces)


def article(title: str, paragraphs: Sequence[str], head: str = "", before: str = "") -> str:
    """A plain article page."""
    text = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    return document(title, f"<article>\n<h1>{html.escape(title)}</h1>\n{before}{text}\n</article>", head)
