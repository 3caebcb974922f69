//! The list of all protocols.

use crate::Protocol;
use crate::devices;

/// One line a protocol, in alphabetical order: names the file in `devices/`.
macro_rules! protocols {
    ($($name:ident,)*) => {
        /// Every protocol, by name.
        pub const PROTOCOLS: &[&Protocol] = &[$(&devices::$name::PROTOCOL,)*];

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($name),)*];
    };
}

protocols! {
    autograph,
    egts,
    galileo,
    gps103,
    gt06,
    h02,
    naviset,
    osmand,
    teltonika,
    wialon,
}

/// The protocol of that name.
pub fn find(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_complete_and_nothing_stands_twice() {
        assert!(FILES.is_sorted(), "the list is alphabetical");
        let (mut names, mut ports) = (HashSet::new(), HashSet::new());
        for (protocol, file) in PROTOCOLS.iter().zip(FILES) {
            assert_eq!(protocol.name, *file, "a protocol has the name of its file");
            assert!(names.insert(protocol.name) && ports.insert(protocol.port), "{file}: name or port taken");
            assert!(
                !protocol.title.is_empty() && !protocol.source.is_empty() && !protocol.devices.is_empty(),
                "{file}"
            );
            let looks = protocol.looks;
            assert!(!looks.form.is_empty() && !looks.proof.is_empty(), "{file}: a guess has no reason");
            assert!(!protocol.transports.is_empty() && protocol.frame_max > 0 && protocol.idle_s_max > 0, "{file}");
            let by_datagram = protocol.transports.contains(&Transport::Udp) && !protocol.commands.is_empty();
            assert!(by_datagram || !protocol.commands_by_datagram, "{file}: there are no datagrams, or no commands");
            let commands: HashSet<_> = protocol.commands.iter().map(|command| command.name).collect();
            assert_eq!(commands.len(), protocol.commands.len(), "{file}: a command stands twice");
        }
    }
}
