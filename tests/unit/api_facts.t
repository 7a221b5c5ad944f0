#!/usr/bin/env python3
"""The facts that the doubles check against (tests/rig/api), and the check itself: TAP.

Whether the facts are still the vendors' cannot be asked here, since the vendors' files are not part of the repository. What can
be: each file loads, every name in it leads somewhere, requests known to be right pass, and each way of being wrong is found.
"""
import json
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "rig"))
import openapi

SCHEMA = {"kind", "needs", "values", "null", "told", "like", "least", "most", "short", "long", "few", "many", "step", "form", "fields",
          "of", "every", "one", "some", "by", "rest", "is", "asks", "says", "once"}
KINDS = {"object", "array", "string", "integer", "number", "boolean", "null", "any"}
FEWEST = {"digitalocean": 60, "hetzner": 50, "google": 60, "amazonec2": 30, "sample": 12}        # calls; a converter that lost some is found out
n = failed = 0


def ok(good, name, *notes):
    global n, failed
    n += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {n} - {name}")
    if not good:
        for s in notes:
            print(f"# {s}")


def schema_faults(facts, schema, where):
    if isinstance(schema, str):
        if schema not in facts.types:
            yield f"{where}: no type {schema}"
        return
    for word in set(schema) - SCHEMA:
        yield f"{where}: no word {word}"
    if schema.get("kind", "any") not in KINDS:
        yield f"{where}: no kind {schema['kind']}"
    if "like" in schema:
        try:
            re.compile(schema["like"])
        except re.error as e:
            yield f"{where}: pattern {schema['like']}: {e}"
    inner = list(schema.get("fields", {}).items()) + [(w, schema[w]) for w in ("of", "is") if w in schema]
    inner += [(f"{w}[{i}]", s) for w in ("every", "one", "some") for i, s in enumerate(schema.get(w, []))]
    inner += [(f"by {value}", name) for value, name in schema.get("by", {}).get("to", {}).items()]
    if isinstance(schema.get("rest"), (dict, str)):
        inner.append(("rest", schema["rest"]))
    for name, s in inner:
        yield from schema_faults(facts, s, f"{where}.{name}")


def parameter_faults(facts, parameter, where):
    if isinstance(parameter, str):
        if parameter not in facts.parameters:
            yield f"{where}: no parameter {parameter}"
        return
    for word in set(parameter) - {"in", "name", "is", "must", "often"}:
        yield f"{where}: no word {word}"
    if parameter["in"] not in ("path", "query", "header"):
        yield f"{where}: {parameter['name']} is in {parameter['in']}"
    yield from schema_faults(facts, parameter["is"], f"{where} {parameter['name']}")


def answer_faults(facts, answer, where):
    if isinstance(answer, str):
        if answer not in facts.answers:
            yield f"{where}: no answer {answer}"
        return
    for word in set(answer) - {"headers", "body"}:
        yield f"{where}: no word {word}"
    yield from schema_faults(facts, answer.get("body", {}), where)


def call_faults(facts, call):
    name, path = call["name"], call["call"].partition(" ")[2]
    for p in call.get("takes", []):
        yield from parameter_faults(facts, p, name)
    known = {(p["in"], p["name"]) for p in (facts.parameters[p] if isinstance(p, str) else p for p in call.get("takes", []))}
    for variable in re.findall(r"{([^}]+)}", path):
        if ("path", variable) not in known:
            yield f"{name}: {variable} of {path} is no parameter"
    for kind, schema in call.get("body", {}).items():
        yield from schema_faults(facts, schema, f"{name} {kind}")
    if not call["answers"]:
        yield f"{name}: no answer"
    for status, answer in call["answers"].items():
        if not re.fullmatch(r"\d\d\d|\dxx|default", status):
            yield f"{name}: status {status}"
        yield from answer_faults(facts, answer, f"{name} {status}")


