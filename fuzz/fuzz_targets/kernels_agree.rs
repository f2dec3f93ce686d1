//! libFuzzer's entry to [`lowbit_fuzz::kernels_agree`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(kernels_agree);
