"""What a rendered overlay has to say beyond the schemas of Kubernetes: custom resources are what their definitions allow, each name leads
somewhere, and the numbers are those that were decided. Arguments: the overlay, its manifests, the folder of the definitions."""
import sys
from pathlib import Path

import jsonschema
import yaml

OVERLAY, MANIFESTS, DEFINITIONS = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
OBJECTS = [one for one in yaml.safe_load_all(MANIFESTS.read_text()) if one]
problems = []


def of(kind, name="bellhop"):
    """The object of a kind; nothing when there is none."""
    found = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name]
    return found[0] if found else None


def closed(schema):
    """The schema of a definition, with names refused that it does not have, as the server does by `--validate=strict`."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        schema.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if isinstance(schema.get("format"), str) and schema["format"] in ("int32", "int64", "double"):
        schema.pop("format")
    return schema


def definitions():
    for file in DEFINITIONS.glob("*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), version["schema"]["openAPIV3Schema"]


def custom_resources():
    known = dict(definitions())
    for one in OBJECTS:
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        schema = known.get((one["apiVersion"], one["kind"]))
        if schema is None:
            problems.append(f"{one['kind']}: no definition")
            continue
        schema = closed(schema)
        # The server itself knows what is in every metadata.
        schema["properties"]["metadata"] = {"type": "object"}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
            where = "/".join(map(str, error.absolute_path))
            problems.append(f"{one['kind']} {one['metadata']['name']}: {where}: {error.message[:200]}")


def value(whole, path):
    for part in path.split("."):
        if whole is None:
            return None
        whole = whole[int(part)] if isinstance(whole, list) and int(part) < len(whole) else whole.get(part) if isinstance(whole, dict) else None
    return whole


def expect(kind, name, **numbers):
    found = of(kind, name)
    if found is None:
        return problems.append(f"{kind} {name} is not there")
    for path, wanted in numbers.items():
        seen = value(found, path.replace("__", "."))
        if not (wanted(seen) if callable(wanted) else seen == wanted):
            problems.append(f"{kind} {name}: {path.replace('__', '.')} is {seen!r}" + ("" if callable(wanted) else f", not {wanted!r}"))


def numbers():
    small = OVERLAY == "staging"
    pod, container = "spec__template__spec__", "spec__template__spec__containers__0__"
    probes = {f"{container}{probe}Probe__{what}": wanted for probe in ("liveness", "readiness")
              for what, wanted in (("periodSeconds", 10), ("httpGet__port", "http"))}
    expect("Deployment", "bellhop", **probes, **{
        "spec__replicas": 2 if small else None,
        f"{container}resources__requests": {"cpu": "250m", "memory": "256Mi"},
        f"{container}resources__limits": {"cpu": "500m", "memory": "512Mi"},
        f"{container}livenessProbe__httpGet__path": "/health/live",
        f"{container}readinessProbe__httpGet__path": "/health/ready",
        # The sleep before the signal, and then 30 s.
        f"{pod}terminationGracePeriodSeconds": lambda seen: seen and seen >= 35,
        f"{pod}topologySpreadConstraints__0__topologyKey": "topology.kubernetes.io/zone",
        f"{pod}topologySpreadConstraints__0__whenUnsatisfiable": "ScheduleAnyway" if small else "DoNotSchedule",
        f"{pod}securityContext__runAsNonRoot": True,
        f"{container}securityContext__readOnlyRootFilesystem": True,
        f"{container}image": lambda seen: seen and ":" in seen.rsplit("/", 1)[1] and (small or not seen.endswith(":latest")),
    })
    scale = "spec__behavior__scale"
    expect("HorizontalPodAutoscaler", "bellhop", **{
        "spec__minReplicas": 2 if small else 3,
        "spec__maxReplicas": 4 if small else 20,
        "spec__metrics__0__resource__target__averageUtilization": 70,
        "spec__metrics__1__resource__target__averageUtilization": 80,
        "spec__metrics__2__pods__metric__name": "websocket_connections_active",
        f"{scale}Up__stabilizationWindowSeconds": 60,
        f"{scale}Up__policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        f"{scale}Down__stabilizationWindowSeconds": 300,
        f"{scale}Down__policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
    })
    expect("PodDisruptionBudget", "bellhop", spec__maxUnavailable=1)
    for name in ("ServiceMonitor", "PrometheusRule"):
        expect(name, "bellhop")
    expect("Probe", "bellhop-ready")
    nginx = "metadata__annotations__nginx.org/"
    for name, send, read in (("bellhop-api", "10s", "35s"), ("bellhop-sockets", "3600s", "3600s"), ("bellhop-streams", "3600s", "3600s")):
        ingress = (of("Ingress", name) or {}).get("metadata", {}).get("annotations", {})
        wanted = {"lb-method": "least_conn", "max-fails": "3", "fail-timeout": "30s", "limit-req-rate": "100r/s", "limit-req-burst": "50",
                  "proxy-connect-timeout": "5s", "proxy-send-timeout": send, "proxy-read-timeout": read}
        if name != "bellhop-api":
            wanted["proxy-buffering"] = "False"
        problems.extend(f"Ingress {name}: {key} is {ingress.get('nginx.org/' + key)!r}, not {number!r}"
                        for key, number in wanted.items() if ingress.get("nginx.org/" + key) != number)


def selected(selector, kind):
    labels = of("Deployment")["spec"]["template"]["metadata"]["labels"]
    if not selector or any(labels.get(key) != wanted for key, wanted in selector.items()):
        problems.append(f"{kind}: {selector} selects no pod")


def references():
    """Each name and port leads to what is there."""
    spec = of("Deployment")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    for one in OBJECTS:
        kind = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Service":
            selected(one["spec"]["selector"], kind)
            problems.extend(f"{kind}: no port {port['targetPort']}" for port in one["spec"]["ports"] if port["targetPort"] not in ports)
        elif one["kind"] == "PodDisruptionBudget":
            selected(one["spec"]["selector"]["matchLabels"], kind)
        elif one["kind"] == "NetworkPolicy":
            selected(one["spec"]["podSelector"]["matchLabels"], kind)
        elif one["kind"] == "Ingress":
            for rule in one["spec"]["rules"]:
                for path in rule.get("http", {}).get("paths", []):
                    service = of("Service", path["backend"]["service"]["name"])
                    if not service or path["backend"]["service"]["port"]["name"] not in {p["name"] for p in service["spec"]["ports"]}:
                        problems.append(f"{kind}: {path['path']} leads nowhere")
        elif one["kind"] == "HorizontalPodAutoscaler" and not of("Deployment", one["spec"]["scaleTargetRef"]["name"]):
            problems.append(f"{kind}: no such deployment")
    config = of("ConfigMap", container["envFrom"][0]["configMapRef"]["name"])
    if config is None:
        return problems.append("Deployment: its ConfigMap is not there")
    if not of("ServiceAccount", spec["serviceAccountName"]):
        problems.append("Deployment: its ServiceAccount is not there")
    folder = container["volumeMounts"][0]["mountPath"]
    secret = of("Secret", "bellhop-secrets")
    for key, file in config["data"].items():
        if key.endswith("_FILE") and (not file.startswith(folder + "/") or secret and file.rsplit("/", 1)[1] not in secret["stringData"]):
            problems.append(f"ConfigMap: {key} names {file}, which the Secret does not have")
    if (secret is None) != (OVERLAY == "production"):
        problems.append("Secret: the template belongs to every overlay but production")
    hosts = {rule["host"] for one in OBJECTS if one["kind"] == "Ingress" for rule in one["spec"]["rules"]}
    if hosts != {config["data"]["BELLHOP__SERVER__TRUSTED_HOSTS"]}:
        problems.append(f"the hosts of the Ingress are {hosts}, those of the hub {config['data']['BELLHOP__SERVER__TRUSTED_HOSTS']}")


custom_resources()
numbers()
references()
sys.exit("\n".join(f"{OVERLAY}: {problem}" for problem in problems) or 0)
