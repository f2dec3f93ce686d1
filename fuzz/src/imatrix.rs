//! Any bytes as an importance matrix of either form: an error, or sums that the file has room for, and that come back when written again.

use std::path::Path;

use lowbit_checkpoint::statistics::Imatrix;

/// Panics where the property does not hold.
pub fn check(data: &[u8]) {
    let file = Path::new("fuzz.imatrix");
    let Ok(matrix) = Imatrix::parse(file, data) else { return };
    let sums: usize = matrix.entries().map(|(_, entry)| entry.sums().len()).sum();
    assert!(4 * sums <= data.len(), "{sums} sums from {} bytes", data.len());
    assert_eq!(Imatrix::parse(file, &matrix.to_gguf()).expect("what was written is read"), matrix);
    Imatrix::parse(file, &matrix.to_legacy()).ok();
}
