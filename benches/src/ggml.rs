//! ggml as a peer: a shared library that you built, loaded at run time, and four of its types.
//!
//! ```text
//! type     values  bytes  of a block         ours
//! nvfp4        64     36  4 scales, codes    nvfp4, without the tensor scale that ours has
//! mxfp4        32     17  scale, codes       mxfp4
//! q4_0         32     18  f16 scale, codes   int4-g32
//! q8_0         32     34  f16 scale, codes   int8-g32
//! ```
//!
//! The only unsafe code of the benches: calls through function pointers that the library hands out in its tables of types. That the
//! library is what it says it is, is for the one who sets `LOWBIT_GGML` to know; blocks of other sizes than those above are refused.
#![allow(unsafe_code)]

use std::ffi::{OsStr, c_char, c_int, c_void};
use std::mem::ManuallyDrop;

use libloading::{Library, Symbol};

type ToFloat = unsafe extern "C" fn(*const c_void, *mut f32, i64);
type FromFloat = unsafe extern "C" fn(*const f32, *mut c_void, i64);
type VecDot = unsafe extern "C" fn(c_int, *mut f32, usize, *const c_void, usize, *const c_void, usize, c_int);
type QuantizeChunk = unsafe extern "C" fn(c_int, *const f32, *mut c_void, i64, i64, i64, *const f32) -> usize;

/// What `ggml_get_type_traits` points to.
#[repr(C)]
struct Traits {
    name: *const c_char,
    block: i64,
    interleave: i64,
    bytes: usize,
    quantized: bool,
    to_float: Option<ToFloat>,
    from_float_ref: Option<FromFloat>,
}

/// What `ggml_get_type_traits_cpu` points to.
#[repr(C)]
struct CpuTraits {
    from_float: Option<FromFloat>,
    vec_dot: Option<VecDot>,
    vec_dot_type: c_int,
    rows: i64,
}

/// The library, which is never unloaded: its types stay good.
pub struct Ggml {
    library: ManuallyDrop<Library>,
}

/// One of its types.
#[derive(Clone, Copy)]
pub struct Type {
    /// As ggml spells it.
    pub name: &'static str,
    id: c_int,
    block: usize,
    bytes: usize,
    to_float: ToFloat,
    from_float: FromFloat,
    vec_dot: VecDot,
    quantize_chunk: QuantizeChunk,
}

impl Ggml {
    /// Name, number, values and bytes of a block, the number of the type that `vec_dot` takes on the other side.
    const TYPES: [(&'static str, c_int, usize, usize); 4] =
        [("nvfp4", 40, 64, 36), ("mxfp4", 39, 32, 17), ("q4_0", 2, 32, 18), ("q8_0", 8, 32, 34)];

    /// The type on the other side of every `vec_dot` above.
    const ACTIVATIONS: c_int = 8;

    /// Loads the library at that path.
    ///
    /// # Errors
    /// What the loader says, or which function is not there.
    pub fn load(path: &OsStr) -> Result<Self, String> {
        // SAFETY: loading runs the library's initialisers; who sets the path vouches for them.
        let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
        let ggml = Self { library: ManuallyDrop::new(library) };
        let init: Symbol<'_, unsafe extern "C" fn()> = ggml.symbol("ggml_cpu_init")?;
        // SAFETY: `void ggml_cpu_init(void)` fills its tables and may be called any number of times.
        unsafe { init() };
        Ok(ggml)
    }

    /// The type of that name.
    ///
    /// # Errors
    /// Where the library lacks it, or its blocks are not those that this file knows.
    pub fn kind(&self, name: &str) -> Result<Type, String> {
        let (name, id, block, bytes) = Self::TYPES
            .into_iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| format!("no type {name}"))?;
        let traits: Symbol<'_, unsafe extern "C" fn(c_int) -> *const Traits> =
            self.symbol("ggml_get_type_traits")?;
        let cpu: Symbol<'_, unsafe extern "C" fn(c_int) -> *const CpuTraits> =
            self.symbol("ggml_get_type_traits_cpu")?;
        let quantize_chunk: Symbol<'_, QuantizeChunk> = self.symbol("ggml_quantize_chunk")?;
        // SAFETY: it takes the number of a type and returns a pointer into a constant table.
        let traits = unsafe { traits(id) };
        // SAFETY: as above.
        let cpu = unsafe { cpu(id) };
        // SAFETY: null, or an entry of a table that is constant and lives as long as the library, which is borrowed here.
        let traits = unsafe { traits.as_ref() };
        // SAFETY: as above.
        let cpu = unsafe { cpu.as_ref() };
        let (traits, cpu) = traits.zip(cpu).ok_or_else(|| format!("{name}: no table"))?;
        let size = (usize::try_from(traits.block).unwrap_or(0), traits.bytes);
        if size != (block, bytes) || cpu.vec_dot_type != Self::ACTIVATIONS {
            return Err(format!(
                "{name}: blocks of {} values in {} bytes, not {block} in {bytes}",
                size.0, size.1
            ));
        }
        let parts = (traits.to_float, cpu.from_float, cpu.vec_dot);
        let (Some(to_float), Some(from_float), Some(vec_dot)) = parts else {
            return Err(format!("{name}: a function is missing"));
        };
        Ok(Type { name, id, block, bytes, to_float, from_float, vec_dot, quantize_chunk: *quantize_chunk })
    }

    fn symbol<T>(&self, name: &str) -> Result<Symbol<'_, T>, String> {
        // SAFETY: every caller above names the type that ggml's headers declare for that name.
        unsafe { self.library.get(name.as_bytes()) }.map_err(|error| error.to_string())
    }
}

