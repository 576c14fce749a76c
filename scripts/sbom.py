#!/usr/bin/env python3
"""Writes the modules of a Go binary as CycloneDX 1.5 JSON: sbom.py BINARY VERSION DATE > FILE.

They are read from the binary itself (go version -m), so they are what was linked, not what go.mod allows."""
import json
import subprocess
import sys
import uuid

binary, version, date = sys.argv[1:]
text = subprocess.run(["go", "version", "-m", binary], check=True, capture_output=True, text=True).stdout
go, main, components = text.splitlines()[0].split()[-1], "", []


def component(path, number, checksum=None):
    c = {"type": "library", "bom-ref": f"pkg:golang/{path}@{number}", "name": path, "version": number,
         "purl": f"pkg:golang/{path}@{number}"}
    if checksum:
        c["properties"] = [{"name": "go.sum", "value": checksum}]
    return c


for line in text.splitlines()[1:]:
    word = line.strip().split("\t")
    if word[0] == "mod":
        main = word[1]
    elif word[0] == "dep":
        components.append(component(word[1], word[2], word[3] if len(word) > 3 else None))
    elif word[0] == "=>":  # replaces the one before
        components[-1] = component(word[1], word[2], word[3] if len(word) > 3 else None)
components.append(component("std", go.removeprefix("go")))
components.sort(key=lambda c: c["bom-ref"])
top = f"pkg:golang/{main}@{version}"
body = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"timestamp": date, "component": {
            "type": "application", "bom-ref": top, "name": "skylark", "version": version, "purl": top,
            "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [{"ref": top, "dependsOn": [c["bom-ref"] for c in components]}]}
body["serialNumber"] = "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body)))
print(json.dumps(body, indent=1))
