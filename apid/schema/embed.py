#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the migrations given (NNNN-name.sql, without holes from 0001) as a C array, for streamsight-admin."""

import hashlib
import pathlib
import sys

paths = [pathlib.Path(name) for name in sys.argv[1:]]
print('#include "migrations.h"\n')
for number, path in enumerate(paths, 1):
    if int(path.name[:4]) != number:
        sys.exit(f"{path}: migration {number:04} expected here")
    values = ",".join(str(byte) for byte in path.read_bytes() + b"\0")
    print(f"static const char sql_{number}[] = {{{values}}};")
print("\nconst Migration migrations[] = {")
for number, path in enumerate(paths, 1):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f'        {{ {number}, "{path.stem}", "{digest}", sql_{number} }},')
print("};\n\nconst size_t n_migrations = sizeof(migrations) / sizeof(migrations[0]);")
