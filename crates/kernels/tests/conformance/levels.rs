//! Which levels ran, and that there is more than one.

use lowbit_kernels::Kernels;
use std::io::Write;

/// Every level but the reference.
pub(crate) fn under_test() -> impl Iterator<Item = Kernels> {
    Kernels::available().filter(|&kernels| kernels != Kernels::reference())
}

#[test]
fn levels_are_listed_once_and_found_by_name() {
    let names: Vec<_> = Kernels::available().map(Kernels::name).collect();
    // Not through println!, which the test runner keeps to itself: every log should tell.
    writeln!(std::io::stdout(), "\nkernel levels that ran: {}", names.join(", ")).unwrap();
    assert_eq!(names[0], "reference");
    assert_eq!(names[1..].first() == Some(&"wide"), cfg!(feature = "wide"));
    assert_eq!(Kernels::best().name(), *names.last().unwrap());
    for (i, name) in names.iter().enumerate() {
        assert_eq!(names.iter().position(|other| other == name), Some(i));
        assert_eq!(Kernels::named(name).unwrap().name(), *name);
    }
    assert_eq!(Kernels::named("mmx"), None);
}

#[test]
#[cfg(all(feature = "std", target_arch = "x86_64"))]
fn x86_levels_are_what_the_cpu_has() {
    let named = |name| Kernels::named(name).is_some();
    assert_eq!(named("sse4.2"), is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("popcnt"));
    assert_eq!(named("avx2"), is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2"));
    assert_eq!(named("avx512"), is_x86_feature_detected!("avx512vbmi2") && is_x86_feature_detected!("gfni"));
}
