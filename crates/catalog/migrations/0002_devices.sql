-- Devices, all ids that they call themselves, and the groups that people put them into.

CREATE TABLE device_groups (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);

-- sort_key and search are made of the columns beside them; revision is the tenant's when the row was written last.
CREATE TABLE devices (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    ids TEXT NOT NULL,
    name TEXT NOT NULL,
    plate TEXT NOT NULL,
    device_group TEXT,
    tags TEXT NOT NULL,
    protocol TEXT NOT NULL,
    settings TEXT NOT NULL,
    notes TEXT NOT NULL,
    attributes TEXT NOT NULL,
    state TEXT NOT NULL,
    sort_key TEXT NOT NULL,
    search TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX devices_by_name ON devices (tenant, sort_key, id);
CREATE INDEX devices_of_group ON devices (tenant, device_group, id);
CREATE INDEX devices_by_state ON devices (tenant, state, id);
CREATE INDEX devices_by_revision ON devices (tenant, revision, id);

CREATE TABLE device_ids (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- Devices that are no more, for those who follow the changes.
CREATE TABLE devices_removed (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    ids TEXT NOT NULL,
    revision BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
