# SPDX-License-Identifier: Apache-2.0
"""Builds what guests run: for amd64 by this machine's compiler, for arm64 by Debian's cross compiler with
a root of arm64 packages; the BPF object by each clang that there is, since each makes other code."""
import os
import pathlib
import shutil
import subprocess

import fetch

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/kernels"
COMPILERS = ["clang-14", "clang-19"]  # of the BPF object: Debian 12's, and a newer one
PROGRAMS = ["test_bpf_probe", "test_bpf_measure", "test_bpf_tls_calls"]
GUEST = ["busybox-static", "coreutils", "python3-minimal", "libpython3-stdlib", "python3-pytest", "iproute2",
         "nftables"]
# Headers too, so that the same root serves the cross compiler.
LIBRARIES = ["libc6-dev", "libbpf-dev", "libelf-dev", "zlib1g-dev", "libcurl4-openssl-dev",
             "libwebsockets-dev", "libssl-dev", "libjansson-dev", "libprotobuf-c-dev", "libsqlite3-dev"]


class Broken(Exception):
    """What does not build, with the compiler's words."""


def compilers():
    return [name for name in COMPILERS if shutil.which(name)]


def host_suite():
    """The release that this machine runs: a guest gets the same libraries."""
    lines = pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields.get("VERSION_CODENAME", "bookworm").strip('"')


def guest_root(architecture):
    suite = host_suite()
    return fetch.root(suite, architecture, GUEST + LIBRARIES, f"{suite}-guest")


def cmake(folder, targets, *options):
    for command in (["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", *options],
                    ["cmake", "--build", folder, "-j", str(os.cpu_count() or 2), "--target", *targets]):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Broken((result.stdout + result.stderr)[-3000:])


def identity(root):
    """Which root this is: CMake remembers paths and versions of libraries, so a new one needs a new build."""
    return f"{root} {(root / '.complete').stat().st_mtime_ns}\n"


def agents(architecture, root):
    """{compiler: folder of a build}; the tests of tests/bpf are in the first."""
    cross = []
    if architecture == "arm64":
        cross = ["--toolchain", ROOT / "cmake/ToolchainArm64.cmake", f"-DCMAKE_SYSROOT={root}"]
    folders = {}
    for compiler in compilers():
        folder = ROOT / "build/kernels" / f"{architecture}-{compiler}"
        stamp = folder / "built-with"
        if cross and not (stamp.exists() and stamp.read_text() == identity(root)):
            shutil.rmtree(folder, ignore_errors=True)
        targets = ["npt-agent"] if folders else ["npt-agent", *PROGRAMS]
        cmake(folder, targets, f"-DNPT_BPF_CLANG={compiler}", *cross)
        stamp.write_text(identity(root))
        folders[compiler] = folder
    return folders


def files(builds):
    """{path in a guest: file} of all that is the same for every kernel of an architecture."""
    found = {"init": HERE / "guest/init"}
    for path in (HERE / "guest").iterdir():
        if path.name != "init" and path.is_file():
            found[f"npt/guest/{path.name}"] = path
    for name in ("conftest.py", "support.py", "test_accuracy.py", "traffic.py"):
        found[f"npt/tests/accuracy/{name}"] = ROOT / "tests/accuracy" / name
    for compiler, folder in builds.items():
        found[f"npt/{compiler}/npt-agent"] = folder / "agent/npt-agent"
    for name in PROGRAMS:
        found[f"npt/bpf/{name}"] = next(iter(builds.values())) / "tests/bpf" / name
    return found
