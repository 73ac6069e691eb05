#!/usr/bin/env python3
"""Does a clock that is set forward or back publish anything early, or twice, or delete anything?

Usage: check.py PATH/TO/newsdesk sqlite       the machine's clock is stepped
       check.py PATH/TO/newsdesk DATABASE_URL PostgreSQL: the program's clock is stepped, which must not matter
       check.py PATH/TO/newsdesk own-server   PostgreSQL, a server of our own: its clock is stepped
The second word may also stand in DATABASE_URL; without any it is sqlite.

Starts `newsdesk serve`, and in the last case PostgreSQL, under libfaketime (Debian: apt-get install faketime), plans
stories some seconds ahead, steps the clock by an hour, a year, to 2038, forward and back, and puts it right again. Each
story must come at its true time, once. A program that is started with a clock a year ahead must delete nothing.
"""
import datetime
import glob
import json
import os
import pwd
import shutil
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
# Longer than a program waits between two looks at the clock.
LOOK = 7


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


class Clock:
    """A clock that is read from a file at every look."""

    def __init__(self, folder):
        self.file = os.path.join(folder, "offset")
        self.settings = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_NO_CACHE": "1",
            # The clock that timers go by is nobody's to set.
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.step(0)

    def step(self, seconds):
        """The clock is this much off from now on. The file is replaced whole: it is read all the time."""
        with open(self.file + ".new", "w") as file:
            file.write(f"{seconds:+d}\n")
        os.chmod(self.file + ".new", 0o644)
        os.replace(self.file + ".new", self.file)


