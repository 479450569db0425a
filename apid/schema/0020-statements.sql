-- SPDX-License-Identifier: Apache-2.0
-- What devices sign: of each segment when it is announced, and of each recording when it is finished. A row that was made before this
-- has none.
SET ROLE streamsight_owner;
SET search_path = streamsight;

ALTER TABLE segment ADD COLUMN statement text CHECK (octet_length(statement) <= 1023);
ALTER TABLE recording ADD COLUMN statement text CHECK (octet_length(statement) <= 1023);

RESET ROLE;
RESET search_path;
