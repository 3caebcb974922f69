//! The tree of hashes over the devices of one segment.
//!
//! Leaves and inner nodes are hashed in different domains, so that neither can pass for the other. A node without a
//! sibling is promoted as it is.

use blake3::Hasher;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// On which side of a node its sibling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sibling {
    /// The sibling comes first.
    Left(Hash),
    /// The sibling comes second.
    Right(Hash),
}

/// A device's running hash after one more entry.
pub(crate) fn extend(previous: &Hash, entry: &[u8]) -> Hash {
    let mut hasher = Hasher::new();
    hasher.update(previous);
    hasher.update(entry);
    *hasher.finalize().as_bytes()
}

/// The leaf of a device.
pub(crate) fn leaf(device: &str, hash: &Hash, entries: u64) -> Hash {
    let mut hasher = Hasher::new_derive_key(LEAF_DOMAIN);
    hasher.update(&(device.len() as u64).to_le_bytes());
    hasher.update(device.as_bytes());
    hasher.update(hash);
    hasher.update(&entries.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// The root over leaves in order; zeros if there are none.
pub(crate) fn root(mut level: Vec<Hash>) -> Hash {
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// What it takes to get from the leaf at `index` to the root.
pub(crate) fn path(mut level: Vec<Hash>, mut index: usize) -> Vec<Sibling> {
    let mut path = Vec::new();
    while level.len() > 1 {
        if index % 2 == 1 {
            path.push(Sibling::Left(level[index - 1]));
        } else if let Some(&sibling) = level.get(index + 1) {
            path.push(Sibling::Right(sibling));
        }
        level = parents(&level);
        index /= 2;
    }
    path
}

/// The root that a leaf and its path lead to.
pub(crate) fn climb(leaf: Hash, path: &[Sibling]) -> Hash {
    path.iter().fold(leaf, |node, sibling| match sibling {
        Sibling::Left(left) => inner(left, &node),
        Sibling::Right(right) => inner(&node, right),
    })
}

fn parents(level: &[Hash]) -> Vec<Hash> {
    level.chunks(2).map(|pair| if let [left, right] = pair { inner(left, right) } else { pair[0] }).collect()
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Hasher::new_derive_key(INNER_DOMAIN);
    hasher.update(left);
    hasher.update(right);
    *hasher.finalize().as_bytes()
}

const LEAF_DOMAIN: &str = "odograph journal 2026 leaf";
const INNER_DOMAIN: &str = "odograph journal 2026 inner node";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_size_climbs_to_the_root() {
        for count in 1..20_u8 {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf(&n.to_string(), &[n; 32], 1)).collect();
            let root = root(leaves.clone());
            for (index, &leaf) in leaves.iter().enumerate() {
                let path = path(leaves.clone(), index);
                assert_eq!(climb(leaf, &path), root, "leaf {index} of {count}");
                let other = leaves[(index + 1) % leaves.len()];
                assert!(count == 1 || climb(other, &path) != root, "leaf {index} of {count}");
            }
        }
    }

    #[test]
    fn leaves_depend_on_each_of_their_parts() {
        let one = leaf("a", &[0; 32], 1);
        assert_ne!(one, leaf("b", &[0; 32], 1));
        assert_ne!(one, leaf("a", &[1; 32], 1));
        assert_ne!(one, leaf("a", &[0; 32], 2));
    }
}
