"""Pages made to hang, exhaust or blind an extractor, and a process that measures one extractor on them.

`python -m tests.provenance.hostile EXTRACTOR GROUP` forks once for each page of a group and prints a JSON line: CPU
seconds and growth of the peak memory of the extractor alone, what it kept, and what `pages.page` made of the same bytes.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LIMIT = 60
"""CPU seconds after which the kernel ends a page's process."""

SENTENCE = "The harbour was quiet when the ferries returned, and people walked home along a wet stone road, talking. "
ARTICLE = "".join(f"<p>{number}. {SENTENCE * 4}</p>" for number in range(3))


BLIND = (
    "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='a'/></head><body><p>{}</p></body></html>",
    "<html><head><title/></head><body><p>{}</p></body></html>",
    "<html><head><title>Words<meta name=a></head><body><p>{}</p></body></html>",
    "<html><body><noscript><p>{}</p></noscript></body></html>",
    "<html><frameset><noframes><p>{}</p></noframes></frameset></html>",
    "{}",
)
"""Pages that hide their text, `{}`, from a parser that takes the markup at its word."""


@dataclass(frozen=True)
class Case:
    """A page, and what a text of it is: with the article, empty, or anything that is no error."""

    make: Callable[[], str]
    expects: str = "article"
    blind: tuple[str, ...] = ()
    """Extractors that are known to see nothing of it, and may keep nothing."""
    charset: str = "utf-8"
    label: str = "utf-8"


def _page(body: str, head: str = "<title>Harbour</title>") -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"


def _nested(start: str, count: int = 100_000) -> Case:
    return Case(lambda: _page(start * count + ARTICLE))


GROUPS: dict[str, dict[str, Case]] = {
    "nesting": {
        "div": _nested("<div>"),
        "span": _nested("<span>"),
        "divs, spans and sections": _nested("<div><span><section>", 33_333),
        "tables": _nested("<table><tr><td>", 33_333),
        "lists": _nested("<ul><li>", 50_000),
        "words in spans": Case(lambda: _page("<span>word " * 100_000), "any"),
        "b and i, misnested": Case(lambda: _page("<b>x<i>y</b>z</i>" * 20_000 + ARTICLE), "any"),
        "fonts that each paragraph reopens": Case(lambda: _page("".join(f"<p><font a={n}>x" for n in range(20_000))), "any"),
        "nesting that is closed": Case(lambda: _page("<div>" * 400 + ARTICLE + "</div>" * 400)),
        "nesting after errors": Case(lambda: _page("</x>" * 500 + "<div>" * 400 + ARTICLE)),
    },
    "size": {
        "an attribute of 5 MB": Case(lambda: _page(f"<div class='{'x y ' * 1_250_000}'>{ARTICLE}</div>")),
        "50,000 attributes": Case(lambda: _page(f"<div {' '.join(f'a{n}' for n in range(50_000))}>{ARTICLE}</div>")),
        "50,000 options": Case(lambda: _page("<select>" + "<option>x</option>" * 50_000 + "</select>" + ARTICLE)),
        "30,000 rows": Case(lambda: _page("<table>" + "<tr><td>x<td>some words" * 30_000 + "</table>"), "any"),
        "a script of 5 MB": Case(lambda: _page(f"<script>{'a = b < c; ' * 450_000}</script>{ARTICLE}")),
        "a comment of 5 MB": Case(lambda: _page(f"<!--{'no words ' * 550_000}-->{ARTICLE}")),
        "3 MB of entities": Case(lambda: _page("<p>" + "&eacute;&#233;" * 200_000), "any"),
        "a number of 100,000 digits": Case(lambda: _page(f"<p>&#{'9' * 100_000};</p>" + "<div>" * 600 + ARTICLE)),
    },
    "a million breaks": {"a million breaks": Case(lambda: _page("word<br>" * 1_000_000), "any")},
    "50 MB": {
        "one text": Case(lambda: _page(f"<p>{SENTENCE * 490_000}</p>")),
        "paragraphs": Case(lambda: _page(f"<p>{SENTENCE}</p>" * 450_000)),
    },
    "blindness": {
        "an empty title of XHTML": Case(lambda: f"<?xml version='1.0'?>{_page(ARTICLE, '<title/><script src=x />')}"),
        "a title that ends itself": Case(lambda: _page(ARTICLE, "<title/>")),
        "a title that nothing ends": Case(lambda: _page(ARTICLE, "<title>Harbour<meta name=a content=b>"), blind=("trafilatura",)),
        "frames": Case(
            lambda: f"<html><frameset cols=*><frame src=a><noframes><body>{ARTICLE}</body></noframes></frameset></html>",
            blind=("trafilatura",),
        ),
        "frames without an alternative": Case(lambda: "<html><frameset cols=*><frame src=a></frameset></html>", "nothing"),
        "only for visitors without scripts": Case(lambda: _page(f"<noscript>{ARTICLE}</noscript>")),
        "scripts only": Case(lambda: _page(f"<script>document.write('{SENTENCE * 9}')</script>", ""), "nothing"),
        "styles only": Case(lambda: _page("", f"<style>{'a { color: red } ' * 99}</style>"), "nothing"),
        "a comment that nothing ends": Case(lambda: f"<html><body><!-- {ARTICLE}", "nothing"),
        "nothing": Case(lambda: "", "nothing"),
        "blanks": Case(lambda: " \n\t\xa0" * 9, "nothing"),
        "no markup": Case(lambda: SENTENCE * 9, blind=("trafilatura",)),
        "NUL in words and tags": Case(lambda: _page(ARTICLE.replace("harbour", "har\0bour").replace("<p>", "<\0p>")), "any"),
        "lone surrogates": Case(lambda: _page("\ud800" + ARTICLE + "\udfff")),
        "surrogates as numbers": Case(lambda: _page(f"<p>&#xD800;&#55296;&#0;{ARTICLE}")),
        "UTF-16 labelled latin-1": Case(lambda: _page(ARTICLE), charset="utf-16-le", label="iso-8859-1"),
        "UTF-16 with a mark, labelled latin-1": Case(lambda: "\ufeff" + _page(ARTICLE), charset="utf-16-be", label="iso-8859-1"),
    },
}


