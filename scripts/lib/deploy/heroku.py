"""heroku.yml: the keys that Heroku knows, and a Dockerfile that is there. Argument: the file."""
import sys
from pathlib import Path

import yaml

KNOWN = {"setup": {"addons", "config"}, "build": {"docker", "config", "pack", "languages"}, "release": {"image", "command"}, "run": None}

file = Path(sys.argv[1])
whole = yaml.safe_load(file.read_text())
problems = [f"{part} is not known" for part in whole if part not in KNOWN]
for part, keys in KNOWN.items():
    if keys and part in whole:
        problems += [f"{part}.{key} is not known" for key in whole[part] if key not in keys]
for process, name in whole.get("build", {}).get("docker", {}).items():
    if not (file.parent / name).is_file():
        problems.append(f"build.docker.{process}: {name} is not there")
sys.exit("\n".join(f"heroku.yml: {problem}" for problem in problems) or 0)
