//! How what is used stands to what there may be.

/// From so much of a quota on, whoever could do something about it is told: there is time left.
pub const NEAR_PERCENT: i64 = 80;

/// How a tenant stands to a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    /// There is enough left, or no quota.
    #[default]
    Within,
    /// Little is left.
    Near,
    /// Nothing is left.
    Reached,
}

impl Standing {
    /// By how much is used, and how much there may be; `None` is without a limit.
    pub const fn of(used: i64, max: Option<i64>) -> Self {
        match max {
            Some(max) if used >= max => Self::Reached,
            // As a part first: the product could be more than a number holds.
            Some(max) if used >= max / 100 * NEAR_PERCENT + max % 100 * NEAR_PERCENT / 100 => Self::Near,
            _ => Self::Within,
        }
    }

    /// A short word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Near => "near",
            Self::Reached => "reached",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_near_from_four_fifths_on_and_reached_at_all_of_it() {
        let check = |used, max, expected| assert_eq!(Standing::of(used, max), expected, "{used} of {max:?}");
        check(i64::MAX, None, Standing::Within);
        check(79, Some(100), Standing::Within);
        check(80, Some(100), Standing::Near);
        check(99, Some(100), Standing::Near);
        check(100, Some(100), Standing::Reached);
        check(0, Some(0), Standing::Reached);
        check(119, Some(150), Standing::Within);
        check(120, Some(150), Standing::Near);
        check(i64::MAX - 1, Some(i64::MAX), Standing::Near);
    }
}