impl Type {
    /// Bytes of `n` values.
    ///
    /// # Panics
    /// If they are not whole blocks.
    pub fn packed_len(&self, n: usize) -> usize {
        assert!(n.is_multiple_of(self.block), "{n} values in blocks of {}", self.block);
        n / self.block * self.bytes
    }

    /// `ggml_quantize_chunk` without an importance matrix, which is how files are made.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn quantize_chunk(&self, x: &[f32], columns: usize, out: &mut [u8]) {
        assert_eq!(out.len(), self.packed_len(x.len()));
        assert!(columns > 0 && x.len().is_multiple_of(columns) && columns.is_multiple_of(self.block));
        let (rows, columns) = ((x.len() / columns) as i64, columns as i64);
        let (from, to) = (x.as_ptr(), out.as_mut_ptr().cast());
        // SAFETY: it reads `rows * columns` values, all of `x`, and writes their blocks, all of `out`; the lengths were checked.
        unsafe { (self.quantize_chunk)(self.id, from, to, 0, rows, columns, std::ptr::null()) };
    }

    /// `from_float` of the CPU backend, which is how activations are quantized.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn from_float(&self, x: &[f32], out: &mut [u8]) {
        assert_eq!(out.len(), self.packed_len(x.len()));
        // SAFETY: it reads that many values and writes their blocks; the lengths were checked.
        unsafe { (self.from_float)(x.as_ptr(), out.as_mut_ptr().cast(), x.len() as i64) };
    }

    /// `to_float`, which is how weights are dequantized.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn to_float(&self, blocks: &[u8], out: &mut [f32]) {
        assert_eq!(blocks.len(), self.packed_len(out.len()));
        // SAFETY: it reads the blocks of that many values and writes the values; the lengths were checked.
        unsafe { (self.to_float)(blocks.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) };
    }

    /// `vec_dot` of a row with `n` activations in q8_0, whose bytes `activations` are.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn vec_dot(&self, n: usize, row: &[u8], activations: &[u8]) -> f32 {
        assert_eq!(row.len(), self.packed_len(n));
        assert_eq!(activations.len(), n / 32 * 34);
        let mut sum = 0.0;
        let (row, activations) = (row.as_ptr().cast(), activations.as_ptr().cast());
        // SAFETY: it reads `n` values of either side, all of both slices, and writes one number; one row, so strides are not used.
        unsafe { (self.vec_dot)(n as c_int, &mut sum, 0, row, 0, activations, 0, 1) };
        sum
    }
}