def _measured(read: Callable[[str], str], kit: Any, case: Case) -> dict[str, Any]:
    """One extractor on one page, in a process that has done nothing else."""
    from provenance import pages
    from provenance.decode import decode

    html = case.make()
    size = len(html)
    data = html.encode(case.charset, "surrogatepass")
    if case.charset != "utf-8":
        html = decode(data, case.label)[0]
    peak, started = _peak(), time.process_time()
    text = read(html)
    seconds, growth = time.process_time() - started, _peak() - peak
    again = read(html) if size < 100_000 else text
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={case.label}\r\n\r\n".encode() + data
    made = pages.page("response", "http://a.example/", "2020-05-06T07:08:09Z", block, {}, None, {}, kit)
    return {
        "size": size,
        "seconds": seconds,
        "growth": growth,
        "characters": len(text.strip()),
        "article": "harbour was quiet" in text,
        "same": text == again,
        "page": "page" if isinstance(made, pages.Page) else f"{made.stage}/{made.reason}",
        "page_article": isinstance(made, pages.Page) and "harbour was quiet" in made.text,
    }


def _peak() -> int:
    """Peak of this process's memory in bytes; macOS counts bytes, Linux KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(extractor: str, group: str) -> Iterator[dict[str, Any]]:
    """Measurements of one extractor on a group of pages, each in a fork that the kernel ends when it hangs."""
    from provenance import pages
    from provenance.extract import Extract

    kit = pages.tools(Extract(extractor=extractor))
    # What is made at first use is not the page's.
    pages.page(
        "response", None, None, f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{_page(ARTICLE)}".encode(), {}, None, {}, kit
    )
    kit.extract("<html>")
    for name, case in GROUPS[group].items():
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
            os.close(reading)
            try:
                found = _measured(kit.extract, kit, case)
            except BaseException as error:  # reported to the test, whatever it is
                found = {"error": f"{type(error).__name__}: {error}"[:500]}
            with os.fdopen(writing, "w") as pipe:
                json.dump(found, pipe)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        ended = os.waitpid(child, 0)[1]
        killed = f"ended by {signal.Signals(ended).name}" if os.WIFSIGNALED(ended) else f"ended with {ended}"
        yield {"case": name, **(json.loads(said) if said else {"error": killed})}


if __name__ == "__main__":
    for line in measure(*sys.argv[1:]):
        print(json.dumps(line), flush=True)