def whole(name):
    facts = openapi.Facts(name)
    bad = []
    for what, schema in facts.types.items():
        bad += schema_faults(facts, schema, what)
    for what, p in facts.parameters.items():
        bad += parameter_faults(facts, p, what)
    for what, a in facts.answers.items():
        bad += answer_faults(facts, a, what)
    for p in facts.everywhere:
        bad += parameter_faults(facts, p, "everywhere")
    for call in facts.calls.values():
        bad += call_faults(facts, call)
    ok(not bad, f"{name}: every name leads somewhere, every word is known", *bad[:20])
    ok(len(facts.calls) >= FEWEST.get(name, 1), f"{name}: {len(facts.calls)} calls, {len(facts.types)} types", f"wanted {FEWEST.get(name, 1)}")
    with open(os.path.join(openapi.API, name + ".facts"), encoding="utf-8") as f:
        text = f.read()
    prose = re.findall(r'"(?:description|title|summary|example|documentation)":"[^"]* [^"]*"', text)
    ok(not prose, f"{name}: nothing that is written for people", *prose[:5])


# What a request is, and a word of what is wrong with it; None: nothing is.
DROPLET = {"name": "a", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "ssh_keys": [7, "aa:bb"], "tags": ["x"]}
CREATE = "/v2/droplets"
REQUESTS = [
    ("digitalocean", "a droplet", "POST", CREATE, [], DROPLET, None),
    ("digitalocean", "several droplets", "POST", CREATE, [], {**{k: v for k, v in DROPLET.items() if k != "name"}, "names": ["a", "b"]}, None),
    ("digitalocean", "a droplet without image", "POST", CREATE, [], {k: v for k, v in DROPLET.items() if k != "image"}, "image is missing"),
    ("digitalocean", "a misspelt field", "POST", CREATE, [], {**DROPLET, "monitor": True}, "monitor is unknown"),
    ("digitalocean", "a field of another type", "POST", CREATE, [], {**DROPLET, "backups": "yes"}, "backups is a string, not boolean"),
    ("digitalocean", "a null where none may be", "POST", CREATE, [], {**DROPLET, "size": None}, "size is null"),
    ("digitalocean", "no body", "POST", CREATE, [], b"", "the body is missing"),
    ("digitalocean", "a body that is no JSON", "POST", CREATE, [], b"{", "not JSON"),
    ("digitalocean", "a field twice", "POST", CREATE, [], b'{"name":"a","name":"b"}', "given twice"),
    ("digitalocean", "a body that is a form", "POST", CREATE, [], ("application/x-www-form-urlencoded", b"name=a"), "Content-Type"),
    ("digitalocean", "a list with a page", "GET", CREATE, [("page", "2"), ("per_page", "200"), ("tag_name", "x")], None, None),
    ("digitalocean", "more a page than it gives", "GET", CREATE, [("per_page", "201")], None, "above 200"),
    ("digitalocean", "a parameter nobody knows", "GET", CREATE, [("colour", "red")], None, "unknown query parameter colour"),
    ("digitalocean", "a parameter twice", "GET", CREATE, [("page", "1"), ("page", "2")], None, "given twice"),
    ("digitalocean", "a value that is none of those", "GET", CREATE, [("type", "cars")], None, "not one of"),
    ("digitalocean", "a body where none belongs", "GET", CREATE, [], {}, "a body of"),
    ("digitalocean", "an action", "POST", "/v2/droplets/3/actions", [], {"type": "power_on"}, None),
    ("digitalocean", "an action of no kind", "POST", "/v2/droplets/3/actions", [], {"type": {}}, "type"),
    ("digitalocean", "a droplet whose number is a word", "GET", "/v2/droplets/x", [], None, "droplet_id"),
    ("digitalocean", "a path that is not there", "GET", "/v2/cars", [], None, "no path"),
    ("digitalocean", "a method that is not there", "PUT", CREATE, [], None, "no method PUT"),
    ("hetzner", "a server", "POST", "/v1/servers", [], {"name": "a", "image": "debian-12", "server_type": "cx22"}, None),
    ("hetzner", "a server without a type", "POST", "/v1/servers", [], {"name": "a", "image": "debian-12"}, "server_type is missing"),
    ("google", "an instance", "POST", "/compute/v1/projects/p-1/zones/eu-a/instances", [("requestId", "x"), ("alt", "json")],
     {"name": "a", "machineType": "m", "disks": [{"boot": True, "diskSizeGb": "20"}]}, None),
    ("google", "an instance with what only the server says", "POST", "/compute/v1/projects/p-1/zones/eu-a/instances", [],
     {"name": "a", "status": "RUNNING"}, "read-only"),
    ("google", "a project of capitals", "GET", "/compute/v1/projects/P1/zones/eu-a/instances", [], None, "does not match"),
    ("google", "a name that is too much", "POST", "/compute/v1/projects/p-1/zones/eu-a/instances", [], {"name": "A b"}, "does not match"),
]


