//! Contradictions between tensors and configuration.

/// The kind of a contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ContradictionKind {
    /// Bits of a code.
    Bits,
    /// Columns of a group.
    Group,
    /// Symmetry: whether there are zero points.
    Symmetric,
    /// The zero points are those of version 1, but the configuration says version 2.
    ZerosAreV1,
    /// The zero points are those of version 2, but the configuration says version 1.
    ZerosAreV2,
    /// Columns are assigned to groups that do not exist.
    OrderRange,
    /// Columns are reordered, but the configuration says that they are not.
    Order,
}

/// A contradiction in one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The kind.
    pub kind: ContradictionKind,
    /// The name of the module.
    pub module: String,
    /// A message with the stated and the actual numbers.
    pub detail: String,
}
