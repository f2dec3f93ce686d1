//! The method: how the linears of a model are quantized, as data.

use std::str::FromStr;

use lowbit_calib::{Damping, Gptq, Order, Weighing};
use serde::{Deserialize, Serialize};

/// How codes and scales are chosen when the inputs are known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Methods {
    /// Each weight is rounded under the recipe's scales; inputs make no difference.
    Rtn,
    /// Each weight is rounded; scales are searched, errors weighted by the mean square of the input that meets them.
    Sweep,
    /// As `sweep`, then errors are fed back column by column and codes descend on the output's error.
    #[default]
    Gptq,
}

impl FromStr for Methods {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rtn" => Ok(Self::Rtn),
            "sweep" => Ok(Self::Sweep),
            "gptq" => Ok(Self::Gptq),
            _ => Err(format!("no method is called `{text}`; there are rtn, sweep, gptq")),
        }
    }
}

/// Smoothing scales that are moved from the inputs of linears into their weights, and out of the norms and linears before them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prescale {
    /// None.
    #[default]
    None,
    /// AWQ: of a grid, those that make the error of the outputs least; none if none is better.
    Awq,
    /// SmoothQuant: the square root of the largest input over the largest weight.
    Smooth,
}

/// A method with its numbers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Method {
    /// How codes and scales are chosen.
    pub method: Methods,
    /// Smoothing scales that are moved from the inputs into the weights first.
    pub prescale: Prescale,
    /// Added to the diagonal of the Hessian, as a part of its mean.
    pub damping: f64,
    /// Passes of coordinate descent, at most.
    pub passes: usize,
    /// The order in which columns are quantized.
    pub order: ColumnOrder,
    /// The weights of errors when scales are searched.
    pub weighing: ScaleWeighing,
    /// Rounds of choosing scales and codes of blocks together, after descent.
    pub rescales: usize,
    /// How much of the error of earlier layers the weights correct ([`Drift`](lowbit_calib::Drift)): 0 to 1. Where layers are sequential.
    pub drift: f64,
    /// Whether layers see the inputs that quantized layers before them give, or those of the original model.
    pub sequential: bool,
}

impl Default for Method {
    /// GPTQ with damping 0.05, three passes of descent, static activation order, sequential.
    fn default() -> Self {
        Self {
            method: Methods::Gptq,
            prescale: Prescale::None,
            damping: 0.05,
            passes: 3,
            order: ColumnOrder::Activation,
            weighing: ScaleWeighing::Diagonal,
            rescales: 1,
            drift: 0.5,
            sequential: true,
        }
    }
}

impl Method {
    /// Whether the method needs sum x x^T of every input.
    ///
    /// ```
    /// use lowbit_pipeline::{Method, Methods};
    /// assert!(Method::default().needs_hessians());
    /// assert!(!Method { method: Methods::Sweep, ..Method::default() }.needs_hessians());
    /// ```
    pub fn needs_hessians(&self) -> bool {
        self.method == Methods::Gptq
    }

    /// The solver that [`Methods::Gptq`] is.
    pub(crate) fn gptq(&self) -> Gptq<'static> {
        Gptq {
            damping: Damping::Fixed(self.damping),
            order: self.order.order(),
            passes: self.passes,
            rescales: self.rescales,
            weighing: self.weighing.weighing(),
            ..Gptq::default()
        }
    }

    /// Whether the original model has to run beside the quantized one.
    pub(crate) fn compares(&self) -> bool {
        self.method == Methods::Gptq && self.sequential && self.drift > 0.0
    }
}

/// The order in which GPTQ quantizes columns: [`Order`], as files and command lines name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnOrder {
    /// As they stand.
    Natural,
    /// Channels of most power first; the result does not show it.
    Activation,
    /// Groups of most power first.
    GroupAware,
    /// Channels of most power first, and groups formed in that order: files store a `g_idx`.
    ActivationGroups,
}

impl ColumnOrder {
    const fn order(self) -> Order {
        match self {
            Self::Natural => Order::Natural,
            Self::Activation => Order::Activation,
            Self::GroupAware => Order::GroupAware,
            Self::ActivationGroups => Order::ActivationGroups,
        }
    }
}

/// The weights of errors in the search of scales: [`Weighing`], as files and command lines name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleWeighing {
    /// All the same.
    Uniform,
    /// By E\[x^2\].
    Diagonal,
    /// By the diagonal blocks of the Hessian.
    Blocks,
}

impl ScaleWeighing {
    const fn weighing(self) -> Weighing {
        match self {
            Self::Uniform => Weighing::Uniform,
            Self::Diagonal => Weighing::Diagonal,
            Self::Blocks => Weighing::Blocks,
        }
    }
}
