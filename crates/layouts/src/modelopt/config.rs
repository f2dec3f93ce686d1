//! `hf_quant_config.json`, and its counterpart in `config.json`, as `process_layer_quant_config`
//! and `convert_hf_quant_config_format` produce them.
//!
//! If all layers have the same algorithm and settings, these are at the top level, with a list of
//! excluded modules. Otherwise the algorithm is `MIXED_PRECISION`, every layer is listed by name,
//! and no module is excluded.

use super::super::{Quantized, QuantizedModule};
use super::METHOD;
use super::algorithm::{Algorithm, Args};
use super::exclude::summarize;
use super::find::{self, SIDE_FILE};
use crate::{CONFIG, json};
use serde_json::{Map, Value, json};

/// The name for several algorithms.
const MIXED: &str = "MIXED_PRECISION";

/// An algorithm with its group size, and its layers.
struct Way<'a> {
    algorithm: Algorithm,
    group: usize,
    layers: Vec<&'a str>,
}

/// The contents of both files.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let (ways, layers) = ways(quantized);
    let producer = json!({"name": METHOD, "version": "0.47.0"});
    let cache = cache(quantized);
    let (mut side, mut inner) = (Map::new(), Map::new());
    if let [way] = &ways[..] {
        side.extend(way.layer());
        side.insert("kv_cache_quant_algo".into(), cache.clone());
        let kept: Vec<&String> = quantized.kept.iter().chain(quantized.embeddings).collect();
        let exclude = json!(summarize(&kept, &way.layers));
        side.insert("exclude_modules".into(), exclude.clone());
        if way.algorithm.alone {
            let mut group = way.group();
            if way.algorithm.name == "NVFP4_SVD" {
                group.extend(way.smoothing());
            }
            group.insert("targets".into(), json!(["Linear"]));
            inner.insert("config_groups".into(), json!({"group_0": group}));
        }
        inner.insert("ignore".into(), exclude);
    } else {
        side.insert("quant_algo".into(), MIXED.into());
        side.insert("kv_cache_quant_algo".into(), cache.clone());
        side.insert("quantized_layers".into(), layers.clone().into());
        let groups: Map<_, _> = ways
            .iter()
            .enumerate()
            .map(|(at, way)| {
                let mut group = way.group();
                group.insert("targets".into(), json!(way.layers));
                (format!("group_{at}"), group.into())
            })
            .collect();
        inner.insert("config_groups".into(), groups.into());
        inner.insert("quantized_layers".into(), layers.into());
        inner.insert("ignore".into(), json!([]));
    }
    inner.insert("quant_algo".into(), side["quant_algo"].clone());
    match cache.as_str() {
        None => {}
        Some("FP8") => {
            _ = inner
                .insert("kv_cache_scheme".into(), json!({"dynamic": false, "num_bits": 8, "type": "float"}))
        }
        Some(_) => _ = inner.insert("kv_cache_scheme".into(), cache),
    }
    inner.insert("producer".into(), producer.clone());
    inner.insert("quant_method".into(), METHOD.into());
    let mut config = config.clone();
    config.insert("quantization_config".into(), inner.into());
    let side = json!({"producer": producer, "quantization": in_order(side)});
    vec![(SIDE_FILE.into(), json::dumps(&side, 4)), (CONFIG.into(), json::dumps(&Value::Object(config), 4))]
}

/// Moves the algorithms of weights and cache to the front.
fn in_order(side: Map<String, Value>) -> Map<String, Value> {
    let rank = |key: &str| ["quant_algo", "kv_cache_quant_algo"].iter().position(|k| *k == key).unwrap_or(2);
    let mut entries: Vec<_> = side.into_iter().collect();
    entries.sort_by_key(|(key, _)| rank(key));
    entries.into_iter().collect()
}

/// The algorithms in the order of their first layers, and the settings of each layer.
fn ways<'a>(quantized: &Quantized<'a>) -> (Vec<Way<'a>>, Map<String, Value>) {
    let (mut ways, mut layers) = (Vec::<Way<'a>>::new(), Map::new());
    for module in quantized.modules {
        let Some(algorithm) = algorithm(quantized, module) else { continue };
        let group = module.scheme.format.block.group().unwrap_or(0);
        let at = ways.iter().position(|way| (way.algorithm.name, way.group) == (algorithm.name, group));
        let at = at.unwrap_or_else(|| {
            ways.push(Way { algorithm, group, layers: Vec::new() });
            ways.len() - 1
        });
        ways[at].layers.push(&module.name);
        layers.insert(module.name.clone(), ways[at].layer().into());
    }
    (ways, layers)
}

/// The algorithm of a module. If the source's algorithm still fits, it is kept, because its name
/// can carry more information.
fn algorithm(quantized: &Quantized<'_>, module: &QuantizedModule) -> Option<Algorithm> {
    let scheme = module.scheme;
    let before = quantized.source.filter(|source| find::is_own(source)).and_then(|source| {
        let layer = source.get("quantized_layers").and_then(|layers| layers.get(&module.name));
        let name = layer.and_then(|layer| layer.get("quant_algo")).or(source.get("quant_algo"));
        Algorithm::named(name?.as_str()?)
    });
    let same = |a: &Algorithm| {
        (a.activations == scheme.activations || a.unscaled == scheme.activations) && a.carries(&scheme.format)
    };
    before.filter(same).or_else(|| Algorithm::of(&scheme.format, scheme.activations, module.smoothed))
}

/// The `kv_cache_quant_algo`: that of the source, otherwise FP8 if there are cache scales.
fn cache(quantized: &Quantized<'_>) -> Value {
    let said = quantized.source.and_then(|source| source.get("kv_cache_scheme"));
    match said {
        Some(Value::String(name)) => name.as_str().into(),
        Some(Value::Object(args)) => match args.get("type").and_then(Value::as_str) {
            Some("int") => "INT8".into(),
            _ => "FP8".into(),
        },
        _ if quantized.cache => "FP8".into(),
        _ => Value::Null,
    }
}

impl Way<'_> {
    /// The settings of a layer.
    fn layer(&self) -> Map<String, Value> {
        let mut layer = Map::from_iter([("quant_algo".to_owned(), self.algorithm.name.into())]);
        if self.algorithm.group_size {
            layer.insert("group_size".into(), self.group.into());
        }
        if self.algorithm.smoothed {
            layer.extend(self.smoothing());
        }
        layer
    }

    fn smoothing(&self) -> [(String, Value); 2] {
        [("has_zero_point".into(), false.into()), ("pre_quant_scale".into(), true.into())]
    }

    /// The entry in `config_groups`, without its targets. Algorithms without arguments in ModelOpt
    /// have only their name.
    fn group(&self) -> Map<String, Value> {
        let args = |args: Args| {
            let mut object = Map::from_iter([
                ("dynamic".to_owned(), false.into()),
                ("num_bits".to_owned(), args.bits.into()),
                ("type".to_owned(), args.kind.into()),
            ]);
            if args.grouped {
                object.insert("group_size".into(), self.group.into());
            }
            if args.channel {
                object.insert("strategy".into(), "channel".into());
            }
            object
        };
        let (input, weights) = self.algorithm.groups;
        let mut group = Map::new();
        group.extend(input.map(|input| ("input_activations".to_owned(), args(input).into())));
        group.extend(weights.map(|weights| ("weights".to_owned(), args(weights).into())));
        if group.is_empty() {
            group.insert("quant_algo".into(), self.algorithm.name.into());
        }
        group
    }
}
