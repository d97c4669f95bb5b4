# SPDX-License-Identifier: Apache-2.0
"""Which BPF objects a process holds, and which of them the kernel still has. Numbers of objects go up
and come again only after 2^31 of them, so one that is gone cannot be mistaken for another's."""
import ctypes
import pathlib
import platform
import re
import struct
import time

SYSCALL = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
NEXT_ID = {"prog": 11, "map": 12, "link": 31}  # BPF_PROG_GET_NEXT_ID and so on
# In /proc/PID/fdinfo a link names its program, too, and an iterator's link a map: whoever is named is held.
HELD = re.compile(r"^(prog|map|link)_id:\s*(\d+)", re.M)


def held_by(pid):
    """{(kind, id)} of everything that the process has a descriptor of."""
    held = set()
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            held |= {(kind, int(number)) for kind, number in HELD.findall(info.read_text())}
        except OSError:
            continue  # closed meanwhile
    return held


def exists(kind, number):
    attributes = ctypes.create_string_buffer(struct.pack("=III", number - 1, 0, 0), 12)
    found = ctypes.CDLL(None, use_errno=True).syscall(SYSCALL, NEXT_ID[kind], attributes, 12) == 0
    return found and struct.unpack_from("=I", attributes, 4)[0] == number


def left_of(objects, seconds):
    """Those that are still there after a while; the kernel frees programs and maps a moment later."""
    end = time.monotonic() + seconds
    while (left := {each for each in objects if exists(*each)}) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def links_of(pid):
    return {number for kind, number in held_by(pid) if kind == "link"}


def everything():
    """{(kind, id)} of all that the kernel has."""
    found = set()
    for kind, command in NEXT_ID.items():
        number = 0
        while True:
            attributes = ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 12)
            if ctypes.CDLL(None).syscall(SYSCALL, command, attributes, 12) != 0:
                break
            number, = struct.unpack_from("=I", attributes, 4)
            found.add((kind, number))
    return found


def held_by_nobody():
    """What lives without a process: attached for good, pinned, or about to be freed."""
    left = everything()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            left -= held_by(process.name)
        except OSError:
            continue  # ended meanwhile
    return left
