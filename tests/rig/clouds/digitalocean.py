#!/usr/bin/env python3
"""DigitalOcean's API v2 as far as machines go (double.py has what all clouds share).

What the vendor's description (../api/digitalocean.facts) cannot say is done as the real API does it: names may repeat,
tags exist from the create call on, a droplet is `new`, locked and without address until it has booted, 5000 requests an
hour in a sliding window and 250 a minute, ten listings of keys a minute, a droplet limit.
"""

import base64
import hashlib
import os
import random
import re
import secrets
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import machines
import world as w
from clouds import double
from clouds.double import Refusal, now_text

REGIONS = [("fra1", "Frankfurt 1"), ("nyc3", "New York 3"), ("ams3", "Amsterdam 3"),
           ("sgp1", "Singapore 1"), ("lon1", "London 1")]

# slug, memory in MB, cpus, disk in GB, price a month
SIZES = [("s-1vcpu-512mb-10gb", 512, 1, 10, 4.0), ("s-1vcpu-1gb", 1024, 1, 25, 6.0),
         ("s-1vcpu-2gb", 2048, 1, 50, 12.0), ("s-2vcpu-2gb", 2048, 2, 60, 18.0),
         ("s-2vcpu-4gb", 4096, 2, 80, 24.0), ("s-4vcpu-8gb", 8192, 4, 160, 48.0)]

IMAGES = {slug: 100000 + i for i, slug in enumerate(machines.KINDS)}

TAG = re.compile(r"[A-Za-z0-9_:-]{1,255}")

CALLS = {"create": {"droplets_create"}, "get": {"droplets_get", "actions_get"},
         "list": {"droplets_list"}, "delete": {"droplets_destroy", "droplets_destroy_byTag"},
         "keys": {"sshKeys_list", "sshKeys_create", "sshKeys_get", "sshKeys_delete",
                  "sshKeys_update"},
         "action": {"dropletActions_post", "dropletActions_get", "dropletActions_list"},
         "regions": {"regions_list"}, "account": {"account_get"}}

REFUSALS = {"auth": (401, "unauthorized", "Unable to authenticate you"),
            "forbidden": (403, "forbidden", "You are not authorized to perform this operation"),
            "no_call": (404, "not_found", ""), "wrong": (422, "unprocessable_entity", ""),
            "garbled": (400, "unprocessable_entity", ""),
            "throttled": (429, "too_many_requests", "API Rate limit exceeded."),
            "gone": (404, "not_found", "The resource you were accessing could not be found."),
            "capacity": (422, "unprocessable_entity", "Size is not available in this region."),
            "locked": (422, "unprocessable_entity", "Droplet already has a pending event."),
            "broken": (500, "server_error", "Server was unable to give you a response.")}


def unprocessable(message):
    return Refusal(422, "unprocessable_entity", message)


