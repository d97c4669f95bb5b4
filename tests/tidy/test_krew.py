# SPDX-License-Identifier: Apache-2.0
"""The archive for people and its manifest fit each other, and are the same each time."""
import hashlib
import pathlib
import subprocess
import tarfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


def package(folder):
    done = subprocess.run([ROOT / "cli/package", "/bin/true", "1.2.3", folder], capture_output=True,
                          text=True, check=True, timeout=60)
    archive, manifest = map(pathlib.Path, done.stdout.split())
    return archive, yaml.safe_load(manifest.read_text())


def test_the_manifest_names_the_archive_by_its_hash(tmp_path):
    archive, manifest = package(tmp_path / "one")
    platform, = manifest["spec"]["platforms"]
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert platform["uri"].endswith(f"/{archive.name}") and manifest["spec"]["version"] == "v1.2.3"
    assert platform["selector"]["matchLabels"]["arch"] in archive.name
    assert "@" not in (tmp_path / "one/krew.yaml").read_text()
    with tarfile.open(archive) as held:
        modes = {member.name: member.mode for member in held}
    assert {file["from"] for file in platform["files"]} | {platform["bin"]} <= set(modes)
    assert modes["kubectl-npt"] == 0o755 and "kubectl-npt.1" in modes
    again, _ = package(tmp_path / "two")
    assert again.read_bytes() == archive.read_bytes()
