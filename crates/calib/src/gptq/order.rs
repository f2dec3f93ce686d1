//! The order in which columns are rounded: the error of each column is compensated by all columns
//! after it.
//!
//! ```text
//! Natural            0, 1, 2 …
//! Activation         by the diagonal of H, largest first; blocks keep their columns, so only the
//!                    solver permutes
//! GroupAware         groups by their largest diagonal entry, and within a group by the diagonal
//! ActivationGroups   as Activation, with groups formed in that order: the checkpoint stores it
//!                    (g_idx)
//! ```
//!
//! Equal entries keep their order.
//!
//! Sources: GPTQ's `actorder` and `static_groups`; Gafni et al. 2025, arXiv 2505.14638
//! (group-aware).

/// The order in which columns are rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// The stored order.
    Natural,
    /// Channels with the largest power first. The columns of the result keep their stored order.
    #[default]
    Activation,
    /// Groups with the largest power first, and within each group channels with the largest power
    /// first. The columns of the result keep their stored order.
    GroupAware,
    /// Channels with the largest power first, with groups formed in that order. The columns of the
    /// result are permuted.
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
