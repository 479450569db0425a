-- SPDX-License-Identifier: Apache-2.0
-- Who looks at recordings is logged in: there are no tokens for it any more.
DROP TABLE streamsight.viewer_token;
