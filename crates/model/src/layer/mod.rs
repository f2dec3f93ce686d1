//! One layer of a decoder: attention and MLP, projection by projection.
//!
//! ```text
//! x = x + out(attention(rope(qkv(norm(x)))))
//! x = x + down(act(gate(norm(x))) * up(norm(x)))        or a mixture of experts
//! ```
//!
//! Gemma 2 norms the outputs of attention and MLP, too. Qwen 3 norms each head of queries and keys before rotation.

mod cache;
mod experts;

use crate::attention::{Heads, attention, rotate};
use crate::config::{Gating, gating};
use crate::hidden::Hidden;
use crate::model::Model;
use crate::norm::{add, norm, norm_into};
use crate::projections::{F32Linear, Hook, ProjectionKind, Projections};
use crate::{Error, Result, exp, parallel};
pub(crate) use cache::KeyValueCache;
use cache::sequences;
use experts::Experts;
use lowbit_arch::{Description, Placement, Rope, Slot};

/// A layer in memory.
#[derive(Clone, Debug)]
pub struct Layer {
    description: Description,
    gating: Gating,
    rope: Rope,
    layer: usize,
    attention_norm: Vec<f32>,
    mlp_norm: Vec<f32>,
    /// Norms of the outputs of attention and MLP.
    post_norms: Option<[Vec<f32>; 2]>,
    /// Norms of the heads of queries and keys.
    head_norms: Option<[Vec<f32>; 2]>,
    qkv: Projections,
    out: Projections,
    mlp: Mlp,
}

#[derive(Clone, Debug)]
enum Mlp {
    Dense { gate_up: Projections, down: Projections },
    Experts(Experts),
}

/// A linear to read: its place, rows, columns.
type Wanted = (Slot, usize, usize);

impl Layer {
    /// Reads a layer of a model.
    pub(crate) fn read(model: &Model<'_>, layer: usize) -> Result<Self> {
        let c = model.description();
        let (hidden, wide, narrow) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        // Opening the model has made sure of both.
        let (Some(gating), Some(rope)) = (gating(c), c.rope.clone()) else {
            let (file, what) = (model.checkpoint().dir().to_owned(), format!("a {} layer", c.family.name));
            return Err(Error::Unsupported { file, what, can: "gated MLPs and rotary positions are".into() });
        };
        let norm = |slot, len| model.norm(&model.name(slot, layer)?, len);
        let post_norms = match c.placement {
            Placement::PreAndPost => {
                Some([norm(Slot::AttentionPostNorm, hidden)?, norm(Slot::MlpPostNorm, hidden)?])
            }
            _ => None,
        };
        let head_norms = match c.head_norms {
            true => Some([norm(Slot::QueryNorm, c.head_dim)?, norm(Slot::KeyNorm, c.head_dim)?]),
            false => None,
        };
        let read = |kind, wanted: &[Wanted]| Self::read_projections(model, layer, kind, wanted);
        let qkv = [(Slot::Query, wide, hidden), (Slot::Key, narrow, hidden), (Slot::Value, narrow, hidden)];
        let inner = c.intermediate;
        let mlp = if c.is_sparse(layer) {
            Mlp::Experts(Experts::read(model, layer)?)
        } else {
            Mlp::Dense {
                gate_up: read(
                    ProjectionKind::GateUp,
                    &[(Slot::Gate, inner, hidden), (Slot::Up, inner, hidden)],
                )?,
                down: read(ProjectionKind::Down, &[(Slot::Down, hidden, inner)])?,
            }
        };
        Ok(Self {
            layer,
            attention_norm: norm(Slot::AttentionNorm, hidden)?,
            mlp_norm: norm(Slot::MlpNorm, hidden)?,
            post_norms,
            head_norms,
            qkv: read(ProjectionKind::Qkv, &qkv)?,
            out: read(ProjectionKind::AttentionOut, &[(Slot::AttentionOut, hidden, wide)])?,
            mlp,
            gating,
            rope,
            description: c.clone(),
        })
    }

    fn read_projections(
        model: &Model<'_>,
        layer: usize,
        kind: ProjectionKind,
        wanted: &[Wanted],
    ) -> Result<Projections> {
        let linears: Vec<F32Linear> = parallel::map(wanted.to_vec(), |(slot, rows, cols)| {
            model.linear(&model.name(slot, layer)?, rows, cols)
        })?;
        Ok(Projections { layer, kind, expert: None, linears })
    }

    /// Its projections, in the order in which they are run; those of an expert stand together.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// for projections in model.layer(0)?.projections() {
    ///     println!("{} reads {} features", projections.name(), projections.inputs());
    /// }
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn projections(&self) -> Vec<&Projections> {
        let mut projections = vec![&self.qkv, &self.out];
        match &self.mlp {
            Mlp::Dense { gate_up, down } => projections.extend([gate_up, down]),
            Mlp::Experts(experts) => projections.extend(experts.projections()),
        }
        projections
    }

