"""What the names that authors give elements (`class`, `id`, `role`, `itemprop`) say of their content.

Names are cut into words at case changes and at everything that is no letter, so that `postMeta`, `post-meta` and
`post_meta` are alike. The lists are in the manner of Readability's (https://github.com/mozilla/readability), made on the
development gold.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

ALIEN, BOILERPLATE, CONTENT, DOUBTFUL, BYLINE = (1 << bit for bit in range(5))
"""Comments and cookie notices, which are content nowhere; boilerplate where it is the lesser part of a page; content; what
is seldom content; who wrote it and when."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
LONGEST = 300
"""Characters of an element's names that are read."""
_WORDS = {
    ALIEN: re.compile(
        r"^comment(?!ary|ator)|^kommentar|^comentario|^disqus|^dsq$|^livefyre|^respond$|^repl(?:y|ies)$|^trackback|^pingback|^guestbook"
        r"|^cookie|^gdpr|^consent|^onetrust|^cybot|^usercentrics|^didomi|^truste$"
    ),
    BOILERPLATE: re.compile(
        r"^footer|^foot$|footer$|^nav$|^nav(?:bar|igation)|nav$|^menu|menu$|^submenu|breadcrumb|^crumbs?$|^pager|paginat|^toc$|^prev$|^next$"
        r"|^previous$|^jump|^skip$|^toolbar|^toolbox|^buttons?$|^btn|^dropdown|^search|^login|^signup|^signin|^register$|^captcha"
        r"|^blogroll|^related|^recommend|^popular|^trending|^recent|^archives$|^most$|^also$|^teasers?$|^tagcloud|^widgettitle|^sidebar"
        r"|^subscri|^newsletter|^rss|^feeds?$|^shar(?:e|es|ing)$|^sharedaddy|^addthis|^socials?$|^follow$|^facebook|^digg|^pinterest|^bookmark"
        r"|^copyright|^disclaimer|^powered|^masthead|^logo|^banners?$|^promos?$|^sponsor|^advert|^ads?$|^adsense|^outbrain|^taboola"
        r"|^popup|^modal$|^overlay|^avatar|^vcard$|^printonly|^noprint"
    ),
    CONTENT: re.compile(
        r"^article|^story|^entry|^hentry|^post(?:s|body|content|text)?$|content|^body|^main|^text|^copy$|^prose|^publish"
    ),
    DOUBTFUL: re.compile(
        r"side|widget|module|^right|^left|^box|block|^links?$|^list|^item|^tabs?$|^more|^header|^head$|^top|^bottom|^tools?|^hidden|^col"
        r"|^rail|^secondary|^panel|^about|^latest|^archive"
    ),
    BYLINE: re.compile(
        r"^byline|^author|^dateline|^timestamp|^datetime|^meta$|^metadata$|^postmeta|^postdate|^pubdate|^published$|^posted"
    ),
}
# What `has-sidebar`, `comments-open` or `js-share` say is of the page's state or of a script, not of the element's content.
_STATE = re.compile(
    r"(?:^|(?<=\s))(?:(?:has|no|with|without|is|not|js|hide|show|l)[-_]{1,2}[\w-]+"
    r"|[\w-]*[-_](?:open|opened|closed|enabled|disabled|visible|accepted|fixed|only)(?=\s|$))"
)
UNSEEN = ("hidden", "sr-only", "d-none", "screen-reader")
UNSEEN_INLINE = ("screenreader", "for-sr", "invisible", "lineno", "blob-num", "editsection", "header", "anchor", "hash-link")
"""One of these stands in the classes of each element for which `is_unseen`; the latter are looked for in links, spans and cells."""
_UNSEEN = re.compile(
    r"(?:^|\s)(?:(?:[a-z0-9]+-)?(?:sr-only|visually-?hidden|screen-?reader(?:-text|-only)?|show-for-sr)|element-invisible|u-hidden(?:Visually)?"
    # Line numbers, and the links that pages put behind headings.
    r"|linenos?|blob-num|mw-editsection|headerlink|header-?anchor|anchorjs-link|hash-link)(?:\s|$)"
)
# Frameworks hide an element by the first and show it from a width on by the second: `d-none d-md-block`, `hidden md:flex`.
_NARROW = re.compile(r"(?:^|\s)(?:d-none|(?:is-)?hidden)(?:\s|$)")
_WIDER = re.compile(r"\bd-(?:sm|md|lg|xl|xxl)-(?!none)|\b(?:sm|md|lg|xl|2xl):")
_ROLES = {
    "navigation": BOILERPLATE, "contentinfo": BOILERPLATE, "complementary": BOILERPLATE, "search": BOILERPLATE, "banner": BOILERPLATE,
    "dialog": BOILERPLATE, "alertdialog": BOILERPLATE, "main": CONTENT, "article": CONTENT, "comment": ALIEN,
}  # fmt: skip
_PROPERTIES = {
    "articlebody": CONTENT, "comment": ALIEN, "author": BYLINE, "datepublished": BYLINE, "datemodified": BYLINE,
    "breadcrumb": BOILERPLATE,
}  # fmt: skip


@lru_cache(maxsize=1 << 17)
def _word(word: str) -> int:
    low = word.lower()
    return sum(mark for mark, words in _WORDS.items() if words.search(low))


def is_unseen(names: str) -> bool:
    """Whether these classes, at most `LONGEST` characters of them, say that an element is not shown."""
    return bool(_UNSEEN.search(names)) or bool(_NARROW.search(names) and not _WIDER.search(names))


@lru_cache(maxsize=1 << 16)
def marks(names: str) -> int:
    """The marks of an element with these classes and id, at most `LONGEST` characters of them."""
    if "hentry" in names:  # WordPress writes the tags and categories of a post into its classes
        return CONTENT
    found = 0
    for word in _WORD.findall(_STATE.sub(" ", names)):
        found |= _word(word)
    return found


def roles(attributes: Mapping[str, object]) -> int:
    """The marks that `role` and `itemprop` give."""
    found = 0
    for name, meanings in (("role", _ROLES), ("itemprop", _PROPERTIES)):
        value = attributes.get(name)
        if isinstance(value, str):
            found |= meanings.get(value.strip().lower(), 0)
    return found
