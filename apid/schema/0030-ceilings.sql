-- SPDX-License-Identifier: Apache-2.0
-- What recording may cost a workstation at most: bytes in a minute, and milliseconds of a processor in a second. NULL: no ceiling.
SET ROLE streamsight_owner;
SET search_path = streamsight;

ALTER TABLE policy ADD COLUMN bytes_per_minute bigint CHECK (bytes_per_minute BETWEEN 1000000 AND 4000000000);
ALTER TABLE policy ADD COLUMN cpu_ms_per_second integer CHECK (cpu_ms_per_second BETWEEN 1 AND 1000);

RESET ROLE;
RESET search_path;
