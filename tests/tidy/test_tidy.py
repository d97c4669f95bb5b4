# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py finds its own bad sample, and nothing in the good one."""
import pathlib
import subprocess
import sys

import pytest

TIDY = pathlib.Path(__file__).resolve().parent / "tidy.py"
GOOD = '/* SPDX-License-Identifier: Apache-2.0 */\n#include "lib/core/error.h"\n'


def run(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".clang-format").write_text("DisableFormat: true\n")
    return subprocess.run([sys.executable, TIDY, tmp_path], capture_output=True, text=True,
                          check=False)


def test_a_good_file_passes(tmp_path):
    result = run(tmp_path, "lib/model/good.c", GOOD)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("rule, name, text", [
    ("layers", "lib/core/x.c", GOOD + '#include "lib/net/tls.h"\n'),
    ("layers", "agent/x.c", GOOD + '#include "controller/api.h"\n'),
    ("third_party", "agent/x.c", GOOD + "#include <curl/curl.h>\n"),
    ("size", "lib/core/x.c", GOOD + "int a;\n" * 500),
    ("functions", "lib/core/x.c", GOOD + "void f(void)\n{\n" + "\ta();\n" * 71 + "}\n"),
    ("columns", "lib/core/x.c", GOOD + "\t" * 12 + "int a;\n"),
    ("banned", "lib/core/x.c", GOOD + "\tstrcpy(a, b);\n"),
    ("spdx", "lib/core/x.c", '#include "lib/core/error.h"\n'),
    ("blanks", "lib/core/x.c", GOOD + "int a; \n"),
    ("paths", "lib/core/x.c", GOOD + "/* /" + "work/main */\n"),
])
def test_a_bad_file_fails_its_rule(tmp_path, rule, name, text):
    result = run(tmp_path, name, text)
    assert result.returncode == 1
    assert f": {rule}: " in result.stdout
