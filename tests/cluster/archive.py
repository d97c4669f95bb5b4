#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an image archive of a directory, with no tool: archive.py ROOTFS NAME:TAG OUT.tar [CONFIG-JSON]

Reproducible: times, owners and order are fixed. CONFIG is the image's config ({"Entrypoint": [...]}).
"""
import hashlib
import io
import json
import os
import sys
import tarfile


def plain(entry):
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def layer_of(root, path):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(folders + files):
                full = os.path.join(folder, name)
                layer.add(full, arcname=os.path.relpath(full, root), recursive=False, filter=plain)
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    root, reference, out = sys.argv[1:4]
    config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    config.update(json.loads(sys.argv[4]) if len(sys.argv) > 4 else {})
    layer = out + ".layer"
    digest = layer_of(root, layer)
    image = json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}},
                       sort_keys=True).encode()
    name = hashlib.sha256(image).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference],
                            "Layers": [digest + "/layer.tar"]}]).encode()
    with tarfile.open(out, "w") as archive:
        for path, content in ((name, image), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        archive.add(layer, arcname=digest + "/layer.tar", filter=plain)
    os.remove(layer)


main()