class Postgres:
    """A server of our own, whose clock is not ours."""

    def __init__(self, folder, clock):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        expect(found, "PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
        self.bin, self.data, self.port = os.path.dirname(found[-1]), os.path.join(folder, "data"), free_port()
        self.user = None
        if os.getuid() == 0:
            # They refuse to run as root.
            known = {entry.pw_name for entry in pwd.getpwall()}
            self.user = "postgres" if "postgres" in known else "nobody"
            os.chmod(folder, 0o711)
            os.mkdir(self.data, 0o700)
            os.chown(self.data, pwd.getpwnam(self.user).pw_uid, -1)
        self.log = open(os.path.join(folder, "postgres.log"), "ab")
        self.run({}, "initdb", "-D", self.data, "-U", "newsdesk", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories="
        self.run(clock.settings, "pg_ctl", "-D", self.data, "-w", "-t", str(START_SECONDS), "-o", options, "start")
        self.url = f"postgres://newsdesk@127.0.0.1:{self.port}/postgres"

    def run(self, settings, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], env={"PATH": os.environ["PATH"]} | settings,
                              cwd="/", user=self.user, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        expect(done.returncode == 0, f"{program} ended with {done.returncode}; see {self.log.name}")

    def now(self):
        """What its clock says, to be sure that it is the one that is stepped."""
        psql = [os.path.join(self.bin, "psql"), "-At", "-d", self.url, "-c", "SELECT extract(epoch FROM clock_timestamp())"]
        return float(subprocess.run(psql, check=True, stdout=subprocess.PIPE).stdout)

    def stop(self):
        self.run({}, "pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class Newsdesk:
    """The program, with the machine's clock or one of its own."""

    def __init__(self, program, folder, database, clock):
        self.program, self.folder, self.token = program, folder, None
        self.base = f"http://127.0.0.1:{free_port()}"
        self.settings = {
            "PATH": os.environ["PATH"],
            "BIND": self.base.removeprefix("http://"),
            "DATABASE_URL": database,
            "MEDIA_URL": f"file://{folder}/media",
            "JWT_SECRET": "a-secret-of-the-tests-with-more-than-32-bytes",
            "RATE_LIMITS": "off",
        }
        self.clock = clock
        self.log = open(os.path.join(folder, "log"), "ab")
        self.run("editor", "create", "--email", "e@example.vn", "--name", "Biên tập", "--role", "editor")
        self.process = None
        self.start()

    def run(self, *arguments):
        subprocess.run([self.program, *arguments], env=self.settings, cwd=self.folder, check=True,
                       input=PASSWORD.encode(), stdout=subprocess.DEVNULL)

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
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def send(self, method, path, body=None, version=None, key=None):
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if version:
            headers["If-Match"] = f'"{version}"'
        if key:
            headers["Idempotency-Key"] = key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.headers, json.loads(response.read())

    def ask(self, *arguments):
        return self.send(*arguments)[1]

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


def stepped(desk, clock, name, seconds):
    clock.step(0)
    desk.sign_in()
    article, at = desk.plan(f"Bước {name}", AHEAD)
    begun = at - AHEAD
    watch(desk, article, at, begun + STEP_AT, name)
    clock.step(seconds)
    watch(desk, article, at, begun + BACK_AT, name)
    clock.step(0)
    watch(desk, article, at, at, name)
    while desk.status(article) != 200:
        expect(time.time() < at + LATEST, f"{name}: not there {LATEST} s after its time")
        time.sleep(0.05)
    late = time.time() - at
    # What is public stays so, once, whatever the clock does afterwards.
    for again in (seconds, 0, -seconds, 0):
        clock.step(again)
        time.sleep(1.2)
        expect(desk.status(article) == 200, f"{name}: gone after a step of {again} s")
    expect(desk.told(article) == ["article.published"], f"{name}: told as {desk.told(article)}")
    print(f"{name}: published {late:.1f} s after its time, once", flush=True)


def restarted(desk, clock):
    """A clock that stands ahead when the program starts is believed: the time was missed, and is made up for once."""
    clock.step(0)
    desk.sign_in()
    article, _ = desk.plan("Lỡ giờ", HOUR // 2)
    desk.kill()
    clock.step(HOUR)
    desk.start()
    end = time.time() + 10
    while desk.status(article) != 200:
        expect(time.time() < end, "a missed time was not made up for")
        time.sleep(0.05)
    desk.kill()
    clock.step(0)
    desk.start()
    time.sleep(2)
    expect(desk.told(article) == ["article.published"], f"missed: told as {desk.told(article)}")
    print("a missed time: published late, once", flush=True)


def kept(desk, clock):
    """What is deleted for its age is still there after a start with a clock a year ahead: what does not come back."""
    clock.step(0)
    desk.sign_in()
    tag = {"name": "Còn nguyên"}
    made = desk.ask("POST", "/management/v1/tags", tag, None, "con-nguyen")
    story = desk.ask("POST", "/management/v1/articles", {"title": "Có thư"})
    desk.ask("POST", f"/management/v1/articles/{story['id']}/publish", {}, story["version"])
    sender = {"name": "Nguyễn Văn An", "email": "an@example.vn"}
    message = {"sender": sender, "message": "Hay", "consent": True, "consent_version": 1}
    desk.ask("POST", f"/delivery/v1/articles/{story['id']}/feedback", message)
    for seconds in (YEAR + 48 * HOUR, 0):
        desk.kill()
        clock.step(seconds)
        desk.start()
        time.sleep(LOOK)
    desk.sign_in()
    headers, again = desk.send("POST", "/management/v1/tags", tag, None, "con-nguyen")
    expect((headers["Idempotency-Replayed"], again["id"]) == ("true", made["id"]), "a key was forgotten a year early")
    letters = desk.ask("GET", "/management/v1/feedback")["data"]
    expect(letters[0]["sender"]["email"] == "an@example.vn", "a sender was forgotten a year early")
    print("a start a year ahead: nothing was deleted", flush=True)


def main():
    program = os.path.abspath(sys.argv[1])
    database = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("DATABASE_URL", "sqlite")
    own, embedded = database == "own-server", database == "sqlite"
    to_2038 = int(datetime.datetime(2038, 1, 20, tzinfo=datetime.timezone.utc).timestamp() - time.time())
    steps = [("an hour forward", HOUR), ("an hour back", -HOUR), ("a year forward", YEAR), ("a year back", -YEAR),
             ("to 2038", to_2038)]
    folder = tempfile.mkdtemp()
    clock, server, desk = Clock(folder), None, None
    try:
        if own:
            server = Postgres(folder, clock)
            clock.step(HOUR)
            ahead = server.now() - time.time()
            expect(abs(ahead - HOUR) < 60, f"the server's clock does not follow: {ahead:.0f} s ahead")
            clock.step(0)
        url = server.url if own else f"sqlite://{folder}/newsdesk.db" if embedded else database
        desk = Newsdesk(program, folder, url, {} if own else clock.settings)
        for name, seconds in steps:
            stepped(desk, clock, name, seconds)
        # A server elsewhere has its own clock: what the program sees does not matter there.
        if embedded or own:
            restarted(desk, clock)
        kept(desk, clock)
    except BaseException:
        for name in ("log", "postgres.log"):
            if os.path.exists(os.path.join(folder, name)):
                with open(os.path.join(folder, name)) as log:
                    sys.stderr.write("".join(log.readlines()[-20:]))
        raise
    finally:
        if desk:
            desk.kill()
        if server:
            server.stop()
        shutil.rmtree(folder)


main()