class Cloud(double.Cloud):
    name, title, port = "digitalocean", "DigitalOcean's API v2", 8444
    env = ("RIG_DO_URL", "RIG_DO_TOKEN")
    MACHINES, KINDS, CALLS, RUNG = "droplets", ("droplets",), CALLS, ("size", "region")
    WINDOWS = {"hour": (5000, 3600, True, False), "minute": (250, 60), "keys": (10, 60, False)}
    STYLE, REFUSALS = "reset", REFUSALS
    REFUSING, DEFAULT_ON = {"delete-locked": ("locked", None)}, {"delete-locked": "delete"}
    FAULTS = '  delete-locked       a delete says 422 while "another event is pending"\n'
    FRESH = {"next_id": 3164000, "droplets": {}, "keys": {}, "actions": {}, "tags": []}

    @staticmethod
    def new_token():
        return "dop_v1_" + secrets.token_hex(32)

    @staticmethod
    def options(env):
        return [f"digitalocean-access-token={env['RIG_DO_TOKEN']}",
                "digitalocean-image=debian-12-docker", "digitalocean-region=fra1",
                "digitalocean-size=s-1vcpu-1gb",
                f"digitalocean-api-endpoint={env['RIG_DO_URL']}",
                f"digitalocean-api-ca-file={env['RIG_CA_FILE']}"]

    @staticmethod
    def listing(state, now, more):
        for droplet in state.get("droplets", {}).values():
            yield (f"machine {droplet['id']} {droplet['name']} {droplet['status']} "
                   f"{droplet['address'] or '-'} {now - droplet['created']:.0f}s "
                   f"{','.join(droplet['tags']) or '-'}")
        for key in state.get("keys", {}).values():
            yield f"key {key['id']} {key['name']} {key['fingerprint']}"
        for tag in state.get("tags", []) if more else []:
            yield f"tag {tag}"

    def error_body(self, refusal):
        return {"id": refusal.name, "message": refusal.message, "request_id": str(uuid.uuid4())}

    def rate_headers(self, rooms):
        hour = rooms["hour"]
        return {"ratelimit-limit": str(hour.most), "ratelimit-remaining": str(max(0, hour.left)),
                "ratelimit-reset": str(hour.reset)}

    def new_id(self):
        self.state["next_id"] += 7
        return self.state["next_id"]

    # Reading ------------------------------------------------------------

    def on_account_get(self, values, query, body, fault):
        return 200, {"account": {
            "droplet_limit": self._droplet_limit(), "floating_ip_limit": 3,
            "email": "rig@rig.test", "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True, "status": "active", "status_message": ""}}

    def _droplet_limit(self):
        return self.quota("droplets", 200)

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
        raise self.refusal("gone")

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
        if not self.limits.take("keys"):
            raise self.refusal("throttled")
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
            raise self.refusal("gone")
        return 200, {"ssh_key": key}

    def on_sshKeys_update(self, values, query, body, fault):
        key = self._key(values["ssh_key_identifier"])
        if not key:
            raise self.refusal("gone")
        key["name"] = body.get("name", key["name"])
        self.save()
        return 200, {"ssh_key": key}

    def on_sshKeys_delete(self, values, query, body, fault):
        key = self._key(values["ssh_key_identifier"])
        if not key:
            raise self.refusal("gone")
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
        for droplet in made:
            self.launch(droplet)
        self.save()
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
        number, now = self.new_id(), time.time()
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
                   "created": now, "fate": self.fate("droplets"),
                   "create_action": action["id"], "vpc_uuid": body.get("vpc_uuid") or
                   "760e09ef-dc84-11e8-981e-3cfdfeaae000"}
        self.number(droplet)
        self.state["droplets"][str(number)] = droplet
        return droplet, action

    def memory(self, droplet):
        return next(s[1] for s in SIZES if s[0] == droplet["size"])

    def up(self, droplet):
        droplet["status"], droplet["locked"] = "active", False
        self._complete(droplet["create_action"], "completed")

    def broken(self, droplet):
        droplet["status"], droplet["locked"] = "off", False
        self._complete(droplet["create_action"], "errored")

    def _complete(self, action, status):
        action = self.state["actions"].get(str(action))
        if action and action["status"] == "in-progress":
            action["status"], action["completed_at"] = status, now_text()

    def _status(self, droplet):
        """A machine that has switched itself off is off."""
        if droplet["status"] == "active" and not self.body(droplet).on():
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
                   "gateway": self.world.address or "127.0.0.1", "type": "public"}]
        return {"id": droplet["id"], "name": droplet["name"], "memory": size["memory"],
                "vcpus": size["vcpus"], "disk": size["disk"], "locked": droplet["locked"],
                "status": self._status(droplet), "kernel": None,
                "created_at": now_text(droplet["created"]), "features": droplet["features"],
                "backup_ids": [], "next_backup_window": None, "snapshot_ids": [],
                "image": self._image(droplet["image"]), "volume_ids": [], "size": size,
                "size_slug": droplet["size"], "networks": {"v4": v4, "v6": []},
                "region": self._region(droplet["region"]), "tags": droplet["tags"],
                "vpc_uuid": droplet["vpc_uuid"]}

    def on_droplets_list(self, values, query, body, fault):
        if "tag_name" in query and "name" in query:
            raise Refusal(400, "bad_request", "tag_name and name cannot be combined")
        found = []
        for droplet in self.state["droplets"].values():
            if self.hidden(droplet, "list_lag"):
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
            raise self.refusal("gone")
        return droplet

    def on_droplets_get(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        if self.hidden(droplet, "get_lag"):
            raise self.refusal("gone")
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
        self.forget(droplet)
        self.bury(droplet)

    def forget(self, droplet):
        self._complete(droplet["create_action"], "errored")
        super().forget(droplet)

    def whole(self):
        for droplet in self.machines.values():
            self._status(droplet)
        return self.state

    # Actions ------------------------------------------------------------

    def on_actions_get(self, values, query, body, fault):
        action = self.state["actions"].get(values["action_id"])
        if not action:
            raise self.refusal("gone")
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
            raise self.refusal("gone")
        return 200, {"action": self._show_action(action)}

    def on_dropletActions_post(self, values, query, body, fault):
        droplet = self._droplet(values["droplet_id"])
        kind = body["type"]
        if droplet["locked"]:
            raise unprocessable("Droplet already has a pending event.")
        machine = self.body(droplet)
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
        self.begin(droplet, self._act, droplet, action, doers[kind])
        return 201, {"action": self._show_action(action)}

    def _act(self, droplet, action, do):
        machine = self.body(droplet)
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
        raise self.refusal("gone")

    def on_tags_delete(self, values, query, body, fault):
        for tag in self.state["tags"]:
            if tag.lower() == values["tag_id"].lower():
                self.state["tags"].remove(tag)
                for droplet in self.state["droplets"].values():
                    droplet["tags"] = [t for t in droplet["tags"] if t != tag]
                self.save()
                return 204, None
        raise self.refusal("gone")


if __name__ == "__main__":
    double.main(Cloud)
