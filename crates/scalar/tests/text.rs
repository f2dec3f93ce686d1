//! Display, Debug and FromStr.

mod floats;

use floats::for_each_float;
use lowbit_scalar::*;

#[test]
fn debug_shows_value_and_bits() {
    assert_eq!(format!("{:?}", E2M1::from_f32(1.5)), "E2M1(1.5, 0b0011)");
    assert_eq!(format!("{:?}", E2M1::NEG_ZERO), "E2M1(-0, 0b1000)");
    assert_eq!(format!("{:?}", E3M2::MAX), "E3M2(28, 0b011111)");
    assert_eq!(format!("{:?}", E4M3::NAN), "E4M3(NaN, 0b01111111)");
    assert_eq!(format!("{:?}", E5M2::NEG_INFINITY), "E5M2(-inf, 0b11111100)");
    assert_eq!(format!("{:?}", E4M3B11FNUZ::MAX), "E4M3B11FNUZ(30, 0b01111111)");
    assert_eq!(format!("{:?}", E3M0::MAX), "E3M0(16, 0b0111)");
    assert_eq!(format!("{:?}", UE5M3::MAX), "UE5M3(114688, 0b11111110)");
    assert_eq!(format!("{:?}", Int3::MIN), "Int3(-4, 0b100)");
    assert_eq!(format!("{:?}", Uint1::MAX), "Uint1(1, 0b1)");
    assert_eq!(format!("{:?}", MxInt8::MIN), "MxInt8(-1.984375, 0b10000001)");
    assert_eq!(format!("{:?}", Nf4::ZERO), "Nf4(0, 0b0111)");
    assert_eq!(format!("{:?}", Fp4::MIN), "Fp4(-1, 0b1011)");
}

#[test]
fn display_is_the_value_with_the_formatters_options() {
    assert_eq!(E4M3::from_f32(0.1).to_string(), "0.1015625");
    assert_eq!(format!("[{:>8.2}]", E4M3::from_f32(0.1)), "[    0.10]");
    assert_eq!(Int8::MIN.to_string(), "-128");
}

#[test]
fn what_display_writes_from_str_reads() {
    for_each_float!(T => {
        for code in 0..=T::FORMAT.mask() {
            let x = T::from_bits(code);
            let again: T = x.to_string().parse().expect("a number");
            assert!(if x.is_nan() { again.is_nan() } else { again.to_bits() == code }, "{x:?} {again:?}");
        }
    });
    for code in 0..=u8::MAX {
        macro_rules! check {
            ($($type:ty),*) => {$(
                let x = <$type>::from_bits(code);
                let again = x.to_string().parse::<$type>().expect("a number").to_bits();
                // -0 and -2 are codes that encoding does not produce.
                let unused = ["-0", "-2"].contains(&x.to_string().as_str()) && again != x.to_bits();
                assert!(again == x.to_bits() || unused, "{x:?}");
            )*};
        }
        check!(Int1, Int4, Int8, Uint1, Uint4, Uint8, MxInt8, Nf4, Fp4);
    }
}

/// Each text is nearer to one side, and only its last digit says so: f64 sees the midpoint in all of them.
#[test]
fn from_str_rounds_once_however_many_digits_there_are() {
    let zeros = "0".repeat(60);
    let nines = "9".repeat(60);
    fn e2m1(text: &str) -> f32 {
        text.parse::<E2M1>().expect("a number").to_f32()
    }
    assert_eq!(e2m1("1.25"), 1.0);
    assert_eq!(e2m1(&format!("1.25{zeros}1")), 1.5);
    assert_eq!(e2m1(&format!("-0.125{zeros}1e1")), -1.5);
    assert_eq!(e2m1("1.750"), 2.0);
    assert_eq!(e2m1(&format!("1.74{nines}")), 1.5);
    assert_eq!(e2m1(&format!("000.0174{nines}E+2")), 1.5);
    assert_eq!(e2m1(&format!("17{zeros}.5e-61")), 1.5);
    assert_eq!(e2m1(&format!("175{zeros}e-62")), 2.0);
    assert_eq!(e2m1("5"), 4.0);
    assert_eq!(e2m1(&format!("5.{zeros}1")), 6.0);
    // 99.9…9 is 100 in f64, a digit longer; 100 is halfway between 96 and 104.
    fn e4m3(text: &str) -> f32 {
        text.parse::<E4M3>().expect("a number").to_f32()
    }
    assert_eq!([e4m3("100"), e4m3("0.1e3"), e4m3(&format!("99.{nines}"))], [96.0; 3]);
    assert_eq!([e4m3(&format!("100.{zeros}1")), e4m3(&format!("0.1{zeros}1e3"))], [104.0; 2]);
    assert_eq!(format!("9.4{nines}").parse::<Int8>().expect("a number").to_i8(), 9);
    assert_eq!(format!("9.5{zeros}").parse::<Int8>().expect("a number").to_i8(), 10);
    assert_eq!(format!("10.5{zeros}1").parse::<Int8>().expect("a number").to_i8(), 11);
    assert_eq!(format!("99{}.5e-2", "9".repeat(40)).parse::<Uint8>().expect("a number").to_u8(), 255);
}

/// The smallest E8M0 midpoint has 89 digits; the text goes on for longer.
#[test]
fn from_str_reads_all_the_digits_of_the_smallest_numbers() {
    let midpoint = format!("{:.200}", 1.5 * 2f64.powi(-127)); // exact, padded with zeros
    let low = |text: &str| text.parse::<E8M0>().expect("a number").to_bits();
    assert_eq!(low(&midpoint), 1, "a tie goes up");
    assert_eq!(low(&format!("{midpoint}1")), 1);
    let digits = midpoint.trim_end_matches('0');
    let (head, last) = digits.split_at(digits.len() - 1);
    let below: u8 = last.parse::<u8>().expect("a digit") - 1;
    assert_eq!(low(&format!("{head}{below}{}", "9".repeat(100))), 0);
}

#[test]
fn from_str_saturates_numbers_and_keeps_spelled_out_specials() {
    assert_eq!("1e999".parse::<E5M2>(), Ok(E5M2::MAX));
    assert_eq!("inf".parse::<E5M2>(), Ok(E5M2::INFINITY));
    assert_eq!("-Infinity".parse::<E5M2>(), Ok(E5M2::NEG_INFINITY));
    assert!("nan".parse::<E4M3>().expect("a number").is_nan());
    assert!("inf".parse::<E4M3>().expect("a number").is_nan(), "E4M3 has no infinity");
    assert_eq!("-inf".parse::<E2M1>(), Ok(E2M1::MIN));
    assert_eq!("nan".parse::<E2M1>().expect("a number").to_bits(), 0);
    assert_eq!("-1e-999".parse::<E4M3>().expect("a number").to_bits(), 0x80);
    assert_eq!("-1e-999".parse::<Fp4>().expect("a number").to_bits(), 0b1000, "negative, however tiny");
    assert_eq!("1e99999999999999999999".parse::<Int8>(), Ok(Int8::MAX));
    assert_eq!("0".parse::<E8M0>(), Ok(E8M0::MIN));
    for text in ["", "1.5x", "--1", "0x10", "e5", " 1"] {
        assert!(text.parse::<E4M3>().is_err() && text.parse::<Int4>().is_err(), "{text:?}");
    }
}