def request(name, what, method, path, query, body, want):
    facts = openapi.Facts(name)
    call, values, why = facts.find(method, path)
    if call is None:
        wrong = [why]
    else:
        kind = "application/json"
        if isinstance(body, tuple):
            kind, body = body
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        wrong, _ = facts.check_request(call, values, query, raw, kind)
    good = not wrong if want is None else any(want in s for s in wrong)
    ok(good, f"{name}: {what}: {want or 'passes'}", *wrong)


KEY = {"ssh_key": {"id": 1, "fingerprint": "aa:bb", "name": "k", "public_key": "ssh-rsa AAAA"}}
LIMITS = {"RateLimit-Limit": "1", "RateLimit-Remaining": "1", "RateLimit-Reset": "1"}
ANSWERS = [
    ("a key", "sshKeys_create", 201, LIMITS, KEY, None),
    ("an answer without the limits", "sshKeys_create", 201, {}, KEY, "header ratelimit-limit is missing"),
    ("a status that is not described", "sshKeys_create", 302, LIMITS, None, "status 302 is not described"),
    ("a field of no kind", "sshKeys_create", 201, LIMITS, {"ssh_key": {**KEY["ssh_key"], "id": "1"}}, "id is a string"),
    ("a field nobody knows", "sshKeys_create", 201, LIMITS, {"ssh_key": {**KEY["ssh_key"], "colour": 1}}, "colour is unknown"),
    ("an error", "sshKeys_create", 401, LIMITS, {"id": "unauthorized", "message": "no"}, None),
    ("an error without text", "sshKeys_create", 401, LIMITS, {"id": "unauthorized"}, "message is missing"),
    ("an error of no status of its own", "sshKeys_create", 503, LIMITS, {"id": "x", "message": "no"}, None),
    ("a body where none belongs", "sshKeys_delete", 204, LIMITS, {"id": "x"}, "a body where none is described"),
]


def main():
    names = sorted(f[:-len(".facts")] for f in os.listdir(openapi.API) if f.endswith(".facts"))
    with open(os.path.join(openapi.API, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    for name in names:
        whole(name)
        # The made-up cloud has no vendor.
        ok(name == "sample" or re.search(rf"^\| `{name}\.facts` \| .+ \| `[0-9a-f]{{9,40}}` of [\d-]+ \| \S+ \|$", readme, re.M), f"{name}: README.md says where it is from")
    ok(set(names) == set(FEWEST), "the files are those that are known here", *names)
    for case in REQUESTS:
        request(*case)
    facts = openapi.Facts("digitalocean")
    for what, call, status, headers, body, want in ANSWERS:
        wrong = facts.check_answer(facts.calls[call], status, headers, body)
        ok(not wrong if want is None else any(want in s for s in wrong), f"answer: {what}: {want or 'passes'}", *wrong)
    print(f"1..{n}")
    return failed != 0


sys.exit(main())
