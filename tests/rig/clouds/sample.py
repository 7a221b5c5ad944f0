#!/usr/bin/env python3
"""A made-up cloud, "sample": what a second driver is written against. It has three kinds of things: keys, disks, machines.

The API
=======

HTTPS, HTTP/1.1. All bodies are JSON objects in UTF-8, `Content-Type: application/json` with every request that has one.
Each request carries `Authorization: Bearer TOKEN`. Unknown fields, unknown query parameters, a parameter given twice, a
body where none is described and a wrong type are refused (400) and noted as a violation.

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

An ID is text of 1 to 100 of A-Z a-z 0-9 . _ - and nothing else is known of it: those of keys have ten characters, those of
disks 36, those of machines 80. `name` is 1 to 63 of a-z 0-9 and -, and need not be unique for anything. No call may safely
be repeated: a second POST makes a second thing. `created` is a whole number, milliseconds since 1970.

LABELS {"owner": TEXT, "nonce": TEXT}: either may be missing; each 1 to 64 of 0-9 a-f. They are there from the POST on and
never change.

KEY
    POST {"name", "public_key", "labels"}: all required. public_key is a line of authorized_keys (type, base64, comment).
    Answer {"id", "name", "public_key", "labels", "created"}. The same public key may be there more than once. A key may be
    deleted at any time.

DISK
    POST {"name", "size", "labels"}: all required; size is a whole number of GB, 1 to 1000.
    Answer {"id", "name", "size", "labels", "created", "machine"}: machine is the id of the machine that has it, or null.
    While a machine has it, in whatever state, `deleting` too, DELETE is answered by 409 `busy` and changes nothing.
    Deleting a machine does not delete its disk. Disks cost money from their POST on, with or without a machine.

MACHINE
    POST {"name", "type", "zone", "image", "key", "disk", "labels"}: all required; and "spot" (bool, default false),
    "user_data" (text of up to 65536 bytes). type: small, large. zone: north, south. image: debian-12-docker,
    debian-12-bare and the others of the rig's README. key and disk are ids; a disk that another machine has: 409 `busy`.
    Answer {"id", "name", "type", "zone", "image", "spot", "key", "disk", "labels", "created", "state", "reason",
    "address"}. The key's owner may log in as root, port 22.
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
    Query parameters, none required: `owner`, `nonce` (only what carries exactly this label; both: both), `limit` (1 to
    100, default 10), `page` (the text that the list before had as `next`; the other parameters as they were in the first
    request, else 400). `next` is null in the last page and text of 1 to 100 of A-Z a-z 0-9 . _ - in all others. A page
    may have fewer things than `limit`, even none, and still a next one. Oldest first. Things in state `deleting` are
    listed.

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
    429 slow_down      too many requests: 600 in any 60 seconds. Header `Retry-After` with whole seconds; nothing was done
    500 broken, 503 unavailable    503 may have a `Retry-After`. Perhaps it was done, perhaps not

Not one answer but 429 (and a 503 that likes to) speaks of limits in its headers.

In the rig
    `rig config --driver sample` writes the MachineOptions sample-token, sample-type=small, sample-zone=north,
    sample-image=debian-12-docker, sample-api-endpoint (https://ADDRESS:8445, without /v1) and sample-api-ca-file.
    RIG_SAMPLE_URL and RIG_SAMPLE_TOKEN hold the endpoint and the token.
"""
