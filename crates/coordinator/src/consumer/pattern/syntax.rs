//! RE2's syntax, in the syntax of the `regex` crate. The two differ: what one takes for an operator is a character to the
//! other, and each knows things that the other refuses.
//!
//! What only tells greedy from lazy, or lines from the whole, is dropped: a name is matched from end to end, in one line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::class::Class;

/// The most that an expression may repeat something, and that nested repetitions may come to.
const REPEAT_MAX: u32 = 1000;
/// Characters and classes of an expression when its repetitions are written out.
const SIZE_MAX: usize = 10_000;
const DEPTH_MAX: usize = 200;

/// Why an expression is refused, in words that may follow "is not a valid regular expression: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub &'static str);

const INVALID_ESCAPE: Invalid = Invalid("invalid escape sequence");
const INVALID_RANGE: Invalid = Invalid("invalid character class range");
const MISSING_BRACKET: Invalid = Invalid("missing closing ]");
const MISSING_PAREN: Invalid = Invalid("missing closing )");
const UNEXPECTED_PAREN: Invalid = Invalid("unexpected )");
const MISSING_ARGUMENT: Invalid = Invalid("missing argument to repetition operator");
const STACKED: Invalid = Invalid("repetition of a repetition");
const REPEAT_SIZE: Invalid = Invalid("invalid repeat count");
const PERL: Invalid = Invalid("invalid or unsupported syntax after (?");
const DUPLICATE: Invalid = Invalid("two groups have one name");
const TRAILING: Invalid = Invalid("trailing backslash");
const TOO_LARGE: Invalid = Invalid("too large");
const TOO_DEEP: Invalid = Invalid("nested too deeply");

pub(super) fn translate(pattern: &str) -> Result<String, Invalid> {
    let mut parser = Parser { rest: pattern, out: String::new(), names: BTreeSet::new(), depth: 0 };
    parser.alternatives()?;
    match parser.rest.is_empty() {
        true => Ok(parser.out),
        // Only that ends the outermost level early.
        false => Err(UNEXPECTED_PAREN),
    }
}

/// What can be repeated.
#[derive(Clone, Copy, Default)]
struct Weight {
    /// Written out.
    size: usize,
    /// The most that something in it is repeated.
    repeats: u32,
}

