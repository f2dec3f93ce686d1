//! libFuzzer's entry to [`lowbit_fuzz::safetensors_reader`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(safetensors_reader);
