//! libFuzzer's entry to [`lowbit_fuzz::products`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(products);
