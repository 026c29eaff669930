"""What a page names as its maker: informs only."""

import pytest

from provenance import signals
from tests.provenance.signals.pages import read

NAME = "page_generator"

NAMED = {
    '<meta name="generator" content="WordPress 6.5">': "WordPress 6.5",
    "<META CONTENT='Hugo 0.120' NAME='Generator'/>": "Hugo 0.120",
    "<meta name=generator content=Jekyll>": "Jekyll",
    '<meta data-x="a" name="generator"\n content="  Drupal\n 10 (https://drupal.org) ">': "Drupal 10 (https://drupal.org)",
    '<meta name="generator" content="WordPress"><meta name="generator" content="WPML"><meta name="generator" content="WordPress">': "WordPress; WPML",
    '<meta name="generator" content="10Web AI Builder">': "10Web AI Builder (a builder that writes with AI)",
}
SILENT = (
    '<meta name="generator" content="">',
    '<!-- <meta name="generator" content="WordPress"> -->',
    '<textarea><meta name="generator" content="WordPress"></textarea>',
    '<meta name="description" content="the generator of the port">',
    '<p>&lt;meta name="generator" content="WordPress"&gt;</p>',
    '<meta name="application-generator" content="x">',
)


@pytest.mark.parametrize("html", NAMED)
def test_names_are_read(html):
    assert read(NAME, html=f"<html><head>{html}</head></html>") == (1.0, NAMED[html])


@pytest.mark.parametrize("html", SILENT)
def test_others_are_not(html):
    assert read(NAME, html=f"<html><head>{html}</head></html>") is None


def test_it_informs_only():
    assert not signals.found()[NAME].STATISTICAL
