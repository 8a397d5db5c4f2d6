-- +goose Up

-- What serves is recorded by endpoint and schema, so that gateways of two schemas
-- can share a database while one replaces the other. The column endpoint is the
-- key: the endpoint's name in rows made by an earlier version of the gateway,
-- which go on as they are, and the name and the schema in newer ones.
-- '' is the schema of a model without a record; it counts as any.
ALTER TABLE serving ADD COLUMN schema TEXT NOT NULL DEFAULT '';
UPDATE serving SET schema = COALESCE((SELECT m.schema FROM models m WHERE m.name = serving.model), '');
-- The claim of a renewal that changed the row last or holds it; '' and 0 for none.
ALTER TABLE serving ADD COLUMN renewal TEXT NOT NULL DEFAULT '';
ALTER TABLE serving ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- A renewal is worked on by gateways of its schema; '' is that of renewals made by
-- an earlier version of the gateway, and counts as any.
ALTER TABLE renewals ADD COLUMN schema TEXT NOT NULL DEFAULT '';

-- What the database is: data dirs record the id of the database that they belong to.
CREATE TABLE identity (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
