"""What all doubles of clouds have in common, in front of real machines.

Every request and every answer is held against the facts of the cloud's API (../api/NAME.facts). A request that they do
not allow is refused, and a line in run/violations.log says why; a test that finds a line there fails.

What a cloud holds is kept in run/NAME.json, so that the double can be killed and started again like any other process
here. The control socket run/NAME.sock (HTTP) is for the rig:

    GET /state      all that the cloud holds, and what it held
    GET /calls      how often each call was made, by the name that the facts give it
    GET /limits     {"on", "windows": {NAME: {"most", "seconds", "fullest"}}, "calls": {"GET /path/{id}": N},
                    "answers": {STATUS: N}}; fullest: the most requests that were ever in the window at one time
    POST /limits    {"on": BOOL, "reset": true, "windows": {NAME: MOST}}, any of them; answers as GET does. Off, the
                    windows go on counting and refuse nothing; reset empties them and sets all counts to nothing
    GET /faults     the faults in force
    POST /fault     {"what": WHAT, KEY: VALUE...}: see FAULTS
    POST /machine   {"name": NAME, "what": WHAT}: a machine that comes to an end without anybody having asked for it

A cloud is a file beside this one. Its class Cloud(double.Cloud) has the attributes and methods marked "of each cloud"
below, and a method on_NAME for each call of its facts. It is run as: NAME.py --run DIR --bind ADDRESS --port PORT
--token TOKEN.
"""

import argparse
import collections
import contextlib
import fcntl
import json
import math
import os
import threading
import time
import uuid

import clouds
import machines
import openapi
import web
import world as w

FAULTS = """\
  429                 [count=N|for=S] [style=reset|retry-after|date|none] [wait=S]
                      too many requests; `style` is how the wait is announced
  500 502 503 504     [count=N|for=S] [wait=S] with wait: and a Retry-After
  401 403             [count=N|for=S] the token is refused
  close-before        the connection ends, nothing was done
  lose-answer         done, but the connection ends without an answer (default on=create)
  reset               the same with a TCP reset
  truncate            half of the answer's body
  long-length         Content-Length larger than what comes
  short-length        Content-Length smaller than what comes
  chunked, gzip, trickle, close, html, garbage, endless-head
                      the answer on the wire: chunked, compressed, byte by byte, with
                      Connection: close, a web page, no HTTP, a head without end
  delay               [seconds=S] the answer comes late (30)
  quota               [limit=N] [of=KIND] the account's limit (default 0 = none at all)
  capacity            [RUNG=VALUE]... sold out; with parts of a rung (see below) only there
  limit               [limit=N] as many requests in the first of the cloud's windows
  list-lag            [seconds=S] [of=KIND] new things are missing from lists (10)
  list-shuffle        a list comes in another order
  empty-page          the first page of a list is empty, with a next page
  get-lag             [seconds=S] [of=KIND] new things answer 404 at first (5)
  paper               [address=A] the next machine is only in the books: nothing boots, and
                      this is its address (127.0.0.1)
  boot-never          the next machine is never up
  boot-error          making the next machine fails
  boot-delay          [seconds=S] the next machines take longer to boot (20)
  ip-late             [seconds=S] up, but the address comes later (5)
  no-ssh              the next machine boots without sshd
  apt-lock            [seconds=S] the next machine's apt is locked at first (20)
  vanish              the next machine is gone right after it was up
  delete-404          a delete says 404 although the machine is there (and stays)
  delete-lingers      [seconds=S] deleted, but still listed for a while (10)
  keep                a delete says that it is done and does nothing
  list-now            what a list-lag still hides shows from now on
  clear               end all of these (what they did to a machine stays)

Each takes count=N (how many calls or machines; default 1), for=S (seconds instead of a count)
and on=CALL (which calls)."""

# Which calls a fault touches unless on=... says otherwise.
DEFAULT_ON = {"lose-answer": "create", "capacity": "create", "delete-404": "delete", "keep": "delete",
              "delete-lingers": "delete", "list-shuffle": "list", "empty-page": "list"}

