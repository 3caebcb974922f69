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
    /// The number of a tenant's group: always the same in a run of the program. What is in no group has none.
    pub fn number(&self, tenant: &str, group: Option<&str>) -> GroupId {
        let Some(group) = group else { return GroupId::NONE };
        let key = (tenant.to_owned(), group.to_owned());
        if let Some(number) = self.0.read().unwrap_or_else(PoisonError::into_inner).by_name.get(&key) {
            return GroupId(*number);
        }
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(numbers.names.len() + 1).unwrap_or(u32::MAX);
        if let Some(number) = numbers.by_name.get(&key) {
            return GroupId(*number);
        }
        numbers.names.push(group.to_owned());
        numbers.by_name.insert(key, next);
        GroupId(next)
    }

    /// The group of a number.
    pub(crate) fn name(&self, group: GroupId) -> Option<String> {
        let at = usize::try_from(group.0).ok()?.checked_sub(1)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).names.get(at).cloned()
    }

    /// The groups that somebody may see.
    pub(crate) fn permitted(&self, tenant: &str, groups: Option<&[String]>) -> Groups {
        match groups {
            None => Groups::All,
            Some(groups) => Groups::only(groups.iter().map(|group| self.number(tenant, Some(group)))),
        }
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
}
