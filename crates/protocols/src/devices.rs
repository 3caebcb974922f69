//! One file a protocol, beside its vectors.

pub(crate) mod autograph;
pub(crate) mod egts;
pub(crate) mod galileo;
pub(crate) mod gps103;
pub(crate) mod gt06;
pub(crate) mod h02;
pub(crate) mod naviset;
pub(crate) mod osmand;
pub(crate) mod teltonika;
pub(crate) mod wialon;

/// What `cargo xtask protocol new` writes has to compile.
#[cfg(test)]
#[path = "../../../xtask/src/protocol/template.rs"]
mod template;

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_has_the_name_of_its_file() {
        assert_eq!(super::template::PROTOCOL.name, "template");
    }
}