struct Parser<'a> {
    rest: &'a str,
    out: String,
    names: BTreeSet<&'a str>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.rest = self.rest.get(character.len_utf8()..)?;
        Some(character)
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Up to what ends a group.
    fn alternatives(&mut self) -> Result<Weight, Invalid> {
        let mut whole = Weight { size: 0, repeats: 1 };
        // What a repetition would apply to.
        let mut atom: Option<Weight> = None;
        while let Some(character) = self.peek() {
            let found = match character {
                ')' => break,
                '|' => {
                    self.next();
                    self.out.push('|');
                    atom = None;
                    continue;
                }
                '*' | '+' | '?' | '{' => match self.repetition()? {
                    Some((min, max)) => {
                        let repeated = self.repeat(atom, min, max)?;
                        whole.size -= atom.map_or(0, |atom| atom.size);
                        // Nothing repeats a repetition.
                        if matches!(self.peek(), Some('*' | '+' | '?')) || self.is_repetition() {
                            return Err(STACKED);
                        }
                        Some(repeated)
                    }
                    None => self.literal(),
                },
                '(' => {
                    let written = self.out.len();
                    let group = self.group()?;
                    if self.out.len() == written {
                        // Flags that make no difference stand in nobody's way.
                        continue;
                    }
                    group
                }
                '[' => Some(self.class()?),
                '.' => {
                    self.next();
                    Some(self.emit(Class::ANY))
                }
                '^' => self.assertion("\\A"),
                '$' => self.assertion("\\z"),
                '\\' => self.escape()?,
                _ => self.literal(),
            };
            if let Some(found) = found {
                whole.size = whole.size.saturating_add(found.size);
                whole.repeats = whole.repeats.max(found.repeats);
                if whole.size > SIZE_MAX {
                    return Err(TOO_LARGE);
                }
            }
            atom = found;
        }
        Ok(whole)
    }

    fn emit(&mut self, class: Class) -> Weight {
        class.write(&mut self.out);
        Weight { size: 1, repeats: 1 }
    }

    fn literal(&mut self) -> Option<Weight> {
        let character = self.next()?;
        Some(self.emit(Class::of(character)))
    }

    fn assertion(&mut self, written: &str) -> Option<Weight> {
        self.next();
        self.out.push_str(written);
        Some(Weight { size: 1, repeats: 1 })
    }

    /// Takes a repetition and what makes it lazy. `None`: the brace is a character.
    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, Invalid> {
        let bounds = if self.take("*") {
            (0, None)
        } else if self.take("+") {
            (1, None)
        } else if self.take("?") {
            (0, Some(1))
        } else {
            let Some((bounds, rest)) = braces(self.rest) else { return Ok(None) };
            self.rest = rest;
            let (min, max) = bounds;
            if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                return Err(REPEAT_SIZE);
            }
            bounds
        };
        self.take("?");
        Ok(Some(bounds))
    }

    fn is_repetition(&self) -> bool {
        self.peek() == Some('{') && braces(self.rest).is_some()
    }

    fn repeat(&mut self, atom: Option<Weight>, min: u32, max: Option<u32>) -> Result<Weight, Invalid> {
        let atom = atom.ok_or(MISSING_ARGUMENT)?;
        let times = max.unwrap_or(min).max(min).max(1);
        let repeats = atom.repeats.saturating_mul(times);
        if times > 1 && repeats > REPEAT_MAX {
            return Err(REPEAT_SIZE);
        }
        // Writing to a string cannot fail.
        let _ = match max {
            None => write!(self.out, "{{{min},}}"),
            Some(max) => write!(self.out, "{{{min},{max}}}"),
        };
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        Ok(Weight { size: atom.size.saturating_mul(times), repeats })
    }

    /// `None`: only flags, for the rest of the group that they are in.
    fn group(&mut self) -> Result<Option<Weight>, Invalid> {
        self.next();
        let opens = match self.take("?") {
            true => self.perl()?,
            false => {
                self.out.push_str("(?:");
                true
            }
        };
        if !opens {
            return Ok(None);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(TOO_DEEP);
        }
        let weight = self.alternatives()?;
        if !self.take(")") {
            return Err(MISSING_PAREN);
        }
        self.depth -= 1;
        self.out.push(')');
        Ok(Some(Weight { size: weight.size.max(1), ..weight }))
    }

    /// After `(?`; whether a group begins.
    fn perl(&mut self) -> Result<bool, Invalid> {
        let is_name = self.take("P<")
            || (!self.rest.starts_with("<=") && !self.rest.starts_with("<!") && self.take("<"));
        if is_name {
            let (name, rest) = self.rest.split_once('>').ok_or(PERL)?;
            let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(PERL);
            }
            if !self.names.insert(name) {
                return Err(DUPLICATE);
            }
            self.rest = rest;
            self.out.push_str("(?:");
            return Ok(true);
        }
        self.flags()
    }

    /// `i-s:` or `i-s)`. Of the flags only `i` makes a difference to names.
    fn flags(&mut self) -> Result<bool, Invalid> {
        let (mut sets, mut after_minus, mut any) = (None, false, false);
        loop {
            match self.next().ok_or(PERL)? {
                'i' => (sets, any) = (Some(!after_minus), true),
                'm' | 's' | 'U' => any = true,
                '-' if !after_minus => (after_minus, any) = (true, false),
                end @ (':' | ')') => {
                    if after_minus && !any {
                        return Err(PERL);
                    }
                    let flags = match sets {
                        None => "",
                        Some(true) => "i",
                        Some(false) => "-i",
                    };
                    let opens = end == ':';
                    if opens || !flags.is_empty() {
                        // Writing to a string cannot fail.
                        let _ = write!(self.out, "(?{flags}{end}");
                    }
                    return Ok(opens);
                }
                _ => return Err(PERL),
            }
        }
    }

    /// `None`: a quotation of nothing.
    fn escape(&mut self) -> Result<Option<Weight>, Invalid> {
        for (assertion, written) in [("\\A", "\\A"), ("\\z", "\\z"), ("\\b", "\\b"), ("\\B", "\\B")] {
            if self.take(assertion) {
                self.out.push_str(written);
                return Ok(Some(Weight { size: 1, repeats: 1 }));
            }
        }
        if self.take("\\Q") {
            return Ok(self.quotation());
        }
        if let Some(class) = self.escaped_class()? {
            return Ok(Some(self.emit(class)));
        }
        let character = self.escaped_character()?;
        Ok(Some(self.emit(Class::of(character))))
    }

    /// `\Q...\E`, or up to the end. A repetition applies to its last character.
    fn quotation(&mut self) -> Option<Weight> {
        let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        let mut all = None;
        for character in quoted.chars() {
            let weight = self.emit(Class::of(character));
            let before = all.map_or(0, |all: Weight| all.size);
            all = Some(Weight { size: before + weight.size, ..weight });
        }
        all
    }

    /// `\d` or `\pL`, if it is one.
    fn escaped_class(&mut self) -> Result<Option<Class>, Invalid> {
        let mut characters = self.rest.chars().skip(1);
        let letter = characters.next().ok_or(TRAILING)?;
        if let Some(class) = Class::perl(letter) {
            self.rest = self.rest.get(2..).unwrap_or_default();
            return Ok(Some(class));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        self.rest = self.rest.get(2..).unwrap_or_default();
        let negated = letter == 'P';
        let name = if self.take("{") {
            let (name, rest) = self.rest.split_once('}').ok_or(INVALID_RANGE)?;
            self.rest = rest;
            name
        } else {
            let length = self.peek().ok_or(INVALID_RANGE)?.len_utf8();
            let (name, rest) = self.rest.split_at_checked(length).ok_or(INVALID_RANGE)?;
            self.rest = rest;
            name
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name, negated),
        };
        let class = Class::unicode(name).ok_or(INVALID_RANGE)?;
        Ok(Some(class.negated_if(negated)))
    }

    /// One character behind a backslash, in or outside a class.
    fn escaped_character(&mut self) -> Result<char, Invalid> {
        self.next();
        let character = self.next().ok_or(TRAILING)?;
        match character {
            // A digit alone would be a back reference.
            '1'..='7' if !matches!(self.peek(), Some('0'..='7')) => Err(INVALID_ESCAPE),
            '0'..='7' => {
                let mut value = character.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|next| next.to_digit(8)) else { break };
                    self.next();
                    value = value * 8 + digit;
                }
                char::from_u32(value).ok_or(INVALID_ESCAPE)
            }
            'x' => self.hexadecimal(),
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            character if !character.is_ascii_alphanumeric() => Ok(character),
            _ => Err(INVALID_ESCAPE),
        }
    }

    fn hexadecimal(&mut self) -> Result<char, Invalid> {
        let digits = if self.take("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(INVALID_ESCAPE)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(INVALID_ESCAPE)?;
            self.rest = rest;
            digits
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(INVALID_ESCAPE);
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| INVALID_ESCAPE)?;
        if value > u32::from(char::MAX) {
            return Err(INVALID_ESCAPE);
        }
        // Half a surrogate pair is no character, but in Java it is one that no name has.
        Ok(char::from_u32(value).unwrap_or(char::MAX))
    }

    fn class(&mut self) -> Result<Weight, Invalid> {
        self.next();
        let negated = self.take("^");
        let mut class = Class::default();
        let mut first = true;
        loop {
            if !first && self.take("]") {
                break;
            }
            first = false;
            class = class.or(self.class_item()?);
        }
        Ok(self.emit(class.negated_if(negated)))
    }

    fn class_item(&mut self) -> Result<Class, Invalid> {
        if let Some(named) = self.rest.strip_prefix("[:")
            && let Some((name, rest)) = named.split_once(":]")
        {
            let (bare, negated) = match name.strip_prefix('^') {
                Some(bare) => (bare, true),
                None => (name, false),
            };
            let class = Class::posix(bare).ok_or(INVALID_RANGE)?;
            self.rest = rest;
            return Ok(class.negated_if(negated));
        }
        if self.rest.starts_with('\\')
            && let Some(class) = self.escaped_class()?
        {
            return Ok(class);
        }
        let low = self.class_character()?;
        let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
        if !is_range {
            return Ok(Class::of(low));
        }
        self.next();
        let high = self.class_character()?;
        if high < low { Err(INVALID_RANGE) } else { Ok(Class::range(low, high)) }
    }

    fn class_character(&mut self) -> Result<char, Invalid> {
        match self.peek() {
            None => Err(MISSING_BRACKET),
            Some('\\') => self.escaped_character(),
            Some(_) => self.next().ok_or(MISSING_BRACKET),
        }
    }
}

/// `{2}`, `{2,}` or `{2,3}`, and what follows it.
fn braces(text: &str) -> Option<((u32, Option<u32>), &str)> {
    let (inside, rest) = text.strip_prefix('{')?.split_once('}')?;
    let number = |digits: &str| -> Option<u32> {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let plain = plain && (digits.len() == 1 || !digits.starts_with('0'));
        // So many that it is refused, however many.
        plain.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let bounds = match inside.split_once(',') {
        None => number(inside).map(|times| (times, Some(times)))?,
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((bounds, rest))
}
