//! Folding of smoothing scales: the module that produces an input is divided by s, and every linear
//! that reads it is multiplied, so that no product remains at run time.
//!
//! ```text
//! norm     w / s                    RMSNorm and LayerNorm; a LayerNorm's bias too
//!          (1 + w) / s - 1          norms that store their distance from 1: Gemma
//! linear   row c / s_c, bias / s    producers whose outputs only pass through functions that are
//!                                   linear in each: up_proj (times the gate), v_proj
//! reader   column c * s_c           every reader, routers included
//! heads    v_proj has fewer rows than o_proj columns: heads that share a row share a scale
//! ```
//!
//! The network computes the same function up to rounding.

use crate::error::Error;

fn same(got: usize, want: usize) -> Result<(), Error> {
    if got == want { Ok(()) } else { Err(Error::Channels { got, want }) }
}

/// Divides the weight or the bias of a norm by the scales.
///
/// ```
/// let mut weight = [2.0, 3.0];
/// lowbit_calib::fold::divide(&mut weight, &[2.0, 4.0])?;
/// assert_eq!(weight, [1.0, 0.75]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if the lengths differ.
pub fn divide(vector: &mut [f32], scales: &[f32]) -> Result<(), Error> {
    same(scales.len(), vector.len())?;
    vector.iter_mut().zip(scales).for_each(|(w, s)| *w /= s);
    Ok(())
}

/// Divides the weight of a norm that multiplies by 1 + weight.
///
/// ```
/// let mut weight = [0.0, 3.0];
/// lowbit_calib::fold::divide_offset(&mut weight, &[2.0, 4.0])?;
/// assert_eq!(weight, [-0.5, 0.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if the lengths differ.
pub fn divide_offset(weight: &mut [f32], scales: &[f32]) -> Result<(), Error> {
    same(scales.len(), weight.len())?;
    weight
        .iter_mut()
        .zip(scales)
        .for_each(|(w, s)| *w = ((1.0 + f64::from(*w)) / f64::from(*s) - 1.0) as f32);
    Ok(())
}

/// Divides the rows of a linear, `[rows, columns]` row-major: row c by scale c.
///
/// ```
/// let mut weight = [2.0, 4.0, 3.0, 6.0];
/// lowbit_calib::fold::divide_rows(&mut weight, &[2.0, 3.0])?;
/// assert_eq!(weight, [1.0, 2.0, 1.0, 2.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if the weight is not as many whole rows as there are scales.
pub fn divide_rows(weight: &mut [f32], scales: &[f32]) -> Result<(), Error> {
    let rows = scales.len();
    if rows == 0 || !weight.len().is_multiple_of(rows) {
        return Err(Error::Tokens { values: weight.len(), features: rows });
    }
    let columns = (weight.len() / rows).max(1);
    for (row, s) in weight.chunks_mut(columns).zip(scales) {
        row.iter_mut().for_each(|w| *w /= s);
    }
    Ok(())
}

/// Multiplies the columns of a linear or a router by the scales.
///
/// ```
/// let mut weight = [1.0, 2.0, 3.0, 4.0];
/// lowbit_calib::fold::multiply_columns(&mut weight, &[2.0, 10.0])?;
/// assert_eq!(weight, [2.0, 20.0, 6.0, 40.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if the weight is not whole rows of as many columns as there are scales.
pub fn multiply_columns(weight: &mut [f32], scales: &[f32]) -> Result<(), Error> {
    let columns = scales.len();
    if columns == 0 || !weight.len().is_multiple_of(columns) {
        return Err(Error::Tokens { values: weight.len(), features: columns });
    }
    for row in weight.chunks_exact_mut(columns) {
        row.iter_mut().zip(scales).for_each(|(w, s)| *w *= s);
    }
    Ok(())
}

/// The mean statistics of channels that come from the same row of the producer.
///
/// With grouped-query attention, head h of the output reads value head h / `repeats`. The result
/// has one number per row of the producer; [`repeat_heads`] expands it again. Scales that are
/// searched with these statistics can be folded.
///
/// ```
/// use lowbit_calib::fold::{repeat_heads, share_heads};
/// // Two heads of two channels share one value head.
/// let shared = share_heads(&[1.0, 2.0, 3.0, 6.0], 2, 2)?;
/// assert_eq!(shared, [2.0, 4.0]);
/// assert_eq!(repeat_heads(&shared, 2, 2)?, [2.0, 4.0, 2.0, 4.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if the channels are not whole groups of `repeats` heads.
pub fn share_heads(channels: &[f32], head: usize, repeats: usize) -> Result<Vec<f32>, Error> {
    let group = head.saturating_mul(repeats);
    if group == 0 || !channels.len().is_multiple_of(group) {
        return Err(Error::Tokens { values: channels.len(), features: group });
    }
    let of = |group: &[f32], at: usize| {
        let sum: f64 = group.iter().skip(at).step_by(head).map(|x| f64::from(*x)).sum();
        (sum / repeats as f64) as f32
    };
    Ok(channels.chunks_exact(group).flat_map(|group| (0..head).map(move |at| of(group, at))).collect())
}

/// Repeats the numbers of each value head `repeats` times, once for each head that reads it.
///
/// # Errors
/// [`Error::Tokens`] if the values are not whole heads.
pub fn repeat_heads(values: &[f32], head: usize, repeats: usize) -> Result<Vec<f32>, Error> {
    if head == 0 || !values.len().is_multiple_of(head) {
        return Err(Error::Tokens { values: values.len(), features: head });
    }
    Ok(values
        .chunks_exact(head)
        .flat_map(|head| std::iter::repeat_n(head, repeats).flatten().copied())
        .collect())
}
