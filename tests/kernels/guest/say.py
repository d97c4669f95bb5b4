# SPDX-License-Identifier: Apache-2.0
"""How a guest answers: guests.boot() takes these lines from its serial console."""
import json


def say(what, **values):
    print("\nNPT " + json.dumps({"what": what, **values}), flush=True)
