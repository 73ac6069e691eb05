#!/usr/bin/env python3
"""Does another party's library take our webhooks?

Usage: check.py PATH/TO/newsdesk

Starts `newsdesk serve` in an empty folder and a receiver that checks every signature with the package
`standardwebhooks`, with the secret it was given and, while that is replaced, with both. The receiver refuses, hangs up
and says 410 in between: what was published must come whole, under one id an event, and stop where it should.
"""
import http.server
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import trustme
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

START_SECONDS = 120
WAIT_SECONDS = 60
PASSWORD = secrets.token_urlsafe(24)
EMAIL = "admin@example.vn"


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Receiver:
    """Keeps what it gets, and answers what it is told to, then 204."""

    def __init__(self, authority=None):
        self.seen, self.answers = [], []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append((dict(self.headers.items()), body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                if answer == "hang up":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count):
        end = time.monotonic() + WAIT_SECONDS
        while len(self.seen) < count:
            expect(time.monotonic() < end, f"the receiver got {len(self.seen)} of {count}")
            time.sleep(0.05)
        return self.seen[:count]


class Desk:
    """Somebody who calls the management API."""

    def __init__(self, base):
        self.base, self.token = base, None

    def ask(self, method, path, body=None, version=None):
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise SystemExit(f"FAILED: {method} {path}: {error.code} {error.read().decode()}") from error

    def manage(self, method, path, body=None, version=None):
        return self.ask(method, f"/management/v1{path}", body, version)

    def sign_in(self):
        answer = self.manage("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
        self.token = answer["access_token"]

    def publish(self, title):
        article = self.manage("POST", "/articles", {"title": title})
        return self.manage("POST", f"/articles/{article['id']}/publish", {}, article["version"])


def verifies(secret, headers, body):
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None


def check_delivery(desk, receiver):
    hook = desk.manage("POST", "/webhooks", {"url": receiver.url, "events": ["article.published"]})
    receiver.answers += [503, "hang up", 302, 204]
    story = desk.publish("Nước rút trên sông Cầu")
    seen = receiver.wait_for(4)
    for headers, body in seen:
        event = verifies(hook["secret"], headers, body)
        expect(event is not None, "a signature that does not verify")
        expect(event["type"] == "article.published" and event["data"]["article_id"] == story["id"], event)
        expect(verifies(hook["secret"], headers, body + b" ") is None, "another body verifies")
        expect("Nước" not in body.decode() and "nuoc-rut" not in body.decode(), "the event holds words of the story")
    ids = {headers["webhook-id"] for headers, _ in seen}
    expect(len(ids) == 1, f"one event came under {len(ids)} ids")
    article = desk.ask("GET", event["data"]["delivery_url"].removeprefix(desk.base))
    expect(article["title"] == "Nước rút trên sông Cầu", "delivery_url leads elsewhere")
    return hook


def check_rotation(desk, receiver, hook):
    old, start = hook["secret"], len(receiver.seen)
    new = desk.manage("POST", f"/webhooks/{hook['id']}/rotate-secret", {"overlap_seconds": 600})["secret"]
    desk.publish("Hai chữ ký")
    headers, body = receiver.wait_for(start + 1)[-1]
    expect(verifies(old, headers, body) and verifies(new, headers, body), "both secrets must verify during rotation")
    desk.manage("POST", f"/webhooks/{hook['id']}/rotate-secret", {"overlap_seconds": 0})
    desk.publish("Một chữ ký")
    headers, body = receiver.wait_for(start + 2)[-1]
    expect(not verifies(old, headers, body) and not verifies(new, headers, body), "an ended secret still verifies")


def check_gone(desk, receiver, hook):
    start = len(receiver.seen)
    receiver.answers += [410]
    desk.publish("Không còn ai")
    receiver.wait_for(start + 1)
    end = time.monotonic() + WAIT_SECONDS
    while not desk.manage("GET", f"/webhooks/{hook['id']}")["disabled"]:
        expect(time.monotonic() < end, "410 does not disable the webhook")
        time.sleep(0.05)
    desk.publish("Không ai nghe")
    time.sleep(3)
    expect(len(receiver.seen) == start + 1, "a disabled webhook sends")


def check_https(desk, authority):
    for receiver, state in [(Receiver(authority), "delivered"), (Receiver(trustme.CA()), "failed")]:
        hook = desk.manage("POST", "/webhooks", {"url": receiver.url, "events": ["site.updated"]})
        delivery = desk.manage("POST", f"/webhooks/{hook['id']}/test", {})
        expect(delivery["state"] == state, f"HTTPS with {receiver.url}: {delivery['attempts']}")
        expect(len(receiver.seen) == (state == "delivered"), "an unknown authority's certificate is taken")
        expect(all(verifies(hook["secret"], *seen) for seen in receiver.seen), "a signature that does not verify")


def check(base, authority):
    desk, receiver = Desk(base), Receiver()
    desk.sign_in()
    check_https(desk, authority)
    hook = check_delivery(desk, receiver)
    check_rotation(desk, receiver, hook)
    check_gone(desk, receiver, hook)
    print(f"{len(receiver.seen)} requests, signed by one secret and by two, refused, hung up on, and ended by 410; HTTPS by known authorities")


def wait_for(base, process):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        expect(process.poll() is None, f"newsdesk ended with {process.poll()}")
        try:
            with urllib.request.urlopen(f"{base}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    expect(False, "newsdesk does not answer")


def main():
    binary = os.path.abspath(sys.argv[1])
    base = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        settings = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        authority = trustme.CA()
        authority.cert_pem.write_to_path(f"{folder}/authority.pem")
        settings |= {
            "BIND": base.removeprefix("http://"),
            "SSL_CERT_FILE": f"{folder}/authority.pem",
            "WEBHOOK_ALLOW_PRIVATE": "127.0.0.1,localhost",
            "WEBHOOK_RETRY_SECONDS": "1,1,1,1,1",
        }
        create = [binary, "editor", "create", "--email", EMAIL, "--name", "Admin", "--role", "admin"]
        subprocess.run(create, cwd=folder, env=settings, input=PASSWORD.encode(), stdout=log, stderr=log, check=True)
        process = subprocess.Popen([binary, "serve"], cwd=folder, env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(base, process)
            check(base, authority)
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
