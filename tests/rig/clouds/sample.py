#!/usr/bin/env python3
"""A made-up cloud, "sample": what a second driver is written against. It has keys, disks and machines.

The API
=======

HTTPS, HTTP/1.1. All bodies are JSON objects in UTF-8, `Content-Type: application/json` with every request that has one.
Each request carries `Authorization: Bearer TOKEN`: the account's own, for people, or one that it gave. Unknown fields, unknown query parameters, a parameter given twice, a
body where none is described and a wrong type are refused (400) and noted as a violation.

    POST   /v1/tokens      -> 201 {"token": {"text": TEXT, "seconds": 600}}, no body
    POST   /v1/keys        -> 201 {"key": KEY}
    GET    /v1/keys/ID     -> 200 {"key": KEY}
    GET    /v1/keys        -> 200 {"keys": [KEY...], "next": PAGE or null}
    DELETE /v1/keys/ID     -> 204, no body
    POST   /v1/disks       -> 201 {"disk": DISK}
    GET    /v1/disks/ID    -> 200 {"disk": DISK}
    GET    /v1/disks       -> 200 {"disks": [DISK...], "next": PAGE or null}
    DELETE /v1/disks/ID    -> 204, no body
    POST   /v1/machines    -> 201 {"machine": MACHINE}
    GET    /v1/machines/ID -> 200 {"machine": MACHINE}
    GET    /v1/machines    -> 200 {"machines": [MACHINE...], "next": PAGE or null}
    DELETE /v1/machines/ID -> 204, no body

POST /v1/tokens is for programs: text of 1 to 200 of A-Z a-z 0-9 _ that opens the account as its own token does, for so
many seconds from now. A token that has ended is a wrong one (401). The account may ask as often as it likes.

An ID is text of 1 to 100 of A-Z a-z 0-9 . _ - and nothing else is known of it: those of keys have ten characters, those
of disks 36, those of machines 80. `name` is 1 to 255 of A-Z a-z 0-9 . and -, and need not be unique for anything. No
call may safely be repeated: a second POST makes a second thing. `created` is a whole number, milliseconds since 1970.

LABELS {"owner": TEXT, "nonce": TEXT}: either may be missing; each 1 to 64 of 0-9 a-f. They are there from the POST on
and never change.

KEY
    POST {"name", "public_key", "labels"}: all required. public_key is a line of authorized_keys (type, base64, and
    perhaps a comment). Answer {"id", "name", "public_key", "labels", "created"}. The same public key may be there more
    than once. A key may be deleted at any time.

DISK
    POST {"name", "size", "labels"}: all required; size is a whole number of GB, 1 to 1000.
    Answer {"id", "name", "size", "labels", "created", "machine"}: machine is the id of the one that has it, or null.
    While a machine has it, in whatever state, `deleting` too, DELETE is answered by 409 `busy` and changes nothing.
    Deleting a machine does not delete its disk. Disks cost money from their POST on, with or without a machine.

MACHINE
    POST {"name", "type", "zone", "image", "key", "disk", "labels"}: all required; and "spot" (bool, default false),
    "user_data" (text of up to 65536 characters). type: small, large. zone: north, south. image: debian-12-docker,
    debian-12-bare and the others of the rig's README. key and disk are ids; a disk that another machine has: 409
    `busy`. Answer {"id", "name", "type", "zone", "image", "spot", "key", "disk", "labels", "created", "state",
    "reason", "address"}. The key's owner may log in as root, port 22.
    state    pending -> running; later perhaps stopped, failed or deleting
             pending   from the POST on, for at least two looks (a GET of it, or its place in a list, is one look)
             running   as long as nothing happens to it
             stopped   reason says why; it does not come back by itself
             failed    it will never run; reason says why
             deleting  DELETE was asked for. It stays so for a moment (a second, no promise), then 404 and in no list
    reason   null, "preempted", "capacity", "broken" or "by_hand"; never null when stopped or failed
    address  IPv4 as text; null while pending, never null when running
    DELETE is possible in every state, and again while `deleting` (204). There is no call to start or stop one.

Lists
    A list of machines is one zone's: `zone`, default north. Keys and disks are of no zone.
    Query parameters, none required: `owner`, `nonce` (only what carries exactly this label; both: both), `limit` (1 to
    100, default 10), `page` (the text that the list before had as `next`; the other parameters as they were in the
    first request, else 400). `next` is null in the last page and text of 1 to 100 of A-Z a-z 0-9 . _ - in all others.
    A page may have fewer things than `limit`, even none, and still a next one. Oldest first. Things in state
    `deleting` are listed.

Errors
    Every answer from 400 on has the body {"error": {"code": CODE, "message": TEXT}}; CODE decides, TEXT is for people.

    400 bad_request    the request is not as described here
    401 unauthorized   no token, or a wrong one
    403 quota          the account may not have another of these; only POST. Not worth repeating soon
    404 not_found      no such path, or no thing of this id (any more)
    405 bad_method     the path has no such method
    409 no_capacity    POST /v1/machines: there is none left of this type in this zone, spot or not. Others may be there
    409 busy           see DISK and MACHINE
    422 invalid        as described, but it names a type, zone, image, key or disk that does not exist
    429 slow_down      more than 600 requests in any 60 seconds. Header `Retry-After`, whole seconds. Nothing was done
    500, 502, 503, 504 broken    503 may have a `Retry-After`. Perhaps it was done, perhaps not

Not one answer but 429 (and a 503 that likes to) speaks of limits in its headers.

In the rig
    `rig config --driver sample` writes the MachineOptions sample-token, sample-type=small, sample-zone=north,
    sample-image=debian-12-docker, sample-api-endpoint (https://ADDRESS:8445, without /v1) and sample-api-ca-file.
    RIG_SAMPLE_URL and RIG_SAMPLE_TOKEN hold the endpoint and the token; `rig up --cloud sample` starts it.
"""

