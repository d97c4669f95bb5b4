# SPDX-License-Identifier: Apache-2.0
"""What a guest boots from: a small initramfs per kernel (busybox, the modules that this kernel needs, and
what we test) and one disk per architecture with Debian's packages, python3 and pytest among them.

ext4 is in every kernel, the disk's drivers are modules; so the initramfs brings them.
"""
import gzip
import lzma
import re
import shutil
import subprocess

MODULES = ["virtio_pci", "virtio_blk", "veth", "nf_tables", "nft_numgen", "nft_counter",
           "tls", "gcm", "ghash_generic", "ctr"]  # kTLS takes its ciphers by name: nothing depends on them
MOUNTED = ["dev", "proc", "sys", "run", "tmp", "npt", "var", "root"]


def make_disk(root, disk):
    """An ext4 image of a folder; no rights are needed, all files become root's."""
    if disk.exists() and disk.stat().st_mtime > (root / ".complete").stat().st_mtime:
        return disk
    for name in MOUNTED:
        (root / name).mkdir(exist_ok=True)
    for library in root.glob("usr/lib/python3*"):
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", "-s", root, "-p", "/", library],
                       check=False, stdout=subprocess.DEVNULL)
    fresh = disk.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-d", root, fresh, "500M"],
                   check=True, stdout=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    fresh.rename(disk)
    return disk


def module_files(folder):
    """{name: file} of all modules of a kernel."""
    return {match[1].replace("-", "_"): path for path in folder.rglob("*.ko*")
            if (match := re.fullmatch(r"(.+)\.ko(\.xz)?", path.name))}


def read_module(path):
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def copy_modules(folder, into):
    """MODULES and what they depend on, unpacked, with their order; what is not there is built in."""
    files, order = module_files(folder), []

    def visit(name):
        if name in order or name not in files:
            return
        data = read_module(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends[1].decode().split(",") if depends and depends[1] else []:
            visit(other.replace("-", "_"))
        order.append(name)
        (into / f"{name}.ko").write_bytes(data)

    for name in MODULES:
        visit(name)
    (into / "order").write_text("".join(f"{name}\n" for name in order))


def make_initramfs(work, root, modules, files, out):
    """Packs busybox, modules and files ({path in the guest: file or text}) into out."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("bin", "modules", *MOUNTED):
        (work / name).mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", work / "bin/busybox")
    copy_modules(modules, work / "modules")
    for path, content in files.items():
        target = work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content)
        else:
            shutil.copy(content, target)
    names = b"\0".join(str(path.relative_to(work)).encode() for path in sorted(work.rglob("*")))
    archive = subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], input=names, cwd=work,
                             capture_output=True, check=True).stdout
    out.write_bytes(gzip.compress(archive, 1))
    shutil.rmtree(work)
