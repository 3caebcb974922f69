-- How much each tenant used, by UTC day (since 1970) and by the node that counted. Numbers of a day only grow, but for
-- storage_bytes, which is what there was when it was last looked at. With a tenant, what it used is gone.

CREATE TABLE usage (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    day BIGINT NOT NULL,
    node BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    records BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    devices BIGINT NOT NULL,
    storage_bytes BIGINT,
    PRIMARY KEY (tenant, day, node)
);
