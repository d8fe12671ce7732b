-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- A second database, published table by table.

CREATE TABLE articles (
    id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL
);

CREATE TABLE "Order Lines" (
    "Order" bigint NOT NULL,
    "Line"  integer NOT NULL,
    article bigint NOT NULL,
    PRIMARY KEY ("Order", "Line")
);

-- Not published: each node has its own.
CREATE TABLE scratch (note text);