import os
import random
import secrets
import sys
import time
import uuid
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import machines
from clouds import double

MEMORY = {"small": 1024, "large": 2048}
ZONES = ("north", "south")
IDS = {"keys": lambda: "k-" + secrets.token_hex(4), "disks": lambda: str(uuid.uuid4()),
       "machines": lambda: "m." + secrets.token_hex(39)}
FIELDS = {"keys": "public_key", "disks": "size", "machines": "type zone image spot key disk"}
LOOKS, LINGERS, LIVES = 2, 1.0, 600


class Cloud(double.Cloud):
    name, title, port = "sample", "the made-up cloud", 8445
    env = ("RIG_SAMPLE_URL", "RIG_SAMPLE_TOKEN")
    MACHINES, KINDS, RUNG = "machines", ("keys", "disks", "machines"), ("type", "zone", "spot")
    CALLS = {"create": {"machines_create"}, "get": {"machines_get"}, "list": {"machines_list"},
             "delete": {"machines_delete"},
             "tokens": {"tokens_create"},
             "keys": {"keys_create", "keys_get", "keys_list", "keys_delete"},
             "disks": {"disks_create", "disks_get", "disks_list", "disks_delete"}}
    WINDOWS = {"minute": (600, 60)}
    REFUSALS = {"auth": (401, "unauthorized", "no token, or a wrong one"), "no_call": (404, "not_found", ""),
                "bad_method": (405, "bad_method", ""), "wrong": (400, "bad_request", ""),
                "garbled": (400, "bad_request", ""),
                "throttled": (429, "slow_down", "too many requests"), "gone": (404, "not_found", "it is not there"),
                "capacity": (409, "no_capacity", "sold out"), "busy": (409, "busy", "a machine has this disk"),
                "quota": (403, "quota", "the account may not have more"), "invalid": (422, "invalid", ""),
                "broken": (500, "broken", "try again later")}
    ENDS = {"preempt": "taken back by a cloud that has spot machines", "break": "broken by its cloud",
            "sold-out": "failed for lack of capacity", "by-hand": "stopped by somebody in the account"}
    FRESH = {"count": 0, "tokens": {}, "keys": {}, "disks": {}, "machines": {}}

    @staticmethod
    def new_token():
        return "sample_" + secrets.token_hex(24)

    @staticmethod
    def options(env):
        return [f"sample-token={env['RIG_SAMPLE_TOKEN']}", "sample-type=small", "sample-zone=north",
                "sample-image=debian-12-docker", f"sample-api-endpoint={env['RIG_SAMPLE_URL']}",
                f"sample-api-ca-file={env['RIG_CA_FILE']}"]

    @staticmethod
    def listing(state, now, more):
        for kind in ("machines", "disks", "keys"):
            for t in state.get(kind, {}).values():
                about = f"{t['state']} {t['address'] or '-'} {now - t['created']:.0f}s " if kind == "machines" else ""
                yield f"{kind[:-1]} {t['id']} {t['name']} {about}{','.join(t['labels'].values()) or '-'}"

    def admits(self, authorization):
        given = authorization.partition(" ")[2]
        return super().admits(authorization) or self.state["tokens"].get(given, 0) > time.time()

    def error_body(self, refusal):
        return {"error": {"code": refusal.name, "message": refusal.message}}

    def memory(self, m):
        return MEMORY[m["type"]]

    def broken(self, m):
        m.update(state="failed", reason="broken")

    def end(self, m, what):
        state, reason = {"preempt": ("stopped", "preempted"), "break": ("failed", "broken"),
                         "sold-out": ("failed", "capacity"), "by-hand": ("stopped", "by_hand")}[what]
        m.update(state=state, reason=reason)

    def tick(self):
        for m in list(self.machines.values()):
            if m["state"] == "running" and not self.body(m).on():
                m.update(state="stopped", reason="by_hand")
            if m.get("deleting", time.time() + 1) <= time.time():
                self.forget(m)

    def handler(self, name):
        kind, _, verb = name.partition("_")
        return lambda values, *rest: getattr(self, "on_" + verb)(kind, values.get("id"), *rest)

    def show(self, kind, thing):
        shown = {n: thing[n] for n in ["id", "name", "labels", *FIELDS[kind].split()]}
        shown["created"] = int(thing["created"] * 1000)
        if kind == "disks":
            shown["machine"] = next((m["id"] for m in self.machines.values() if m["disk"] == thing["id"]), None)
        if kind == "machines":
            address = None if thing["state"] == "pending" else thing["address"]
            shown.update(state=thing["state"], reason=thing["reason"], address=address)
        return shown

    def look(self, kind, thing):
        if kind == "machines":
            thing["looks"] += 1
            if thing["state"] == "pending" and thing["address"] and thing["looks"] > LOOKS:
                thing["state"] = "running"
                self.save()
        return self.show(kind, thing)

    def on_create(self, kind, ident, query, body, fault):
        if kind == "tokens":
            text = "given_" + secrets.token_hex(24)
            self.state["tokens"][text] = time.time() + LIVES
            self.save()
            return 201, {"token": {"text": text, "seconds": LIVES}}
        if kind == "machines":
            self.check(body)
        if len(self.state[kind]) >= self.quota(kind, 200):
            raise self.refusal("quota")
        self.state["count"] += 1
        thing = {"id": IDS[kind](), "n": self.state["count"], "created": time.time(), "fate": self.fate(kind), **body}
        if kind == "machines":
            thing = {"spot": False, "user_data": None, "keys": [self.state["keys"][body["key"]]["public_key"]],
                     "state": "pending", "reason": None, "address": None, "looks": 0, **thing}
            self.number(thing)
            self.launch(thing)
        self.state[kind][thing["id"]] = thing
        self.save()
        return 201, {kind[:-1]: self.show(kind, thing)}

    def check(self, body):
        for name, known in (("type", MEMORY), ("zone", ZONES), ("image", machines.KINDS), ("key", self.state["keys"]),
                            ("disk", self.state["disks"])):
            if body[name] not in known:
                raise self.refusal("invalid", f"there is no {name} {body[name]}")
        if any(m["disk"] == body["disk"] for m in self.machines.values()):
            raise self.refusal("busy")

    def found(self, kind, ident):
        if ident not in self.state[kind]:
            raise self.refusal("gone")
        return self.state[kind][ident]

    def on_get(self, kind, ident, query, body, fault):
        thing = self.found(kind, ident)
        if self.hidden(thing, "get_lag"):
            raise self.refusal("gone")
        return 200, {kind[:-1]: self.look(kind, thing)}

    def on_list(self, kind, ident, query, body, fault):
        page, what = query.pop("page", None), fault["what"] if fault else None
        mark, limit = f"{zlib.crc32(repr(sorted(query.items())).encode()):08x}", int(query.pop("limit", 10))
        if kind == "machines":
            zone = query.pop("zone", ZONES[0])
        after = int(page.partition("-")[0]) if page else 0
        if page and page.partition("-")[2] != mark:
            raise self.refusal("wrong", "this page is of another list")
        found = [t for t in self.state[kind].values() if t["n"] > after and not self.hidden(t, "list_lag") and
                 all(t["labels"].get(n) == v for n, v in query.items()) and (kind != "machines" or t["zone"] == zone)]
        if what == "empty-page":
            return 200, {kind: [], "next": f"{after}-{mark}"}
        following = f"{found[limit - 1]['n']}-{mark}" if len(found) > limit else None
        found = [self.look(kind, t) for t in found[:limit]]
        if what == "list-shuffle":
            random.shuffle(found)
        return 200, {kind: found, "next": following}

    def on_delete(self, kind, ident, query, body, fault):
        thing, what = self.found(kind, ident), fault["what"] if fault else None
        if kind == "disks" and any(m["disk"] == ident for m in self.machines.values()):
            raise self.refusal("busy")
        if what == "keep":
            return 204, None
        if kind != "machines":
            del self.state[kind][ident]
        elif "deleting" not in thing:
            lingers = fault["seconds"] if what == "delete-lingers" else LINGERS
            thing.update(state="deleting", reason=None, deleting=time.time() + lingers)
            self.bury(thing)
        self.save()
        return 204, None


if __name__ == "__main__":
    double.main(Cloud)
