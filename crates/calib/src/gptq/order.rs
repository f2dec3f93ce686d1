//! The order in which columns are rounded: what comes first is corrected by all that follow.
//!
//! ```text
//! Natural            0, 1, 2 …
//! Activation         by the diagonal of H, largest first; scales belong to the columns where they stand, so only the solver permutes
//! GroupAware         groups by their largest diagonal entry, and within a group by the diagonal
//! ActivationGroups   as Activation, and groups are formed in that order: the checkpoint has to store it (g_idx)
//! ```
//!
//! Equal entries keep their order.
//!
//! Sources: GPTQ's `actorder` and `static_groups`; Gafni et al. 2025, arXiv 2505.14638
//! (group-aware).

/// The order in which columns are rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// As they stand.
    Natural,
    /// The channels of most power first; the result does not show it.
    #[default]
    Activation,
    /// Groups of most power first, and within each the channels of most power; the result does not
    /// show it.
    GroupAware,
    /// The channels of most power first, with groups of columns formed in that order: the columns
    /// of the result stand in it.
    ActivationGroups,
}

impl Order {
    /// The column at each place of the order; `group` columns share a scale.
    pub(super) fn permutation(self, diagonal: &[f64], group: usize) -> Vec<usize> {
        let descending = |columns: &mut [usize]| {
            columns.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
        };
        let mut columns: Vec<usize> = (0..diagonal.len()).collect();
        match self {
            Self::Natural => {}
            Self::Activation | Self::ActivationGroups => descending(&mut columns),
            Self::GroupAware => {
                let mut groups: Vec<&mut [usize]> = columns.chunks_mut(group.max(1)).collect();
                groups.iter_mut().for_each(|group| descending(group));
                groups.sort_by(|a, b| diagonal[b[0]].total_cmp(&diagonal[a[0]]));
                columns = groups.into_iter().flat_map(|group| group.iter().copied()).collect();
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_six_columns() {
        let diagonal = [1.0, 2.0, 2.0, 5.0, 9.0, 0.0];
        assert_eq!(Order::Natural.permutation(&diagonal, 2), [0, 1, 2, 3, 4, 5]);
        assert_eq!(Order::Activation.permutation(&diagonal, 2), [4, 3, 1, 2, 0, 5]);
        assert_eq!(Order::GroupAware.permutation(&diagonal, 2), [4, 5, 3, 2, 1, 0]);
    }
}
