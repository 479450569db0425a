#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the migrations given (NNNN-name.sql, in the order of their numbers) as a C array, for streamsight-admin."""

import hashlib
import pathlib
import sys

paths = [pathlib.Path(name) for name in sys.argv[1:]]
print('#include "migrations.h"\n')
numbers = [int(path.name[:4]) for path in paths]
if numbers != sorted(set(numbers)):
    sys.exit("the migrations must be in the order of their numbers, each once")
for number, path in zip(numbers, paths):
    values = ",".join(str(byte) for byte in path.read_bytes() + b"\0")
    print(f"static const char sql_{number}[] = {{{values}}};")
print("\nconst Migration migrations[] = {")
for number, path in zip(numbers, paths):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f'        {{ {number}, "{path.stem}", "{digest}", sql_{number} }},')
print("};\n\nconst size_t n_migrations = sizeof(migrations) / sizeof(migrations[0]);")
