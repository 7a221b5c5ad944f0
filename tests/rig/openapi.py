"""Holds requests and answers against an OpenAPI 3.0 description.

A description says more than which fields exist; the words used by the ones in
shared/api are: type, properties, required, enum, items, allOf, oneOf, anyOf,
discriminator, additionalProperties, nullable, readOnly, pattern, minimum,
maximum, minLength, maxLength, minItems, maxItems, multipleOf, format.

Stricter than OpenAPI itself in one thing: an object that names properties may
hold no others. A field that a client misspells would otherwise be ignored by
the double just as it is by the real server.
"""

import datetime
import ipaddress
import json
import os
import re
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))

# "This object may hold any property."
ANY = object()


def shared_dir():
    return os.environ.get("WINDLASS_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")


class Spec:
    def __init__(self, name):
        with open(os.path.join(shared_dir(), "api", name)) as f:
            self.doc = json.load(f)
        self.paths = []
        for template, item in self.doc["paths"].items():
            parts = template.strip("/").split("/")
            # Of two templates that fit, the one with more literal parts wins.
            variables = sum(p.startswith("{") for p in parts)
            self.paths.append((variables, parts, template, item))
        self.paths.sort(key=lambda p: p[0])

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            target = self.doc
            for part in node["$ref"].lstrip("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def find(self, method, path):
        """Returns (operation, parameters from the path, None) or (None, None, why)."""
        words = path.strip("/").split("/")
        other = None
        for _, parts, template, item in self.paths:
            if len(parts) != len(words):
                continue
            if any(p != w for p, w in zip(parts, words) if not p.startswith("{")):
                continue
            if method.lower() not in item:
                other = template
                continue
            operation = dict(item[method.lower()])
            operation["parameters"] = (item.get("parameters", []) +
                                       operation.get("parameters", []))
            values = {p[1:-1]: w for p, w in zip(parts, words) if p.startswith("{")}
            operation["template"] = template
            return operation, values, None
        if other:
            return None, None, f"{other} has no method {method}"
        return None, None, f"the description has no path {path}"

    def check_request(self, operation, values, query, body, content_type):
        """
        `query` is a list of (name, value), `body` the raw bytes. Returns what
        is wrong (a list of sentences) and the decoded body.
        """
        wrong = []
        known = {}
        for parameter in operation["parameters"]:
            parameter = self.resolve(parameter)
            known[(parameter["in"], parameter["name"])] = parameter
        given = [("path", n, v) for n, v in values.items()]
        given += [("query", n, v) for n, v in query]
        seen = set()
        for where, name, value in given:
            parameter = known.get((where, name))
            if parameter is None:
                wrong.append(f"unknown {where} parameter {name}={value}")
                continue
            if (where, name) in seen:
                wrong.append(f"{where} parameter {name} is given twice")
            seen.add((where, name))
            schema = parameter.get("schema", {})
            if not any(not self.check(schema, v, name) for v in _readings(value)):
                wrong += self.check(schema, _readings(value)[0], f"{where} parameter {name}")
        for (where, name), parameter in known.items():
            if where == "query" and parameter.get("required") and (where, name) not in seen:
                wrong.append(f"query parameter {name} is missing")

        wanted = self.resolve(operation.get("requestBody"))
        if wanted is None:
            if body:
                wrong.append(f"a body of {len(body)} bytes where none is described")
            return wrong, None
        if not body:
            wrong.append("the body is missing")
            return wrong, None
        kind = (content_type or "").split(";")[0].strip().lower()
        if kind not in wanted["content"]:
            wrong.append(f"Content-Type {content_type!r} is not one of "
                         f"{', '.join(wanted['content'])}")
            return wrong, None
        try:
            value = json.loads(body.decode("utf-8"), object_pairs_hook=_no_duplicates)
        except ValueError as e:
            wrong.append(f"the body is not JSON: {e}")
            return wrong, None
        wrong += self.check(wanted["content"][kind].get("schema", {}), value, "body",
                            request=True)
        return wrong, value

    def check_answer(self, operation, status, headers, body):
        """What is wrong with our own answer; `body` is decoded, or None."""
        responses = operation["responses"]
        answer = self.resolve(responses.get(str(status)) or
                              (responses.get("default") if status >= 400 else None))
        if answer is None:
            return [f"status {status} is not described"]
        wrong = []
        lower = {k.lower() for k in headers}
        for name in answer.get("headers", {}):
            if name.lower() not in lower and name.lower() != "content-type":
                wrong.append(f"header {name} is missing")
        content = answer.get("content", {}).get("application/json")
        if content is None:
            if body is not None:
                wrong.append("a body where none is described")
        else:
            wrong += self.check(content.get("schema", {}), body, "answer")
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
            if schema.get("nullable") or None in schema.get("enum", [0]):
                return [], set()
            options = schema.get("anyOf", []) + schema.get("oneOf", [])
            if any(self.resolve(o).get("nullable") or self.resolve(o).get("type") == "null"
                   for o in options):
                return [], set()
            if schema.get("type") or options:
                return [f"{where} is null"], set()
        wrong, known = self._plain(schema, value, where, request)
        if request and schema.get("readOnly"):
            wrong.append(f"{where} is read-only")
        for part in schema.get("allOf", []):
            w, k = self._walk(part, value, where, request)
            wrong += w
            known = _join(known, k)
        for word in ("oneOf", "anyOf"):
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
        rule = schema.get("discriminator")
        if not rule or not isinstance(value, dict):
            return None
        ref = rule.get("mapping", {}).get(value.get(rule["propertyName"]))
        return {"$ref": ref} if ref else None

    def _plain(self, schema, value, where, request):
        wrong = []
        kind = schema.get("type")
        if kind and not _is(kind, value):
            return [f"{where} is {_name(value)}, not {kind}"], ANY
        if "enum" in schema and value not in schema["enum"]:
            wrong.append(f"{where} is {value!r}, not one of {schema['enum']}")
        if isinstance(value, str):
            wrong += self._string(schema, value, where)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            wrong += self._number(schema, value, where)
        elif isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                wrong.append(f"{where} has fewer than {schema['minItems']} items")
            if len(value) > schema.get("maxItems", len(value)):
                wrong.append(f"{where} has more than {schema['maxItems']} items")
            for i, item in enumerate(value):
                wrong += self.check(schema.get("items", {}), item, f"{where}[{i}]", request)
        if not isinstance(value, dict):
            return wrong, set()
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                if request and self.resolve(properties.get(name, {})).get("readOnly"):
                    continue
                wrong.append(f"{where}.{name} is missing")
        for name, item in properties.items():
            if name in value:
                wrong += self.check(item, value[name], f"{where}.{name}", request)
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and more:
            for name in value:
                if name not in properties:
                    wrong += self.check(more, value[name], f"{where}.{name}", request)
        composed = any(w in schema for w in ("allOf", "oneOf", "anyOf"))
        if more not in (None, False) or not (properties or composed or more is False
                                             or "required" in schema):
            # An object of which nothing is said is open. The examples that
            # stand in for schemas here and there ({} in an allOf) are not.
            return wrong, (ANY if kind == "object" or more else set())
        return wrong, set(properties)

    def _string(self, schema, value, where):
        wrong = []
        if len(value) < schema.get("minLength", 0):
            wrong.append(f"{where} is shorter than {schema['minLength']}")
        if len(value) > schema.get("maxLength", len(value)):
            wrong.append(f"{where} is longer than {schema['maxLength']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            wrong.append(f"{where} {value!r} does not match {schema['pattern']}")
        test = _formats.get(schema.get("format"))
        if test:
            try:
                test(value)
            except ValueError:
                wrong.append(f"{where} {value!r} is no {schema['format']}")
        return wrong

    def _number(self, schema, value, where):
        wrong = []
        if value < schema.get("minimum", value):
            wrong.append(f"{where} is below {schema['minimum']}")
        if value > schema.get("maximum", value):
            wrong.append(f"{where} is above {schema['maximum']}")
        if schema.get("multipleOf") and value % schema["multipleOf"]:
            wrong.append(f"{where} is no multiple of {schema['multipleOf']}")
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
