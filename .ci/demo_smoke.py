#!/usr/bin/env python3
"""Does `newsdesk demo` keep its word to somebody who has just built it?

Usage: demo_smoke.py PATH/TO/newsdesk

Starts it in an empty folder, runs the curl lines it prints as they stand, leaves a reader's message, ends it with
SIGTERM, starts it again and looks for what was there. Standard library and curl only.
"""
import json
import os
import queue
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
from pathlib import Path

CURL_LINES = 3
# The first start makes pictures, on a machine that may be busy with other things.
START_SECONDS = 120
STOP_SECONDS = 30


class Failure(Exception):
    pass


def expect(ok, what):
    if not ok:
        raise Failure(what)


class Demo:
    """One run of the demo; what it prints is read all the time, so that a full pipe never stops it."""

    def __init__(self, binary, folder, port):
        # As on a new user's machine: no setting but the port, which must be a free one here.
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")}
        env["BIND"] = f"127.0.0.1:{port}"
        self.output, self.lines = [], queue.Queue()
        self.process = subprocess.Popen(
            [binary, "demo"], cwd=folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        )
        threading.Thread(target=self._read, args=(self.process.stdout, True), daemon=True).start()
        threading.Thread(target=self._read, args=(self.process.stderr, False), daemon=True).start()

    def _read(self, stream, wanted):
        for line in stream:
            self.output.append(line.rstrip("\n"))
            if wanted:
                self.lines.put(line.rstrip("\n"))

    def curl_lines(self):
        found, deadline = [], time.monotonic() + START_SECONDS
        while len(found) < CURL_LINES:
            expect(time.monotonic() < deadline, f"{CURL_LINES} lines beginning with '  curl ' within {START_SECONDS} s, saw {found}")
            try:
                line = self.lines.get(timeout=0.2)
            except queue.Empty:
                expect(self.process.poll() is None, f"it ended by itself with {self.process.poll()}")
                continue
            if line.startswith("  curl "):
                found.append(line.strip())
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"still running {STOP_SECONDS} s after SIGTERM") from None
        expect(code == 0, f"SIGTERM ended it with {code}, not 0")


def call(base, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers={"Content-Type": "application/json"} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()
    except OSError as error:
        return 0, repr(error).encode()


def get(base, path):
    status, raw = call(base, path)
    expect(status == 200, f"GET {path}: {status} {raw[:300]!r}")
    return json.loads(raw)


def wait_until_ready(base):
    deadline = time.monotonic() + START_SECONDS
    while True:
        status, raw = call(base, "/health/ready")
        if status == 200:
            return
        expect(time.monotonic() < deadline, f"/health/ready: {status} {raw[:300]!r}")
        time.sleep(0.1)


def run_curl(line):
    # As printed, only that a refusal counts as a failure.
    command = "set -o pipefail; curl() { command curl --fail-with-body --silent --show-error --max-time 30 \"$@\"; }; " + line
    run = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    expect(run.returncode == 0, f"{line}\n  ended with {run.returncode}: {run.stderr.strip()} {run.stdout[:500]}")
    expect(run.stdout.strip(), f"{line}\n  printed nothing")


def article_ids(base):
    ids, cursor = [], ""
    while True:
        page = get(base, "/delivery/v1/articles?limit=100" + cursor)
        ids += [article["id"] for article in page["data"]]
        if not page["page"]["next_cursor"]:
            return sorted(ids)
        cursor = "&cursor=" + urllib.parse.quote(page["page"]["next_cursor"])


def leave_a_message(base, ids):
    consent = get(base, "/delivery/v1/site")["consent"]["version"]
    for article in ids:
        if get(base, f"/delivery/v1/articles/{article}")["feedback_open"]:
            break
    else:
        raise Failure("no article of the demo takes feedback")
    status, raw = call(base, f"/delivery/v1/articles/{article}/feedback", {
        "sender": {"name": "Người thử", "email": "nguoi.thu@example.vn"},
        "message": "Một lời nhắn để tìm lại sau khi khởi động lại.", "consent": True, "consent_version": consent,
    })
    expect(status == 201, f"feedback: {status} {raw[:300]!r}")
    return json.loads(raw)["reference"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary = str(Path(sys.argv[1]).resolve())
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        demo = None
        try:
            demo = Demo(binary, folder, port)
            lines = demo.curl_lines()
            wait_until_ready(base)
            for line in lines:
                run_curl(line)
            ids = article_ids(base)
            expect(ids, "the demo's newsroom has no published article")
            viewed = get(base, "/delivery/v1/most-viewed?limit=5")["data"]
            expect(len(viewed) == 5, f"the demo's stories have no readers: {viewed}")
            reference = leave_a_message(base, ids)
            demo.stop()

            demo = Demo(binary, folder, port)
            wait_until_ready(base)
            expect(demo.process.poll() is None, "something else answers on its port")
            expect(article_ids(base) == ids, "the second start shows other articles than the first")
            get(base, f"/delivery/v1/feedback/{reference}")
            demo.stop()
        except Failure as failure:
            print(f"FAILED: {failure}")
            print("The last it said:", *demo.output[-40:], sep="\n  ")
            sys.exit(1)
        finally:
            if demo and demo.process.poll() is None:
                demo.process.kill()
                demo.process.wait()
    print(f"{len(lines)} curl lines work, {len(ids)} articles and a message outlive a restart, SIGTERM ends with 0 twice")


if __name__ == "__main__":
    main()
