//! What is counted about listeners.

use metrics::{Counter, Gauge, counter, gauge};

/// A listener's counters, made once: counting is one atomic addition.
pub(crate) struct Measures {
    protocol: &'static str,
    pub(crate) connections: Gauge,
    pub(crate) opened: Counter,
    pub(crate) frames: Counter,
    pub(crate) records: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) dropped_datagrams: Counter,
    pub(crate) decided: Counter,
    pub(crate) undecided_datagrams: Counter,
    pub(crate) refused_datagrams: Counter,
    pub(crate) pushed_out: Counter,
}

impl Measures {
    pub(crate) fn new(protocol: &'static str, transport: &'static str) -> Self {
        let labels = [("protocol", protocol), ("transport", transport)];
        Self {
            protocol,
            connections: gauge!("odograph_connections", &labels),
            opened: counter!("odograph_connections_opened_total", &labels),
            frames: counter!("odograph_frames_total", &labels),
            records: counter!("odograph_records_total", &labels),
            bytes_received: counter!("odograph_received_bytes_total", &labels),
            bytes_sent: counter!("odograph_sent_bytes_total", &labels),
            dropped_datagrams: counter!("odograph_datagrams_dropped_total", &labels),
            decided: counter!("odograph_decided_total", &labels),
            undecided_datagrams: counter!("odograph_datagrams_undecided_total", &labels),
            refused_datagrams: counter!("odograph_datagrams_refused_total", &labels),
            pushed_out: counter!("odograph_peers_pushed_out_total", &labels),
        }
    }

    /// A malformed frame: rare, so its counter is looked up.
    pub(crate) fn malformed(&self, reason: &'static str) {
        counter!("odograph_malformed_frames_total", "protocol" => self.protocol, "reason" => reason).increment(1);
    }

    /// A connection ended, or was refused.
    pub(crate) fn closed(&self, reason: &'static str) {
        counter!("odograph_connections_closed_total", "protocol" => self.protocol, "reason" => reason).increment(1);
    }
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measures").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// The help texts of all metrics of this crate, for the endpoint that shows them.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_gauge!("odograph_connections", "Connections of devices that are open.");
    describe_gauge!(
        "odograph_incomplete_bytes",
        Unit::Bytes,
        "Memory for frames whose end has not come, and for streams that are undecided."
    );
    describe_counter!("odograph_connections_opened_total", "Connections of devices that were accepted.");
    describe_counter!("odograph_connections_closed_total", "Connections that ended, by reason.");
    describe_counter!(
        "odograph_connections_refused_total",
        "Connections (and datagrams, by their address) that were not let in, by reason."
    );
    describe_counter!(
        "odograph_accepts_delayed_total",
        "Times that a listener let connections wait for its accept_rate_max."
    );
    describe_counter!("odograph_tls_reloads_total", "Times that changed certificates were read, by outcome.");
    describe_gauge!("odograph_tls_stale", "1 while certificates have changed and cannot be used.");
    describe_counter!(
        "odograph_balancer_checks_total",
        "Connections by which a balancer only looked whether we are there."
    );
    describe_counter!("odograph_accept_errors_total", "Errors of the accept loop, such as too many open files.");
    describe_counter!(
        "odograph_quota_refusals_total",
        "Times that a device was refused because its tenant has used up a quota, by quota."
    );
    describe_counter!("odograph_frames_total", "Whole frames from devices, malformed ones included.");
    describe_counter!("odograph_malformed_frames_total", "Frames that broke their protocol, by reason.");
    describe_counter!("odograph_records_total", "Records decoded from frames.");
    describe_counter!("odograph_received_bytes_total", Unit::Bytes, "Bytes from devices.");
    describe_counter!("odograph_sent_bytes_total", Unit::Bytes, "Bytes to devices.");
    describe_counter!(
        "odograph_datagrams_dropped_total",
        "Datagrams dropped: the journal could not take them, or their address may not send."
    );
    describe_counter!(
        "odograph_decided_total",
        "Connections, and addresses that send datagrams, that were found to speak a protocol on the common port."
    );
    describe_counter!(
        "odograph_datagrams_undecided_total",
        "Datagrams kept without an answer, because it is not clear which protocol they are of."
    );
    describe_counter!("odograph_datagrams_refused_total", "Datagrams of devices that are refused.");
    describe_counter!(
        "odograph_peers_pushed_out_total",
        "Addresses that send datagrams and were forgotten to make room for others, because of limits.udp_peers_max."
    );
    describe_histogram!(
        "odograph_ack_seconds",
        Unit::Seconds,
        "From reading a frame to the kernel having taken its answer; where a device lets several wait, the first of them."
    );
    describe_histogram!("odograph_commit_seconds", Unit::Seconds, "Writing and flushing one group of the journal.");
    describe_histogram!("odograph_commit_entries", "Entries of one group of the journal.");
    describe_counter!("odograph_journal_bytes_total", Unit::Bytes, "Bytes made durable in the journal.");
    describe_gauge!("odograph_journal_full", "1 while the journal's disk is full and nothing is acknowledged.");
    describe_counter!("odograph_segments_sealed_total", "Journal segments sealed and signed.");
    describe_counter!(
        "odograph_segments_unprovable_total",
        "Journal segments removed that were damaged, so that nothing of them can be proven."
    );
    describe_counter!("odograph_segments_removed_total", "Journal segments removed, by whether the budget forced it.");
    describe_gauge!("odograph_stalled", "1 while a part of the process shows no life, or has failed.");
    describe_counter!("odograph_healed_total", "Parts of the process that the watchdog replaced.");
}