    /// Takes the hidden states through the layer. `hook` observes the input of every linear and may replace its weight; `&mut ()` does neither.
    ///
    /// # Errors
    /// What the hook says; [`Error::NonFinite`] if a hidden state is no number afterwards; [`Error::Activations`] or another if activations cannot be
    /// quantized; [`Error::Tokens`] if the states are another model's.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let mut hidden = model.embed(&[[1, 2, 3]])?;
    /// model.layer(0)?.forward(&mut hidden, &mut ())?;
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn forward(&mut self, hidden: &mut Hidden, hook: &mut dyn Hook) -> Result<()> {
        self.run(hidden, None, hook)
    }

    /// Takes the next tokens of sequences through the layer: as many of each, whose states are `hidden`, after those in `cache`.
    pub(crate) fn forward_cached(&mut self, hidden: &mut Hidden, cache: &mut KeyValueCache) -> Result<()> {
        self.run(hidden, Some(cache), &mut ())
    }

    fn run(
        &mut self,
        hidden: &mut Hidden,
        cache: Option<&mut KeyValueCache>,
        hook: &mut dyn Hook,
    ) -> Result<()> {
        let c = &self.description;
        if hidden.width != c.hidden {
            return Err(Error::Tokens(format!(
                "hidden states of {} features, not {}",
                hidden.width, c.hidden
            )));
        }
        let mut x = vec![0.0; hidden.values.len()];
        norm_into(&hidden.values, &self.attention_norm, c.norm_eps, &mut x);
        let mixed = self.attend(&x, &hidden.lengths, cache, hook)?;
        if self.post_norms.is_none() {
            hook.stream(ProjectionKind::AttentionOut, &hidden.values, hidden.width)?;
        }
        let mut added = self.out.run(&mixed, hook)?.remove(0);
        drop(mixed);
        let c = &self.description;
        if let Some([post, _]) = &self.post_norms {
            norm(&mut added, post, c.norm_eps);
        }
        add(&mut hidden.values, &added);
        norm_into(&hidden.values, &self.mlp_norm, c.norm_eps, &mut x);
        if self.post_norms.is_none() {
            hook.stream(ProjectionKind::Down, &hidden.values, hidden.width)?;
        }
        added = match &mut self.mlp {
            Mlp::Dense { gate_up, down } => {
                let inner = gated(self.gating, gate_up.run(&x, hook)?);
                down.run(&inner, hook)?.remove(0)
            }
            Mlp::Experts(experts) => experts.run(self.gating, &x, hook)?,
        };
        if let Some([_, post]) = &self.post_norms {
            norm(&mut added, post, c.norm_eps);
        }
        add(&mut hidden.values, &added);
        hidden.check(|| format!("after layer {}", self.layer))
    }

    /// The outputs of the heads, side by side.
    fn attend(
        &mut self,
        x: &[f32],
        lengths: &[usize],
        cache: Option<&mut KeyValueCache>,
        hook: &mut dyn Hook,
    ) -> Result<Vec<f32>> {
        let mut outputs = self.qkv.run(x, hook)?.into_iter();
        let c = &self.description;
        let (mut q, mut k, v) = match (outputs.next(), outputs.next(), outputs.next()) {
            (Some(q), Some(k), Some(v)) => (q, k, v),
            _ => {
                return Err(Error::Linear {
                    linear: self.qkv.name(),
                    part: "the projections",
                    have: 0,
                    want: 3,
                });
            }
        };
        if let Some([q_norm, k_norm]) = &self.head_norms {
            norm(&mut q, q_norm, c.norm_eps);
            norm(&mut k, k_norm, c.norm_eps);
        }
        let (first, narrow) = (cache.as_ref().map_or(0, |cache| cache.tokens()), c.kv_heads * c.head_dim);
        let (cos, sin) = self.rope.table(first..first + lengths.iter().copied().max().unwrap_or(0));
        rotate(&mut q, c.head_dim, c.heads * c.head_dim, lengths, &cos, &sin);
        rotate(&mut k, c.head_dim, narrow, lengths, &cos, &sin);
        let heads = Heads {
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
            scale: c.attention_scale,
            cap: c.attention_cap,
            window: c.windows[self.layer],
        };
        let Some(cache) = cache else {
            return Ok(attention(&heads, &sequences(lengths, narrow, &k, &v), &q));
        };
        cache.extend(lengths, narrow, &k, &v);
        Ok(attention(&heads, &cache.sequences(lengths), &q))
    }
}

/// The inside of an MLP: the activation of the gate, times up.
fn gated(gating: Gating, gate_up: Vec<Vec<f32>>) -> Vec<f32> {
    const JOB: usize = 1 << 15;
    let mut parts = gate_up.into_iter();
    let (mut gate, up) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let jobs: Vec<_> = gate.chunks_mut(JOB).zip(up.chunks(JOB)).collect();
    parallel::each(jobs, |(gate, up)| match gating {
        Gating::Silu => exp::silu_times(gate, up),
        Gating::GeluTanh => exp::gelu_times(gate, up),
    });
    gate
}
