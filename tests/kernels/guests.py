# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel in QEMU and listens to what the guest says on its serial line.

TCG, since these machines cannot nest; one thread per guest, since cross-CPU code patching in a guest
raced with more. A guest is started once more only if it never came up: what fails later is a result.
"""
import contextlib
import fcntl
import json
import subprocess
import threading
import time

import fetch

LIMIT_SECONDS = 600  # each start of an agent is a second of its verifier, many more in emulation
MACHINES = {
    "amd64": ["qemu-system-x86_64", "-cpu", "max"],
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"],
}
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
USUAL = ["-smp", "2", "-accel", "tcg,thread=single"]
# A nanosecond of the guest's clock is an instruction, and idle time passes at once: what is timed there
# does not depend on this machine's load.
COUNTING = ["-smp", "1", "-accel", "tcg", "-icount", "shift=0,sleep=off"]


def command(kernel, initramfs, disk, log, processors):
    return [*MACHINES[kernel.architecture], "-nodefaults", "-no-reboot", "-display", "none",
            "-serial", f"file:{log}", "-m", "512", *processors,
            "-kernel", str(fetch.image_of(kernel.folder)), "-initrd", str(initramfs),
            "-append", f"console={CONSOLES[kernel.architecture]} panic=-1 quiet",
            "-drive", f"file={disk},if=virtio,format=raw,readonly=on", "-net", "none"]


@contextlib.contextmanager
def turn():
    """Two guests at a time, whoever starts them: one run has the cache and the machine for itself."""
    fetch.CACHE.mkdir(parents=True, exist_ok=True)
    with open(fetch.CACHE / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run is going on: waiting for its end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


CRASH = "RIP: 0010:__bpf_sk_storage_map_seq_show"
CHILDREN = set()
ENDING = threading.Event()


def end_all():
    """Ends every guest that runs; for an interrupt."""
    ENDING.set()
    for child in list(CHILDREN):
        child.kill()


def boot_once(kernel, initramfs, disk, log, processors=USUAL, limit_seconds=LIMIT_SECONDS):
    log.unlink(missing_ok=True)
    qemu = command(kernel, initramfs, disk, log, processors)
    child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *qemu],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    CHILDREN.add(child)
    try:
        errors = child.communicate(timeout=limit_seconds)[1]
    except subprocess.TimeoutExpired:
        errors = f"ended after {limit_seconds} s"
    finally:
        child.kill()
        child.wait()
        CHILDREN.discard(child)
    text = log.read_text(errors="replace").replace("\r", "") if log.exists() else ""
    return text, errors.strip()


def crashed(kernel, text):
    """By the kernel's own bug, for which it is refused unless told otherwise: once more, then."""
    if not getattr(kernel, "walk_crashes", False) or CRASH not in text:
        return False
    print(f"{kernel.title}: crashed in {CRASH.rsplit(':', 1)[1]}, which is its known bug", flush=True)
    return True


def boot(kernel, initramfs, disk, log, **options):
    """What the guest said, as a list of objects; the last one tells how it ended. options: boot_once's."""
    begin = time.monotonic()
    for _ in range(3):
        text, errors = boot_once(kernel, initramfs, disk, log, **options)
        if ("INIT-UP" in text and not crashed(kernel, text)) or ENDING.is_set():
            break
    said = []
    for line in text.splitlines():
        if line.startswith("NPT {"):
            try:
                said.append(json.loads(line[4:]))
            except ValueError:
                errors = errors or "a line of the guest is broken"
    done = "GUEST-DONE rc=0" in text
    said.append({"what": "end", "done": done, "seconds": time.monotonic() - begin,
                 "error": "" if done else errors or f"never finished; see {log}"})
    return said
