# SPDX-License-Identifier: Apache-2.0
"""Holds answers to openapi.json: python validate.py OPENAPI < [[path template, status, answer], ...]

Runs in the environment that deps_api makes. Says each difference on a line; exit code 1 if there is one.
"""
import json
import sys

from jsonschema_rs import validator_for

with open(sys.argv[1], encoding="utf-8") as file:
    OPENAPI = json.load(file)
WRONG = 0
for path, status, answer in json.load(sys.stdin):
    response = OPENAPI["paths"][path]["get"]["responses"][str(status)]
    content = next(iter(response["content"].values()))  # JSON, or a problem
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **content["schema"],
              "components": OPENAPI["components"]}
    for error in validator_for(schema, validate_formats=True).iter_errors(answer):
        WRONG += 1
        print(f"{path} {status}: at {'/'.join(map(str, error.instance_path))}: {error.message[:300]}")
sys.exit(1 if WRONG else 0)
