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


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")


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
        expect(process.poll() is None, f"newsdesk ended with {process.poll()}")
        try:
            if json.loads(get(f"{base}/delivery/v1/articles")[0])["data"]:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.3)
    expect(False, "newsdesk does not answer")


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def check_feed(base, path, kind, stories):
    body, headers = get(base + path)
    # What the server says of it counts, too.
    feed = feedparser.parse(body, response_headers=dict(headers.items()))
    expect(not feed.bozo, f"{path}: {feed.get('bozo_exception')}")
    expect(feed.version == kind, f"{path} is {feed.version} and not {kind}")
    expect(any(link.rel == "self" and link.href == base + path for link in feed.feed.links), f"{path}: no link to itself")
    expect(len(feed.entries) == len(stories), f"{path}: {len(feed.entries)} entries and not {len(stories)}")
    for entry, story in zip(feed.entries, stories):
        name = f"{path}: {story['title']}"
        expect(entry.title == story["title"], f"{name}: {entry.title}")
        expect(entry.id.endswith(story["id"]) and entry.link == story["url"], f"{name}: {entry.id} {entry.link}")
        published = calendar.timegm(entry.published_parsed)
        expect(published == seconds(story["published_at"]), f"{name}: {entry.published}")
        expect(story["lead"] is None or html.unescape(entry.summary) == story["lead"], f"{name}: the lead")
        authors = [author["name"] for author in entry.get("authors", [])]
        expect(all(author["name"] in authors for author in story["authors"]), f"{name}: {authors}")
        covers = [link for link in entry.links if link.rel == "enclosure"]
        expect(bool(covers) == bool(story["cover"]), f"{name}: {covers}")
        expect(not story["cover"] or covers[0].href == story["cover"]["image"]["url"], f"{name}: {covers}")
        expect("content" in entry, f"{name}: no body")


def check_json_feed(base, stories):
    feed = json.loads(get(f"{base}/feeds/feed.json")[0])
    expect([item["id"] for item in feed["items"]] == [story["id"] for story in stories], "feed.json: other stories")
    expect(all(item["content_html"] for item in feed["items"]), "feed.json: a story without its body")


def check_json_ld(base, story):
    text = get(f"{base}/delivery/v1/articles/{story['slug']}/json-ld")[0].decode()
    page = f'<!doctype html><html><head><script type="application/ld+json">{text}</script></head></html>'
    found = extruct.extract(page, syntaxes=["json-ld"])["json-ld"]
    expect(len(found) == 1, f"{story['slug']}: {len(found)} items")
    about = found[0]
    expect(about["@type"] == "NewsArticle" and about["headline"] == story["title"], f"{story['slug']}: {about}")
    expect(seconds(about["datePublished"]) == seconds(story["published_at"]), f"{story['slug']}: {about}")
    expect(not story["cover"] or about["image"][0]["url"] == story["cover"]["image"]["url"], f"{story['slug']}: {about}")


def check_sitemaps(base, urls):
    index = etree.fromstring(get(f"{base}/sitemap.xml")[0])
    expect(index.tag == f"{SITEMAP}sitemapindex", index.tag)
    found = []
    for page in index.iter(f"{SITEMAP}loc"):
        found += [place.text for place in etree.fromstring(get(page.text)[0]).iter(f"{SITEMAP}loc")]
    expect(sorted(found) == sorted(urls), "the sitemap has other addresses than the list")
    expect(etree.fromstring(get(f"{base}/sitemap-news.xml")[0]).tag == f"{SITEMAP}urlset", "sitemap-news.xml")


def every_url(base):
    address, urls = f"{base}/delivery/v1/articles?limit=100", []
    while address:
        page = json.loads(get(address)[0])
        urls += [story["url"] for story in page["data"]]
        after = page["page"].get("next_cursor")
        address = after and f"{base}/delivery/v1/articles?limit=100&cursor={after}"
    return urls


def check(base):
    stories = json.loads(get(f"{base}/delivery/v1/articles?limit=20")[0])["data"]
    check_feed(base, "/feeds/rss.xml", "rss20", stories)
    check_feed(base, "/feeds/atom.xml", "atom10", stories)
    check_json_feed(base, stories)
    for story in stories:
        check_json_ld(base, story)
    urls = every_url(base)
    check_sitemaps(base, urls)
    print(f"{len(stories)} stories in three feeds and as JSON-LD, {len(urls)} in the sitemap")


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
