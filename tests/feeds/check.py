#!/usr/bin/env python3
"""Do feed readers and search engines understand what newsdesk tells them?

Usage: check.py PATH/TO/newsdesk

Starts `newsdesk demo` in an empty folder and reads the feeds with feedparser, the JSON-LD with extruct and the sitemaps
with lxml: programs that are not ours. Each must find the stories of the list, with what the list says of them.
"""
import calendar
import html
import datetime
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import extruct
import feedparser
from lxml import etree

START_SECONDS = 120
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
NEWS = "{http://www.google.com/schemas/sitemap-news/0.9}"
IMAGE = "{http://www.google.com/schemas/sitemap-image/1.1}"
LINK = "{http://www.w3.org/1999/xhtml}link"

failures = []


def expect(ok, what):
    """Goes on after a failure: all of them are told at the end."""
    if not ok:
        failures.append(what)
    return ok


def same(found, wanted, what):
    return expect(found == wanted, f"{what}: {found!r} and not {wanted!r}")


def get(address):
    with urllib.request.urlopen(address, timeout=30) as response:
        return response.read(), response.headers


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(base, process):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"newsdesk ended with {process.poll()}")
        try:
            if json.loads(get(f"{base}/delivery/v1/articles")[0])["data"]:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.3)
    raise SystemExit("newsdesk does not answer")


def read(address):
    return json.loads(get(address)[0])


def size(address):
    request = urllib.request.Request(address, method="HEAD")
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(response.headers["Content-Length"])


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def people(story):
    return [author["name"] for author in story["authors"]]


def subjects(story):
    return [part["name"] for part in [story["section"], *story["tags"]] if part]


def check_feed(base, path, kind, stories):
    body, headers = get(base + path)
    # What the server says of it counts, too.
    feed = feedparser.parse(body, response_headers=dict(headers.items()))
    expect(not feed.bozo, f"{path}: {feed.get('bozo_exception')}")
    same(feed.version, kind, f"{path}: the kind")
    expect(any(link.rel == "self" and link.href == base + path for link in feed.feed.links), f"{path}: no link to itself")
    same(feed.feed.title, read(f"{base}/delivery/v1/site")["name"], f"{path}: the title")
    newest = max(seconds(story["updated_at"]) for story in stories)
    same(calendar.timegm(feed.feed.updated_parsed), newest, f"{path}: the date")
    same(len(feed.entries), len(stories), f"{path}: the number of entries")
    for entry, story in zip(feed.entries, stories):
        check_entry(f"{path}: {story['title']}", kind, entry, story)


def check_entry(name, kind, entry, story):
    same(entry.title, story["title"], name)
    expect(entry.id.endswith(story["id"]), f"{name}: {entry.id}")
    same(entry.link, story["url"], f"{name}: the address")
    same(calendar.timegm(entry.published_parsed), seconds(story["published_at"]), f"{name}: published")
    if kind == "atom10":
        same(calendar.timegm(entry.updated_parsed), seconds(story["updated_at"]), f"{name}: updated")
    if story["lead"] is not None:
        same(html.unescape(entry.get("summary", "")), story["lead"], f"{name}: the lead")
    same([author["name"] for author in entry.get("authors", [])], people(story), f"{name}: the authors")
    labels = [tag.get("label") or tag["term"] for tag in entry.get("tags", [])]
    same(labels, subjects(story), f"{name}: the subjects")
    covers = [(link.href, link.type, int(link.length)) for link in entry.links if link.rel == "enclosure"]
    image = story["cover"] and story["cover"]["image"]
    if image:
        # The file that the story names, or its original while that has not been made: the length is of the one named.
        stem = lambda url: url.rsplit("/", 1)[1].split(".")[0].split("-")[0]
        same([stem(href) for href, _, _ in covers], [stem(image["url"])], f"{name}: the enclosure's picture")
        same([length for _, _, length in covers], [size(href) for href, _, _ in covers], f"{name}: the enclosure's length")
    else:
        same(covers, [], f"{name}: the enclosure")
    expect(entry.get("content", [{}])[0].get("value"), f"{name}: no body")


def check_json_feed(base, stories):
    feed = read(f"{base}/feeds/feed.json")
    same([item["id"] for item in feed["items"]], [story["id"] for story in stories], "feed.json: the stories")
    for item, story in zip(feed["items"], stories):
        name = f"feed.json: {story['title']}"
        for own, other in [
            ("title", "title"), ("url", "url"), ("date_published", "published_at"), ("date_modified", "updated_at"), ("language", "language"),
        ]:
            same(item.get(own), story[other], f"{name}: {own}")
        same(item.get("summary"), story["lead"], f"{name}: the lead")
        same([author["name"] for author in item["authors"]], people(story), f"{name}: the authors")
        same(item["tags"], subjects(story), f"{name}: the subjects")
        same(item.get("image"), story["cover"] and story["cover"]["image"]["url"], f"{name}: the image")
        expect(item["content_html"], f"{name}: no body")


