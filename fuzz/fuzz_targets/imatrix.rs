//! libFuzzer's entry to [`lowbit_fuzz::imatrix`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(imatrix);