# Answers that go wrong on the wire.
WIRE = {"close-before": "close-before", "lose-answer": "close-after", "reset": "reset", "truncate": "truncate",
        "long-length": "long-length", "short-length": "short-length", "chunked": "chunked", "gzip": "gzip",
        "trickle": "trickle", "close": "close", "html": "html", "garbage": "garbage", "endless-head": "endless-head"}

# Faults of the next thing that is made, rather than of a call.
FATES = {"boot-never", "boot-error", "boot-delay", "ip-late", "no-ssh", "apt-lock", "vanish", "list-lag", "get-lag",
         "paper"}

# Faults of the account: they last until they are cleared.
LASTING = {"limit", "quota"}

SECONDS = {"delay": 30, "list-lag": 10, "get-lag": 5, "boot-delay": 20, "ip-late": 5, "apt-lock": 20,
           "delete-lingers": 10}

# Faults that refuse a call: the kind of refusal, and the status when it is not the kind's own.
REFUSING = {"500": ("broken", 500), "502": ("broken", 502), "503": ("broken", 503), "504": ("broken", 504),
            "401": ("auth", None), "403": ("forbidden", None), "capacity": ("capacity", None),
            "delete-404": ("gone", None)}

STYLES = ("reset", "retry-after", "date", "none")


def now_text(at=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at if at else time.time()))


class Refusal(Exception):
    """A request that is answered by an error; `headers` are for this answer alone."""

    def __init__(self, status, name, message, headers=None):
        super().__init__(message)
        self.status, self.name, self.message, self.headers = status, name, message, headers or {}


# Limits ----------------------------------------------------------------------

Room = collections.namedtuple("Room", "most left reset wait")


class Window:
    """At most `most` requests in any `seconds`: the budget comes back one request at a time."""

    def __init__(self, most, seconds, whole=True, tells=True):
        """whole: of all requests, else of those that a handler takes; tells: its refusal says how long to wait."""
        self.most, self.seconds, self.whole, self.tells = most, seconds, whole, tells
        self.times = collections.deque()
        self.fullest = 0

    def room(self, now, most=None):
        """What is left when one more request was counted (below 0: it is one too many), and when that will change."""
        most = self.most if most is None else most
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        have = len(self.times)
        left, wait = most - have - 1, 0
        if left < 0:
            first = self.times[have - most] if most else now
            wait = max(1, math.ceil(first + self.seconds - now))
        return Room(most, left, int((self.times[0] if have else now) + self.seconds), wait)

    def add(self, now):
        self.times.append(now)
        self.fullest = max(self.fullest, len(self.times))


class Limits:
    """The windows of an account, and what it asked for and was answered."""

    def __init__(self, windows):
        self.windows = {name: Window(*how) for name, how in windows.items()}
        self.on = True
        self.calls, self.answers = collections.Counter(), collections.Counter()

    def _rooms(self, names, other):
        now = time.time()
        rooms = {n: self.windows[n].room(now, other.get(n)) for n in names}
        if not self.on:
            rooms = {n: r._replace(left=r.most - 1, wait=0) for n, r in rooms.items()}
        # A request that is refused is not counted.
        if all(r.left >= 0 for r in rooms.values()):
            for n in names:
                self.windows[n].add(now)
        return rooms

    def count(self, other):
        """Counts a request: the room in each window of all requests, by name; `other` limits replace the windows'."""
        return self._rooms([n for n, window in self.windows.items() if window.whole], other)

    def take(self, name):
        """Counts a request in this window alone; whether there was room."""
        return self._rooms([name], {})[name].left >= 0

    def wait(self, rooms):
        """Seconds to wait as the refusal announces them, or None when it does not."""
        return max((r.wait for n, r in rooms.items() if r.left < 0 and self.windows[n].tells), default=None)

    def change(self, told):
        for name, most in told.pop("windows", {}).items():
            if name not in self.windows:
                raise ValueError(f"no window {name!r}; there is {', '.join(self.windows)}")
            self.windows[name].most = int(most)
        self.on = bool(told.pop("on", self.on))
        if told.pop("reset", False):
            self.calls.clear()
            self.answers.clear()
            for window in self.windows.values():
                window.times.clear()
                window.fullest = 0
        if told:
            raise ValueError(f"limits have no {', '.join(told)}")

    def told(self):
        return {"on": self.on, "calls": self.calls, "answers": self.answers, "windows": {
            n: {"most": v.most, "seconds": v.seconds, "fullest": v.fullest} for n, v in self.windows.items()}}


