"""An engine on another port than Docker's usual one: what is made there by the driver's word is what jobs dial, too."""

import json
import os
import re
import tomllib

from test_hosts import Host
from world import plain

PORT = 4243


def test_a_job_on_an_engine_with_another_port(rig, windlass):
    host = Host(rig, "port", "debian-12-docker")
    w = windlass(concurrent=1, limit=1)
    with open(w.config) as f:
        text = f.read()
    options = tomllib.loads(text)["runners"][0]["machine"]["MachineOptions"]
    options = [o for o in options if not o.startswith("digitalocean-")] + [
        f"generic-ip-address={host.address}", f"generic-ssh-key={rig.env['RIG_SSH_KEY']}", f"generic-engine-port={PORT}"]
    text = re.sub(r"(?ms)^(\s*MachineOptions = )\[.*?\]$", lambda m: m[1] + json.dumps(options), text)
    text = re.sub(r'MachineDriver = "\w+"', 'MachineDriver = "generic"', text)
    with open(w.config, "w") as f:
        f.write(text)
    w.start()
    number = w.job(["echo it runs"], variables=[{"key": "GIT_STRATEGY", "value": "none", "public": True}])
    job = rig.ended(number, 300)
    assert job["state"] == "success", (plain(rig.trace(number)), w.text()[-4000:])
    assert "it runs" in plain(rig.trace(number))
    with open(os.path.join(w.store, "machines", w.machines()[0], "config.json")) as f:
        assert json.load(f)["Driver"]["EnginePort"] == PORT
    assert f":{PORT}" in host.sh("ss -ltn") and ":2376 " not in host.sh("ss -ltn")
    w.stop()
