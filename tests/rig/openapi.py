"""Holds requests and answers against the facts of a vendor's API: tests/rig/api/NAME.facts.

The facts are made from the vendor's own description by tests/tools/apifacts; api/README.md says what their words mean.
A file has one JSON object a line: types, parameters and answers by name, and calls, which refer to them.

Stricter than the descriptions themselves in one thing: an object that names fields may hold no others. A field that a
client misspells would otherwise be ignored by the double just as it is by the real server.
"""

import datetime
import ipaddress
import json
import os
import re
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
API = os.path.join(HERE, "api")
FORM = 1

# "This object may hold any property."
ANY = object()


class Facts:
    """What may be asked and answered, and the check of a request or an answer against it."""

    def __init__(self, name):
        self.types, self.parameters, self.answers, self.calls = {}, {}, {}, {}
        self.everywhere = []
        with open(os.path.join(API, name + ".facts"), encoding="utf-8") as f:
            head = json.loads(f.readline())
            if head.get("facts") != name or head.get("form") != FORM:
                raise ValueError(f"{name}.facts begins with {head}, not with form {FORM} of {name}")
            for line in f:
                self._take(json.loads(line))
        self.paths = []
        for path, calls in self._by_path().items():
            parts = path.strip("/").split("/")
            # Of two templates that fit, the one with more literal parts wins.
            variables = sum(p.startswith("{") for p in parts)
            self.paths.append((variables, parts, path, calls))
        self.paths.sort(key=lambda p: p[0])

    def _take(self, line):
        for word, where in (("type", self.types), ("parameter", self.parameters), ("answer", self.answers)):
            if word in line:
                where[line[word]] = line["is"]
                return
        if "call" in line:
            self.calls[line["name"]] = line
        else:
            self.everywhere += line["everywhere"]

    def _by_path(self):
        found = {}
        for call in self.calls.values():
            method, _, path = call["call"].partition(" ")
            found.setdefault(path, {})[method] = call
        return found

    def resolve(self, schema):
        """The schema that this one names, or itself; a field may name its type in `is`, beside words of its own."""
        while isinstance(schema, str) or "is" in schema:
            schema = self.types[schema if isinstance(schema, str) else schema["is"]]
        return schema

    def find(self, method, path):
        """Returns (call, parameters from the path, None) or (None, None, why)."""
        words = path.strip("/").split("/")
        other = None
        for _, parts, template, calls in self.paths:
            if len(parts) != len(words):
                continue
            if any(p != w for p, w in zip(parts, words) if not p.startswith("{")):
                continue
            if method not in calls:
                other = template
                continue
            return calls[method], {p[1:-1]: w for p, w in zip(parts, words) if p.startswith("{")}, None
        if other:
            return None, None, f"{other} has no method {method}"
        return None, None, f"the description has no path {path}"

    def check_request(self, call, values, query, body, content_type):
        """
        `query` is a list of (name, value), `body` the raw bytes. Returns what
        is wrong (a list of sentences) and the decoded body.
        """
        wrong = []
        known = {}
        for parameter in self.everywhere + call.get("takes", []):
            if isinstance(parameter, str):
                parameter = self.parameters[parameter]
            known[(parameter["in"], parameter["name"])] = parameter
        given = [("path", n, v) for n, v in values.items()]
        given += [("query", n, v) for n, v in query]
        seen = set()
        for where, name, value in given:
            parameter = known.get((where, name))
            if parameter is None:
                wrong.append(f"unknown {where} parameter {name}={value}")
                continue
            if (where, name) in seen and not parameter.get("often"):
                wrong.append(f"{where} parameter {name} is given twice")
            seen.add((where, name))
            schema = parameter.get("is", {})
            if not any(not self.check(schema, v, name) for v in _readings(value)):
                wrong += self.check(schema, _readings(value)[0], f"{where} parameter {name}")
        for (where, name), parameter in known.items():
            if where == "query" and parameter.get("must") and (where, name) not in seen:
                wrong.append(f"query parameter {name} is missing")

        wanted = call.get("body")
        if wanted is None:
            if body:
                wrong.append(f"a body of {len(body)} bytes where none is described")
            return wrong, None
        if not body:
            wrong.append("the body is missing")
            return wrong, None
        kind = (content_type or "").split(";")[0].strip().lower()
        if kind not in wanted:
            wrong.append(f"Content-Type {content_type!r} is not one of {', '.join(wanted)}")
            return wrong, None
        try:
            value = json.loads(body.decode("utf-8"), object_pairs_hook=_no_duplicates)
        except ValueError as e:
            wrong.append(f"the body is not JSON: {e}")
            return wrong, None
        wrong += self.check(wanted[kind], value, "body", request=True)
        return wrong, value

    def check_answer(self, call, status, headers, body):
        """What is wrong with our own answer; `body` is decoded, or None."""
        answers = call["answers"]
        for name in (str(status), f"{status // 100}xx", "default" if status >= 400 else ""):
            answer = answers.get(name)
            if answer is not None:
                break
        if answer is None:
            return [f"status {status} is not described"]
        if isinstance(answer, str):
            answer = self.answers[answer]
        wrong = []
        lower = {k.lower() for k in headers}
        for name in answer.get("headers", []):
            if name.lower() not in lower and name.lower() != "content-type":
                wrong.append(f"header {name} is missing")
        if "body" in answer:
            wrong += self.check(answer["body"], body, "answer")
        elif body is not None:
            wrong.append("a body where none is described")
        return wrong

    # Schemas --------------------------------------------------------------

    def check(self, schema, value, where, request=False):
        """What is wrong with `value`, as sentences that begin with `where`."""
        wrong, known = self._walk(schema, value, where, request)
        if isinstance(value, dict) and known is not ANY:
            wrong += [f"{where}.{name} is unknown" for name in value if name not in known]
        return wrong

    def _walk(self, schema, value, where, request):
        """Returns what is wrong and which property names the schema knows."""
        schema = self.resolve(schema)
        if value is None:
            if schema.get("null") or None in schema.get("values", [0]):
                return [], set()
            options = schema.get("some", []) + schema.get("one", [])
            if any(self.resolve(o).get("null") or self.resolve(o).get("kind") == "null"
                   for o in options):
                return [], set()
            if schema.get("kind") or options:
                return [f"{where} is null"], set()
        wrong, known = self._plain(schema, value, where, request)
        if request and schema.get("told"):
            wrong.append(f"{where} is read-only")
        for part in schema.get("every", []):
            w, k = self._walk(part, value, where, request)
            wrong += w
            known = _join(known, k)
        for word in ("one", "some"):
            if word not in schema:
                continue
            branches = schema[word]
            chosen = self._discriminate(schema, value)
            if chosen is not None:
                branches = [chosen]
            results = [self._walk(b, value, where, request) for b in branches]
            good = [r for r in results if not r[0]]
            if good:
                for _, k in good:
                    known = _join(known, k)
            else:
                w, k = min(results, key=lambda r: len(r[0]))
                wrong += w
                known = _join(known, k)
        return wrong, known

    def _discriminate(self, schema, value):
        rule = schema.get("by")
        if not rule or not isinstance(value, dict):
            return None
        chosen = value.get(rule["field"])
        return rule["to"].get(chosen) if isinstance(chosen, str) else None

    def _plain(self, schema, value, where, request):
        wrong = []
        kind = schema.get("kind")
        if kind and not _is(kind, value):
            return [f"{where} is {_name(value)}, not {kind}"], ANY
        if "values" in schema and value not in schema["values"]:
            wrong.append(f"{where} is {value!r}, not one of {schema['values']}")
        if isinstance(value, str):
            wrong += self._string(schema, value, where)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            wrong += self._number(schema, value, where)
        elif isinstance(value, list):
            if len(value) < schema.get("few", 0):
                wrong.append(f"{where} has fewer than {schema['few']} items")
            if len(value) > schema.get("many", len(value)):
                wrong.append(f"{where} has more than {schema['many']} items")
            for i, item in enumerate(value):
                wrong += self.check(schema.get("of", {}), item, f"{where}[{i}]", request)
        if not isinstance(value, dict):
            return wrong, set()
        fields = schema.get("fields", {})
        for name in schema.get("needs", []):
            if name not in value:
                if request and self.resolve(fields.get(name, {})).get("told"):
                    continue
                wrong.append(f"{where}.{name} is missing")
        for name, item in fields.items():
            if name in value:
                wrong += self.check(item, value[name], f"{where}.{name}", request)
        more = schema.get("rest")
        if isinstance(more, (dict, str)) and more:
            for name in value:
                if name not in fields:
                    wrong += self.check(more, value[name], f"{where}.{name}", request)
        composed = any(w in schema for w in ("every", "one", "some"))
        if more not in (None, False) or not (fields or composed or more is False
                                             or "needs" in schema):
            # An object of which nothing is said is open. The examples that
            # stand in for schemas here and there ({} in an allOf) are not.
            return wrong, (ANY if kind == "object" or more else set())
        return wrong, set(fields)

    def _string(self, schema, value, where):
        wrong = []
        if len(value) < schema.get("short", 0):
            wrong.append(f"{where} is shorter than {schema['short']}")
        if len(value) > schema.get("long", len(value)):
            wrong.append(f"{where} is longer than {schema['long']}")
        if "like" in schema and not re.search(schema["like"], value):
            wrong.append(f"{where} {value!r} does not match {schema['like']}")
        test = _formats.get(schema.get("form"))
        if test:
            try:
                test(value)
            except ValueError:
                wrong.append(f"{where} {value!r} is no {schema['form']}")
        return wrong

    def _number(self, schema, value, where):
        wrong = []
        if value < schema.get("least", value):
            wrong.append(f"{where} is below {schema['least']}")
        if value > schema.get("most", value):
            wrong.append(f"{where} is above {schema['most']}")
        if schema.get("step") and value % schema["step"]:
            wrong.append(f"{where} is no multiple of {schema['step']}")
        return wrong


def _no_duplicates(pairs):
    seen = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"{name} is given twice")
        seen[name] = value
    return seen


def _readings(text):
    """What a parameter's text may stand for."""
    values = [text]
    if re.fullmatch(r"-?\d+", text):
        values.insert(0, int(text))
    if text in ("true", "false"):
        values.insert(0, text == "true")
    return values


def _is(kind, value):
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    types = {"object": dict, "array": list, "string": str, "boolean": bool,
             "integer": int, "number": (int, float)}
    return isinstance(value, types.get(kind, object))


def _name(value):
    if value is None:
        return "null"
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean",
            int: "an integer", float: "a number"}.get(type(value), "something else")


def _join(a, b):
    return ANY if a is ANY or b is ANY else a | b


def _date_time(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        raise ValueError
    datetime.datetime.fromisoformat(text[:19])


def _uri(text):
    if not re.match(r"[a-z][a-z0-9+.-]*://[^/\s]+", text):
        raise ValueError


_formats = {"uuid": uuid.UUID, "date-time": _date_time, "ipv4": ipaddress.IPv4Address,
            "ipv6": ipaddress.IPv6Address, "uri": _uri}
