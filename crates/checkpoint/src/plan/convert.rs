//! The plan of a job that brings quantized linears into another layout: with the same numbers where
//! the layout can store them, requantized otherwise.

use super::exact::{self, Candidate};
use super::source::Strip;
use super::units::{Copied, Target, Way};
use super::{Decoded, Draft, Linears, Placed, Plan, QuantizedUnit, Settings, Source, Title, Unit};
use super::{companions, natural, paths, select, stacks};
use crate::arch::{Arch, Role};
use crate::layout::{self, Layout, Linear, Quantized, QuantizedModule, Reading, Scheme, Stored, quantum};
use crate::{Checkpoint, Error, Result};
use lowbit_blocks::{Format, Shape, TensorScale};
use lowbit_calib::{Activations, Recipe, ScaleRule, TensorScaleRule, recipes};
use lowbit_layouts::Error as LayoutError;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// A conversion of a quantized checkpoint to another layout or another format,
/// [`plan`](Self::plan)ned before anything is written.
///
/// ```no_run
/// use lowbit_checkpoint::{ConvertJob, layout};
/// let plan = ConvertJob::new("llama-modelopt", "llama-ct", layout::COMPRESSED_TENSORS).plan()?;
/// for line in plan.summary().conversions {
///     println!("{}: {} to {}, {}", line.module, line.from, line.to, line.how);
/// }
/// plan.run(&())?;
/// # Ok::<(), lowbit_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConvertJob {
    /// Source, output and resources.
    pub settings: Settings,
    /// File convention of the output.
    pub layout: &'static Layout,
    /// Format of the output; each linear keeps its own if `None`.
    pub format: Option<Format>,
    /// Scale rule of linears that must be requantized; the default of the layout's producer if
    /// `None`.
    pub scale_rule: Option<ScaleRule>,
    /// Whether to refuse all but exact conversions.
    pub exact_only: bool,
    /// Sheets ([`overlay`](crate::overlay)) to lay over the source: linears that are quantized
    /// already.
    pub overlay: Vec<PathBuf>,
}

