-- Links by which somebody sees one device without signing in, until they end. A link that was taken back is gone.

CREATE TABLE shares (
    hash TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    device TEXT NOT NULL,
    since BIGINT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT NOT NULL,
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
);

CREATE INDEX shares_of_device ON shares (tenant, device, created);
CREATE INDEX shares_by_expiry ON shares (tenant, expires);
