//! What tensors say against the configuration of all layers.

/// What is contradicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ContradictionKind {
    /// Bits of a code.
    Bits,
    /// Columns of a group.
    Group,
    /// Whether quantization is symmetric.
    Symmetric,
    /// Zero points are those of version 1, and version 2 is said.
    ZerosAreV1,
    /// Zero points are those of version 2, and version 1 is said.
    ZerosAreV2,
    /// Columns are of groups that there are not.
    OrderRange,
    /// Columns are reordered, and the configuration says that they are not.
    Order,
}

/// One contradiction of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What is contradicted.
    pub kind: ContradictionKind,
    /// The module.
    pub module: String,
    /// What is said and what is there, with the numbers.
    pub detail: String,
}
