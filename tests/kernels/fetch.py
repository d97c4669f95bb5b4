# SPDX-License-Identifier: Apache-2.0
"""Debian's packages for other machines: kernels, and the root of a guest. apt does the work, with
lists and a cache of its own per suite and architecture, so that nothing of this machine changes.

The mirror is the one that this machine uses already. What was unpacked once is used for a week, then
asked for again; a mirror that does not answer then is no harm.
"""
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

CACHE = pathlib.Path(os.environ.get("NPT_KERNELS_CACHE", pathlib.Path.home() / ".cache/npt/kernels"))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH_SECONDS = 7 * 24 * 3600
UNWANTED = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"]


class Unavailable(Exception):
    """What cannot be had, in one line."""


def call(command, **options):
    """Runs a command; its output, or Unavailable with its last line."""
    if not shutil.which(command[0]):
        raise Unavailable(f"{command[0]} is not there (make deps)")
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip().splitlines()
        raise Unavailable(f"{command[0]}: {words[-1] if words else result.returncode}")
    return result.stdout


@functools.cache
def mirrors():
    """The addresses that this machine has its own packages from: {label: address}."""
    lines = call(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
                  "Created-By: Packages"]).splitlines()
    found = {}
    for origin, label, address in (line.split("|") for line in lines):
        if origin == "Debian":
            found.setdefault(label, address)
    if "Debian" not in found:
        raise Unavailable("apt knows no Debian mirror (run apt-get update)")
    return found


class Apt:
    """The packages of one suite for one architecture."""

    def __init__(self, suite, architecture):
        self.suite, self.architecture = suite, architecture
        self.home = CACHE / "apt" / f"{suite}-{architecture}"

    def options(self):
        settings = {
            "Dir::Etc::SourceList": self.home / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": self.home / "lists", "Dir::Cache": self.home / "cache",
            "Dir::State::Status": self.home / "status", "APT::Sandbox::User": "root",
            "APT::Architecture": self.architecture, "APT::Architectures": self.architecture,
            "Acquire::Languages": "none", "APT::Install-Recommends": "false", "Acquire::Retries": "2",
            "Debug::NoLocking": "true",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    @functools.cache
    def update(self):
        for name in ("lists/partial", "cache/archives/partial"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        lines = [f"deb [signed-by={KEYRING}] {mirrors()['Debian']} {self.suite} main"]
        if "Debian-Security" in mirrors() and self.suite != "sid" and "-" not in self.suite:
            lines.append(f"deb [signed-by={KEYRING}] {mirrors()['Debian-Security']}"
                         f" {self.suite}-security main")
        (self.home / "sources.list").write_text("\n".join(lines) + "\n")
        call(["apt-get", *self.options(), "-qq", "update"])
        return self

    def newest(self, pattern):
        """The package of the highest version whose whole name has the form of pattern."""
        prefix = re.match(r"[\w-]*", pattern)[0]
        names = call(["apt-cache", *self.options(), "pkgnames", prefix]).split()
        matching = [name for name in names if re.fullmatch(pattern, name)]
        if not matching:
            raise Unavailable(f"{self.suite} has no {pattern}")
        return max(matching, key=version_of)

    def download(self, packages, into):
        """These packages alone, as files."""
        into.mkdir(parents=True, exist_ok=True)
        call(["apt-get", *self.options(), "-qq", "download", *packages], cwd=into)
        return sorted(into.glob("*.deb"))

    def download_all(self, packages):
        """These packages and all that they depend on, as for an empty machine."""
        archives = self.home / "cache/archives"
        for old in archives.glob("*.deb"):
            old.unlink()
        call(["apt-get", *self.options(), "-qq", "-y", "--download-only", "install", *packages],
             env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        return sorted(archives.glob("*.deb"))


def unpack(archives, root):
    """Lays packages over a folder; their scripts do not run."""
    root.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", root, "--keep-directory-symlink", "--no-same-owner",
                        *[f"--exclude=./{path}" for path in UNWANTED]], stdin=content.stdout, check=True)
        content.stdout.close()
        if content.wait() != 0:
            raise Unavailable(f"{archive.name} cannot be unpacked")


def is_fresh(folder):
    stamp = folder / ".complete"
    return stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_SECONDS


def cached(folder, what, make):
    """The folder that make(folder) fills; kept for a week, and longer if it cannot be made again."""
    if is_fresh(folder):
        return folder
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        make(fresh)
    except Unavailable as reason:
        shutil.rmtree(fresh, ignore_errors=True)
        if (folder / ".complete").exists():
            print(f"{what}: the copy from earlier, since {reason}", file=sys.stderr)
            return folder
        raise
    (fresh / ".complete").touch()
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def version_of(package):
    return [int(part) for part in re.findall(r"\d+", package)]


def find_kernel(sources, architecture):
    """(apt, package) of the highest version in any of the suites."""
    found, reasons = [], []
    for suite, pattern in sources:
        try:
            apt = Apt(suite, architecture).update()
            found.append((apt, apt.newest(pattern)))
        except Unavailable as reason:
            reasons.append(str(reason))
    if not found:
        raise Unavailable("; ".join(reasons))
    return max(found, key=lambda pair: version_of(pair[1]))


def kernel(name, sources, architecture):
    """A folder with vmlinuz, modules and the kernel's version, in CACHE/kernel."""

    def make(folder):
        apt, package = find_kernel(sources, architecture)
        version = package.removeprefix("linux-image-")
        unpack(apt.download([package], folder / "archives"), folder)
        if not image_of(folder):  # since 7.x that package is empty
            unpack(apt.download([f"linux-binary-{version}", f"linux-modules-{version}"],
                                folder / "archives"), folder)
        if not image_of(folder):
            raise Unavailable(f"{package} holds no kernel")
        shutil.rmtree(folder / "archives")

    return cached(CACHE / "kernel" / f"{name}-{architecture}", f"kernel {name} {architecture}", make)


def image_of(folder):
    found = [*folder.glob("boot/vmlinuz-*"), *folder.glob("usr/lib/modules/*/vmlinuz"),
             *folder.glob("lib/modules/*/vmlinuz")]
    return found[0] if found else None


def modules_of(folder):
    return next(path for pattern in ("usr/lib/modules/*", "lib/modules/*") for path in folder.glob(pattern))


def root(suite, architecture, packages, name):
    """A folder with packages and all that they need, in CACHE/root."""

    def make(folder):
        apt = Apt(suite, architecture).update()
        for link in ("bin", "sbin", "lib", *(["lib64"] if architecture == "amd64" else [])):
            (folder / "usr" / link).mkdir(parents=True, exist_ok=True)
            (folder / link).symlink_to(f"usr/{link}")
        unpack(apt.download_all(packages), folder)

    return cached(CACHE / "root" / f"{name}-{architecture}", f"packages for {architecture}", make)
