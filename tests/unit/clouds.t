#!/usr/bin/env python3
"""The doubles of clouds by themselves, with machines that are only in the books: TAP.

What a test of the rig proves with machines that boot (tests/e2e/test_rig.py) is not asked again. Here it is the made-up
cloud against the text at its head, and the limits, whose counts tests rely on.
"""
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

RIG = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))
sys.path.insert(0, RIG)
import clouds
import tls

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEp3Xq1mT0m1 a comment"
n = failed = 0


def ok(good, name, *notes):
    global n, failed
    n += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {n} - {name}", flush=True)
    if not good:
        for s in notes:
            print(f"# {s}")


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("rig", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(connection, method, path, body=None, headers=None):
    """Status, headers and decoded body; the status is None when the connection ends without an answer."""
    data = json.dumps(body) if body is not None else None
    try:
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
    except (http.client.HTTPException, OSError):
        return None, {}, None
    finally:
        connection.close()
    return answer.status, answer.headers, json.loads(data) if data else None


class Double:
    def __init__(self, run, name):
        self.run, self.name, self.cloud = run, name, clouds.named(name)
        self.token = self.cloud.new_token()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        tls.issue(run, name, ["IP:127.0.0.1"])
        self.context = ssl.create_default_context(cafile=os.path.join(run, "ca.pem"))
        self.start()

    def start(self):
        sock = os.path.join(self.run, self.name + ".sock")
        with open(os.path.join(self.run, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(RIG, "clouds", self.name + ".py"), "--run", self.run,
                 "--bind", "127.0.0.1", "--port", str(self.port), "--token", self.token], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while ask(Unix(sock), "GET", "/faults")[0] is None or self("GET", "/")[0] is None:
            if time.monotonic() > deadline:
                sys.exit(f"Bail out! {self.name} does not start: {open(os.path.join(self.run, 'log')).read()}")
            time.sleep(0.02)
        self.violations()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __call__(self, method, path, body=None, token=None):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
        return ask(c, method, path, body, {"Authorization": "Bearer " + (token or self.token)})

    def control(self, method, path, body=None):
        return ask(Unix(os.path.join(self.run, self.name + ".sock")), method, path, body)[2]

    def fault(self, what, **options):
        return self.control("POST", "/fault", {"what": what, **options})

    def violations(self):
        """Those since the last call."""
        try:
            with open(os.path.join(self.run, "violations.log")) as f:
                text = f.read()
            os.unlink(f.name)
        except FileNotFoundError:
            text = ""
        return text


def code(answer):
    return answer[0], (answer[2] or {}).get("error", {}).get("code")


def made(c, kind, **body):
    labels = {"owner": "0a", "nonce": body.pop("nonce", "1b")}
    status, _, answer = c("POST", f"/v1/{kind}s", {"name": "x", "labels": labels, **body})
    assert status == 201, answer
    return answer[kind]


def machine(c, key, disk, **body):
    return made(c, "machine", **{"type": "small", "zone": "north", "image": "debian-12-docker", "key": key["id"],
                                 "disk": disk["id"], **body})


def until(test, seconds=10):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def sample_life(c):
    key, disk = made(c, "key", public_key=KEY), made(c, "disk", size=20)
    m = machine(c, key, disk)
    ok([len(t["id"]) for t in (key, disk, m)] == [10, 36, 80], "sample: ids are as long as it says")
    ok((m["state"], m["address"], m["reason"], m["spot"]) == ("pending", None, None, False),
       "sample: a machine is pending", m)
    path = "/v1/machines/" + m["id"]
    until(lambda: c.control("GET", "/state")["machines"][m["id"]]["address"])
    seen = [c("GET", path)[2]["machine"], c("GET", "/v1/machines?nonce=1b")[2]["machines"][0],
            c("GET", path)[2]["machine"]]
    ok([s["state"] for s in seen] == ["pending", "pending", "running"], "sample: ... for two looks, then running", seen)
    ok(seen[2]["address"] == "127.0.0.1", "sample: ... and has an address", seen[2])
    ok(c("GET", "/v1/disks/" + disk["id"])[2]["disk"]["machine"] == m["id"], "sample: a disk says whose it is")
    ok(code(c("DELETE", "/v1/disks/" + disk["id"])) == (409, "busy"), "sample: a disk in use stays")
    body = {"name": "y", "labels": {}, "type": "small", "zone": "north", "image": "debian-12-docker", "key": key["id"]}
    ok(code(c("POST", "/v1/machines", {**body, "disk": disk["id"]})) == (409, "busy"), "sample: ... with its machine")
    ok(code(c("POST", "/v1/machines", {**body, "disk": "none"})) == (422, "invalid"),
       "sample: a disk that is not there")

    # What the cloud holds, it holds: the double may die.
    c.stop()
    c.start()
    ok(c("GET", path)[2]["machine"]["state"] == "running", "sample: a double that was killed knows what it held")
    ok([c("DELETE", path)[0], c("DELETE", path)[0]] == [204, 204], "sample: a machine may be deleted twice")
    ok(c("GET", path)[2]["machine"]["state"] == "deleting", "sample: ... is deleting for a while")
    ok(code(c("DELETE", "/v1/disks/" + disk["id"])) == (409, "busy"), "sample: ... and keeps its disk so long")
    ok(until(lambda: code(c("GET", path)) == (404, "not_found"), 5), "sample: ... then it is gone")
    ok(c("GET", "/v1/disks/" + disk["id"])[2]["disk"]["machine"] is None, "sample: its disk is not")
    ok([c("DELETE", f"/v1/{k}/{t['id']}")[0] for k, t in (("disks", disk), ("keys", key))] == [204, 204],
       "sample: all is gone")
    history = c.control("GET", "/state")["history"]
    ok([h["id"] for h in history] == [m["id"]] and history[0]["seconds"] > 1, "sample: it was paid for", history)
    ok(c.violations() == "", "sample: nothing of this was against its text")


def sample_ends(c):
    key = made(c, "key", public_key=KEY)

    def ended(what):
        disk = made(c, "disk", size=1)
        m = machine(c, key, disk, spot=True, name="end-" + what)
        path = "/v1/machines/" + m["id"]
        until(lambda: c("GET", path)[2]["machine"]["state"] == "running")
        c.control("POST", "/machine", {"name": "end-" + what, "what": what})
        answer = c("GET", path)
        c("DELETE", path)
        return answer[2]["machine"] if answer[0] == 200 else answer[0]
    got = {what: ended(what) for what in ("preempt", "break", "sold-out", "by-hand", "vanish")}
    ok(got.pop("vanish") == 404, "sample: a machine vanishes")
    want = [("stopped", "preempted"), ("failed", "broken"), ("failed", "capacity"), ("stopped", "by_hand")]
    ok([(g["state"], g["reason"]) for g in got.values()] == want, "sample: ends have reasons", got)
    c.fault("boot-error")
    m = machine(c, key, made(c, "disk", size=1))
    ok(until(lambda: c("GET", "/v1/machines/" + m["id"])[2]["machine"]["reason"] == "broken"),
       "sample: one that never comes up")
    c("DELETE", "/v1/machines/" + m["id"])
    ok(c.violations() == "", "sample: nothing of this was against its text")


def sample_lists(c):
    mine = [made(c, "disk", size=1, nonce="2c")["id"] for _ in range(5)]
    made(c, "disk", size=1, nonce="2d")
    path, got, page, pages = "/v1/disks?owner=0a&nonce=2c&limit=2", [], "", 0
    while page is not None and pages < 9:
        answer = c("GET", path + (f"&page={page}" if page else ""))[2]
        got, page, pages = got + [d["id"] for d in answer["disks"]], answer["next"], pages + 1
        if pages == 1:
            second = page
            # What goes meanwhile makes nothing else go missing.
            c("DELETE", "/v1/disks/" + got[0])
    ok(got == mine and pages == 3, "sample: a list in three pages, oldest first", got, mine)
    ok(code(c("GET", f"/v1/disks?owner=0a&limit=2&page={second}")) == (400, "bad_request"),
       "sample: a page of another list")
    c.fault("empty-page", on="disks_list")
    answer = c("GET", path)[2]
    ok(answer["disks"] == [] and answer["next"], "sample: a first page without anything")
    ok(c("GET", f"{path}&page={answer['next']}")[2]["disks"][0]["id"] == mine[1], "sample: ... leads on", answer)
    c.fault("list-lag", of="disks", seconds=60)
    late = made(c, "disk", size=1, nonce="2e")
    ok(c("GET", "/v1/disks?nonce=2e")[2]["disks"] == [], "sample: a disk that no list shows yet")
    ok(c("GET", "/v1/disks/" + late["id"])[0] == 200, "sample: ... is there")
    c.fault("list-now")
    ok(len(c("GET", "/v1/disks?nonce=2e")[2]["disks"]) == 1, "sample: ... and is shown in the end")
    ok(c.violations() == "", "sample: nothing of this was against its text")


def sample_refuses(c):
    key, disk = made(c, "key", public_key=KEY, nonce="3f"), made(c, "disk", size=1)
    body = {"name": "x", "labels": {"nonce": "3f"}, "type": "small", "zone": "north", "image": "debian-12-docker",
            "key": key["id"], "disk": disk["id"]}
    bad = (400, "bad_request")
    ok(code(c("GET", "/v1/keys", token="sample_wrong")) == (401, "unauthorized"), "sample: a wrong token")
    for name, method, path, sent, want in (
            ("a path that is not there", "GET", "/v1/cars", None, (404, "not_found")),
            ("a method that is not there", "PUT", "/v1/keys", {}, (405, "bad_method")),
            ("an unknown field", "POST", "/v1/machines", {**body, "colour": "red"}, bad),
            ("a field of another type", "POST", "/v1/machines", {**body, "spot": "yes"}, bad),
            ("a field too few", "POST", "/v1/keys", {"name": "x", "labels": {}}, bad),
            ("a label that is none", "POST", "/v1/disks", {"name": "x", "size": 1, "labels": {"who": "me"}}, bad),
            ("a key that is none", "POST", "/v1/keys", {"name": "x", "labels": {}, "public_key": "x"}, bad),
            ("an unknown parameter", "GET", "/v1/disks?colour=red", None, bad),
            ("a page too long", "GET", "/v1/disks?limit=101", None, bad),
            ("a body where none belongs", "GET", "/v1/disks", {}, bad)):
        got = code(c(method, path, sent))
        ok(got == want and c.violations() != "", f"sample: {name} is refused and noted", got)
    for word in ("type", "zone", "image", "key"):
        ok(code(c("POST", "/v1/machines", {**body, word: "none"})) == (422, "invalid"),
           f"sample: a {word} that is not there")

    c.fault("capacity", type="small", zone="north", **{"for": 60})
    ok([code(c("POST", "/v1/machines", body)) for _ in range(2)] == [(409, "no_capacity")] * 2,
       "sample: a rung that is sold out")
    ok(c("POST", "/v1/machines", {**body, "zone": "south"})[0] == 201, "sample: ... and the next that is not")
    c.fault("clear")
    c.fault("capacity", spot="true")
    other = {**body, "disk": made(c, "disk", size=1)["id"]}
    ok(code(c("POST", "/v1/machines", {**other, "spot": True})) == (409, "no_capacity"), "sample: no spot machine")
    c.fault("clear")
    have = len(c.control("GET", "/state")["disks"])
    c.fault("quota", of="disks", limit=have)
    ok(code(c("POST", "/v1/disks", {"name": "x", "size": 1, "labels": {}})) == (403, "quota"),
       "sample: a disk too many")
    ok(c("POST", "/v1/machines", other)[0] == 201, "sample: ... is no machine too many")
    c.fault("clear")
    c.fault("429", wait=7)
    status, headers, answer = c("GET", "/v1/keys")
    ok((status, headers["Retry-After"], answer["error"]["code"]) == (429, "7", "slow_down"),
       "sample: too many requests")
    c.fault("503", wait=3)
    status, headers, answer = c("GET", "/v1/keys")
    ok((status, headers["Retry-After"], answer["error"]["code"]) == (503, "3", "broken"), "sample: not now")
    c.fault("lose-answer", on="keys_create")
    lost = {"name": "lost", "public_key": KEY, "labels": {"nonce": "4a"}}
    ok(c("POST", "/v1/keys", lost)[0] is None, "sample: an answer is lost")
    ok([k["name"] for k in c("GET", "/v1/keys?nonce=4a")[2]["keys"]] == ["lost"], "sample: ... of what was done")
    c.fault("close-before", on="keys_create")
    lost["labels"]["nonce"] = "4b"
    ok(c("POST", "/v1/keys", lost)[0] is None and c("GET", "/v1/keys?nonce=4b")[2]["keys"] == [],
       "sample: ... or was not")
    ok("no fault" in c.fault("403")["message"], "sample: a fault that this cloud has no words for")
    ok(c.violations() == "", "sample: nothing of this was against its text")


def sample_limits(c):
    c.control("POST", "/limits", {"reset": True, "windows": {"minute": 5}})
    answers = [c("GET", "/v1/keys") for _ in range(7)]
    ok([a[0] for a in answers] == [200] * 5 + [429] * 2, "sample: five requests a minute", [a[0] for a in answers])
    ok(50 < int(answers[6][1]["Retry-After"]) <= 60, "sample: ... and when there will be more")
    told = c.control("GET", "/limits")
    ok(told["answers"] == {"200": 5, "429": 2} and told["calls"] == {"GET /v1/keys": 7},
       "sample: all were counted", told)
    told = c.control("POST", "/limits", {"on": False, "reset": True})
    ok([c("GET", "/v1/keys/k-1")[0] for _ in range(7)] == [404] * 7, "sample: limits that are off")
    told = c.control("GET", "/limits")
    ok(told["windows"]["minute"] == {"most": 5, "seconds": 60, "fullest": 7}, "sample: ... count all the same", told)
    ok(told["calls"] == {"GET /v1/keys/{id}": 7}, "sample: calls are counted by path", told)
    ok("no window" in c.control("POST", "/limits", {"windows": {"day": 1}})["message"],
       "sample: a window that is not there")


def burst(c):
    """A hundred machines of DigitalOcean's: what its limits make of a client that asks for each by itself."""
    told = c.control("POST", "/limits", {"reset": True})
    ok({n: (v["most"], v["seconds"]) for n, v in told["windows"].items()} ==
       {"hour": (5000, 3600), "minute": (250, 60), "keys": (10, 60)},
       "digitalocean: the published limits are in force", told)
    body = {"name": "m", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-docker"}
    c.fault("paper", count=100, address="192.0.2.7")
    ids = [c("POST", "/v2/droplets", body)[2]["droplet"]["id"] for _ in range(100)]
    ok(until(lambda: all(d["status"] == "active" for d in c.control("GET", "/state")["droplets"].values())),
       "digitalocean: a hundred machines")
    status, headers, page = c("GET", "/v2/droplets?per_page=200")
    ok(len(page["droplets"]) == 100 and page["droplets"][99]["networks"]["v4"][1]["ip_address"] == "192.0.2.7",
       "digitalocean: ... in one list")
    ok((headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("5000", "4899"),
       "digitalocean: ... leave 4,899 requests")
    asked = [c("GET", f"/v2/droplets/{i}") for i in ids + ids[:50]]
    ok([a[0] for a in asked] == [200] * 149 + [429], "digitalocean: but one look at each does not fit into a minute")
    ok(0 < int(asked[149][1]["retry-after"]) <= 60, "digitalocean: ... and it says how long to wait")
    told = c.control("GET", "/limits")
    ok(told["answers"]["429"] == 1 and told["windows"]["minute"]["fullest"] == 250, "digitalocean: both are told", told)
    ok(told["calls"] == {"POST /v2/droplets": 100, "GET /v2/droplets": 1, "GET /v2/droplets/{droplet_id}": 150},
       "digitalocean: calls by path",
       told)
    ok(c.control("GET", "/calls")["droplets_create"] == 100, "digitalocean: ... and by name")
    c.control("POST", "/limits", {"reset": True})
    asked = [c("GET", "/v2/account/keys")[0] for _ in range(11)]
    ok(asked == [200] * 10 + [429], "digitalocean: ten listings of keys a minute", asked)
    c.fault("limit", limit=0)
    status, headers, _ = c("GET", "/v2/regions")
    ok(status == 429 and "retry-after" not in headers and headers["ratelimit-remaining"] == "0",
       "digitalocean: an hour that is used up")
    c.fault("clear")
    ok(c("GET", "/v2/regions")[0] == 200, "digitalocean: ... is over")
    c.fault("capacity", size="s-1vcpu-1gb", region="fra1")
    ok(c("POST", "/v2/droplets", {**body, "region": "ams3"})[0] == 202, "digitalocean: another region has some")
    ok("not available in this region" in c("POST", "/v2/droplets", body)[2]["message"],
       "digitalocean: this one is sold out")
    bad = c.violations()
    ok(bad == "", "digitalocean: nothing of this was against the description", *bad.splitlines()[:5])


def main():
    run = tempfile.mkdtemp(prefix="clouds.t.")
    doubles = []
    try:
        tls.make_ca(run)
        doubles.append(Double(run, "sample"))
        for test in (sample_life, sample_ends, sample_lists, sample_refuses, sample_limits):
            test(doubles[-1])
        doubles.append(Double(run, "digitalocean"))
        burst(doubles[-1])
    finally:
        for d in doubles:
            d.stop()
        shutil.rmtree(run)
    print(f"1..{n}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
