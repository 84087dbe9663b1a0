//! A megabyte of text in many scripts, the same on every machine.

/// Xorshift with a multiplication: enough to mix text, and written out so that it never changes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// Letters of each script, first and last. All characters were assigned by Unicode 9, so that no table is too old.
const SCRIPTS: [(u32, u32); 22] = [
    (0x61, 0x7a),
    (0x41, 0x5a),
    (0xc0, 0x17e),
    (0x1e00, 0x1eff),
    (0x391, 0x3a1),
    (0x3b1, 0x3c9),
    (0x410, 0x44f),
    (0x531, 0x556),
    (0x5d0, 0x5ea),
    (0x621, 0x63a),
    (0x905, 0x939),
    (0x985, 0x98c),
    (0xe01, 0xe3a),
    (0x10d0, 0x10f0),
    (0x1100, 0x1112),
    (0x3041, 0x3096),
    (0x30a1, 0x30fa),
    (0x4e00, 0x9fa5),
    (0xac00, 0xd7a3),
    (0xff21, 0xff3a),
    (0x10400, 0x1044f),
    (0x20000, 0x2a6d6),
];
/// Marks that combine with the letter before them.
const MARKS: [(u32, u32); 4] = [(0x300, 0x36f), (0x64b, 0x652), (0x93e, 0x94c), (0x20d0, 0x20dc)];
/// Numbers, not all of them digits.
const NUMBERS: [(u32, u32); 8] = [
    (0x30, 0x39),
    (0x30, 0x39),
    (0x30, 0x39),
    (0x660, 0x669),
    (0x966, 0x96f),
    (0xb2, 0xb3),
    (0x2160, 0x2188),
    (0x2460, 0x249b),
];
/// Punctuation, symbols, emoji.
const SIGNS: [(u32, u32); 10] = [
    (0x21, 0x2f),
    (0x3a, 0x40),
    (0x5b, 0x60),
    (0x7b, 0x7e),
    (0xa1, 0xa9),
    (0x2010, 0x2027),
    (0x2190, 0x21ff),
    (0x3001, 0x3011),
    (0x1f300, 0x1f5ff),
    (0x1f600, 0x1f64f),
];
const SPACES: [&str; 18] = [
    " ", " ", " ", " ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", " \n ", "\t", "\u{a0}", "\u{3000}",
    "\u{2003}", "        ",
];
const CONTROLS: [&str; 8] = ["\0", "\u{1}", "\u{7f}", "\u{85}", "\u{ad}", "\u{200b}", "\u{200d}", "\u{feff}"];
const PHRASES: [&str; 20] = [
    "it's",
    "IT'S",
    "we'll",
    "We'LL",
    "they'Ve",
    "I'm",
    "'tis",
    "don't",
    "x'\u{17f}",
    "fn main() { println!(\"{}\", 1 << 8); }",
    "for (let i = 0; i < n; ++i) { a[i] += 0x1F; }",
    "https://example.org/a_b?c=%20d#e",
    "user@example.org",
    "3.14159e-10",
    "1,234,567.89",
    "2024-02-29T12:34:56Z",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{2764}\u{fe0f}",
    "\u{1f1e8}\u{1f1ed}",
    "e\u{301}",
];

/// The text: a fifth English prose, the rest made of the tables above.
pub(crate) fn mixed_text(prose: &str, bytes: usize) -> String {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let lines: Vec<&str> = prose.lines().collect();
    let mut text = String::with_capacity(bytes + 256);
    while text.len() < bytes {
        match dice.roll(40) {
            0 => text.push_str(dice.pick(&lines)),
            1..=2 => text.push_str(dice.pick(&PHRASES)),
            3 => text.push_str(dice.pick(&CONTROLS)),
            4..=6 => run(&mut text, &mut dice, &NUMBERS, 12),
            7..=10 => run(&mut text, &mut dice, &SIGNS, 4),
            11..=13 => marked_word(&mut text, &mut dice),
            _ => {
                let script = SCRIPTS[dice.roll(SCRIPTS.len())];
                run(&mut text, &mut dice, &[script], 10);
            }
        }
        if dice.roll(5) > 0 {
            text.push_str(dice.pick(&SPACES));
        }
    }
    text
}

fn run(text: &mut String, dice: &mut Dice, ranges: &[(u32, u32)], longest: usize) {
    let (first, last) = ranges[dice.roll(ranges.len())];
    for _ in 0..=dice.roll(longest) {
        let code = first + dice.roll((last - first + 1) as usize) as u32;
        text.extend(char::from_u32(code));
    }
}

fn marked_word(text: &mut String, dice: &mut Dice) {
    for _ in 0..=dice.roll(6) {
        let script = SCRIPTS[dice.roll(12)];
        run(text, dice, &[script], 1);
        run(text, dice, &MARKS, 2);
    }
}
