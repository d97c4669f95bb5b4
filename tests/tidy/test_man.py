# SPDX-License-Identifier: Apache-2.0
"""The manual page of kubectl-npt names what the program has, and mandoc finds nothing wrong with it."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "cli/kubectl-npt.1"
TABLES = (ROOT / "cli/commands.c").read_text()


def test_mandoc_has_no_warning():
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGE], capture_output=True, text=True,
                          check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_each_option_and_each_command_is_in_the_page_and_none_beside():
    options = set(re.findall(r'^\t\{ "([a-z-]+)", (?:\'.\'|0), ', TABLES, re.M)) - {"help"}
    commands = set(re.findall(r'^\t\{ "([a-z]+)",(?: "|\n)', TABLES, re.M))
    page = PAGE.read_text()
    assert len(options) > 15 and len(commands) == 8
    assert set(re.findall(r"Fl Fl ([a-z-]+)", page)) == options
    assert set(re.findall(r"^\.It Cm ([a-z]+)$", page, re.M)) == commands
