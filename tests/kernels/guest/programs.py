# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about loaded BPF programs: how many instructions the verifier went through, and
how often an event was missed since the program ran already on that CPU (a task was preempted in it, or
interrupted), which is lost data that nobody else tells of; and how long it ran, while the kernel counts.

The system call is made by hand, so that neither bpftool nor libbpf need be there. verified_insns is
the kernel's since 5.16, recursion_misses since 5.12; before, both read 0 and are left out.
"""
import ctypes
import os
import platform
import struct

BPF = {"x86_64": 321, "aarch64": 280}
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
INFO_BYTES, NAME_AT, TIME_AT, MISSES_AT, VERIFIED_AT = 232, 64, 192, 208, 216  # struct bpf_prog_info

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    return libc.syscall(BPF[platform.machine()], command, attributes, len(attributes))


def information(descriptor):
    info = ctypes.create_string_buffer(INFO_BYTES)
    attributes = ctypes.create_string_buffer(
        struct.pack("IIQ", descriptor, INFO_BYTES, ctypes.addressof(info)), 16)
    if bpf(OBJ_GET_INFO_BY_FD, attributes) < 0:
        raise OSError(ctypes.get_errno(), "BPF_OBJ_GET_INFO_BY_FD")
    return info.raw


def ids():
    attributes = ctypes.create_string_buffer(12)
    while bpf(PROG_GET_NEXT_ID, attributes) == 0:
        start, following = struct.unpack_from("II", attributes)
        yield following
        attributes = ctypes.create_string_buffer(struct.pack("II", following, 0), 12)


def named(prefix):
    """(name, struct bpf_prog_info) of programs with names like that."""
    for number in ids():
        descriptor = bpf(PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("III", number, 0, 0), 12))
        if descriptor < 0:
            continue  # gone since
        info = information(descriptor)
        os.close(descriptor)
        name = info[NAME_AT:NAME_AT + 16].split(b"\0")[0].decode()
        if name.startswith(prefix):
            yield name, info


def loaded(prefix):
    """{"instructions": {program: number}, "misses": {program: number}} of programs with names like that."""
    found = {"instructions": {}, "misses": {}}
    for name, info in named(prefix):
        verified = struct.unpack_from("I", info, VERIFIED_AT)[0]
        misses = struct.unpack_from("Q", info, MISSES_AT)[0]
        if verified:
            found["instructions"][name] = verified
        if misses:
            found["misses"][name] = misses
    return found


def ran(prefix):
    """{program: (ns, times)} of programs with names like that, since kernel.bpf_stats_enabled is 1; of
    those whose names are the same in the 15 letters that the kernel keeps, the sum."""
    found = {}
    for name, info in named(prefix):
        ns, times = struct.unpack_from("QQ", info, TIME_AT)
        before = found.get(name, (0, 0))
        found[name] = (before[0] + ns, before[1] + times)
    return found
