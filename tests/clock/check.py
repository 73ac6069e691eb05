#!/usr/bin/env python3
"""Does a clock that is set forward or back publish anything early, or twice?

Usage: check.py PATH/TO/newsdesk [DATABASE_URL]

Starts `newsdesk serve` under libfaketime (Debian: apt-get install faketime), plans stories some seconds ahead, steps the
clock the program sees by an hour, a year, to 2038, forward and back, and puts it right again. Each story must come at its
true time, once.
"""
import datetime
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

START_SECONDS = 60
PASSWORD = "mua xuan tren song Cau"
HOUR = 3600
YEAR = 365 * 24 * HOUR
# Seconds from planning to the story's time, and the times of the steps between.
AHEAD, STEP_AT, BACK_AT, LATEST = 8, 2, 6, 5


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAILED: {what}")


def library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    expect(found, "libfaketime is not installed (Debian: apt-get install faketime)")
    return found[0]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Newsdesk:
    """The program with a clock of its own, which is read from a file at every look."""

    def __init__(self, program, folder, database):
        self.program, self.folder, self.token = program, folder, None
        self.base = f"http://127.0.0.1:{free_port()}"
        self.offset = os.path.join(folder, "offset")
        self.step(0)
        self.settings = {
            "PATH": os.environ["PATH"],
            "BIND": self.base.removeprefix("http://"),
            "DATABASE_URL": database or f"sqlite://{folder}/newsdesk.db",
            "MEDIA_URL": f"file://{folder}/media",
            "JWT_SECRET": "a-secret-of-the-tests-with-more-than-32-bytes",
            "RATE_LIMITS": "off",
        }
        self.clock = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": self.offset,
            "FAKETIME_NO_CACHE": "1",
            # The clock that timers go by is nobody's to set.
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.log = open(os.path.join(folder, "log"), "ab")
        self.run("editor", "create", "--email", "e@example.vn", "--name", "Biên tập", "--role", "editor")
        self.process = None
        self.start()

    def run(self, *arguments):
        subprocess.run([self.program, *arguments], env=self.settings, cwd=self.folder, check=True,
                       input=PASSWORD.encode(), stdout=subprocess.DEVNULL)

    def step(self, seconds):
        """The clock is this much off from now on. The file is replaced whole: it is read all the time."""
        with open(self.offset + ".new", "w") as file:
            file.write(f"{seconds:+d}\n")
        os.replace(self.offset + ".new", self.offset)

    def start(self):
        self.process = subprocess.Popen([self.program, "serve"], env=self.settings | self.clock, cwd=self.folder,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        end = time.monotonic() + START_SECONDS
        while True:
            expect(self.process.poll() is None, f"newsdesk ended with {self.process.poll()}; see {self.log.name}")
            expect(time.monotonic() < end, "newsdesk does not answer")
            try:
                urllib.request.urlopen(f"{self.base}/health/ready", timeout=5).read()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, method, path, body=None, version=None):
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if version:
            headers["If-Match"] = f'"{version}"'
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def sign_in(self):
        self.token = None
        body = {"email": "e@example.vn", "password": PASSWORD}
        self.token = self.ask("POST", "/management/v1/auth/login", body)["access_token"]

    def plan(self, title, seconds):
        """A story planned so many seconds ahead: its id and its true time."""
        article = self.ask("POST", "/management/v1/articles", {"title": title})
        at = time.time() + seconds
        text = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")
        path = f"/management/v1/articles/{article['id']}"
        self.ask("POST", f"{path}/publish", {"publish_at": text.replace("+00:00", "Z")}, article["version"])
        return article["id"], at

    def status(self, article):
        try:
            urllib.request.urlopen(f"{self.base}/delivery/v1/articles/{article}", timeout=30).read()
            return 200
        except urllib.error.HTTPError as error:
            return error.code

    def told(self, article):
        """How often the change feed tells of a story."""
        feed = self.ask("GET", "/delivery/v1/changes?limit=100")
        return [change["type"] for change in feed["data"] if change["article_id"] == article]


def watch(desk, article, at, until, name):
    """Nothing is public before its time."""
    while time.time() < until:
        status = desk.status(article)
        expect(status == 404 or time.time() >= at, f"{name}: {status}, {at - time.time():.1f} s early")
        time.sleep(0.05)


def stepped(desk, name, seconds):
    desk.step(0)
    desk.sign_in()
    article, at = desk.plan(f"Bước {name}", AHEAD)
    begun = at - AHEAD
    watch(desk, article, at, begun + STEP_AT, name)
    desk.step(seconds)
    watch(desk, article, at, begun + BACK_AT, name)
    desk.step(0)
    watch(desk, article, at, at, name)
    while desk.status(article) != 200:
        expect(time.time() < at + LATEST, f"{name}: not there {LATEST} s after its time")
        time.sleep(0.05)
    late = time.time() - at
    # What is public stays so, once, whatever the clock does afterwards.
    for again in (seconds, 0, -seconds, 0):
        desk.step(again)
        time.sleep(1.2)
        expect(desk.status(article) == 200, f"{name}: gone after a step of {again} s")
    expect(desk.told(article) == ["article.published"], f"{name}: told as {desk.told(article)}")
    print(f"{name}: published {late:.1f} s after its time, once", flush=True)


def restarted(desk):
    """A clock that stands ahead when the program starts is believed: the time was missed, and is made up for once."""
    desk.step(0)
    desk.sign_in()
    article, _ = desk.plan("Lỡ giờ", HOUR // 2)
    desk.kill()
    desk.step(HOUR)
    desk.start()
    end = time.time() + 10
    while desk.status(article) != 200:
        expect(time.time() < end, "a missed time was not made up for")
        time.sleep(0.05)
    desk.kill()
    desk.step(0)
    desk.start()
    time.sleep(2)
    expect(desk.told(article) == ["article.published"], f"missed: told as {desk.told(article)}")
    print("a missed time: published late, once", flush=True)


def main():
    program = os.path.abspath(sys.argv[1])
    database = sys.argv[2] if len(sys.argv) > 2 else None
    to_2038 = int(datetime.datetime(2038, 1, 20, tzinfo=datetime.timezone.utc).timestamp() - time.time())
    steps = [("an hour forward", HOUR), ("an hour back", -HOUR), ("a year forward", YEAR), ("a year back", -YEAR),
             ("to 2038", to_2038)]
    with tempfile.TemporaryDirectory() as folder:
        desk = Newsdesk(program, folder, database)
        try:
            for name, seconds in steps:
                stepped(desk, name, seconds)
            # PostgreSQL's clock is its own: what the program sees does not matter there.
            if not database:
                restarted(desk)
        except BaseException:
            with open(os.path.join(folder, "log")) as log:
                sys.stderr.write("".join(log.readlines()[-20:]))
            raise
        finally:
            desk.kill()


main()
