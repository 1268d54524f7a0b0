"""Writes what compose and Kubernetes give a hub as files of variables, with secrets made here, and prints their names. Arguments: the root
of the tree, a folder to write to that has the rendered overlays."""
import base64
import os
import shlex
import sys
from pathlib import Path

import yaml

ROOT, WORK = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
SECRETS = {
    "database_url": "postgres://bellhop:secret@postgres/bellhop?sslmode=disable",
    "redis_url": "rediss://bellhop:secret@redis:6379/0",
    "secret_key": base64.b64encode(os.urandom(48)).decode(),
    "encryption_keys": "k1:" + base64.b64encode(os.urandom(32)).decode(),
}
for name, secret in SECRETS.items():
    (WORK / name).write_text(secret + "\n")


def write(name, variables):
    with (WORK / name).open("w") as file:
        for key, value in variables.items():
            value = str(value)
            if value.startswith("${"):
                value = "orders.example.com"
            if key.endswith("_FILE"):
                value = str(WORK / value.rsplit("/", 1)[1])
            file.write(f"export {key}={shlex.quote(value)}\n")
    print(WORK / name)


for file, service in (("compose.yaml", "hub-1"), ("compose.single.yaml", "hub"), ("compose.single.yaml", "backup")):
    whole = yaml.safe_load((ROOT / "deploy/compose" / file).read_text())
    # As the image has it.
    image = {"BELLHOP_ENV": "production", "BELLHOP__DATA__DIR": "/data"}
    write(f"settings-{file}-{service}", image | whole["services"][service]["environment"])
for overlay in ("staging", "production"):
    objects = [one for one in yaml.safe_load_all((WORK / f"{overlay}.yaml").read_text()) if one]
    write(f"settings-{overlay}", next(one for one in objects if one["kind"] == "ConfigMap")["data"])
