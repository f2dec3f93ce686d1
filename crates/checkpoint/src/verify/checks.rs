//! The table of checks: one row for each code, with an explanation and a fix.
//!
//! Codes are stable: rows may be added, never renumbered. The letter names the subject: **F**iles,
//! **T**ensors of a linear, **S**cales, **Z**ero points and orders of columns, **I**nputs and
//! caches, **V**alues, **C**onfiguration, the **M**odel as a whole, and comparison **A**gainst the
//! original.

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Loaders refuse the checkpoint, or compute something that was not intended.
    Error,
    /// Unusual, but possibly intended.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// Its stable code.
    pub code: &'static str,
    /// Its name, as words joined by hyphens.
    pub name: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// The meaning of a finding.
    pub explanation: &'static str,
    /// The suggested remedy.
    pub fix: &'static str,
}

/// Generates the enum and its table, one row for each line.
macro_rules! checks {
    ($($id:ident $code:literal $name:literal $severity:ident: $explanation:literal, $fix:literal;)*) => {
        /// A row of [`CHECKS`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub(crate) enum Code { $(#[doc = $name] $id,)* }

        /// All checks, in the order of their codes.
        pub const CHECKS: &[Check] = &[$(Check {
            code: $code,
            name: $name,
            severity: Severity::$severity,
            explanation: $explanation,
            fix: $fix,
        },)*];
    };
}

impl Code {
    /// Its row of [`CHECKS`].
    pub(crate) const fn check(self) -> &'static Check {
        &CHECKS[self as usize]
    }
}

