//! The cost of each format for each set of projections: bits, and the error of the outputs.

use std::collections::{BTreeMap, HashMap};

use lowbit_blocks::{Dtype, Format, QLinear, Shape};
use lowbit_calib::mixed::Candidate;
use lowbit_calib::{Hessian, Importance};
use lowbit_checkpoint::Choice;
use lowbit_kernels::Kernels;

use lowbit_model::{Hook, Projections};

use crate::method::{Method, Methods};
use crate::shared::SharedStats;
use crate::{Error, Result};

/// One decision: a set of projections, or all experts of a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupCost {
    pub(super) name: String,
    pub(super) modules: Vec<String>,
    pub(super) weights: u64,
    /// Bits in all, in each format.
    bits: Vec<u64>,
    /// Mean squared error of the outputs, in each format.
    losses: Vec<f64>,
    /// Mean square of the outputs.
    pub(super) power: f64,
    /// Weights as the format of the greatest loss leaves them.
    pub(super) coarsest: HashMap<String, Vec<f32>>,
    /// The score of the loss of the coarsest format.
    pub(super) weight: f64,
}

impl GroupCost {
    pub(super) fn loss_of_coarsest(&self) -> f64 {
        self.losses.iter().copied().fold(0.0, f64::max)
    }

    /// Cost and expected loss of each format.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let most = self.loss_of_coarsest();
        let score = |loss: f64| if most > 0.0 { self.weight * loss / most } else { 0.0 };
        self.bits
            .iter()
            .zip(&self.losses)
            .map(|(&cost, &loss)| Candidate { cost, score: score(loss) })
            .collect()
    }
}

/// Costs of the projections of one layer.
pub(super) struct CostCollector<'a> {
    formats: &'a [Option<Format>],
    /// For each format that is one, the linears that it is chosen for.
    choices: &'a [BTreeMap<String, Choice>],
    method: &'a Method,
    kernels: Kernels,
    hessian: Option<Hessian>,
    groups: Vec<GroupCost>,
}

impl<'a> CostCollector<'a> {
    pub(super) fn new(
        formats: &'a [Option<Format>],
        choices: &'a [BTreeMap<String, Choice>],
        method: &'a Method,
        kernels: Kernels,
    ) -> Self {
        Self { formats, choices, method, kernels, hessian: None, groups: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<GroupCost> {
        self.groups
    }

    /// Every format of one set of projections.
    fn cost(&self, projections: &Projections, hessian: &Hessian) -> Result<GroupCost> {
        let at = |e: lowbit_calib::Error| Error::method(&projections.name(), e);
        let known = |module: &str| self.choices.iter().all(|of_format| of_format.contains_key(module));
        let linears: Vec<_> = projections.linears.iter().filter(|linear| known(&linear.name)).collect();
        let squares = hessian.mean_square();
        let mut group = GroupCost { name: projections.name(), ..GroupCost::default() };
        for linear in &linears {
            group.modules.push(linear.name.clone());
            group.weights += linear.weight.len() as u64;
            group.power += hessian.output_power(&linear.weight).map_err(at)?;
        }
        let mut greatest = 0.0;
        let mut of_format = self.choices.iter();
        for format in self.formats {
            let Some(choices) = format.and_then(|_| of_format.next()) else {
                // As they are in the source.
                let bits = |name: &str| self.choices.first().map_or(16, |c| 8 * c[name].linear.dtype.bytes());
                group.bits.push(linears.iter().map(|l| (bits(&l.name) * l.weight.len()) as u64).sum());
                group.losses.push(0.0);
                continue;
            };
            let (mut bits, mut loss, mut restored) = (0, 0.0, HashMap::new());
            let shared = SharedStats::of(linears.iter().map(|l| (&choices[&l.name], &l.weight[..])))?;
            for linear in &linears {
                let choice = &choices[&linear.name];
                let shape = Shape::matrix(linear.rows, linear.cols);
                let stats = shared.stats(choice);
                let codes = if self.method.method == Methods::Gptq && hessian.tokens() > 0 {
                    let solved =
                        self.method.gptq().quantize(&choice.recipe, shape, &linear.weight, hessian, stats);
                    solved.map_err(at)?.into_linear().0
                } else {
                    let quantizer = choice.recipe.quantizer(shape, Dtype::F32, stats, self.kernels);
                    let mut quantizer = quantizer.map_err(at)?;
                    if hessian.tokens() > 0 {
                        quantizer = quantizer.with_importance(Importance::Channels(&squares)).map_err(at)?;
                    }
                    QLinear::from(quantizer.quantize(&linear.weight[..]).map_err(at)?)
                };
                bits += 8 * codes.weight.size_bytes() as u64;
                let values = codes.effective_weight();
                let errors: Vec<f32> = linear.weight.iter().zip(&values).map(|(w, v)| w - v).collect();
                loss += hessian.output_power(&errors).map_err(at)?;
                restored.insert(linear.name.clone(), values);
            }
            if loss > greatest {
                (greatest, group.coarsest) = (loss, restored);
            }
            group.bits.push(bits);
            group.losses.push(loss);
        }
        Ok(group)
    }
}

impl Hook for CostCollector<'_> {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> lowbit_model::Result<()> {
        let hessian = self.hessian.get_or_insert_with(|| Hessian::new(projections.inputs()));
        Ok(hessian.observe(rows).map_err(|e| Error::method(&projections.name(), e))?)
    }

    fn replace_weights(&mut self, projections: &mut Projections) -> lowbit_model::Result<()> {
        let hessian = self.hessian.take().unwrap_or_else(|| Hessian::new(projections.inputs()));
        let group = self.cost(projections, &hessian)?;
        if group.modules.is_empty() {
            return Ok(());
        }
        let experts = format!("layers.{}.experts", projections.layer);
        match self.groups.last_mut().filter(|group| projections.expert.is_some() && group.name == experts) {
            Some(all) => {
                all.modules.extend(group.modules);
                all.weights += group.weights;
                all.power += group.power;
                all.bits.iter_mut().zip(group.bits).for_each(|(all, bits)| *all += bits);
                all.losses.iter_mut().zip(group.losses).for_each(|(all, loss)| *all += loss);
                all.coarsest.extend(group.coarsest);
            }
            None if projections.expert.is_some() => self.groups.push(GroupCost { name: experts, ..group }),
            None => self.groups.push(group),
        }
        Ok(())
    }
}