impl ConvertJob {
    /// A job that keeps the formats and uses all cores.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>, layout: &'static Layout) -> Self {
        let settings = Settings::new(source, out);
        Self { settings, layout, format: None, scale_rule: None, exact_only: false, overlay: Vec::new() }
    }

    /// Works out the plan. Reads scales and zero points where exactness depends on them; writes
    /// nothing.
    ///
    /// # Errors
    /// Any error of the source, the output directory or the job; with
    /// [`exact_only`](Self::exact_only) also [`Error::Job`], which names the linears that are not
    /// exact.
    pub fn plan(&self) -> Result<Plan> {
        let mut checkpoint = Checkpoint::open(&self.settings.source)?;
        if !self.overlay.is_empty() {
            checkpoint = crate::overlay::overlaid(checkpoint, &self.overlay)?;
        }
        let Some(reading) = layout::read(&checkpoint)? else {
            let reason = "is not quantized; `quantize` writes it in a layout";
            return Err(Error::file(&self.settings.source, reason));
        };
        paths::check(&self.settings.source, &self.settings.out, self.settings.resume)?;
        let base = companions::plain_config(&checkpoint)?;
        let arch = Arch::new(Some(&base));
        let mut warnings = checkpoint.warnings().to_vec();
        let Reading { layout: from, linears, caches, sparse } = reading;
        let linears = Linears::new(&checkpoint, linears)?;
        let (targets, decoded) = self.targets(&arch, from, &linears)?;
        self.check_mix(&targets)?;
        let mut units = self.linears(&checkpoint, &arch, &linears, &targets)?;
        units.extend(decoded.into_iter().map(Unit::Decoded));
        let mut carried = companions::carry_over(&checkpoint, self.layout, from, &linears, &caches, &units)?;
        units.extend(companions::restored(&checkpoint, sparse, &mut carried.consumed)?);
        units.extend(carried.units);
        let rest = select::rest(&checkpoint, &arch, &carried.consumed);
        for (name, why) in &rest.copied {
            units.push(Unit::Copied(Copied::new(checkpoint.require(name)?.entry, why)));
        }
        units.sort_by(|a, b| natural(a.source(), b.source()));
        let schemes: HashMap<&str, Scheme> =
            targets.iter().map(|t| (t.linear.module.as_str(), t.scheme)).collect();
        let module = |unit: &Unit| match unit {
            Unit::Quantized(q) => Some(QuantizedModule {
                name: q.linear.module.clone(),
                scheme: *schemes.get(q.linear.module.as_str())?,
                permuted: q.perm.is_some(),
                smoothed: carried.smoothed.contains(&q.linear.module),
            }),
            _ => None,
        };
        let mut modules: Vec<_> = units.iter().filter_map(module).collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let dtype = linears.stored.first().map_or(lowbit_blocks::Dtype::Bf16, |s| s.linear.dtype);
        let quantized = Quantized {
            modules: &modules,
            kept: &rest.kept,
            embeddings: &rest.embeddings,
            cache: carried.cache,
            dtype,
            source: layout::any_quantization_config(&checkpoint),
        };
        let configs = self.layout.configure(&quantized, &base);
        warnings.extend(carried.left);
        warnings.extend(self.other_activations(&linears, &targets));
        let formats: BTreeSet<String> = modules.iter().map(|m| m.scheme.format.name()).collect();
        let title = Title {
            format: formats.into_iter().collect::<Vec<_>>().join(", "),
            layout: Some(self.layout),
            scheme: format!("from {}", from.name()),
            activations: quantized.main().activations,
        };
        let plan = Draft {
            settings: self.settings.clone(),
            checkpoint,
            linears,
            units,
            configs,
            dropped: layout::side_files(),
            metadata: self.layout.metadata,
            title,
            warnings,
        };
        let plan = plan.finish()?;
        if self.exact_only {
            self.refuse_inexact(&plan, carried.lost)?;
        }
        Ok(plan)
    }

    /// The linears of the output, and the linears to decode: embeddings, which only the source's
    /// layout quantizes.
    fn targets(&self, arch: &Arch, from: &Layout, linears: &Linears) -> Result<(Vec<Target>, Vec<Decoded>)> {
        let (mut targets, mut decoded) = (Vec::new(), Vec::new());
        for (at, stored) in linears.stored.iter().enumerate() {
            let linear = &stored.linear;
            let shape = [linear.shape.rows, linear.shape.cols];
            let is_embedding = arch.role(&linear.weight, &shape) == Role::Embedding;
            if is_embedding && self.layout.name() != from.name() {
                decoded.push(Decoded::new(linear.clone(), at, stored.quantum()));
                continue;
            }
            let scheme = self.scheme(stored)?;
            for (linear, strips) in cut(arch, self.layout, linear, at) {
                targets.push(Target { linear, strips, scheme });
            }
        }
        if self.layout.needs_stacks(arch.stacks()) {
            targets = stacks::stack(arch, targets);
        }
        Ok((targets, decoded))
    }

    /// The format and activations of this linear in the output.
    fn scheme(&self, stored: &Stored) -> Result<Scheme> {
        let (activations, dtype) = (stored.activations, stored.linear.dtype);
        let format = match self.format {
            Some(format) => format,
            None => layout::counterpart(self.layout, &stored.format),
        };
        let ways = self.layout.carries(&format);
        let same = ways.iter().any(|way| way.activations == activations);
        let carried = layout::carry(self.layout, &format, same.then_some(activations))?;
        if carried.activations == Activations::Static && stored.input_scale.is_none() {
            return Err(Error::Layout(LayoutError::CannotCarry {
                format: format.name(),
                layout: self.layout.name(),
                with: format!(" as {}", carried.scheme),
                can: format!("{} has no static scale of its input", stored.linear.module),
            }));
        }
        Ok(Scheme { format: self.layout.stores(&format, dtype), activations: carried.activations })
    }

    fn check_mix(&self, targets: &[Target]) -> Result<()> {
        let mut schemes: Vec<Scheme> = Vec::new();
        for target in targets {
            if !schemes.contains(&target.scheme) {
                schemes.push(target.scheme);
            }
        }
        if schemes.len() < 2 || self.layout.mixes {
            return Ok(());
        }
        let names: BTreeSet<String> = schemes.iter().map(|s| s.format.name()).collect();
        Err(Error::Job(format!(
            "layout {} has one format for all linears, these have {}; choose one with --format",
            self.layout.name(),
            names.into_iter().collect::<Vec<_>>().join(", ")
        )))
    }

    /// The units of the linears: transcoded where the stored numbers can be kept, requantized
    /// otherwise.
    fn linears(
        &self,
        checkpoint: &Checkpoint,
        arch: &Arch,
        linears: &Linears,
        targets: &[Target],
    ) -> Result<Vec<Unit>> {
        // Linears that share a tensor scale are decided together.
        let mut groups: BTreeMap<(String, usize), Vec<usize>> = BTreeMap::new();
        for (at, target) in targets.iter().enumerate() {
            let shared =
                arch.shares(&target.linear.module).filter(|_| target.scheme.format.has_tensor_scale());
            let key = shared.map_or_else(|| (String::new(), at), |shared| (shared, 0));
            groups.entry(key).or_default().push(at);
        }
        let mut units = Vec::new();
        for group in groups.values() {
            // One linear that must be requantized does not keep the others from being exact, unless
            // they share a scale.
            let (mut kept, mut chosen) = (Vec::new(), Vec::new());
            let mut prepared = Vec::new();
            for &at in group {
                prepared.push((at, self.prepare(checkpoint, linears, &targets[at])?));
            }
            for (at, ready) in &prepared {
                match &ready.unkept {
                    None => kept.push((*at, ready)),
                    Some(why) => chosen.push((*at, ready, why.clone())),
                }
            }
            let candidates: Vec<Candidate<'_>> = kept
                .iter()
                .map(|(at, _)| Candidate {
                    strips: &targets[*at].strips,
                    shape: targets[*at].linear.shape,
                    to: targets[*at].scheme.format,
                    divides: self.divides(linears, &targets[*at]),
                })
                .collect();
            match exact::transcoders(checkpoint, linears, &candidates)? {
                Ok(transcoders) => {
                    for ((at, ready), (transcoder, rows)) in kept.into_iter().zip(transcoders) {
                        let way = Way::Transcode(Box::new(transcoder));
                        units.push(self.unit(
                            &targets[at],
                            ready,
                            (way, rows, None),
                            units.len(),
                            linears,
                        )?);
                    }
                }
                Err(why) => chosen.extend(kept.into_iter().map(|(at, ready)| (at, ready, why.clone()))),
            }
            let shares = units.len();
            for (at, ready, why) in chosen {
                let way = Way::Quantize(self.recipe(&targets[at])?);
                units.push(self.unit(&targets[at], ready, (way, 1, Some(why)), shares, linears)?);
            }
        }
        Ok(units.into_iter().map(Unit::Quantized).collect())
    }

    /// The parts of a linear in the output, and whether its column order and smoothing scales can
    /// stay.
    fn prepare(&self, checkpoint: &Checkpoint, linears: &Linears, target: &Target) -> Result<Ready> {
        let (linear, format) = (&target.linear, &target.scheme.format);
        let refuse = |reason: String| Error::tensor(checkpoint.dir(), &linear.weight, reason);
        format.check(linear.shape).map_err(|e| refuse(e.to_string()))?;
        self.check_zeros(checkpoint, linears, target)?;
        let direct = linears.direct(&target.strips, linear.shape);
        let perm = direct.map(|stored| stored.perm(checkpoint)).transpose()?.flatten();
        let of = |permuted| {
            let linear = Linear { permuted, ..linear.clone() };
            self.layout.parts(&linear, format, target.scheme.activations).map_err(refuse)
        };
        let permuted = target.strips.iter().any(|strip| linears.stored[strip.linear].groups.is_some());
        let parts = of(permuted)?;
        let has_place = parts.iter().any(|part| matches!(part.holds, layout::Holds::Groups));
        let smoothed = target.strips.iter().any(|s| linears.stored[s.linear].pre_quant_scale.is_some());
        let mut implied = true;
        if let Some(scale) = self.layout.implied_scale(format) {
            for strip in &target.strips {
                let stored = &linears.stored[strip.linear];
                let own = stored.tensor_scale(checkpoint)?;
                implied &= own == TensorScale::Multiply(vec![scale; stored.shape().matrices]);
            }
        }
        let unkept = if permuted && !(has_place && direct.is_some()) {
            Some("columns are out of the order of their groups, and there is no g_idx".to_owned())
        } else if smoothed && !(self.layout.pre_quant_scale().is_some() && direct.is_some()) {
            Some("there is no place for pre_quant_scale, which is multiplied in".into())
        } else if self.layout.rounds_scales {
            Some("the layout rounds block scales once more".into())
        } else if !implied {
            Some("the layout's tensor scale is a fixed number, and not this".into())
        } else {
            None
        };
        let parts = if unkept.is_none() || !permuted { parts } else { of(false)? };
        Ok(Ready { parts, perm: perm.filter(|_| unkept.is_none()), unkept })
    }

    /// Checks that the layout can store this linear's zero points, where it cannot store all
    /// values.
    fn check_zeros(&self, checkpoint: &Checkpoint, linears: &Linears, target: &Target) -> Result<()> {
        let format = &target.scheme.format;
        if self.layout.refuses(format, &[0]).is_none() {
            return Ok(());
        }
        for stored in target.strips.iter().map(|strip| &linears.stored[strip.linear]) {
            let Shape { matrices, rows, .. } = stored.linear.shape;
            for matrix in (0..matrices).filter(|_| stored.format.zero == format.zero) {
                let (_, zeros) = stored.numbers(checkpoint, matrix, 0..rows)?;
                if let Some(reason) = self.layout.refuses(format, &zeros) {
                    return Err(Error::tensor(checkpoint.dir(), &stored.linear.weight, reason));
                }
            }
        }
        Ok(())
    }

    fn unit(
        &self,
        target: &Target,
        ready: &Ready,
        (way, rows, why): (Way, usize, Option<String>),
        shares: usize,
        linears: &Linears,
    ) -> Result<QuantizedUnit> {
        let (linear, format) = (target.linear.clone(), target.scheme.format);
        let own = quantum(&format, linear.shape, &ready.parts);
        let source = target.strips.iter().map(|strip| linears.stored[strip.linear].quantum());
        let divides = match &way {
            Way::Transcode(transcoder) => matches!(transcoder.tensor_scale(), TensorScale::Divide(_)),
            Way::Quantize(recipe) => matches!(recipe.tensor_scale, TensorScaleRule::Divide { .. }),
        };
        let whole = linear.shape.rows.max(1);
        let joined = source.chain([rows]).fold(own, |all, one| layout::together(all, one, whole));
        Ok(QuantizedUnit {
            quantum: joined,
            note: self.layout.note(&linear, &target.scheme, divides),
            parts: ready.parts.iter().map(|part| (part.clone(), Placed::default())).collect(),
            linear,
            format,
            way,
            why,
            source: Source::Quantized(target.strips.clone()),
            shares,
            perm: ready.perm.clone(),
        })
    }

    /// Whether the tensor scale of a linear divides in the output.
    fn divides(&self, linears: &Linears, target: &Target) -> bool {
        let stored = target.strips.first().map(|strip| &linears.stored[strip.linear]);
        match stored.filter(|stored| self.layout.keeps_direction && stored.format.has_tensor_scale()) {
            Some(stored) => stored.divides,
            None => self.layout.divides,
        }
    }

    /// The recipe of a linear that must be requantized.
    fn recipe(&self, target: &Target) -> Result<Recipe> {
        let producer = self.layout.producer;
        let format = &target.scheme.format;
        let base = recipes::recipe(producer, format, target.linear.dtype, false)
            .ok_or_else(|| Error::Job(format!("{producer} has no recipe for {format}")))?;
        let base = base.with_scale(format.scale.kind);
        match self.scale_rule {
            Some(rule) => base.with_scale_rule(rule).map_err(|e| Error::Job(e.to_string())),
            None => Ok(base),
        }
    }

    /// A warning about linears whose activations are quantized differently than before.
    fn other_activations(&self, linears: &Linears, targets: &[Target]) -> Option<String> {
        let was = |target: &Target| linears.stored[target.strips[0].linear].activations;
        let changed: Vec<_> = targets.iter().filter(|t| was(t) != t.scheme.activations).collect();
        let first = changed.first()?;
        let words = |activations: Activations| format!("{activations:?}").to_lowercase();
        Some(format!(
            "activations of {} linears, {} first, are `{}` where they were `{}`: layout {} has no other way for {}",
            changed.len(),
            first.linear.module,
            words(first.scheme.activations),
            words(was(first)),
            self.layout.name(),
            first.scheme.format
        ))
    }

    fn refuse_inexact(&self, plan: &Plan, lost: usize) -> Result<()> {
        let lines = plan.conversions();
        let inexact: Vec<_> = lines.iter().filter(|line| !line.exact).collect();
        if let Some(first) = inexact.first() {
            return Err(Error::Job(format!(
                "{} of {} linears would not be exact, {} first ({} to {}: {}); nothing was written",
                inexact.len(),
                lines.len(),
                first.module,
                first.from,
                first.to,
                first.how
            )));
        }
        if lost > 0 {
            return Err(Error::Job(format!(
                "{lost} numbers have no place in layout {} and would be left out; nothing was written",
                self.layout.name()
            )));
        }
        Ok(())
    }
}