# Machines --------------------------------------------------------------------

class Paper:
    """A machine that is only in the books, with all that a machines.Machine can be asked to do."""

    def __init__(self, record):
        self.record = record

    def _on(self, *_, **__):
        self.record["power"] = True

    def _off(self):
        self.record["power"] = False

    def on(self):
        return self.record.get("power", False)

    def _nothing(self, *_, **__):
        pass

    boot, leader = _on, on
    create = reboot = _nothing
    power_off = shutdown = die = destroy = _off


class Cloud:
    # Of each cloud ------------------------------------------------------

    name = None             # of the driver
    title = None            # for people
    port = None
    env = None              # variables of `rig env`: the URL's name and the token's
    MACHINES = None         # the kind of things that are machines: a key of the state
    KINDS = ()              # kinds of things that of=KIND may name
    CALLS = {}              # group of calls -> names in the facts; create, get, list, delete of machines, and others
    RUNG = ()               # fields of the create call that say what may be sold out
    WINDOWS = {}            # name -> the arguments of Window, as the vendor publishes them
    STYLE = "retry-after"   # how a 429 announces the wait
    REFUSALS = {}           # kind -> (status, code, message); kinds: auth, no_call, wrong, garbled, throttled, gone,
                            # capacity, broken, and forbidden if there is such
    REFUSING = {}           # more faults that refuse a call, as REFUSING above,
    DEFAULT_ON = {}         # ... the calls they touch,
    FAULTS = ""             # ... and their words
    ENDS = {}               # ends of a machine that nobody asked for, besides vanish -> words
    FRESH = {}              # a state that holds nothing, besides what is below

    @staticmethod
    def new_token():
        raise NotImplementedError

    @staticmethod
    def options(env):
        """MachineOptions for config.toml."""
        raise NotImplementedError

    @staticmethod
    def listing(state, now, more):
        """One line for each thing; `more`: those too that cost nothing."""
        raise NotImplementedError

    def error_body(self, refusal):
        raise NotImplementedError

    def admits(self, authorization):
        """Whether this opens the account."""
        return authorization == "Bearer " + self.token

    def rate_headers(self, rooms):
        """What each answer says of the limits."""
        return {}

    def memory(self, m):
        """Megabytes of a machine."""
        raise NotImplementedError

    def up(self, m):
        """It has booted; its address follows. Under the lock, as the next two."""

    def broken(self, m):
        """Making it has failed."""

    def end(self, m, what):
        """One of ENDS has come to it."""

    def tick(self):
        """Before each call: what time has done meanwhile."""

    def whole(self):
        """The state for the rig."""
        self.tick()
        return self.state

    # Of all ---------------------------------------------------------------

    def __init__(self, world, base_url, token):
        self.world, self.base_url, self.token = world, base_url, token
        self.facts = openapi.Facts(self.name)
        self.lock = threading.RLock()
        self.file = world.path(self.name + ".json")
        self.state = w.read_json(self.file) or {
            "next_machine": 0, "turns": 0, "addresses": {}, "history": [], **json.loads(json.dumps(self.FRESH))}
        self.faults = []
        self.refusing = {**REFUSING, **self.REFUSING}
        self.limits = Limits(self.WINDOWS)
        self.calls = collections.Counter()
        # The thread at work on a thing's machine; the next one waits for it.
        self.busy = {}
        # Machines that were being made when an earlier process ended.
        for m in list(self.machines.values()):
            if m.get("making"):
                self.launch(m, again=True)

    @property
    def machines(self):
        return self.state[self.MACHINES]

    def save(self):
        w.write_json(self.file, self.state, 0o600)

    def note(self, text):
        print(time.strftime("%H:%M:%S"), text, flush=True)

    def violation(self, text):
        self.note("VIOLATION " + text)
        with open(self.world.path("violations.log"), "a") as f:
            f.write(f"{now_text()} {self.name} {text}\n")

    # Requests -----------------------------------------------------------

    def answer(self, request):
        began = time.monotonic()
        call, values, why = self.facts.find(request.method, request.path)
        with self.lock:
            rooms = self.limits.count({next(iter(self.WINDOWS)): self._lasting("limit", None)})
        try:
            answer = self._answer(request, call, values, why, rooms)
        except Refusal as e:
            answer = self._error(call, rooms, e)
        took = time.monotonic() - began
        self.note(f"{request.method} {request.target} {answer.status}"
                  + (f" [{answer.wire}]" if answer.wire else "") + f" {took * 1000:.0f} ms")
        with self.lock:
            self.calls[call["name"] if call else "unknown"] += 1
            self.limits.calls[call["call"] if call else "unknown"] += 1
            self.limits.answers[str(answer.status)] += 1
        return answer

    def _answer(self, request, call, values, why, rooms):
        if not self.admits(request.headers.get("Authorization", "")):
            raise self.refusal("auth")
        if call is None:
            self.violation(f"{request.method} {request.target}: {why}")
            raise self.refusal("bad_method" if "no method" in why and "bad_method" in self.REFUSALS else "no_call", why)
        fault = self._fault(call["name"], request)
        what = fault["what"] if fault else None
        if what == "close-before":
            return web.Answer(0, wire="close-before")
        if what == "429":
            return self._throttled_by_fault(fault, call, rooms)
        if what in self.refusing:
            kind, status = self.refusing[what]
            headers = {"retry-after": str(math.ceil(fault["wait"]))} if fault["wait"] is not None else {}
            raise self.refusal(kind, status=status, headers=headers)
        if any(r.left < 0 for r in rooms.values()):
            wait = self.limits.wait(rooms)
            raise self.refusal("throttled", headers={} if wait is None else {"retry-after": str(wait)})
        wrong, body = self.facts.check_request(call, values, request.query, request.body,
                                               request.headers.get("Content-Type"))
        for text in wrong:
            self.violation(f"{request.method} {request.target}: {text}")
        if wrong:
            raise self.refusal("garbled" if body is None and request.body else "wrong", "; ".join(wrong))
        handler = self.handler(call["name"])
        if handler is None:
            raise self.refusal("broken", f"the double has no {call['name']} yet")
        with self.lock:
            self.tick()
            status, value = handler(values, dict(request.query), body, fault)
        answer = self._reply(call, rooms, status, value)
        if what in WIRE:
            answer.wire = WIRE[what]
        if what == "delay":
            answer.delay = fault["seconds"]
        return answer

    def handler(self, name):
        """The method of a call: takes the path's values, the query, the body and the fault, answers status and body."""
        return getattr(self, "on_" + name, None)

    def refusal(self, kind, message=None, status=None, headers=None):
        known, name, text = self.REFUSALS[kind]
        return Refusal(status or known, name, message or text, headers)

    def _error(self, call, rooms, refusal):
        return self._reply(call, rooms, refusal.status, self.error_body(refusal), refusal.headers)

    def _reply(self, call, rooms, status, value, headers=None):
        headers = {**(headers or {}), **self.rate_headers(rooms), "x-request-id": str(uuid.uuid4())}
        if status == 204:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if call:
            for text in self.facts.check_answer(call, status, headers, value):
                # Our own mistake: a double that drifts is worth no test.
                self.violation(f"the double itself, {call['name']} {status}: {text}")
        return web.Answer(status, value, headers)

    def _throttled_by_fault(self, fault, call, rooms):
        style = fault["style"]
        wait = 5 if fault["wait"] is None else fault["wait"]
        until = time.time() + wait
        headers = {}
        if style == "retry-after":
            headers["retry-after"] = str(math.ceil(wait))
        elif style == "date":
            headers["retry-after"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(until + 0.999))
        rooms = {n: r._replace(left=0, reset=int(until + 0.999)) for n, r in rooms.items()}
        answer = self._error(call, rooms, self.refusal("throttled", headers=headers))
        if style != "reset":
            for name in self.rate_headers(rooms):
                answer.headers.pop(name, None)
        return answer

    # Faults -------------------------------------------------------------

    @classmethod
    def fault_help(cls):
        return (cls.FAULTS + f"  on=     {' '.join(cls.CALLS)} any, or a call's name in api/{cls.name}.facts\n"
                f"  of=     {' '.join(cls.KINDS)} (default {cls.MACHINES})\n  rung    {' '.join(cls.RUNG)}")

    def add_fault(self, what, options):
        """Returns a sentence for the person who asked."""
        if what == "clear":
            self.faults = []
            return "no faults"
        if what == "list-now":
            with self.lock:
                for kind in self.KINDS:
                    for thing in self.state[kind].values():
                        thing.get("fate", {}).pop("list_lag", None)
                self.save()
            return "lists show everything"
        known = {"429"} | LASTING | FATES | set(WIRE) | set(SECONDS) | set(DEFAULT_ON)
        known |= {f for f, (kind, _) in self.refusing.items() if kind in self.REFUSALS}
        default_on = {**DEFAULT_ON, **self.DEFAULT_ON}.get(what, "any")
        if what not in known:
            raise ValueError(f"no fault {what!r}; `rig fault --help` lists them")
        fault = {"what": what, "on": options.pop("on", default_on), "count": int(options.pop("count", 1)),
                 "until": None}
        if "for" in options:
            fault["until"] = time.monotonic() + float(options.pop("for"))
        if what in LASTING and fault["until"] is None:
            fault["until"] = float("inf")
        fault["seconds"] = float(options.pop("seconds", SECONDS.get(what, 0)))
        fault["style"] = options.pop("style", self.STYLE)
        fault["wait"] = float(options.pop("wait")) if "wait" in options else None
        fault["of"] = options.pop("of", self.MACHINES)
        if what == "quota":
            fault["limit"] = int(options.pop("limit", 0))
        if what == "limit":
            fault["limit"] = int(options.pop("limit", next(iter(self.WINDOWS.values()))[0]))
        if what == "paper":
            fault["address"] = options.pop("address", "127.0.0.1")
        if what == "capacity":
            fault["rung"] = {n: options.pop(n) for n in self.RUNG if n in options}
        if fault["style"] not in STYLES:
            raise ValueError(f"style={fault['style']}: one of {', '.join(STYLES)}")
        if fault["on"] != "any" and fault["on"] not in self.CALLS and fault["on"] not in self.facts.calls:
            raise ValueError(f"on={fault['on']}: one of {', '.join(self.CALLS)}, any, "
                             f"or a call of api/{self.name}.facts")
        if fault["of"] not in self.KINDS:
            raise ValueError(f"of={fault['of']}: one of {', '.join(self.KINDS)}")
        if options:
            raise ValueError(f"{what} has no option {', '.join(options)}")
        with self.lock:
            self.faults.append(fault)
        return f"{what} on {fault['on']}"

    def _live(self, fault):
        if fault["until"] is not None:
            return time.monotonic() < fault["until"]
        return fault["count"] > 0

    def _touches(self, fault, call, request):
        if fault["what"] in FATES or fault["what"] in LASTING:
            return False
        if fault["on"] != "any" and call not in self.CALLS.get(fault["on"], {fault["on"]}):
            return False
        if fault.get("rung"):
            try:
                asked = request.json()
            except ValueError:
                return False
            # As a word on the command line has it: spot=true.
            return isinstance(asked, dict) and all(
                json.dumps(asked.get(n, False)).strip('"') == v for n, v in fault["rung"].items())
        return True

    def _fault(self, call, request):
        """The first fault that touches this call; uses up one of its count."""
        with self.lock:
            self.faults = [f for f in self.faults if self._live(f)]
            for fault in self.faults:
                if self._touches(fault, call, request):
                    fault["count"] -= 1
                    return dict(fault)
        return None

    def fate(self, kind):
        """What the faults have in store for the next thing of this kind: at most one of each."""
        fate = {}
        for fault in self.faults:
            what = fault["what"].replace("-", "_").replace("boot_", "")
            if fault["what"] in FATES and fault["of"] == kind and what not in fate and self._live(fault):
                fault["count"] -= 1
                fate[what] = fault.get("address") or fault["seconds"] or True
        if kind == self.MACHINES and not self.world.bridge:
            # A double without a world about it has nowhere to boot.
            fate.setdefault("paper", "127.0.0.1")
        return fate

    def quota(self, kind, most):
        """How many of these the account may have, `most` unless a fault says something else."""
        return self._lasting("quota", most, kind)

    def _lasting(self, what, most, kind=None):
        return next((f["limit"] for f in self.faults
                     if f["what"] == what and (kind is None or f["of"] == kind) and self._live(f)), most)

    def hidden(self, thing, kind):
        lag = thing["fate"].get(kind)
        return bool(lag) and time.time() < thing["created"] + lag

    # Machines -----------------------------------------------------------
    #
    # The record of one has id, name, image, keys (lines of authorized_keys), user_data, created (seconds), fate,
    # address (None), and what its cloud adds.

    @contextlib.contextmanager
    def _shared(self):
        """The states of all clouds of the world, ours first: numbers and addresses are one's own."""
        with open(self.world.path("clouds.lock"), "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            others = (w.read_json(self.world.path(n + ".json")) for n in clouds.NAMES if n != self.name)
            yield [self.state, *filter(None, others)]
            self.save()

    def number(self, m):
        """Gives a record a machine's number of its own; saves the state."""
        with self._shared() as states:
            m["machine"] = self.state["next_machine"] = 1 + max(s["next_machine"] for s in states)

    def _take_address(self, m):
        """Addresses go round, as a cloud's do, so that none is reused at once."""
        if m["fate"].get("paper"):
            return m["fate"]["paper"]
        with self._shared() as states:
            used = set().union(*(s["addresses"] for s in states))
            last = max(s["turns"] for s in states)
            for turn in range(last + 1, last + 242):
                address = f"10.213.{self.world.number}.{10 + turn % 241}"
                if address not in used:
                    self.state["turns"] = turn
                    self.state["addresses"][address] = m["id"]
                    return address
        raise w.Error("the rig's network is full")

    def body(self, m):
        """The machine itself."""
        return Paper(m) if m["fate"].get("paper") else machines.Machine(self.world, m["machine"])

    def begin(self, m, work, *args):
        """Starts work on a machine once the work before it is done."""
        before = self.busy.get(m["id"])

        def run():
            if before:
                before.join()
            work(*args)
        thread = threading.Thread(target=run, daemon=True)
        self.busy[m["id"]] = thread
        thread.start()

    def launch(self, m, again=False):
        """Boots a machine whose record stands in the state, or would, if that is its fate."""
        if not m["fate"].get("never"):
            m["making"] = True
            self.begin(m, self._boot, m, again)

    def wanted(self, m):
        """A machine may be deleted while it is made; its thread cleans up."""
        return self.machines.get(str(m["id"])) is m and not m.get("deleting")

    def _boot(self, m, again):
        fate, old = m["fate"], self.body(m)
        if again:
            with self.lock:
                self.number(m)
        machine = self.body(m)
        try:
            if fate.get("error"):
                time.sleep(1)
                raise w.Error("as told: boot-error")
            if again:
                # Commands of the process before us may still be at work on the
                # old one: it gets no second life, and one more look later.
                old.destroy()
            time.sleep(fate.get("delay", 0))
            with self.lock:
                if not self.wanted(m):
                    return
                address = self._take_address(m)
            machine.create(m["name"], m["image"], m["keys"], address, self.memory(m), m["user_data"],
                           apt_lock=fate.get("apt_lock", 0), ssh=not fate.get("no_ssh"))
            with self.lock:
                if not self.wanted(m):
                    raise w.Error("deleted while it was made")
                machine.boot()
            w.wait_until(lambda: machine.leader() or not machine.on(), 10)
            with self.lock:
                if not self.wanted(m):
                    raise w.Error("deleted while it was made")
                m["making"] = False
                if not fate.get("ip_late"):
                    m["address"] = address
                self.up(m)
                self.save()
            if again:
                old.destroy()
            if fate.get("ip_late"):
                time.sleep(fate["ip_late"])
                with self.lock:
                    m["address"] = address
                    self.save()
            if fate.get("vanish"):
                with self.lock:
                    self.forget(m)
                machine.destroy()
        except Exception as e:
            self.note(f"{self.MACHINES} {m['id']} {m['name']}: {e}")
            machine.destroy()
            with self.lock:
                if self.wanted(m):
                    m["making"] = False
                    self.broken(m)
                    self.save()

    def bury(self, m):
        # In the background, as a cloud does it; `rig down` finds what is left.
        self.begin(m, self.body(m).destroy)

    def forget(self, m):
        """The meter stops."""
        now = time.time()
        del self.machines[str(m["id"])]
        self.state["addresses"] = {a: i for a, i in self.state["addresses"].items() if i != m["id"]}
        self.state["history"].append({"id": m["id"], "name": m["name"], "created": m["created"], "deleted": now,
                                      "seconds": round(now - m["created"], 3)})
        self.save()

    # The rig's side -----------------------------------------------------

    def control(self, request):
        asked = f"{request.method} {request.path}"
        try:
            with self.lock:
                if asked == "GET /state":
                    return web.Answer(200, self.whole())
                if asked == "GET /calls":
                    return web.Answer(200, self.calls)
                if asked == "POST /limits":
                    self.limits.change(request.json())
                if asked in ("GET /limits", "POST /limits"):
                    return web.Answer(200, self.limits.told())
                if asked == "GET /faults":
                    return web.Answer(200, [dict(f, until=None) for f in self.faults if self._live(f)])
                if asked == "POST /fault":
                    options = request.json()
                    what = str(options.pop("what", ""))
                    return web.Answer(200, {"message": self.add_fault(what, options)})
            if asked == "POST /machine":
                return self._machine(request.json())
        except (ValueError, KeyError, w.Error) as e:
            return web.Answer(400, {"message": str(e)})
        return web.Answer(404, {"message": f"no {asked}"})

    def _machine(self, body):
        name, what = body["name"], body["what"]
        with self.lock:
            m = next((m for m in self.machines.values() if name in (m["name"], str(m["id"]), m["address"])), None)
        if not m:
            raise w.Error(f"no machine {name!r} of {self.title}")
        if what != "vanish" and what not in self.ENDS:
            raise w.Error(f"no such end of a machine of {self.title}: {what}")
        self.body(m).die()
        with self.lock:
            if what != "vanish":
                self.end(m, what)
                self.save()
            else:
                self.forget(m)
        if what == "vanish":
            self.body(m).destroy()
        return web.Answer(200, {"message": f"{m['name']}: {what}"})


def main(cloud):
    p = argparse.ArgumentParser(description=f"a double of {cloud.title}")
    p.add_argument("--run", required=True)
    p.add_argument("--bind", required=True)
    p.add_argument("--port", type=int, required=True)
    # Not a secret worth hiding: it opens nothing but this double.
    p.add_argument("--token", required=True)
    a = p.parse_args()
    world = w.World(os.path.realpath(a.run))
    c = cloud(world, f"https://{a.bind}:{a.port}", a.token)
    web.start(web.UnixServer(world.path(c.name + ".sock"), c.control, c.note))
    web.Server((a.bind, a.port), c.answer, (world.path(c.name + ".pem"), world.path(c.name + "-key.pem")),
               c.note).serve_forever()
