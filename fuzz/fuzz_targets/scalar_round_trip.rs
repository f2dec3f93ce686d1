//! libFuzzer's entry to [`lowbit_fuzz::scalar_round_trip`].

#![cfg_attr(fuzzing, no_main)]

lowbit_fuzz::target!(scalar_round_trip);
