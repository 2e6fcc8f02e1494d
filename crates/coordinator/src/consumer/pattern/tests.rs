//! Patterns against what RE2/J 1.8 says of them.

use super::*;

#[track_caller]
fn matches(pattern: &str, name: &str) -> bool {
    compile(pattern).unwrap_or_else(|| panic!("{pattern} does not compile")).is_match(name)
}

#[test]
fn patterns_match_whole_names() {
    for (pattern, yes, no) in [
        ("orders", &["orders"][..], &["orders2", "xorders", "order"][..]),
        ("orders.*", &["orders", "orders-eu"], &["my-orders"]),
        ("^orders$", &["orders"], &["orders2"]),
        ("a|bc", &["a", "bc"], &["ab", "abc", "b"]),
        ("(a|b)c", &["ac", "bc"], &["a", "c"]),
        ("(?P<x>a)(?<y>b)", &["ab"], &["a"]),
        ("(?i)Orders", &["ORDERS", "orders"], &["order"]),
        ("a(?i:B)c", &["abc", "aBc"], &["ABc", "abC"]),
        ("(?i)a(?-i)b", &["Ab", "ab"], &["AB"]),
        ("(?i)a|b", &["A", "B"], &["c"]),
        ("(?ms-U)a.b", &["a.b", "axb"], &["ab"]),
        ("a(?s)+", &["a", "aa"], &[""]),
        (r"a\é", &[], &["a"]),
        ("[a-c_]+", &["abc", "_"], &["d", ""]),
        ("[^a-c]+", &["xyz", "-"], &["xay"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[-a]", &["a", "-"], &["b"]),
        ("[a&&b]", &["a", "&", "b"], &["c"]),
        ("[+--c]", &["+", "-", "c"], &["b"]),
        ("[[a]", &["[", "a"], &["b"]),
        ("[[:alpha:][:digit:]]", &["a", "7"], &["-"]),
        ("[[:^alpha:]]", &["7"], &["a"]),
        ("[[:word]", &["[", ":", "w"], &["x"]),
        (r"\d+\.\w\s?", &["12.a"], &["12a"]),
        (r"\D\S\W", &["ab-"], &["1b-"]),
        (r"\pL\p{Lu}\P{L}\p{^L}", &["aA12"], &["aa12", "aAaa"]),
        (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb", "a.ba.b"]),
        (r"\Qa.b", &["a.b"], &["axb"]),
        (r"\x41\x{42}\103", &["ABC"], &["abc"]),
        (r"\-\.\_", &["-._"], &["---"]),
        (r"\Aa\bx|\Ba\z", &[], &["ax"]),
        ("a{2}", &["aa"], &["a", "aaa"]),
        ("a{2,}", &["aa", "aaa"], &["a"]),
        ("a{1,2}?b", &["ab", "aab"], &["aaab"]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("a{x", &["a{x"], &["a"]),
        ("a{01}", &["a{01}"], &["a"]),
        ("{", &["{"], &["a"]),
        ("x*?y+?z??", &["y", "xyz"], &["x"]),
        ("größe", &[], &["grosse"]),
        ("[ä-ü]?a", &["a"], &["ua"]),
        ("", &[""], &["a"]),
        ("()", &[""], &["a"]),
        ("(|a)+", &["", "aa"], &["b"]),
        ("^*", &[""], &["a"]),
    ] {
        assert_eq!(check(pattern), Ok(()), "{pattern}");
        for name in yes {
            assert!(matches(pattern, name), "{pattern} should match {name}");
        }
        for name in no {
            assert!(!matches(pattern, name), "{pattern} should not match {name}");
        }
    }
}

#[test]
fn what_re2_refuses_is_refused() {
    for (pattern, why) in [
        ("(", "missing closing )"),
        ("a)", "unexpected )"),
        (")", "unexpected )"),
        ("[a", "missing closing ]"),
        ("[]", "missing closing ]"),
        ("[z-a]", "invalid character class range"),
        (r"[a-\d]", "invalid escape sequence"),
        ("[[:foo:]]", "invalid character class range"),
        ("*", "missing argument to repetition operator"),
        ("a|*", "missing argument to repetition operator"),
        ("(+)", "missing argument to repetition operator"),
        ("a**", "repetition of a repetition"),
        ("a*{2}", "repetition of a repetition"),
        ("a{2}{3}", "repetition of a repetition"),
        ("a???", "repetition of a repetition"),
        ("a{1001}", "invalid repeat count"),
        ("a{2,1}", "invalid repeat count"),
        ("a{99999999999}", "invalid repeat count"),
        ("((a{100}){100}){100}", "invalid repeat count"),
        ("(?=a)", "invalid or unsupported syntax after (?"),
        ("(?!a)", "invalid or unsupported syntax after (?"),
        ("(?<=a)", "invalid or unsupported syntax after (?"),
        ("(?x)a", "invalid or unsupported syntax after (?"),
        ("(?i-)a", "invalid or unsupported syntax after (?"),
        ("(?", "invalid or unsupported syntax after (?"),
        ("(?P<a", "invalid or unsupported syntax after (?"),
        ("(?P<n>a)(?P<n>b)", "two groups have one name"),
        (r"\", "trailing backslash"),
        (r"\1", "invalid escape sequence"),
        (r"\8", "invalid escape sequence"),
        (r"\Z", "invalid escape sequence"),
        (r"\C", "invalid escape sequence"),
        (r"\y", "invalid escape sequence"),
        (r"\x1", "invalid escape sequence"),
        (r"\x{110000}", "invalid escape sequence"),
        (r"\pX", "invalid character class range"),
        (r"\p{Foo}", "invalid character class range"),
    ] {
        assert_eq!(check(pattern), Err(Invalid(why)), "{pattern}");
    }
}

#[test]
fn no_expression_takes_long() {
    let nested = "(".repeat(100_000);
    assert_eq!(check(&nested), Err(Invalid("nested too deeply")));
    let long = "(a{50}b{50}){9}".repeat(20);
    assert_eq!(check(&long), Err(Invalid("too large")));
    // The largest that there can be, and names that come close.
    let largest = "(a?){1000}".repeat(9) + &"a".repeat(900);
    assert_eq!(check(&largest), Ok(()));
    let name = "a".repeat(249);
    assert!(!matches(&largest, &name));
    assert!(matches(&largest, &"a".repeat(900)));
}

proptest::proptest! {
    #[test]
    fn what_is_accepted_can_be_resolved(pattern in r"[a-c.|*+?(){}\[\]\\^$,:0-3dwpQEixP<>-]{0,24}") {
        if check(&pattern).is_ok() {
            let regex = compile(&pattern);
            proptest::prop_assert!(regex.is_some(), "{}", pattern);
        }
    }
}