/// The properties of a linear that are known before its numbers are read.
struct Ready {
    parts: Vec<layout::Part>,
    perm: Option<Vec<u32>>,
    /// The reason that the stored numbers cannot stay, as far as column order and smoothing scales
    /// decide it.
    unkept: Option<String>,
}

/// The output linears of one linear: itself, or the experts of its stack if the layout wants them
/// separate and they have names.
fn cut(arch: &Arch, layout: &Layout, linear: &Linear, at: usize) -> Vec<(Linear, Vec<Strip>)> {
    let Shape { matrices, rows, cols } = linear.shape;
    let whole = || (0..matrices).map(|matrix| Strip::whole(at, matrix, rows)).collect();
    if layout.keeps_stacks(linear.orientation) || !linear.is_stack() {
        return vec![(linear.clone(), whole())];
    }
    let Some(experts) = arch.split_experts(&linear.weight, &[matrices, rows, cols]) else {
        return vec![(linear.clone(), whole())];
    };
    let cut = |expert: crate::arch::Expert| {
        let strip = Strip::of_expert(at, &expert);
        let own = Linear {
            weight: format!("{}.weight", expert.module),
            module: expert.module,
            shape: Shape::matrix(expert.rows, cols),
            orientation: crate::arch::Orientation::OutIn,
            stacked: false,
            ..linear.clone()
        };
        (own, vec![strip])
    };
    experts.into_iter().map(cut).collect()
}
