"""Prints the rules of deploy/monitoring as the custom resource of the operator of Prometheus. Argument: the root of the tree."""
import sys
from pathlib import Path

print("""# Made from deploy/monitoring/rules by `scripts/check-deploy --write`. Do not change it here.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: bellhop
spec:
  groups:""")
for file in sorted((Path(sys.argv[1]) / "deploy/monitoring/rules").glob("*.yml")):
    groups = file.read_text().split("\ngroups:\n", 1)[1]
    print("\n".join(f"  {line}" if line else "" for line in groups.rstrip("\n").split("\n")))
