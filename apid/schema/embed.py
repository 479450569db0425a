#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts the schema into the programs: embed.py version|source MIGRATION… -- PROCEDURES…

version: a header that says what apid is for; source: all of it as C, for streamsight-admin. Migrations are NNNN-name.sql in the order of
their numbers, procedures in the order in which they are to be run.
"""

import hashlib
import pathlib
import sys

kind, names = sys.argv[1], sys.argv[2:]
border = names.index("--")
migrations, procedures = ([pathlib.Path(name) for name in part] for part in (names[:border], names[border + 1:]))
numbers = [int(path.name[:4]) for path in migrations]
if numbers != sorted(set(numbers)):
    sys.exit("the migrations must be in the order of their numbers, each once")
digest = hashlib.sha256(b"".join(path.read_bytes() for path in procedures)).hexdigest()

if kind == "version":
    print(f'#pragma once\n\n#define SCHEMA_NUMBER {numbers[-1]}\n#define SCHEMA_PROCEDURES STREAMSIGHT_VERSION " {digest}"')
    sys.exit()

print('#include "migrations.h"\n')
for name, paths in ("migration", migrations), ("procedures", procedures):
    for i, path in enumerate(paths):
        values = ",".join(str(byte) for byte in path.read_bytes() + b"\0")
        print(f"static const char {name}_{i}[] = {{{values}}};")
print("\nconst Migration migrations[] = {")
for i, path in enumerate(migrations):
    print(f'        {{ {numbers[i]}, "{path.stem}", "{hashlib.sha256(path.read_bytes()).hexdigest()}", migration_{i} }},')
print("};\nconst size_t n_migrations = sizeof(migrations) / sizeof(migrations[0]);")
print("\nconst Procedures procedures[] = {")
for i, path in enumerate(procedures):
    print(f'        {{ "{path.stem}", procedures_{i} }},')
print("};\nconst size_t n_procedures = sizeof(procedures) / sizeof(procedures[0]);")
