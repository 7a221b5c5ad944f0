#!/usr/bin/env python3
"""DigitalOcean's API v2 as far as machines go, in front of real machines.

Every request and every answer is held against the facts of the vendor's
description (../api/digitalocean.facts). A request it does not allow is
refused, and a line in run/violations.log says why; a test that finds a line
there fails. What the description cannot say is done as the real API does it:
names may repeat, tags exist from the create call on, a droplet is `new`,
locked and without address until it has booted, 5000 requests an hour in a
sliding window and 250 a minute, ten listings of keys a minute, a droplet limit.

What the cloud holds is kept in run/digitalocean.json, so that the double can
be killed and started again like any other process here. The control socket
run/digitalocean.sock (HTTP) is for the rig: GET /state, GET /faults,
POST /fault, POST /machine, GET /calls.

Usage: digitalocean.py --run DIR --bind ADDRESS --port PORT --token TOKEN
"""

import argparse
import base64
import hashlib
import json
import os
import random
import re
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import machines
import openapi
import web
import world as w


REGIONS = [("fra1", "Frankfurt 1"), ("nyc3", "New York 3"), ("ams3", "Amsterdam 3"),
           ("sgp1", "Singapore 1"), ("lon1", "London 1")]

# slug, memory in MB, cpus, disk in GB, price a month
SIZES = [("s-1vcpu-512mb-10gb", 512, 1, 10, 4.0), ("s-1vcpu-1gb", 1024, 1, 25, 6.0),
         ("s-1vcpu-2gb", 2048, 1, 50, 12.0), ("s-2vcpu-2gb", 2048, 2, 60, 18.0),
         ("s-2vcpu-4gb", 4096, 2, 80, 24.0), ("s-4vcpu-8gb", 8192, 4, 160, 48.0)]

IMAGES = {slug: 100000 + i for i, slug in enumerate(machines.KINDS)}

TAG = re.compile(r"[A-Za-z0-9_:-]{1,255}")

FAULTS = """\
  429                 [count=N|for=S] [style=reset|retry-after|date|none] [wait=S]
                      too many requests; `style` is how the wait is announced
  500 502 503 504     [count=N|for=S]
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
  quota               [limit=N] the account's droplet limit (default 0 = none at all)
  capacity            the size is sold out in the region (422 on create)
  limit               [limit=N] requests an hour instead of 5000
  list-lag            [seconds=S] new droplets are missing from lists (10)
  list-shuffle        a list comes in another order
  empty-page          the first page of a list is empty, with a next page
  get-lag             [seconds=S] new droplets answer 404 at first (5)
  boot-never          the next droplet stays `new` for ever
  boot-error          the next droplet's create action ends `errored`
  boot-delay          [seconds=S] the next droplets take longer to boot (20)
  ip-late             [seconds=S] active, but the address comes later (5)
  no-ssh              the next droplet boots without sshd
  apt-lock            [seconds=S] the next droplet's apt is locked at first (20)
  vanish              the next droplet is gone right after it became active
  delete-404          a delete says 404 although the droplet is there (and stays)
  delete-locked       a delete says 422 while "another event is pending"
  delete-lingers      [seconds=S] deleted, but still listed for a while (10)
  keep                a delete says 204 and does nothing
  list-now            what a list-lag still hides shows from now on
  clear               end all of these (what they did to a droplet stays)

Each takes count=N (how many calls or droplets; default 1), for=S (seconds instead of a count)
and on=CALL, one of create get list delete keys action regions account any, or an
operationId of the description."""

# Which calls a fault touches unless on=... says otherwise.
DEFAULT_ON = {"lose-answer": "create", "quota": "create", "capacity": "create",
              "delete-404": "delete", "delete-locked": "delete", "keep": "delete",
              "delete-lingers": "delete", "list-shuffle": "list", "empty-page": "list"}

# Answers that go wrong on the wire.
WIRE = {"close-before": "close-before", "lose-answer": "close-after", "reset": "reset",
        "truncate": "truncate", "long-length": "long-length", "short-length": "short-length",
        "chunked": "chunked", "gzip": "gzip", "trickle": "trickle", "close": "close", "html": "html",
        "garbage": "garbage", "endless-head": "endless-head"}

# Faults of the next droplet that is created, rather than of a call.
DROPLET = {"boot-never", "boot-error", "boot-delay", "ip-late", "no-ssh", "apt-lock", "vanish",
           "list-lag", "get-lag"}

SECONDS = {"delay": 30, "list-lag": 10, "get-lag": 5, "boot-delay": 20, "ip-late": 5,
           "apt-lock": 20, "delete-lingers": 10}

STATUSES = {"500", "502", "503", "504", "401", "403"}

