//! [`Class`]: a set of ASCII characters, and the classes that have names.

use std::fmt::Write as _;

/// Bit `n` is character `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class(u128);

impl Class {
    pub(super) const ANY: Class = Class(u128::MAX);

    pub(super) fn of(character: char) -> Self {
        Self::range(character, character)
    }

    /// What is not ASCII is in no name.
    pub(super) fn range(first: char, last: char) -> Self {
        let (first, last) = (u32::from(first), u32::from(last).min(127));
        if first > last {
            return Self::default();
        }
        let below = u128::MAX >> (127 - last);
        Self(below & (u128::MAX << first))
    }

    fn of_all(ranges: &[(char, char)]) -> Self {
        ranges.iter().fold(Self::default(), |class, (first, last)| class.or(Self::range(*first, *last)))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn negated_if(self, negated: bool) -> Self {
        if negated { Self(!self.0) } else { self }
    }

    /// `\d`, `\s`, `\w` and their opposites.
    pub(super) fn perl(letter: char) -> Option<Self> {
        let class = match letter.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
            'w' => WORD,
            _ => return None,
        };
        Some(Self::of_all(class).negated_if(letter.is_ascii_uppercase()))
    }

    /// `[:alpha:]`
    pub(super) fn posix(name: &str) -> Option<Self> {
        let ranges: &[(char, char)] = match name {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => ALPHA,
            "ascii" => &[('\0', '\x7f')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => DIGIT,
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "word" => WORD,
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return None,
        };
        Some(Self::of_all(ranges))
    }

    /// `\p{Lu}`: what is ASCII of a general category, or of the scripts that have any of it.
    pub(super) fn unicode(name: &str) -> Option<Self> {
        let ranges: &[(char, char)] = match name {
            "Any" => &[('\0', '\x7f')],
            "L" | "Latin" => ALPHA,
            "Lu" => &[('A', 'Z')],
            "Ll" => &[('a', 'z')],
            "N" | "Nd" => DIGIT,
            "P" => &[
                ('!', '#'),
                ('%', '*'),
                (',', '/'),
                (':', ';'),
                ('?', '@'),
                ('[', ']'),
                ('_', '_'),
                ('{', '{'),
                ('}', '}'),
            ],
            "Pc" => &[('_', '_')],
            "Pd" => &[('-', '-')],
            "Ps" => &[('(', '('), ('[', '['), ('{', '{')],
            "Pe" => &[(')', ')'), (']', ']'), ('}', '}')],
            "Po" => &[
                ('!', '#'),
                ('%', '\''),
                ('*', '*'),
                (',', ','),
                ('.', '/'),
                (':', ';'),
                ('?', '@'),
                ('\\', '\\'),
            ],
            "S" => &[('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('`', '`'), ('|', '|'), ('~', '~')],
            "Sc" => &[('$', '$')],
            "Sk" => &[('^', '^'), ('`', '`')],
            "Sm" => &[('+', '+'), ('<', '>'), ('|', '|'), ('~', '~')],
            "Z" | "Zs" => &[(' ', ' ')],
            "C" | "Cc" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "Common" => &[('\0', '@'), ('[', '`'), ('{', '\x7f')],
            "Lm" | "Lo" | "Lt" | "M" | "Mc" | "Me" | "Mn" | "Nl" | "No" | "Pf" | "Pi" | "So" | "Zl"
            | "Zp" | "Cf" | "Co" | "Cs" => &[],
            _ => return None,
        };
        Some(Self::of_all(ranges))
    }

    /// In the syntax of the `regex` crate.
    pub(super) fn write(self, out: &mut String) {
        if self == Self::default() {
            // A class without characters.
            out.push_str("[a&&b]");
            return;
        }
        out.push('[');
        let mut next = 0_u32;
        while next < 128 {
            if self.0 >> next & 1 == 0 {
                next += 1;
                continue;
            }
            let ones = (!(self.0 >> next)).trailing_zeros().min(128 - next);
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{next:02X}-\\x{:02X}", next + ones - 1);
            next += ones;
        }
        out.push(']');
    }
}

const DIGIT: &[(char, char)] = &[('0', '9')];
const ALPHA: &[(char, char)] = &[('A', 'Z'), ('a', 'z')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
