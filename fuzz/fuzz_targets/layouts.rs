//! libFuzzer's entry to [`lowbit_fuzz::layouts`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(layouts);
