//! Groups of devices by number: what is live goes by numbers, people and the catalog by names.

use odograph_live::{GroupId, Groups};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The numbers of groups, of all tenants. Clones are the same numbers.
#[derive(Debug, Clone, Default)]
pub struct GroupNumbers(Arc<RwLock<Numbers>>);

#[derive(Debug, Default)]
struct Numbers {
    by_name: HashMap<(String, String), u32>,
    names: Vec<String>,
}

impl GroupNumbers {
    /// The number of a tenant's group: always the same in a run of the program. What is in no group has none. It is kept for as long as
    /// the program runs: this is for groups that the catalog has, not for what somebody asks for.
    pub fn number(&self, tenant: &str, group: Option<&str>) -> GroupId {
        let Some(group) = group else { return GroupId::NONE };
        if let Some(number) = self.known(tenant, group) {
            return number;
        }
        let key = (tenant.to_owned(), group.to_owned());
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(numbers.names.len() + 1).unwrap_or(u32::MAX);
        if let Some(number) = numbers.by_name.get(&key) {
            return GroupId(*number);
        }
        numbers.names.push(group.to_owned());
        numbers.by_name.insert(key, next);
        GroupId(next)
    }

    /// The number of a tenant's group, if it was given one.
    pub(crate) fn known(&self, tenant: &str, group: &str) -> Option<GroupId> {
        let key = (tenant.to_owned(), group.to_owned());
        let numbers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        numbers.by_name.get(&key).copied().map(GroupId)
    }

    /// The group of a number.
    pub(crate) fn name(&self, group: GroupId) -> Option<String> {
        let at = usize::try_from(group.0).ok()?.checked_sub(1)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).names.get(at).cloned()
    }

    /// The groups that somebody may see, as the catalog says.
    pub(crate) fn permitted(&self, tenant: &str, groups: Option<&[String]>) -> Groups {
        match groups {
            None => Groups::All,
            Some(groups) => Groups::only(groups.iter().map(|group| self.number(tenant, Some(group)))),
        }
    }

    /// The groups that somebody asks for. One without a number has no device, and is not given one: else whoever asks for enough names
    /// would fill the memory.
    pub(crate) fn found(&self, tenant: &str, groups: &[String]) -> Groups {
        Groups::only(groups.iter().filter_map(|group| self.known(tenant, group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_one_number_and_tenants_have_their_own() {
        let numbers = GroupNumbers::default();
        let of = |tenant: &str, group: &str| numbers.number(tenant, Some(group));
        let (a, b) = (of("x", "a"), of("x", "b"));
        assert!(a != b && a != GroupId::NONE && of("y", "a") != a);
        assert_eq!((of("x", "a"), numbers.name(b)), (a, Some("b".to_owned())));
        assert_eq!((numbers.number("x", None), numbers.name(GroupId::NONE)), (GroupId::NONE, None));
        assert_eq!(numbers.permitted("x", None), Groups::All);
        assert_eq!(numbers.permitted("x", Some(&["a".to_owned()])), Groups::only([a]));
        assert_eq!(numbers.permitted("x", Some(&[])), Groups::only([]), "none is none, not all");
    }

    #[test]
    fn what_is_asked_for_is_not_kept() {
        let numbers = GroupNumbers::default();
        let a = numbers.number("x", Some("a"));
        assert_eq!(numbers.found("x", &["a".to_owned(), "b".to_owned()]), Groups::only([a]));
        assert_eq!(numbers.found("x", &["b".to_owned()]), Groups::only([]), "none is none, not all");
        assert_eq!(numbers.found("y", &["a".to_owned()]), Groups::only([]), "another tenant's");
        assert_eq!(numbers.0.read().unwrap().names, ["a"]);
    }
}
