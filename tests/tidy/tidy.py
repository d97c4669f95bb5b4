#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules as a test: prints file:line: rule: what, ends with N passed, N failed, N skipped (a
rule is a test). Usage: tests/tidy/tidy.py [ROOT]. There is no list of exceptions."""
import pathlib
import re
import shutil
import subprocess
import sys

LAYERS = ["bpf", "lib/core", "lib/model", "lib/net", "lib/kube", "agent", "controller", "aggregator", "cli"]
# What a folder may include beside itself.
MAY_INCLUDE = {
    "bpf": [],
    "lib/core": ["bpf"],
    "lib/model": ["lib/core", "bpf"],
    "lib/net": ["lib/core"],
    "lib/kube": ["lib/core", "lib/model", "lib/net"],
    "agent": ["bpf", "lib/core", "lib/model", "lib/net", "agent"],
    "controller": ["lib/core", "lib/model", "lib/net", "lib/kube"],
    "aggregator": ["lib/core", "lib/model", "lib/net", "lib/kube"],
    "cli": ["lib/core", "lib/model", "lib/net", "lib/kube"],
}
THIRD_PARTY = {
    "curl/": ["lib/net"], "libwebsockets": ["lib/net"], "openssl/": ["lib/net"],
    "jansson": ["lib/model", "lib/kube", "controller", "cli"], "sqlite3": ["aggregator"],
    "protobuf-c": ["lib/model", "aggregator/exports"], "bpf/libbpf": ["agent/probe"],
    "bpf/bpf.h": ["agent/probe"],
    "bpf/btf": ["agent/probe"],
}
BANNED = re.compile(r"\b(strcpy|strcat|strncpy|sprintf|vsprintf|strtok|atoi|atol|sscanf|system|popen|"
                    r"alloca|gets)\s*\(")
PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm)/|deb\.debian\.org|pypi\.org|registry\.npmjs|"
                   r"proxy\.golang\.org")
FILE_LINES, TEST_LINES, FUNCTION_LINES = 500, 800, 70
COLUMNS = {".c": 100, ".h": 100, ".py": 110}
SPDX = "SPDX-License-Identifier"


def width(line):
    return len(line.expandtabs(8))


def layer_of(name):
    return next((layer for layer in reversed(LAYERS) if name.startswith(layer + "/")), None)


def includes(lines):
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)', line)
        if match:
            yield number, match[1] == '"', match[2]


def check_layers(name, lines):
    """Includes name their folder and point down."""
    layer = layer_of(name)
    for number, own, path in includes(lines):
        target = layer_of(path) if own else None
        if own and layer and target and target != layer and target not in MAY_INCLUDE[layer]:
            yield number, f"{layer} may not include {path}"


def check_third_party(name, lines):
    """A third party's API appears in its folder only."""
    if not layer_of(name) or layer_of(name) == "bpf":
        return
    for number, own, path in includes(lines):
        for prefix, folders in THIRD_PARTY.items():
            if not own and path.startswith(prefix) and not any(
                    name.startswith(folder + "/") for folder in folders):
                yield number, f"{path} belongs to {', '.join(folders)}"


def check_size(name, lines):
    """A file is one idea; a test may be a longer story."""
    limit = TEST_LINES if name.startswith("tests/") else FILE_LINES
    if name.endswith((".c", ".h", ".py", ".sh")) and len(lines) > limit:
        yield limit, f"{len(lines)} lines, at most {limit}"


def check_functions(name, lines):
    """A function's braces are in column 0."""
    if not name.endswith((".c", ".h")):
        return
    begin = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            begin = number
        elif line.rstrip() == "}" and begin:
            if number - begin - 1 > FUNCTION_LINES:
                yield begin, f"a function of {number - begin - 1} lines, at most {FUNCTION_LINES}"
            begin = None


def check_columns(name, lines):
    """Lines fit on a screen."""
    limit = COLUMNS.get(pathlib.Path(name).suffix, 1 << 30)
    for number, line in enumerate(lines, 1):
        if width(line) > limit:
            yield number, f"{width(line)} columns, at most {limit}"


def check_banned(name, lines):
    """Functions that cannot be used right."""
    if not name.endswith((".c", ".h")) or not layer_of(name):
        return
    for number, line in enumerate(lines, 1):
        match = BANNED.search(line)
        if match:
            yield number, f"{match[1]}() is banned"


def check_spdx(name, lines):
    """The licence is the first line (the second after #!)."""
    if name.endswith((".c", ".h", ".py", ".sh")) and not any(SPDX in line for line in lines[:2]):
        yield 1, "no SPDX line"


def check_blanks(name, lines):
    """No blanks at the end of a line."""
    if name.endswith((".md", ".txt", ".sum", ".mod")) or "LICENSE" in name:
        return
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blanks at the end"


def check_paths(name, lines):
    """The project stands alone: no path of a machine, no registry's host."""
    if name.startswith("tests/tidy/") or name.endswith("go.sum"):
        return
    for number, line in enumerate(lines, 1):
        if PATHS.search(line):
            yield number, "names a machine's path or a registry's host"


RULES = [check_layers, check_third_party, check_size, check_functions, check_columns, check_banned,
         check_spdx, check_blanks, check_paths]


def tracked(root):
    result = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root,
                            capture_output=True, check=True)
    return [name for name in result.stdout.decode().split("\0") if name and (root / name).is_file()]


def read(path):
    try:
        return path.read_text().split("\n")
    except UnicodeDecodeError:
        return None


def check_format(root, names):
    """clang-format has the last word on C."""
    files = [name for name in names if name.endswith((".c", ".h"))]
    if not shutil.which("clang-format"):
        return None
    result = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=root,
                            capture_output=True, text=True, check=False)
    return sorted({line.split(":")[0] for line in result.stderr.splitlines() if ": error:" in line})


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    names = tracked(root)
    files = {name: lines for name in names if (lines := read(root / name)) is not None}
    passed = failed = skipped = 0
    for rule in RULES:
        found = [(name, number, what) for name, lines in files.items()
                 for number, what in rule(name, lines)]
        for name, number, what in found:
            print(f"{name}:{number}: {rule.__name__[6:]}: {what}")
        failed += bool(found)
        passed += not found
    unformatted = check_format(root, names)
    for name in unformatted or []:
        print(f"{name}:1: format: run make format")
    skipped += unformatted is None
    failed += bool(unformatted)
    passed += unformatted == []
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
