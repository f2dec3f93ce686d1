//! A few tokens of text, the likeliest each time.
//!
//! All layers are read once and kept; each token runs the whole sequence again. It is for looking at a model, not for serving it.

use crate::Result;
use crate::head::argmax;
use crate::model::Model;

impl Model<'_> {
    /// The `count` tokens that the model thinks likeliest after `prompt`, one by one. Takes the memory of the whole model in f32.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`].
    pub fn generate(&self, prompt: &[u32], count: usize) -> Result<Vec<u32>> {
        let mut layers = (0..self.layers()).map(|layer| self.layer(layer)).collect::<Result<Vec<_>>>()?;
        let (head, mut tokens) = (self.head()?, prompt.to_vec());
        for _ in 0..count {
            let mut hidden = self.embed(&[&tokens])?;
            layers.iter_mut().try_for_each(|layer| layer.forward(&mut hidden, &mut ()))?;
            let last = &hidden.values()[(tokens.len() - 1) * hidden.width()..];
            tokens.push(argmax(&head.logits(last)?) as u32);
        }
        Ok(tokens.split_off(prompt.len()))
    }
}
