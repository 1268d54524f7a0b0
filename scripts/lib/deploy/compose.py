"""What the schema of compose does not say: that each name leads somewhere, that each file is there, and the rules of this project for
every container. Arguments: the root of the tree."""
import ipaddress
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(sys.argv[1])
FOLDER = ROOT / "deploy/compose"
# The health check of these images is in the Dockerfile.
OWN = re.compile(r"\$\{BELLHOP_IMAGE:-")
problems = []


def wrong(file, service, what):
    problems.append(f"{file}: {service}: {what}")


def names(value):
    """The names of a list, or the keys of a mapping; of `source:target` and `{source: …}` the source."""
    for one in value or []:
        yield one.get("source") if isinstance(one, dict) else str(one)


def mounts(file, name, service, volumes, used):
    for source in names(service.get("volumes")):
        source = source.split(":")[0]
        if source.startswith("/"):
            continue
        if not source.startswith("."):
            used.add(("volumes", source))
            if source not in volumes:
                wrong(file, name, f"the volume {source} is not declared")
        elif "secrets/" not in source and not (FOLDER / source).exists():
            wrong(file, name, f"{source} is not there")


def dependencies(file, name, service, services):
    for other, how in (service.get("depends_on") or {}).items():
        if other not in services:
            wrong(file, name, f"depends on {other}, which is not there")
        elif how["condition"] == "service_healthy":
            whole = services[other]
            if "healthcheck" not in whole and not OWN.match(whole["image"]):
                wrong(file, name, f"waits for the health of {other}, which has no health check")


def bounds(file, name, service):
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for limit in ("cpus", "memory"):
        if limit not in limits:
            wrong(file, name, f"no limit of {limit}")
    image = service["image"]
    if not OWN.match(image) and not image.startswith("${") and (":" not in image or image.endswith(":latest")):
        wrong(file, name, f"the image {image} names no version")
    if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", []):
        wrong(file, name, "keeps rights that it does not need")
    if service.get("logging", {}).get("options", {}).get("max-size") is None:
        wrong(file, name, "its log has no bound")
    if "restart" not in service:
        wrong(file, name, "it does not say whether it starts again")


def addresses(file, whole, hubs_file):
    """The addresses of the hubs are those that nginx has, and each hub trusts nginx and nobody else."""
    services, taken = whole["services"], {}
    for name, service in services.items():
        networks = service.get("networks") or {}
        for network, how in networks.items() if isinstance(networks, dict) else []:
            if how and "ipv4_address" in how:
                address = how["ipv4_address"]
                subnet = whole["networks"][network]["ipam"]["config"][0]["subnet"]
                if ipaddress.ip_address(address) not in ipaddress.ip_network(subnet):
                    wrong(file, name, f"{address} is not in {subnet}")
                taken[name] = address
    if len(set(taken.values())) != len(taken):
        wrong(file, "networks", "an address is given twice")
    hubs = {name: address for name, address in taken.items() if name.startswith("hub")}
    upstream = set(re.findall(r"^\s*server ([0-9.]+):8000", (ROOT / "deploy/nginx" / hubs_file).read_text(), re.M))
    if upstream != set(hubs.values()):
        wrong(file, "nginx", f"{hubs_file} has {sorted(upstream)}, the hubs are at {sorted(hubs.values())}")
    for name in hubs:
        if services[name]["environment"]["BELLHOP__SERVER__TRUSTED_PROXIES"] != taken.get("nginx"):
            wrong(file, name, "it does not trust exactly nginx")


def check(file, hubs_file):
    whole = yaml.safe_load((FOLDER / file).read_text())
    services, used = whole["services"], set()
    for name, service in services.items():
        mounts(file, name, service, whole["volumes"], used)
        for kind in ("networks", "secrets"):
            for one in names(service.get(kind)):
                used.add((kind, one))
                if one not in whole[kind]:
                    wrong(file, name, f"{kind}: {one} is not declared")
        for key, value in (service.get("environment") or {}).items():
            if str(value).startswith("/run/secrets/") and value.rsplit("/", 1)[1] not in service.get("secrets", []):
                wrong(file, name, f"{key} reads {value}, which it does not get")
        dependencies(file, name, service, services)
        bounds(file, name, service)
    for kind in ("networks", "volumes", "secrets"):
        for name in whole.get(kind, {}):
            if (kind, name) not in used:
                wrong(file, kind, f"{name} is used by nobody")
    made = (FOLDER / "make-secrets").read_text()
    for name in whole["secrets"]:
        if not re.search(rf"^secret {name} |for name in .*\b{name}\b", made, re.M):
            wrong(file, "secrets", f"make-secrets does not make {name}")
    addresses(file, whole, hubs_file)


check("compose.yaml", "hubs.conf")
check("compose.single.yaml", "hubs.single.conf")
sys.exit("\n".join(problems) or 0)
