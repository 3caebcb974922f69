//! Which process has a port: from `/proc`, as far as it tells us.

use odograph_protocols::Transport;
use std::collections::HashSet;
use std::fs;

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == std::process::id() {
            return f.write_str("another listener of this server");
        }
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// Who listens on a port; `None` where nobody does, or the process is somebody else's and hidden from us.
pub(crate) fn holder(transport: Transport, port: u16) -> Option<Holder> {
    let wanted = sockets(transport, port);
    if wanted.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| has_one(*pid, &wanted) == Some(true)).map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Holder { pid, name: name.trim().to_owned() }
    })
}

/// Whether a process listens on a port; `None` where it is hidden from us.
pub(crate) fn has(pid: u32, transport: Transport, port: u16) -> Option<bool> {
    has_one(pid, &sockets(transport, port))
}

/// The sockets that listen on a port, as links to open files name them.
fn sockets(transport: Transport, port: u16) -> HashSet<String> {
    let inodes: Vec<u64> = ["", "6"]
        .iter()
        .filter_map(|family| fs::read_to_string(format!("/proc/net/{}{family}", transport.name())).ok())
        .flat_map(|table| listening(&table, transport, port))
        .collect();
    inodes.iter().map(|inode| format!("socket:[{inode}]")).collect()
}

fn has_one(pid: u32, wanted: &HashSet<String>) -> Option<bool> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Some(targets.any(|target| target.to_str().is_some_and(|target| wanted.contains(target))))
}

/// The inodes of the sockets that listen on `port`, out of `/proc/net/{tcp,tcp6,udp,udp6}`.
fn listening(table: &str, transport: Transport, port: u16) -> Vec<u64> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let inode = fields.nth(5)?.parse::<u64>().ok()?;
        let local_port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        // A UDP socket that takes from anyone is "closed"; a TCP socket that listens has a state for it.
        let listens = if transport == Transport::Tcp { TCP_LISTEN } else { UDP_UNCONNECTED };
        (local_port == port && state == listens && inode != 0).then_some(inode)
    });
    rows.collect()
}

const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_port_of_our_own_is_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let pid = std::process::id();
        let found = |transport, port| holder(transport, port).map(|holder| holder.pid);
        assert_eq!(found(Transport::Tcp, tcp.local_addr().unwrap().port()), Some(pid));
        assert_eq!(found(Transport::Udp, udp.local_addr().unwrap().port()), Some(pid));
        let port = tcp.local_addr().unwrap().port();
        assert_eq!((has(pid, Transport::Tcp, port), has(1_u32 << 31, Transport::Tcp, port)), (Some(true), None));
        drop(tcp);
        assert_eq!(has(pid, Transport::Tcp, port), Some(false));
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:13A3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n   \
            1: 0100007F:13A3 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x\n";
        assert_eq!(listening(table, Transport::Tcp, 5027), [4711]);
        assert_eq!(listening(table, Transport::Tcp, 5028), [0_u64; 0]);
    }
}
