-- Listeners that people make while servers run. Their terms are JSON, by the keys that a listener of the configuration has; each change
-- makes the revision one more.

CREATE TABLE listeners (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    terms TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE INDEX listeners_of_tenant ON listeners (tenant);
