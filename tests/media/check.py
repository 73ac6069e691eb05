#!/usr/bin/env python3
"""Are image files kept whole in an S3 bucket, whatever the store does?

Usage: check.py PATH/TO/newsdesk

Starts an S3 server that is not ours (moto) and, between it and newsdesk, a proxy that fails, hangs and hangs up when it is
told to. Looks into the bucket with Amazon's own client.
"""
import http.client
import http.server
import json
import logging
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

PASSWORD = "lua-chin-tren-dong-2026"
PATIENCE = 60


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")
    print(f"ok  {what}", flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(found, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found():
            return expect(True, what)
        time.sleep(0.1)
    expect(False, what)


def png(width, height, seed=1):
    """A picture of noise, which no compression makes smaller."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


class Proxy:
    """Passes requests on to the S3 server, unless `mood` says otherwise for one: a status, "hang" or "hang up"."""

    def __init__(self, port):
        self.mood, self.seen = (lambda method, path: None), []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                mood = proxy.mood(self.command, self.path)
                if mood in ("hang", "hang up"):
                    if mood == "hang":
                        time.sleep(120)
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if mood:
                    self.send_response(mood)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                headers = {name: value for name, value in self.headers.items()}
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


RUNNING = []


class Newsroom:
    def __init__(self, binary, folder, settings, limit=None):
        self.binary, self.folder = binary, folder
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "DATABASE_URL": f"sqlite://{folder}/newsdesk.db", "BIND": f"127.0.0.1:{port}", "RATE_LIMITS": "off",
            # Files that come by themselves, while they are counted here.
            "AVIF": "off", **settings,
        }
        if not Path(folder, "newsdesk.db").exists():
            subprocess.run([binary, "editor", "create", "--email", "chief@example.vn", "--name", "Chief", "--role", "admin"],
                           env=self.env, cwd=folder, input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL)

        def before():
            if limit:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        self.log = Path(folder, "log")
        RUNNING.append(self)
        self.program = subprocess.Popen([binary, "serve"], env=self.env, cwd=folder, stderr=self.log.open("ab"), preexec_fn=before)
        until(lambda: self.ask("GET", "/health/ready")[0] == 200, "newsdesk serves")
        answer = self.ask("POST", "/management/v1/auth/login", {"email": "chief@example.vn", "password": PASSWORD})[1]
        self.token = answer["access_token"]

    def ask(self, method, path, body=None, kind="application/json", **headers):
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if hasattr(self, "token"):
            sent["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.base + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                content, status, self.headers = response.read(), response.status, response.headers
        except urllib.error.HTTPError as refused:
            content, status, self.headers = refused.read(), refused.code, refused.headers
        except OSError:
            return 0, None
        kind = self.headers.get("Content-Type") or ""
        return status, json.loads(content) if "json" in kind else content

    def upload(self, picture):
        return self.ask("POST", "/management/v1/images", picture, "image/png")

    def command(self, *arguments, **more):
        return subprocess.run([self.binary, *arguments], env={**self.env, **more}, cwd=self.folder, capture_output=True, text=True)

    def stop(self):
        self.program.terminate()
        expect(self.program.wait(60) == 0, "newsdesk stops cleanly")


def main(binary):
    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    port = store.get_host_and_port()[1]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="key", aws_secret_access_key="secret",
                      region_name="us-east-1")
    s3.create_bucket(Bucket="news")
    proxy = Proxy(port)

    def objects(bucket="news"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}
        # All but the one that says whose store it is.
        return {key: size for key, size in found.items() if not key.endswith("newsdesk-owner.txt")}

    def unfinished():
        return s3.list_multipart_uploads(Bucket="news").get("Uploads", [])

    with tempfile.TemporaryDirectory() as folder:
        bucket = {"MEDIA_URL": "s3://news/pictures", "AWS_ENDPOINT": proxy.url, **keys}
        desk = Newsroom(binary, folder, bucket)
        stays_whole(desk, proxy, s3, objects, unfinished)
        fails(desk, proxy, objects, unfinished)
        looked_after(desk, proxy, s3, objects)
        desk.stop()
        moves(binary, folder, desk, s3, proxy, objects, keys)
    with tempfile.TemporaryDirectory() as folder:
        full(binary, folder)


def stays_whole(desk, proxy, s3, objects, unfinished):
    small, large = png(200, 100), png(2200, 2100)
    status, image = desk.upload(small)
    key = image["url"].split("/media/")[1]
    expect(status == 201 and objects() == {f"pictures/{key}": image["bytes"]}, "an upload is one object under the prefix")
    put = next(headers for method, path, headers in proxy.seen if method == "PUT" and key in path)
    expect("x-amz-checksum-sha256" in put, "with a checksum for the store to compare")
    expect(told(s3, key) == ("image/png", "public, max-age=31536000, immutable"), "and tells a CDN its type and how long it may be kept")
    status, served = desk.ask("GET", f"/media/{key}")
    stored = s3.get_object(Bucket="news", Key=f"pictures/{key}")["Body"].read()
    expect(status == 200 and served == stored, "and is served as it is")
    status, part = desk.ask("GET", f"/media/{key}", Range="bytes=100-199")
    expect(status == 206 and part == stored[100:200], "also in part")
    status, again = desk.upload(small)
    expect(status == 200 and again["duplicate"] and len(objects()) == 1, "the same bytes again are no second object")

    answers = []
    uploads = [threading.Thread(target=lambda: answers.append(desk.upload(png(300, 300, 7)))) for _ in range(8)]
    [one.start() for one in uploads], [one.join() for one in uploads]
    expect(sorted(status for status, _ in answers) == [200] * 7 + [201] and len(objects()) == 2, "nor eight times at once")

    proxy.seen.clear()
    status, image = desk.upload(large)
    key = image["url"].split("/media/")[1]
    parts = [path for method, path, _ in proxy.seen if method == "PUT" and "partNumber=" in path]
    expect(status == 201 and image["bytes"] > 8 << 20 and len(parts) > 1, f"{image['bytes'] >> 20} MiB go in {len(parts)} parts")
    expect(desk.ask("GET", f"/media/{key}")[1] == s3.get_object(Bucket="news", Key=f"pictures/{key}")["Body"].read(), "and are whole")
    expect(told(s3, key) == ("image/png", "public, max-age=31536000, immutable"), "with the same headers")
    expect(not unfinished(), "nothing is left of the parts")


def told(s3, key):
    head = s3.head_object(Bucket="news", Key=f"pictures/{key}")
    return head["ContentType"], head.get("CacheControl")


def fails(desk, proxy, objects, unfinished):
    before = objects()
    large = png(2200, 2100, 2)
    failing = []

    def sometimes(method, path):
        if method == "PUT" and "partNumber=2" in path and not failing:
            failing.append(path)
            return 500
        return None

    proxy.mood = sometimes
    status, image = desk.upload(large)
    expect(status == 201 and failing, "a part that fails once is sent again")
    desk.ask("DELETE", f"/management/v1/images/{image['id']}", If_Match="*")
    before = objects()

    proxy.mood = lambda method, path: 500 if "partNumber=2" in path else None
    status, problem = desk.upload(png(2200, 2100, 3))
    expect(status == 503 and problem["code"] == "unavailable" and desk.headers["Retry-After"], "one that fails always is a 503")
    expect(objects() == before and not unfinished(), "after which neither a file nor parts are there")

    proxy.mood = lambda method, path: 500 if method == "POST" and "uploadId=" in path else None
    status, _ = desk.upload(png(2200, 2100, 3))
    expect(status == 503 and objects() == before and not unfinished(), "nor when the end fails")

    for mood in (500, "hang up", "hang"):
        proxy.mood = lambda method, path, mood=mood: mood
        began = time.monotonic()
        status, problem = desk.upload(png(220, 210, 4))
        expect(status == 503 and desk.headers["Retry-After"], f"an upload while the store answers {mood} is a 503, {time.monotonic() - began:.0f} s")
        status, _ = desk.ask("POST", "/management/v1/articles", {"title": f"Tin {mood}"})
        expect(status == 201 and desk.ask("GET", "/delivery/v1/articles")[0] == 200, "and articles are written and read")
    proxy.mood = lambda method, path: None
    expect(objects() == before, "nothing was stored meanwhile")
    status, _ = desk.upload(png(220, 210, 4))
    expect(status == 201, "and the same upload goes through once the store is back")


def looked_after(desk, proxy, s3, objects):
    image = desk.upload(png(230, 210, 5))[1]
    key = "pictures/" + image["url"].split("/media/")[1]
    done = desk.command("media", "check", "--checksums")
    expect(done.returncode == 0, f"media check --checksums finds nothing: {done.stdout.splitlines()[-1]}")
    content = s3.get_object(Bucket="news", Key=key)["Body"].read()
    s3.put_object(Bucket="news", Key=key, Body=content[:-1] + b"x")
    done = desk.command("media", "check", "--checksums")
    expect(done.returncode == 1 and "1 with the wrong checksum" in done.stderr, "a bent object is found")
    s3.delete_object(Bucket="news", Key=key)
    done = desk.command("media", "check")
    expect(done.returncode == 1 and "1 missing" in done.stderr, "and a missing one")
    s3.put_object(Bucket="news", Key=key, Body=content)
    expect(desk.command("doctor").returncode == 0, "the doctor writes, reads and removes a file there")


def moves(binary, folder, desk, s3, proxy, objects, keys):
    s3.create_bucket(Bucket="other")
    slow = {"delay": 0.15}

    def slowly(method, path):
        if "/other/" in path and method == "PUT":
            time.sleep(slow["delay"])
        return None

    desk = Newsroom(binary, folder, {"MEDIA_URL": "s3://news/pictures", "AWS_ENDPOINT": proxy.url, **keys})
    for seed in range(40):
        desk.upload(png(60 + seed, 40, 100 + seed))
    here = {key.removeprefix("pictures/"): size for key, size in objects().items()}
    proxy.mood = slowly
    command = [binary, "media", "move", "s3://other"]
    for how in (signal.SIGKILL, signal.SIGINT):
        there = len(objects("other"))
        running = subprocess.Popen(command, env=desk.env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: len(objects("other")) >= there + 9, f"a move is under way ({there} files were there)")
        running.send_signal(how)
        _, told = running.communicate(timeout=60)
        if how == signal.SIGINT:
            expect(running.returncode == 1 and "run the same command again" in told, "Ctrl-C stops it, and it says how to go on")
    copied = len(objects("other"))
    late = desk.upload(png(200, 40, 999))[1]["url"].split("/media/")[1]
    here[late] = objects()[f"pictures/{late}"]
    slow["delay"] = 0
    proxy.seen.clear()
    done = subprocess.run(command, env=desk.env, cwd=folder, capture_output=True, text=True)
    expect(done.returncode == 0, f"the move ends: {done.stdout.splitlines()[0] if done.stdout else done.stderr}")
    there = objects("other")
    expect(there == here,
           f"all {len(there)} files are there, also the one that came meanwhile")
    puts = [path for method, path, _ in proxy.seen if method == "PUT" and "/other/" in path and "partNumber" not in path]
    expect(len(puts) <= len(here) - copied + 1, f"{len(puts)} were written after {copied} had been: nothing twice")
    desk.stop()
    # And on to a folder, with the program after it.
    done = desk.command("media", "move", f"file://{folder}/media", "--from", "s3://other")
    expect(done.returncode == 0, "from a bucket to a folder")
    desk = Newsroom(binary, folder, {"MEDIA_URL": f"file://{folder}/media"})
    expect(desk.ask("GET", f"/media/{late}")[0] == 200, "where the program finds them")
    expect(desk.command("media", "check", "--checksums").returncode == 0, "every one with its checksum")
    desk.stop()


def full(binary, folder):
    """A file that may not grow is what a full disk is to a program; the database's own files are small enough."""
    desk = Newsroom(binary, folder, {"MEDIA_URL": f"file://{folder}/media"}, limit=4 << 20)
    status, problem = desk.upload(png(1500, 1200, 8))
    expect(status == 507 and problem["code"] == "storage_full", "no room for an upload is a 507")
    files = [path for path in Path(folder, "media").rglob("*") if path.is_file() and path.suffix != ".txt"]
    expect(not files, "and leaves nothing")
    expect(desk.upload(png(100, 100, 9))[0] == 201, "what has room is taken")
    desk.stop()


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        main(os.path.abspath(sys.argv[1]))
    finally:
        for desk in RUNNING:
            desk.program.kill()