CALLS = {"create": {"droplets_create"}, "get": {"droplets_get", "actions_get"},
         "list": {"droplets_list"}, "delete": {"droplets_destroy", "droplets_destroy_byTag"},
         "keys": {"sshKeys_list", "sshKeys_create", "sshKeys_get", "sshKeys_delete",
                  "sshKeys_update"},
         "action": {"dropletActions_post", "dropletActions_get", "dropletActions_list"},
         "regions": {"regions_list"}, "account": {"account_get"}}


def now_text(at=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at if at else time.time()))


class Refusal(Exception):
    def __init__(self, status, name, message):
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def not_found():
    return Refusal(404, "not_found", "The resource you were accessing could not be found.")


def unprocessable(message):
    return Refusal(422, "unprocessable_entity", message)


class Cloud:
    def __init__(self, world, base_url, token):
        self.world, self.base_url, self.token = world, base_url, token
        self.facts = openapi.Facts("digitalocean")
        self.lock = threading.RLock()
        self.file = world.path("digitalocean.json")
        self.state = w.read_json(self.file) or {
            "next_id": 3164000, "next_machine": 0, "droplets": {}, "keys": {},
            "actions": {}, "tags": [], "history": []}
        self.faults = []
        self.requests = []
        # Requests a minute.
        self.burst = 250
        self.key_lists = []
        self.calls = {}
        # The thread at work on a droplet's machine; the next one waits for it.
        self.busy = {}
        # Droplets that were being made when an earlier process ended.
        for droplet in list(self.state["droplets"].values()):
            if droplet["status"] == "new" and "never" not in droplet["fate"]:
                self._launch(droplet, again=True)

    def save(self):
        w.write_json(self.file, self.state, 0o600)

    def new_id(self):
        self.state["next_id"] += 7
        return self.state["next_id"]

    def note(self, text):
        print(time.strftime("%H:%M:%S"), text, flush=True)

    def violation(self, request, text):
        line = (f"{now_text()} digitalocean {request.method} {request.target}: {text}\n")
        self.note("VIOLATION " + line.strip())
        with open(self.world.path("violations.log"), "a") as f:
            f.write(line)

    # Requests -----------------------------------------------------------

    def answer(self, request):
        began = time.monotonic()
        answer, name = self._answer(request)
        took = time.monotonic() - began
        self.note(f"{request.method} {request.target} {answer.status}"
                  + (f" [{answer.wire}]" if answer.wire else "") + f" {took * 1000:.0f} ms")
        with self.lock:
            self.calls[name] = self.calls.get(name, 0) + 1
        return answer

    def _answer(self, request):
        operation, values, why = self.facts.find(request.method, request.path)
        name = operation["name"] if operation else "unknown"
        with self.lock:
            limits = self._count_request()
        if request.headers.get("Authorization") != "Bearer " + self.token:
            return self._error(operation, limits, 401, "unauthorized",
                               "Unable to authenticate you"), name
        if operation is None:
            self.violation(request, why)
            return self._error(None, limits, 404, "not_found", why), name
        fault = self._fault(name)
        if fault and fault["what"] == "close-before":
            return web.Answer(0, wire="close-before"), name
        refused = self._refused_by_fault(fault, operation, limits)
        if refused:
            return refused, name
        if limits["remaining"] < 0 or limits["burst"]:
            headers = {"retry-after": str(limits["burst"])} if limits["burst"] else {}
            return self._error(operation, limits, 429, "too_many_requests",
                               "API Rate limit exceeded.", headers), name
        wrong, body = self.facts.check_request(operation, values, request.query, request.body,
                                               request.headers.get("Content-Type"))
        if wrong:
            for text in wrong:
                self.violation(request, text)
            kind = 400 if body is None and request.body else 422
            return self._error(operation, limits, kind, "unprocessable_entity",
                               "; ".join(wrong)), name
        handler = getattr(self, "on_" + name, None)
        if handler is None:
            return self._error(operation, limits, 500, "server_error",
                               f"the double has no {name} yet"), name
        try:
            with self.lock:
                status, value = handler(values, dict(request.query), body, fault)
        except Refusal as e:
            return self._error(operation, limits, e.status, e.name, e.message), name
        answer = self._reply(operation, limits, status, value)
        if fault and fault["what"] in WIRE:
            answer.wire = WIRE[fault["what"]]
        if fault and fault["what"] == "delay":
            answer.delay = fault["seconds"]
        return answer, name

    def _reply(self, operation, limits, status, value, headers=None):
        headers = dict(headers or {})
        headers.update({"ratelimit-limit": str(limits["limit"]),
                        "ratelimit-remaining": str(max(0, limits["remaining"])),
                        "ratelimit-reset": str(limits["reset"]),
                        "x-request-id": str(uuid.uuid4())})
        if status == 204:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if operation:
            for text in self.facts.check_answer(operation, status, headers, value):
                # Our own mistake: a double that drifts is worth no test.
                self.note(f"OWN MISTAKE {operation['name']}: {text}")
                with open(self.world.path("violations.log"), "a") as f:
                    f.write(f"{now_text()} digitalocean double itself, "
                            f"{operation['name']} {status}: {text}\n")
        return web.Answer(status, value, headers)

    def _error(self, operation, limits, status, name, message, headers=None):
        return self._reply(operation, limits, status,
                           {"id": name, "message": message, "request_id": str(uuid.uuid4())},
                           headers)

    def _count_request(self):
        """A sliding hour: the budget comes back one request at a time."""
        now = time.time()
        limit = next((f["limit"] for f in self.faults if f["what"] == "limit"), 5000)
        self.requests = [t for t in self.requests if t > now - 3600]
        remaining = limit - len(self.requests) - 1
        minute = sum(t > now - 60 for t in self.requests[-self.burst:])
        if remaining >= 0 and minute < self.burst:
            self.requests.append(now)
        oldest = self.requests[0] if self.requests else now
        burst = None
        if minute >= self.burst:
            burst = max(1, int(self.requests[-self.burst] + 60 - now + 0.999))
        return {"limit": limit, "remaining": remaining, "reset": int(oldest + 3600),
                "burst": burst}

    # Faults -------------------------------------------------------------

    def add_fault(self, what, options):
        """Returns a sentence for the person who asked."""
        if what == "clear":
            self.faults = []
            return "no faults"
        if what == "list-now":
            with self.lock:
                for droplet in self.state["droplets"].values():
                    droplet["fate"].pop("list_lag", None)
                self.save()
            return "lists show everything"
        if not (what in WIRE or what in DROPLET or what in STATUSES or
                what in SECONDS or what in DEFAULT_ON or what in ("429", "limit")):
            raise ValueError(f"no fault {what!r}; `rig fault --help` lists them")
        fault = {"what": what, "on": options.pop("on", DEFAULT_ON.get(what, "any")),
                 "count": int(options.pop("count", 1)), "until": None}
        if "for" in options:
            fault["until"] = time.monotonic() + float(options.pop("for"))
        if what in ("limit", "quota") and fault["until"] is None:
            fault["until"] = float("inf")
        fault["seconds"] = float(options.pop("seconds", SECONDS.get(what, 0)))
        fault["limit"] = int(options.pop("limit", 0 if what == "quota" else 5000))
        fault["style"] = options.pop("style", "reset")
        fault["wait"] = float(options.pop("wait", 5))
        if fault["style"] not in ("reset", "retry-after", "date", "none"):
            raise ValueError(f"style={fault['style']}: one of reset, retry-after, date, none")
        if fault["on"] != "any" and fault["on"] not in CALLS and fault["on"] not in self.facts.calls:
            raise ValueError(f"on={fault['on']}: one of {', '.join(CALLS)}, any, "
                             "or a call of api/digitalocean.facts")
        if options:
            raise ValueError(f"{what} has no option {', '.join(options)}")
        with self.lock:
            self.faults.append(fault)
        return f"{what} on {fault['on']}"

    def _live(self, fault):
        if fault["until"] is not None:
            return time.monotonic() < fault["until"]
        return fault["count"] > 0

    def _fault(self, operation):
        """The first fault that touches this call; uses up one of its count."""
        with self.lock:
            self.faults = [f for f in self.faults if self._live(f)]
            for fault in self.faults:
                if fault["what"] in DROPLET or fault["what"] in ("limit", "quota"):
                    continue
                if fault["on"] != "any" and \
                        operation not in CALLS.get(fault["on"], {fault["on"]}):
                    continue
                fault["count"] -= 1
                return dict(fault)
        return None

    def _fate(self):
        """What the faults have in store for the next droplet: at most one of each."""
        fate = {}
        for fault in self.faults:
            what = fault["what"].replace("-", "_").replace("boot_", "")
            if fault["what"] in DROPLET and what not in fate and self._live(fault):
                fault["count"] -= 1
                fate[what] = fault["seconds"] or True
        return fate

    def _refused_by_fault(self, fault, operation, limits):
        if not fault:
            return None
        what = fault["what"]
        if what == "429":
            headers, until = {}, time.time() + fault["wait"]
            limits = dict(limits, remaining=0)
            if fault["style"] == "reset":
                limits["reset"] = int(until + 0.999)
            elif fault["style"] == "retry-after":
                headers["retry-after"] = str(int(fault["wait"] + 0.999))
            elif fault["style"] == "date":
                headers["retry-after"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                                                       time.gmtime(until + 0.999))
            answer = self._error(operation, limits, 429, "too_many_requests",
                                 "API Rate limit exceeded.", headers)
            if fault["style"] != "reset":
                for name in list(answer.headers):
                    if name.startswith("ratelimit-"):
                        del answer.headers[name]
            return answer
        if what == "401":
            return self._error(operation, limits, 401, "unauthorized",
                               "Unable to authenticate you")
        if what == "403":
            return self._error(operation, limits, 403, "forbidden",
                               "You are not authorized to perform this operation")
        if what in STATUSES:
            return self._error(operation, limits, int(what), "server_error",
                               "Server was unable to give you a response.")
        if what == "capacity":
            return self._error(operation, limits, 422, "unprocessable_entity",
                               "Size is not available in this region.")
        if what == "delete-404":
            return self._error(operation, limits, 404, "not_found",
                               "The resource you were accessing could not be found.")
        if what == "delete-locked":
            return self._error(operation, limits, 422, "unprocessable_entity",
                               "Droplet already has a pending event.")
        return None

    # Reading ------------------------------------------------------------

    def on_account_get(self, values, query, body, fault):
        return 200, {"account": {
            "droplet_limit": self._droplet_limit(), "floating_ip_limit": 3,
            "email": "rig@rig.test", "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True, "status": "active", "status_message": ""}}

    def _droplet_limit(self):
        return next((f["limit"] for f in self.faults
                     if f["what"] == "quota" and self._live(f)), 200)

    def on_regions_list(self, values, query, body, fault):
        return 200, self._page("regions", [self._region(s) for s, _ in REGIONS], query,
                               "/v2/regions")

    def _region(self, slug):
        return {"name": dict(REGIONS)[slug], "slug": slug, "available": True,
                "features": ["backups", "ipv6", "metadata", "install_agent"],
                "sizes": [s[0] for s in SIZES]}

    def on_sizes_list(self, values, query, body, fault):
        return 200, self._page("sizes", [self._size(s[0]) for s in SIZES], query, "/v2/sizes")

    def _size(self, slug):
        _, memory, cpus, disk, price = next(s for s in SIZES if s[0] == slug)
        return {"slug": slug, "memory": memory, "vcpus": cpus, "disk": disk,
                "transfer": 1.0, "price_monthly": price,
                "price_hourly": round(price / 672, 5), "available": True,
                "regions": [s for s, _ in REGIONS], "description": "Basic"}

    def on_images_list(self, values, query, body, fault):
        if query.get("type") == "application" or query.get("private") == "true":
            return 200, self._page("images", [], query, "/v2/images")
        return 200, self._page("images", [self._image(s) for s in IMAGES], query, "/v2/images")

    def on_images_get(self, values, query, body, fault):
        for slug, number in IMAGES.items():
            if values["image_id"] in (slug, str(number)):
                return 200, {"image": self._image(slug)}
        raise not_found()

    def _image(self, slug):
        return {"id": IMAGES[slug], "name": slug, "distribution":
                "Ubuntu" if slug.startswith("ubuntu") else "Debian", "slug": slug,
                "public": True, "regions": [s for s, _ in REGIONS],
                "created_at": "2025-01-01T00:00:00Z", "type": "base", "min_disk_size": 7,
                "size_gigabytes": 1.1, "tags": [], "status": "available",
                "description": f"{slug} of the rig", "error_message": ""}

    def _page(self, name, items, query, path):
        size, page = int(query.get("per_page", 20)), int(query.get("page", 1))
        pages = max(1, -(-len(items) // size))
        rest = "".join(f"&{k}={v}" for k, v in query.items() if k not in ("page", "per_page"))

        def link(n):
            return f"{self.base_url}{path}?page={n}&per_page={size}{rest}"
        links = {}
        if page < pages:
            links.update(next=link(page + 1), last=link(pages))
        if page > 1:
            links.update(prev=link(page - 1), first=link(1))
        return {name: items[(page - 1) * size:page * size],
                "links": {"pages": links} if links else {}, "meta": {"total": len(items)}}

    # Keys ---------------------------------------------------------------

    def on_sshKeys_list(self, values, query, body, fault):
        now = time.monotonic()
        self.key_lists = [t for t in self.key_lists if t > now - 60]
        if len(self.key_lists) >= 10:
            raise Refusal(429, "too_many_requests", "API Rate limit exceeded.")
        self.key_lists.append(now)
        return 200, self._page("ssh_keys", list(self.state["keys"].values()), query,
                               "/v2/account/keys")

    def on_sshKeys_create(self, values, query, body, fault):
        words = body["public_key"].split()
        try:
            blob = base64.b64decode(words[1], validate=True)
            kind = blob[4:4 + int.from_bytes(blob[:4], "big")].decode()
        except (IndexError, ValueError):
            kind = None
        if not kind or kind != words[0]:
            raise unprocessable("Key invalid, key should be of the format `<key type> "
                                "<base64 string>`")
        digest = hashlib.md5(blob).hexdigest()
        fingerprint = ":".join(digest[i:i + 2] for i in range(0, 32, 2))
        if any(k["fingerprint"] == fingerprint for k in self.state["keys"].values()):
            raise unprocessable("SSH Key is already in use on your account")
        number = self.new_id()
        key = {"id": number, "fingerprint": fingerprint, "public_key": body["public_key"],
               "name": body["name"]}
        self.state["keys"][str(number)] = key
        self.save()
        return 201, {"ssh_key": key}

    def _key(self, identifier):
        for number, key in self.state["keys"].items():
            if identifier in (number, key["fingerprint"]):
                return key
        return None

    def on_sshKeys_get(self, values, query, body, fault):
        key = self._key(values["ssh_key_identifier"])
        if not key:
            raise not_found()
        return 200, {"ssh_key": key}

    def on_sshKeys_update(self, values, query, body, fault):
        key = self._key(values["ssh_key_identifier"])
        if not key:
            raise not_found()
        key["name"] = body.get("name", key["name"])
        self.save()
        return 200, {"ssh_key": key}

    def on_sshKeys_delete(self, values, query, body, fault):
        key = self._key(values["ssh_key_identifier"])
        if not key:
            raise not_found()
        del self.state["keys"][str(key["id"])]
        self.save()
        return 204, None

    # Droplets -----------------------------------------------------------

    def on_droplets_create(self, values, query, body, fault):
        names = body.get("names") or [body["name"]]
        if len(names) > 10:
            raise unprocessable("You can only create 10 droplets at a time.")
        region = body.get("region", REGIONS[0][0])
        if region not in dict(REGIONS):
            raise unprocessable("You specified an invalid region for Droplet creation.")
        if body["size"] not in [s[0] for s in SIZES]:
            raise unprocessable("You specified an invalid size for Droplet creation.")
        image = body["image"]
        slug = next((s for s, n in IMAGES.items() if image in (s, n, str(n))), None)
        if slug is None:
            raise unprocessable("You specified an invalid image for Droplet creation.")
        keys = [self._key(str(k)) for k in body.get("ssh_keys", [])]
        if None in keys:
            bad = body["ssh_keys"][keys.index(None)]
            raise unprocessable(f"{bad} are invalid key identifiers for Droplet creation.")
        tags = body.get("tags") or []
        for tag in tags:
            if not TAG.fullmatch(tag):
                raise unprocessable(f"Tags must match {TAG.pattern}: {tag!r}")
        if len(body.get("user_data", "")) > 64 << 10:
            raise unprocessable("User data must be 64 KiB or less.")
        if len(self.state["droplets"]) + len(names) > self._droplet_limit():
            raise unprocessable("creating this/these droplet(s) will exceed your droplet limit")
        made, links = [], []
        for name in names:
            droplet, action = self._new_droplet(name, region, body, slug, keys, tags)
            made.append(droplet)
            links.append({"id": action["id"], "rel": "create",
                          "href": f"{self.base_url}/v2/actions/{action['id']}"})
        self.save()
        for droplet in made:
            self._launch(droplet)
        shown = [self._show(d) for d in made]
        if "names" in body:
            return 202, {"droplets": shown, "links": {"actions": links}}
        return 202, {"droplet": shown[0], "links": {"actions": links}}

    def _new_droplet(self, name, region, body, slug, keys, tags):
        # The first spelling of a tag fixes its case.
        known = {t.lower(): t for t in self.state["tags"]}
        for tag in tags:
            if tag.lower() not in known:
                known[tag.lower()] = tag
                self.state["tags"].append(tag)
        fate = self._fate()
        number, now = self.new_id(), time.time()
        self.state["next_machine"] += 1
        action = {"id": self.new_id(), "status": "in-progress", "type": "create",
                  "started_at": now_text(now), "completed_at": None, "resource_id": number,
                  "resource_type": "droplet", "region_slug": region}
        self.state["actions"][str(action["id"])] = action
        droplet = {"id": number, "name": name, "region": region, "size": body["size"],
                   "image": slug, "keys": [k["public_key"] for k in keys],
                   "tags": [known[t.lower()] for t in tags],
                   "user_data": body.get("user_data"), "features":
                   [n for n in ("ipv6", "monitoring", "backups", "private_networking")
                    if body.get(n)], "status": "new", "locked": True, "address": None,
                   "created": now, "fate": fate, "create_action": action["id"],
                   "machine": self.state["next_machine"], "vpc_uuid": body.get("vpc_uuid") or
                   "760e09ef-dc84-11e8-981e-3cfdfeaae000"}
        self.state["droplets"][str(number)] = droplet
        return droplet, action

    def _launch(self, droplet, again=False):
        if droplet["fate"].get("never"):
            return
        self._begin(droplet, self._boot, droplet, again)

    def _begin(self, droplet, work, *args):
        """Starts work on a droplet's machine once the work before it is done."""
        before = self.busy.get(droplet["id"])

        def run():
            if before:
                before.join()
            work(*args)
        thread = threading.Thread(target=run, daemon=True)
        self.busy[droplet["id"]] = thread
        thread.start()

    def _boot(self, droplet, again):
        number, fate = str(droplet["id"]), droplet["fate"]
        old = machines.Machine(self.world, droplet["machine"])
        if again:
            with self.lock:
                self.state["next_machine"] += 1
                droplet["machine"] = self.state["next_machine"]
                self.save()
        machine = machines.Machine(self.world, droplet["machine"])
        try:
            if fate.get("error"):
                time.sleep(1)
                raise w.Error("as told: boot-error")
            if again:
                # Commands of the process before us may still be at work on the
                # old one: it gets no second life, and one more look later.
                old.destroy()
            time.sleep(fate.get("delay", 0))
            # A droplet may be deleted while it is made; its thread cleans up.
            with self.lock:
                if number not in self.state["droplets"]:
                    return
                address = self._free_address()
                droplet["reserved"] = address
            memory = next(s[1] for s in SIZES if s[0] == droplet["size"])
            machine.create(droplet["name"], droplet["image"], droplet["keys"], address, memory,
                           droplet["user_data"], apt_lock=fate.get("apt_lock", 0),
                           ssh=not fate.get("no_ssh"))
            with self.lock:
                if number not in self.state["droplets"]:
                    raise w.Error("deleted while it was made")
                machine.boot()
            w.wait_until(lambda: machine.leader() or not machine.on(), 10)
            with self.lock:
                if number not in self.state["droplets"]:
                    raise w.Error("deleted while it was made")
                droplet["status"], droplet["locked"] = "active", False
                if not fate.get("ip_late"):
                    droplet["address"] = address
                self._complete(droplet["create_action"], "completed")
                self.save()
            if again:
                old.destroy()
            if fate.get("ip_late"):
                time.sleep(fate["ip_late"])
                with self.lock:
                    droplet["address"] = address
                    self.save()
            if fate.get("vanish"):
                with self.lock:
                    self._forget(droplet)
                machine.destroy()
        except Exception as e:
            self.note(f"droplet {number} {droplet['name']}: {e}")
            machine.destroy()
            with self.lock:
                if number in self.state["droplets"]:
                    droplet["locked"] = False
                    droplet["status"] = "off"
                    self._complete(droplet["create_action"], "errored")
                    self.save()

    def _free_address(self):
        """Addresses go round, as a cloud's do, so that none is reused at once."""
        used = {d.get("reserved") for d in self.state["droplets"].values()}
        for _ in range(240):
            n = self.state["next_address"] = self.state.get("next_address", 9) % 250 + 1
            n = self.state["next_address"] = max(n, 10)
            address = f"10.213.{self.world.number}.{n}"
            if address not in used:
                return address
        raise w.Error("the rig's network is full")

    def _complete(self, action, status):
        action = self.state["actions"].get(str(action))
        if action and action["status"] == "in-progress":
            action["status"], action["completed_at"] = status, now_text()

    def _status(self, droplet):
        """A machine that has switched itself off is off."""
        if droplet["status"] == "active" and not machines.Machine(
                self.world, droplet["machine"]).on():
            droplet["status"] = "off"
            self.save()
        return droplet["status"]

    def _show(self, droplet):
        size = self._size(droplet["size"])
        v4 = []
        if droplet["address"]:
            last = droplet["address"].rpartition(".")[2]
            # The private one comes first and leads nowhere from here: a client
            # that takes the first entry for the address will notice.
            v4 = [{"ip_address": f"10.114.0.{last}", "netmask": "255.255.240.0",
                   "gateway": "10.114.0.1", "type": "private"},
                  {"ip_address": droplet["address"], "netmask": "255.255.255.0",
                   "gateway": self.world.address, "type": "public"}]
        return {"id": droplet["id"], "name": droplet["name"], "memory": size["memory"],
                "vcpus": size["vcpus"], "disk": size["disk"], "locked": droplet["locked"],
                "status": self._status(droplet), "kernel": None,
                "created_at": now_text(droplet["created"]), "features": droplet["features"],
                "backup_ids": [], "next_backup_window": None, "snapshot_ids": [],
                "image": self._image(droplet["image"]), "volume_ids": [], "size": size,
                "size_slug": droplet["size"], "networks": {"v4": v4, "v6": []},
                "region": self._region(droplet["region"]), "tags": droplet["tags"],
                "vpc_uuid": droplet["vpc_uuid"]}

    def _hidden(self, droplet, kind):
        lag = droplet["fate"].get(kind)
        return bool(lag) and time.time() < droplet["created"] + lag

    def on_droplets_list(self, values, query, body, fault):
        if "tag_name" in query and "name" in query:
            raise Refusal(400, "bad_request", "tag_name and name cannot be combined")
        found = []
        for droplet in self.state["droplets"].values():
            if self._hidden(droplet, "list_lag"):
                continue
            if "name" in query and droplet["name"].lower() != query["name"].lower():
                continue
            if "tag_name" in query and query["tag_name"].lower() not in \
                    [t.lower() for t in droplet["tags"]]:
                continue
            found.append(self._show(droplet))
        if query.get("type") == "gpus":
            found = []
        what = fault["what"] if fault else None
        if what == "list-shuffle":
            random.shuffle(found)
        for gone in self.state.get("lingering", []):
            if time.time() < gone["until"] and "tag_name" not in query and "name" not in query:
                found.append(gone["shown"])
        page = self._page("droplets", found, query, "/v2/droplets")
        if what == "empty-page":
            # As if page 1 had held what is deleted by now.
            page["droplets"] = []
            page["links"] = {"pages": {"next": f"{self.base_url}/v2/droplets?page=1&per_page="
                                       + query.get("per_page", "20"),
                                       "last": f"{self.base_url}/v2/droplets?page=1"}}
        return 200, page

    def _droplet(self, number):
        droplet = self.state["droplets"].get(number)
        if not droplet:
            raise not_found()
        return droplet

    def on_droplets_get(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        if self._hidden(droplet, "get_lag"):
            raise not_found()
        return 200, {"droplet": self._show(droplet)}

    def on_droplets_destroy(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        self._destroy(droplet, fault)
        return 204, None

    def on_droplets_destroy_byTag(self, values, query, body, fault):
        tag = query["tag_name"].lower()
        for droplet in list(self.state["droplets"].values()):
            if tag in [t.lower() for t in droplet["tags"]]:
                self._destroy(droplet, fault)
        return 204, None

    def _destroy(self, droplet, fault):
        what = fault["what"] if fault else None
        if what == "keep":
            return
        if what == "delete-lingers":
            shown = dict(self._show(droplet), status="archive")
            self.state.setdefault("lingering", []).append(
                {"until": time.time() + fault["seconds"], "shown": shown})
        self._forget(droplet)
        # In the background, as a cloud does it; `rig down` finds what is left.
        self._begin(droplet, machines.Machine(self.world, droplet["machine"]).destroy)

    def _forget(self, droplet):
        """The meter stops."""
        del self.state["droplets"][str(droplet["id"])]
        now = time.time()
        self._complete(droplet["create_action"], "errored")
        self.state["history"].append({
            "id": droplet["id"], "name": droplet["name"], "created": droplet["created"],
            "deleted": now, "seconds": round(now - droplet["created"], 3)})
        self.save()

    # Actions ------------------------------------------------------------

    def on_actions_get(self, values, query, body, fault):
        action = self.state["actions"].get(values["action_id"])
        if not action:
            raise not_found()
        return 200, {"action": self._show_action(action)}

    def on_actions_list(self, values, query, body, fault):
        found = [self._show_action(a) for a in self.state["actions"].values()]
        return 200, self._page("actions", found[::-1], query, "/v2/actions")

    def _show_action(self, action):
        return dict(action, region=self._region(action["region_slug"]))

    def on_dropletActions_list(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        found = [self._show_action(a) for a in self.state["actions"].values()
                 if a["resource_id"] == droplet["id"]]
        return 200, self._page("actions", found[::-1], query,
                               f"/v2/droplets/{droplet['id']}/actions")

    def on_dropletActions_get(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        action = self.state["actions"].get(values["action_id"])
        if not action or action["resource_id"] != droplet["id"]:
            raise not_found()
        return 200, {"action": self._show_action(action)}

    def on_dropletActions_post(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        kind = body["type"]
        if droplet["locked"]:
            raise unprocessable("Droplet already has a pending event.")
        machine = machines.Machine(self.world, droplet["machine"])
        status = self._status(droplet)
        if kind == "power_on" and status == "active":
            raise unprocessable("Droplet is already powered on.")
        if kind in ("shutdown", "power_off", "reboot") and status != "active":
            raise unprocessable("Droplet is currently off.")
        doers = {"power_on": machine.boot, "power_off": machine.power_off,
                 "shutdown": machine.shutdown, "reboot": machine.reboot}

        def cycle():
            machine.power_off()
            machine.boot()
        doers["power_cycle"] = cycle
        if kind not in doers:
            raise Refusal(500, "server_error", f"the double has no action {kind} yet")
        action = {"id": self.new_id(), "status": "in-progress", "type": kind,
                  "started_at": now_text(), "completed_at": None,
                  "resource_id": droplet["id"], "resource_type": "droplet",
                  "region_slug": droplet["region"]}
        self.state["actions"][str(action["id"])] = action
        droplet["locked"] = True
        self.save()
        self._begin(droplet, self._act, droplet, action, doers[kind])
        return 201, {"action": self._show_action(action)}

    def _act(self, droplet, action, do):
        machine = machines.Machine(self.world, droplet["machine"])
        kind, result = action["type"], "completed"
        try:
            if str(droplet["id"]) not in self.state["droplets"]:
                return
            do()
            if kind == "shutdown" and not w.wait_until(lambda: not machine.on(), 60, 0.1):
                result = "errored"
            if kind in ("power_on", "power_cycle"):
                w.wait_until(lambda: machine.leader() or not machine.on(), 10)
        except Exception as e:
            self.note(f"droplet {droplet['id']}: {kind}: {e}")
            result = "errored"
        with self.lock:
            droplet["locked"] = False
            droplet["status"] = "active" if machine.on() else "off"
            self._complete(action["id"], result)
            self.save()

    # Tags ---------------------------------------------------------------

    def _show_tag(self, tag):
        count = sum(tag in d["tags"] for d in self.state["droplets"].values())
        none = {"count": 0}
        return {"name": tag, "resources": {"count": count, "droplets": {"count": count},
                                           "imgages": none, "volumes": none,
                                           "volume_snapshots": none, "databases": none}}

    def on_tags_list(self, values, query, body, fault):
        return 200, self._page("tags", [self._show_tag(t) for t in self.state["tags"]], query,
                               "/v2/tags")

    def on_tags_create(self, values, query, body, fault):
        known = {t.lower(): t for t in self.state["tags"]}
        tag = known.get(body["name"].lower())
        if tag is None:
            tag = body["name"]
            self.state["tags"].append(tag)
            self.save()
        return 201, {"tag": self._show_tag(tag)}

    def on_tags_get(self, values, query, body, fault):
        for tag in self.state["tags"]:
            if tag.lower() == values["tag_id"].lower():
                return 200, {"tag": self._show_tag(tag)}
        raise not_found()

    def on_tags_delete(self, values, query, body, fault):
        for tag in self.state["tags"]:
            if tag.lower() == values["tag_id"].lower():
                self.state["tags"].remove(tag)
                for droplet in self.state["droplets"].values():
                    droplet["tags"] = [t for t in droplet["tags"] if t != tag]
                self.save()
                return 204, None
        raise not_found()

    # The rig's side -----------------------------------------------------

    def control(self, request):
        try:
            if (request.method, request.path) == ("GET", "/state"):
                with self.lock:
                    for droplet in self.state["droplets"].values():
                        self._status(droplet)
                    return web.Answer(200, self.state)
            if (request.method, request.path) == ("GET", "/calls"):
                with self.lock:
                    return web.Answer(200, self.calls)
            if (request.method, request.path) == ("GET", "/faults"):
                with self.lock:
                    live = [f for f in self.faults if self._live(f)]
                    return web.Answer(200, [dict(f, until=None) for f in live])
            if (request.method, request.path) == ("POST", "/fault"):
                options = request.json()
                what = str(options.pop("what", ""))
                return web.Answer(200, {"message": self.add_fault(what, options)})
            if (request.method, request.path) == ("POST", "/machine"):
                return self._machine(request.json())
        except (ValueError, KeyError, w.Error) as e:
            return web.Answer(400, {"message": str(e)})
        return web.Answer(404, {"message": f"no {request.method} {request.path}"})

    def _machine(self, body):
        """Droplets that lose their machine without anybody having asked for it."""
        name, what = body["name"], body["what"]
        with self.lock:
            droplet = next((d for d in self.state["droplets"].values()
                            if name in (d["name"], str(d["id"]), d["address"])), None)
        if not droplet:
            raise w.Error(f"no droplet {name!r}")
        machine = machines.Machine(self.world, droplet["machine"])
        if what == "vanish":
            machine.die()
            with self.lock:
                self._forget(droplet)
            machine.destroy()
        else:
            raise w.Error(f"no such fault of a droplet: {what}")
        return web.Answer(200, {"message": f"{droplet['name']}: {what}"})


def main():
    p = argparse.ArgumentParser(description="a double of DigitalOcean's API v2")
    p.add_argument("--run", required=True)
    p.add_argument("--bind", required=True)
    p.add_argument("--port", type=int, required=True)
    # Not a secret worth hiding: it opens nothing but this double.
    p.add_argument("--token", required=True)
    a = p.parse_args()
    world = w.World(os.path.realpath(a.run))
    cloud = Cloud(world, f"https://{a.bind}:{a.port}", a.token)
    web.start(web.UnixServer(world.path("digitalocean.sock"), cloud.control, cloud.note))
    web.Server((a.bind, a.port), cloud.answer,
               (world.path("digitalocean.pem"), world.path("digitalocean-key.pem")),
               cloud.note).serve_forever()


if __name__ == "__main__":
    main()
