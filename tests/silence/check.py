#!/usr/bin/env python3
"""Does newsdesk stay answerable when its PostgreSQL takes questions and says nothing, and does it stop in time?

Usage: check.py PATH/TO/newsdesk postgres://…   (an empty database)

A proxy of our own stands between the two and goes silent: connections stay open, nothing comes through any more. That is
what a server looks like whose disk hangs, or a firewall that has forgotten a connection.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

# Published in docs/operations.md.
REQUEST, STOP = 25, 30
# A busy machine's share.
SLACK = 4


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")


class Proxy:
    """Passes bytes on to a server until it is told to be silent."""

    def __init__(self, host, port):
        self.server = (host, port)
        self.silent = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.server)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source, sink):
        try:
            while data := source.recv(65536):
                while self.silent.is_set():
                    time.sleep(0.1)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def ask(base, path):
    """Status and seconds of an answer."""
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(base + path, timeout=90) as answer:
            status = answer.status
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    except OSError as error:
        status = str(error)
    return status, time.monotonic() - begin


def at_once(base, paths):
    answers = []
    asking = [threading.Thread(target=lambda path=path: answers.append(ask(base, path))) for path in paths]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    return answers


def main():
    binary, url = os.path.abspath(sys.argv[1]), sys.argv[2]
    parts = urllib.parse.urlsplit(url)
    proxy = Proxy(parts.hostname, parts.port or 5432)
    sign_in = f"{parts.username or ''}:{parts.password}@" if parts.password else f"{parts.username or ''}@"
    through = parts._replace(netloc=f"{sign_in}127.0.0.1:{proxy.port}").geturl()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": through,
            "JWT_SECRET": "a secret of more than thirty-two letters",
            "BIND": f"127.0.0.1:{port}",
            "MEDIA_URL": f"file://{folder}/media",
        }
        with open(f"{folder}/log", "w") as log:
            process = subprocess.Popen([binary, "serve"], env=settings, cwd=folder, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while ask(base, "/health/ready")[0] != 200:
                expect(time.monotonic() < deadline and process.poll() is None, open(f"{folder}/log").read())
                time.sleep(0.2)
            at_once(base, [f"/delivery/v1/articles?limit={number}" for number in range(1, 21)])
            proxy.silent.set()
            for status, seconds in at_once(base, [f"/delivery/v1/search?q=a{number}" for number in range(6)]):
                expect(status == 503 and seconds < REQUEST + SLACK, f"a search: {status} after {seconds:.1f} s")
            for path, wanted in (("/health/live", 200), ("/health/ready", 503)):
                status, seconds = ask(base, path)
                expect(status == wanted and seconds < 5, f"{path}: {status} after {seconds:.1f} s")
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=90)
            stopped = time.monotonic() - begin
            expect(code == 0 and stopped < STOP + SLACK, f"the stop: {code} after {stopped:.1f} s")
        finally:
            process.kill()
    print(f"beside a silent PostgreSQL searches are 503 within {REQUEST} s, and a stop took {stopped:.0f} s")


if __name__ == "__main__":
    main()
