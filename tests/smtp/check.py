#!/usr/bin/env python3
"""Does mail come through, whatever the mail server does?

Usage: check.py PATH/TO/newsdesk

Starts newsdesk in an empty folder beside a mail server that is not ours (aiosmtpd), lets readers send a story to
friends, and reads what the mail server took with Python's own e-mail package. Each friend's address says what the mail
server does with their mail.
"""
import email
import email.policy
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from aiosmtpd.controller import Controller

PASSWORD = "lua-chin-tren-dong-2026"
PATIENCE = 60


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")
    print(f"ok  {what}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(method, address, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


class Moody:
    """Refuses, fails and hangs up as the recipient's address says, the first time or always."""

    def __init__(self):
        self.tries, self.taken = {}, []

    def first(self, name):
        self.tries[name] = self.tries.get(name, 0) + 1
        return self.tries[name] == 1

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "unknown":
            self.first(name)
            return "550 5.1.1 no such user"
        if name == "greylisted" and self.first(name):
            return "451 4.7.1 come back later"
        if name == "closing" and self.first(name):
            return "421 4.3.2 closing"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        name = envelope.rcpt_tos[0].split("@")[0]
        if name == "unwanted":
            self.first(name)
            return "554 5.7.1 unwanted"
        if name == "full" and self.first(name):
            return "452 4.2.2 the mailbox is full"
        if name == "cut" and self.first(name):
            server.transport.abort()
            return "250 nobody hears this"
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        self.taken.append((envelope.rcpt_tos, message))
        return "250 OK"

    def to(self, name):
        return [message for recipients, message in self.taken if recipients[0].startswith(f"{name}@")]


def until(found, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found():
            return expect(True, what)
        time.sleep(0.1)
    expect(False, what)


class Newsroom:
    def __init__(self, binary, folder, smtp_port):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.env = {
            **os.environ, "DATABASE_URL": f"sqlite://{folder}/newsdesk.db", "MEDIA_URL": f"file://{folder}/media",
            "BIND": f"127.0.0.1:{port}", "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}", "RATE_LIMITS": "off",
            "MAIL_FROM": "Tin Đồng Bằng <tin@example.vn>", "MAIL_RETRY_SECONDS": "1,1,1,1,1",
        }
        subprocess.run([binary, "editor", "create", "--email", "chief@example.vn", "--name", "Chief", "--role", "admin"],
                       input=PASSWORD + "\n", text=True, env=self.env, cwd=folder, check=True, capture_output=True)
        self.log = open(Path(folder) / "log", "w+")
        self.process = subprocess.Popen([binary, "serve"], env=self.env, cwd=folder, stdout=self.log, stderr=self.log)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if call("GET", f"{self.base}/health/ready")[0] == 200:
                    break
            except (urllib.error.URLError, ConnectionError):
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                expect(False, "newsdesk starts")
            time.sleep(0.1)

    def story(self):
        status, session = call("POST", f"{self.base}/management/v1/auth/login",
                               {"email": "chief@example.vn", "password": PASSWORD})
        expect(status == 200, "the chief signs in")
        sign_in = {"Authorization": f"Bearer {session['access_token']}"}
        status, draft = call("POST", f"{self.base}/management/v1/articles",
                             {"title": "Lúa chín — sớm", "lead": "Một vụ mùa được.", "language": "vi"}, **sign_in)
        expect(status == 201, "a draft")
        status, _ = call("POST", f"{self.base}/management/v1/articles/{draft['id']}/publish", {},
                         **sign_in, If_Match=f'"{draft["version"]}"')
        expect(status == 200, "a story")
        return draft["id"]

    def share(self, story, name, sender="Nguyễn Văn An"):
        wish = {"sender": {"name": sender, "email": "an@example.vn"}, "recipients": [f"{name}@example.vn"], "note": "Đọc nhé!\n.\nMột dấu chấm."}
        return call("POST", f"{self.base}/delivery/v1/articles/{story}/shares", wish)[0]

    def words_of_the_log(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()


def main():
    binary = str(Path(sys.argv[1]).resolve())
    moody, smtp_port = Moody(), free_port()
    server = Controller(moody, hostname="127.0.0.1", port=smtp_port)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        newsroom = Newsroom(binary, folder, smtp_port)
        try:
            story = newsroom.story()
            names = ["friend", "unknown", "greylisted", "closing", "unwanted", "full", "cut"]
            for name in names:
                expect(newsroom.share(story, name) == 202, f"{name}: queued")
            for name in ["friend", "greylisted", "closing", "full", "cut"]:
                until(lambda: len(moody.to(name)) == 1, f"{name}: the mail comes")
            read(moody.to("friend")[0], newsroom.base)
            expect(newsroom.share(story, "friend", "An\r\nBcc: all@example.vn") == 422, "no header by a name")

            server.stop()
            expect(newsroom.share(story, "patient") == 202, "without a mail server: queued")
            time.sleep(2.5)
            server = Controller(moody, hostname="127.0.0.1", port=smtp_port)
            server.start()
            until(lambda: len(moody.to("patient")) == 1, "the mail server is back: the mail comes")
            for name in ["unknown", "unwanted"]:
                expect(moody.tries[name] == 1, f"{name}: refused for good, so tried once")
            expect(all(len(moody.to(name)) <= 1 for name in names), "nobody got a mail twice")
            log = newsroom.words_of_the_log()
            expect("@example.vn" not in log, "no address is in the log")
            newsroom.process.terminate()
            expect(newsroom.process.wait(30) == 0, "newsdesk ends well")
        finally:
            newsroom.process.kill()
            server.stop()


def read(message, base):
    expect(str(message["From"]) == "Tin Đồng Bằng <tin@example.vn>", "From is the site")
    expect(message["Reply-To"].addresses[0].addr_spec == "an@example.vn", "Reply-To is the sender")
    expect(message["Reply-To"].addresses[0].display_name == "Nguyễn Văn An", "with their name")
    expect(message["Bcc"] is None and message["Cc"] is None, "no other recipients")
    expect(not message.defects and all(not part.defects for part in message.walk()), "nothing is malformed")
    expect(f"{base}/delivery/v1/shares/opt-out/" in message["List-Unsubscribe"], "List-Unsubscribe is ours")
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    expect("Đọc nhé!\n.\nMột dấu chấm." in text, "the sender's words come whole, dots too")
    expect("Lúa chín — sớm" in text and "Lúa chín — sớm" in message.get_body(("html",)).get_content(), "and the headline")


if __name__ == "__main__":
    main()