def check_json_ld(base, story):
    name = f"JSON-LD of {story['slug']}"
    text = get(f"{base}/delivery/v1/articles/{story['slug']}/json-ld")[0].decode()
    page = f'<!doctype html><html><head><script type="application/ld+json">{text}</script></head></html>'
    found = extruct.extract(page, syntaxes=["json-ld"])["json-ld"]
    if not same(len(found), 1, f"{name}: items"):
        return
    about, seo = found[0], read(f"{base}/delivery/v1/articles/{story['slug']}")["seo"]
    same(about["@type"], "NewsArticle", name)
    same(about["headline"], seo["title"] or story["title"], f"{name}: the headline")
    same(about.get("description"), seo["description"] or story["lead"], f"{name}: the description")
    same(about["datePublished"], story["published_at"], f"{name}: published")
    same(about["dateModified"], story["updated_at"], f"{name}: updated")
    same([author["name"] for author in about.get("author", [])], people(story), f"{name}: the authors")
    same(about.get("keywords", []), [tag["name"] for tag in story["tags"]], f"{name}: the tags")
    same(about.get("articleSection"), story["section"] and story["section"]["name"], f"{name}: the section")
    same(about["inLanguage"], story["language"], f"{name}: the language")
    same(about["url"], story["url"], f"{name}: the address")
    if story["cover"]:
        same(about["image"][0]["url"], story["cover"]["image"]["url"], f"{name}: the image")


def check_sitemaps(base, stories):
    index = etree.fromstring(get(f"{base}/sitemap.xml")[0])
    same(index.tag, f"{SITEMAP}sitemapindex", "sitemap.xml")
    by_url, found = {story["url"]: story for story in stories}, []
    for entry in index.iter(f"{SITEMAP}sitemap"):
        address = entry.findtext(f"{SITEMAP}loc")
        page = etree.fromstring(get(address)[0])
        same(page.tag, f"{SITEMAP}urlset", address)
        places = list(page.iter(f"{SITEMAP}url"))
        same(entry.findtext(f"{SITEMAP}lastmod"), max(place.findtext(f"{SITEMAP}lastmod") for place in places), f"{address}: the date")
        for place in places:
            url = place.findtext(f"{SITEMAP}loc")
            found.append(url)
            if expect(url in by_url, f"{address}: {url} is no story's address"):
                check_place(base, f"{address}: {url}", place, by_url[url])
    same(sorted(found), sorted(by_url), "the addresses in the sitemap")


def check_place(base, name, place, story):
    same(place.findtext(f"{SITEMAP}lastmod"), story["updated_at"], f"{name}: the date")
    whole = read(f"{base}/delivery/v1/articles/{story['id']}")
    images = [image.findtext(f"{IMAGE}loc") for image in place.iter(f"{IMAGE}image")]
    same(set(images), {caption["image"]["url"] for caption in whole["captions"]}, f"{name}: the images")
    others = {(link.get("hreflang"), link.get("href")) for link in place.iter(LINK)}
    wanted = {(one["language"], one["url"]) for one in whole["translations"]}
    if wanted:
        wanted.add((story["language"], story["url"]))
    same(others, wanted, f"{name}: the other languages")


def check_news(base, stories):
    """Stories may leave it while it is looked at, so who is about to is left out."""
    site = read(f"{base}/delivery/v1/site")["name"]
    page = etree.fromstring(get(f"{base}/sitemap-news.xml")[0])
    same(page.tag, f"{SITEMAP}urlset", "sitemap-news.xml")
    edge = datetime.datetime.now(datetime.timezone.utc).timestamp() - 2 * 24 * 3600 + 300
    fresh = [story for story in stories if seconds(story["published_at"]) > edge][:1000]
    places = list(page.iter(f"{SITEMAP}url"))
    expect(fresh and len(places) >= len(fresh), f"sitemap-news.xml: {len(places)} of {len(fresh)} stories")
    for place, story in zip(places, fresh):
        name = f"sitemap-news.xml: {story['title']}"
        news = place.find(f"{NEWS}news")
        same(place.findtext(f"{SITEMAP}loc"), story["url"], f"{name}: the address")
        same(news.findtext(f"{NEWS}title"), story["title"], name)
        same(news.findtext(f"{NEWS}publication_date"), story["published_at"], f"{name}: the date")
        same(news.findtext(f"{NEWS}publication/{NEWS}name"), site, f"{name}: the site")
        same(news.findtext(f"{NEWS}publication/{NEWS}language"), story["language"].split("-")[0], f"{name}: the language")
    return len(fresh)


def every_story(base):
    address, stories = f"{base}/delivery/v1/articles?limit=100", []
    while address:
        page = read(address)
        stories += page["data"]
        after = page["page"].get("next_cursor")
        address = after and f"{base}/delivery/v1/articles?limit=100&cursor={after}"
    return stories


def check(base):
    stories = every_story(base)
    newest = stories[:20]
    check_feed(base, "/feeds/rss.xml", "rss20", newest)
    check_feed(base, "/feeds/atom.xml", "atom10", newest)
    check_json_feed(base, newest)
    for story in newest:
        check_json_ld(base, story)
    check_sitemaps(base, stories)
    fresh = check_news(base, stories)
    if failures:
        raise SystemExit("\n".join(f"FAILED: {failure}" for failure in failures) + f"\n{len(failures)} failures")
    print(f"{len(newest)} stories in three feeds and as JSON-LD, {len(stories)} in the sitemap, {fresh} in the news")


def main():
    binary = os.path.abspath(sys.argv[1])
    base = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        settings = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        settings["BIND"] = base.removeprefix("http://")
        process = subprocess.Popen([binary, "demo"], cwd=folder, env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(base, process)
            check(base)
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
