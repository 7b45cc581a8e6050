"""Reads {"versions": [...], "crds": folder, "manifests": [{"of": ..., "manifest": ...}]} from standard input, and writes what is wrong with them as a
list of sentences: against the strict schemas of Kubernetes that the package kubernetes-validate carries, each file of them read once, and those of CRDs."""
import json
import re
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
from referencing import Registry, Resource

SCHEMAS = Path(kubernetes_validate.__file__).parent / 'kubernetes-json-schema'


def validators(version, crds):
    folder = next(SCHEMAS.glob(f'v{version}.*-local-strict'))
    definitions = Resource.from_contents(json.loads((folder / '_definitions.json').read_text()))
    known = {}

    def of(manifest):
        kind = (manifest['apiVersion'], manifest['kind'])
        if kind not in known:
            crd = Path(crds) / f'{kind[1]}.json'
            api = re.sub(r'^([^./]*)(?:\.[^/]*)?/', r'\1-', kind[0])
            built_in = folder / f'{kind[1].lower()}-{api}.json'
            path = crd if crd.exists() else built_in
            if not path.exists():
                known[kind] = None
            else:
                resource = Resource.from_contents(json.loads(path.read_text()))
                registry = definitions @ Registry() if crd.exists() else definitions @ (resource @ Registry())
                known[kind] = jsonschema.Draft202012Validator(resource.contents, registry=registry)
        return known[kind]

    return of


def main():
    asked = json.load(sys.stdin)
    faults = []
    for version in asked['versions']:
        of = validators(version, asked['crds'])
        for entry in asked['manifests']:
            manifest = entry['manifest']
            name = f"{entry['of']}: {manifest['kind']} {manifest['metadata']['name']} (Kubernetes {version})"
            validator = of(manifest)
            if validator is None:
                faults.append(f"{name}: there is no schema for {manifest['apiVersion']}")
                continue
            for error in validator.iter_errors(manifest):
                faults.append(f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    json.dump(faults, sys.stdout)


main()