checks! {
    NoConfig "LB-F01" "no-config" Error:
        "There is no config.json, so no loader knows what model this is or how it is quantized.",
        "Copy config.json from where the checkpoint was made.";
    ConfigBroken "LB-F02" "config-broken" Error:
        "A configuration file is not a JSON object.",
        "Repair it, or copy it again from where the checkpoint was made.";
    NoWeights "LB-F03" "no-weights" Error:
        "The directory holds no safetensors file.",
        "Check the path; a conversion or a download may not have finished.";
    IndexMissing "LB-F04" "index-missing" Error:
        "There are several weight files and no index that says which tensor is where; transformers does not open them.",
        "Copy model.safetensors.index.json, or write the checkpoint again.";
    IndexBroken "LB-F05" "index-broken" Error:
        "The index is not read: not JSON, without a weight_map, or with a shard name that leaves the directory.",
        "Copy model.safetensors.index.json again, or write the checkpoint again.";
    ShardMissing "LB-F06" "shard-missing" Error:
        "The index names a shard that is not in the directory; its tensors are lost.",
        "Download or copy the shard.";
    FileBroken "LB-F07" "file-broken" Error:
        "A safetensors file breaks the rules of the format: cut short, garbage in its header, holes, overlaps.",
        "Download or copy the file again and compare its checksum.";
    TensorNotInShards "LB-F08" "tensor-in-no-shard" Error:
        "The index names a tensor that no shard has; loaders leave its memory uninitialised or stop.",
        "Make the checkpoint again; the tool that wrote it lost a tensor.";
    TensorElsewhere "LB-F09" "tensor-in-wrong-shard" Error:
        "The index names another shard for a tensor than the one that has it; loaders that go by the index do not find it.",
        "Rebuild the index from the shards' headers.";
    TensorNotInIndex "LB-F10" "tensor-not-in-index" Error:
        "A shard has a tensor that the index does not name; loaders that go by the index never load it.",
        "Rebuild the index from the shards' headers.";
    ShardNotInIndex "LB-F11" "shard-not-in-index" Error:
        "A file has the name of a weight file but the index does not name it: it is left over, or the index is of another checkpoint.",
        "Delete the file if it is left over, or rebuild the index.";
    StrayFile "LB-F12" "stray-file" Warning:
        "A safetensors file is neither the model's file nor a shard; most loaders ignore it, some load every *.safetensors.",
        "Move it out of the directory if it is no part of the model.";
    TensorTwice "LB-F13" "tensor-twice" Error:
        "Two shards hold a tensor of the same name; which one is loaded depends on the loader.",
        "Remove one of the two.";
    TotalSize "LB-F14" "total-size" Warning:
        "metadata.total_size of the index is not the sum of the tensors' bytes; the index may be of another version.",
        "Rebuild the index from the shards' headers.";

    ScaleMissing "LB-T01" "scale-missing" Error:
        "A weight has codes and no scales: engines use uninitialised or unit scales, often without a word.",
        "Make the checkpoint again, or take the scales from its source.";
    TensorScaleMissing "LB-T02" "tensor-scale-missing" Error:
        "A two-level format needs a scale for the whole tensor, and it is not there; some engines read garbage instead.",
        "Make the checkpoint again, or take the tensor scale from its source.";
    CodesMissing "LB-T03" "codes-missing" Error:
        "There are scales and no codes of their weight.",
        "Make the checkpoint again, or take the codes from its source.";
    ZeroMissing "LB-T04" "zero-point-missing" Error:
        "The format is asymmetric and this weight has no zero points.",
        "Make the checkpoint again; its neighbours have them.";
    ScaleShape "LB-T05" "scale-shape" Error:
        "Scales do not have the shape that the weight and the format ask for.",
        "Make the checkpoint again; a transposed or cut scale cannot be told apart from here.";
    ScaleDtype "LB-T06" "scale-dtype" Error:
        "Scales are stored in another type than the format has; loaders that reinterpret bytes read other numbers.",
        "Store them in the type that the format asks for.";
    CodesShape "LB-T07" "codes-shape" Error:
        "Codes or zero points do not have the type or shape that the format asks for.",
        "Make the checkpoint again, or correct what the configuration says of this layer.";
    LayerUnreadable "LB-T08" "layer-unreadable" Error:
        "A quantized layer contradicts its layout in another way; the numbers say how.",
        "Correct the configuration, or make the checkpoint again.";
    WeightTwice "LB-T09" "weight-twice" Error:
        "A layer has a quantized weight and a plain one besides; which one is loaded depends on the loader.",
        "Remove the one that is not meant.";

    ScaleNan "LB-S01" "scale-nan" Error:
        "Scales are NaN (in E8M0: byte 255), and so is every weight under them.",
        "Quantize again; the source or the calibration had NaN in it.";
    ScaleInfinite "LB-S02" "scale-infinite" Error:
        "Scales are infinite: they overflowed their type.",
        "Quantize again with a type that holds them: f16 ends at 65504.";
    ScaleZero "LB-S03" "scale-zero" Error:
        "Scales are zero over codes that are not: the block was lost to underflow.",
        "Quantize again with a tensor scale or a wider scale type.";
    ScaleNegative "LB-S04" "scale-negative" Error:
        "Scales are negative where kernels take them for positive; only integer groups may have them.",
        "Flip the sign of the scale and of its codes, or quantize again.";
    ExponentsAsNumbers "LB-S05" "e8m0-as-numbers" Error:
        "Scales are whole numbers from 0 to 255: E8M0 exponent bytes that were stored as numbers. They mean 2^(byte - 127).",
        "Store the bytes as U8 or F8_E8M0.";
    ScaleMagnitude "LB-S06" "scale-magnitude" Error:
        "Scales make weights of an absurd size: exponent bytes of something else, or a tensor scale that was inverted.",
        "Check whether the tensor scale multiplies (ModelOpt) or divides (compressed-tensors), and the scale's type.";

    ZeroRange "LB-Z01" "zero-point-range" Error:
        "Zero points are outside of the range of the codes, or not finite.",
        "Quantize again; the zero points are not those of these codes.";
    ZerosAreV2 "LB-Z02" "gptq-v2-zeros-in-v1" Error:
        "All zero points are 2^(bits-1), but the configuration says GPTQ v1, whose readers add one: every weight is off by one scale.",
        "Set checkpoint_format to gptq_v2, or subtract one from every zero point.";
    ZerosAreV1 "LB-Z03" "gptq-v1-zeros-in-v2" Error:
        "All zero points are 2^(bits-1)-1, but the configuration says GPTQ v2, whose readers add nothing: every weight is off by one scale.",
        "Set checkpoint_format to gptq, or add one to every zero point.";
    OrderRange "LB-Z04" "g-idx-range" Error:
        "g_idx names groups that there are no scales for.",
        "Make the checkpoint again; its order and its scales are of different layers or group sizes.";

    InputScale "LB-I01" "input-scale" Error:
        "A static scale of activations is zero, negative, NaN or infinite: every output of the layer is.",
        "Calibrate again with samples that reach this layer; experts that saw no token are a usual cause.";
    CacheScale "LB-I02" "kv-scale" Error:
        "A scale of the key or value cache is zero, negative, NaN or infinite.",
        "Calibrate the cache again, or remove its scales.";
    PreScale "LB-I03" "pre-quant-scale" Error:
        "What the input's columns are multiplied by is zero, negative, NaN or infinite in places.",
        "Smooth again; a column of activations was never seen.";

    WeightNonFinite "LB-V01" "weight-not-finite" Error:
        "An unquantized tensor holds NaN or infinities.",
        "Take the tensor from the original; if it is so there, the model is broken.";
    NanCodes "LB-V02" "code-nan" Error:
        "Codes of an 8-bit float are NaN or infinite.",
        "Quantize again and saturate.";

    ConfigUnusable "LB-C01" "config-unusable" Error:
        "The quantization configuration makes no sense for any layer.",
        "Correct it; the detail says what is missing.";
    ConfigBits "LB-C02" "config-bits" Error:
        "The configuration says another number of bits than the tensors have.",
        "Correct the number in the configuration.";
    ConfigGroup "LB-C03" "config-group-size" Error:
        "The configuration says another group size than the tensors have.",
        "Correct group_size in the configuration.";
    ConfigSymmetric "LB-C04" "config-symmetric" Error:
        "The configuration and the tensors disagree about zero points.",
        "Correct sym / symmetric / zero_point in the configuration.";
    ConfigsDisagree "LB-C05" "configs-disagree" Error:
        "config.json and hf_quant_config.json name different algorithms; engines read one or the other.",
        "Make both say the same.";
    IgnoredButQuantized "LB-C06" "ignored-but-quantized" Error:
        "The configuration leaves a layer out that is quantized; engines load its codes as plain weights, or drop them.",
        "Take the layer out of the ignore list.";
    LeftUnquantized "LB-C07" "left-unquantized" Error:
        "The configuration says that a layer is quantized and it is not; engines look for scales that are not there.",
        "Add the layer to the ignore list.";
    QuantizationUnsaid "LB-C08" "quantization-unsaid" Error:
        "Tensors are quantized, and no configuration says so; engines load codes as plain weights.",
        "Copy quantization_config into config.json from where the checkpoint was made.";
    NothingQuantized "LB-C09" "nothing-quantized" Error:
        "The configuration says that the model is quantized, and no tensor is.",
        "Remove quantization_config from config.json.";
    ConventionUnread "LB-C10" "convention-unread" Warning:
        "This version does not read the convention; files, names, float tensors and whatever names show were checked, codes were not.",
        "Check it with the tool that made it.";
    ConfigOrder "LB-C11" "config-desc-act" Error:
        "The configuration says that columns are not reordered (desc_act false), and g_idx reorders them; engines that trust it ignore g_idx.",
        "Set desc_act to true.";

    FusedScales "LB-M01" "fused-tensor-scales" Error:
        "Linears that engines run as one have different tensor scales; engines take the largest for all, and the others' weights come out wrong.",
        "Quantize them with one tensor scale.";
    FusedMixed "LB-M02" "fused-mixed" Warning:
        "Linears that engines run as one are in different formats, or only some of them are quantized; engines may refuse that.",
        "Quantize all of them alike, or none.";
    FusedInputs "LB-M03" "fused-input-scales" Warning:
        "Linears that engines run as one have different static input scales; engines take the largest.",
        "Give them the largest of their scales.";
    DeadExpert "LB-M04" "dead-expert" Error:
        "All weights of an expert are zero.",
        "Make the checkpoint again: the expert was lost on the way, or never loaded.";
    ExpertMissing "LB-M05" "expert-missing" Error:
        "An expert is missing among its siblings.",
        "Make the checkpoint again; the tool that wrote it lost an expert.";
    TiedHead "LB-M06" "tied-head" Error:
        "The configuration ties the output head to the embedding, and the checkpoint has a head of its own that differs; one of them is ignored.",
        "Set tie_word_embeddings to false, or remove the head.";
    HeadMissing "LB-M07" "head-missing" Error:
        "The configuration says that the output head is a tensor of its own, and there is none.",
        "Set tie_word_embeddings to true, or restore the head.";

    OriginalOnly "LB-A01" "weight-lost" Error:
        "The original has a weight that this checkpoint lacks.",
        "Make the checkpoint again, or compare with the model that it was made from.";
    NotInOriginal "LB-A02" "weight-added" Warning:
        "This checkpoint has a weight that the original lacks.",
        "Compare with the model that it was made from.";
    OtherShape "LB-A03" "weight-shape" Error:
        "A weight has another shape than in the original.",
        "Compare with the model that it was made from.";
    SqnrOutlier "LB-A04" "sqnr-outlier" Error:
        "A layer lost far more than the others of its format.",
        "Look at the layer: outliers, a wrong scale, or weights of another layer. Quantize it again, or leave it out.";
    SqnrFloor "LB-A05" "sqnr-floor" Error:
        "A layer lost more than its format can lose on any usual weights.",
        "Scales or codes are wrong, or the original is another model. Smoothing that is folded into norms also looks like this.";
    KeptChanged "LB-A06" "kept-changed" Warning:
        "A weight that is not quantized differs from the original's.",
        "Smoothing and rotations do this on purpose; nothing else should.";
}
