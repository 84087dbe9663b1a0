//! From the bytes of tokens to text that is certain: whole characters, and no part of a stop string.

/// Turns the bytes of output tokens into text.
///
/// The text is the lossy UTF-8 decoding of all bytes (each maximal invalid part becomes U+FFFD), cut before the stop
/// string whose end comes first; of several with the same end, the longest counts. So the text depends on the bytes
/// alone, and how they are split over tokens only decides when a part of it becomes certain.
#[derive(Debug, Clone)]
pub(super) struct TextAssembler {
    stops: Vec<String>,
    /// Bytes that may be the start of a character: at most 3.
    partial: Vec<u8>,
    /// Text that may be the start of a stop string.
    held: String,
    /// Text that is certain and not yet taken.
    certain: String,
    stopped: bool,
}

impl TextAssembler {
    /// The stop strings must not be empty.
    pub(super) fn new(stops: &[String]) -> Self {
        Self { stops: stops.to_vec(), partial: Vec::new(), held: String::new(), certain: String::new(), stopped: false }
    }

    /// Adds the bytes of one token. Nothing is added once a stop string is complete.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.stopped && !bytes.is_empty() {
            self.partial.extend_from_slice(bytes);
            self.decode_partial();
            self.settle();
        }
    }

    /// Whether a stop string is complete.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Text that has become certain since it was last taken.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.certain)
    }

    /// The rest of the text when no more tokens come: all that was held back, an unfinished character as U+FFFD.
    pub(super) fn finish(&mut self) -> String {
        if !std::mem::take(&mut self.partial).is_empty() && !self.stopped {
            self.held.push(char::REPLACEMENT_CHARACTER);
            // A stop string may have U+FFFD in it, and then it is complete only now.
            self.settle();
        }
        self.certain.push_str(&std::mem::take(&mut self.held));
        self.take()
    }

    /// Moves whole and invalid characters from `partial` to `held`; leaves what later bytes could complete.
    fn decode_partial(&mut self) {
        loop {
            let (valid, invalid) = match std::str::from_utf8(&self.partial) {
                Ok(text) => (text.len(), None),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            let text = std::str::from_utf8(&self.partial[..valid]).expect("checked to be valid up to here");
            self.held.push_str(text);
            self.partial.drain(..valid + invalid.unwrap_or(0));
            if invalid.is_none() {
                return;
            }
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Decides what part of `held` is certain.
    fn settle(&mut self) {
        if let Some(start) = self.stop_start() {
            self.held.truncate(start);
            self.certain.push_str(&std::mem::take(&mut self.held));
            self.partial.clear();
            self.stopped = true;
            return;
        }
        let open = self.stops.iter().map(|stop| open_length(&self.held, stop)).max().unwrap_or(0);
        let certain = self.held.len() - open;
        self.certain.extend(self.held.drain(..certain));
    }

    /// Where the stop string starts whose end comes first, the longest of those with the same end.
    fn stop_start(&self) -> Option<usize> {
        let matches = self.stops.iter().filter_map(|stop| {
            let start = self.held.find(stop.as_str())?;
            Some((start + stop.len(), start))
        });
        matches.min().map(|(_, start)| start)
    }
}

/// Length of the longest end of `text` that starts `stop` without completing it.
fn open_length(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    let (text, stop) = (text.as_bytes(), stop.as_bytes());
    (1..=longest).rev().find(|&length| text.ends_with(&stop[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assemble(stops: &[String], pieces: &[&[u8]]) -> (Vec<String>, String) {
        let mut text = TextAssembler::new(stops);
        let streamed = pieces
            .iter()
            .map(|piece| {
                text.push(piece);
                text.take()
            })
            .collect();
        (streamed, text.finish())
    }

    fn stops(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|&stop| stop.to_owned()).collect()
    }

    /// The definition, on the whole at once.
    fn naive(stops: &[String], bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        for (end, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let head = &text[..end];
            if let Some(longest) = stops.iter().filter(|stop| head.ends_with(stop.as_str())).map(String::len).max() {
                return head[..head.len() - longest].to_owned();
            }
        }
        text.into_owned()
    }

    #[test]
    fn text_is_held_back_while_a_stop_string_may_come() {
        let (streamed, rest) = assemble(&stops(&["</s>"]), &[b"ab<", b"/", b"s", b"!c<", b"/s", b">tail", b"more"]);
        assert_eq!(streamed, ["ab", "", "", "</s!c", "", "", ""]);
        assert_eq!(rest, "");
        let (streamed, rest) = assemble(&stops(&["</s>"]), &[b"ab</s"]);
        assert_eq!((streamed, rest.as_str()), (vec!["ab".to_owned()], "</s"));
    }

    #[test]
    fn a_false_start_may_hide_the_real_one() {
        let (streamed, rest) = assemble(&stops(&["aab"]), &[b"a", b"a", b"a", b"b"]);
        assert_eq!((streamed.concat(), rest.as_str()), ("a".to_owned(), ""));
    }

    #[test]
    fn the_stop_string_that_ends_first_counts_and_then_the_longest() {
        for (stop, expected) in [(&["abc", "b"][..], "xa"), (&["c", "abc", "bc"][..], "x"), (&["d"][..], "xabc")] {
            let (streamed, rest) = assemble(&stops(stop), &[b"xabcd"]);
            assert_eq!(streamed.concat() + &rest, expected, "{stop:?}");
        }
    }

    #[test]
    fn characters_wait_for_their_last_byte() {
        // U+20AC is e2 82 ac.
        let (streamed, rest) = assemble(&[], &[b"a\xe2", b"\x82", b"\xacb", b"\xe2\x82"]);
        assert_eq!(streamed, ["a", "", "\u{20ac}b", ""]);
        assert_eq!(rest, "\u{fffd}");
        let (streamed, rest) = assemble(&[], &[b"\xe2\x82", b"x\xff", b"\x80y"]);
        assert_eq!((streamed.concat() + &rest).as_str(), "\u{fffd}x\u{fffd}\u{fffd}y");
    }

    #[test]
    fn a_stop_string_may_be_split_inside_a_character() {
        let (streamed, rest) = assemble(&stops(&["\u{20ac}!"]), &[b"a\xe2\x82", b"\xac", b"!b"]);
        assert_eq!((streamed.concat(), rest.as_str()), ("a".to_owned(), ""));
    }

    #[test]
    fn a_stop_string_may_be_completed_by_a_replacement_character() {
        let (streamed, rest) = assemble(&stops(&["\u{fffd}"]), &[b"ab\xe2"]);
        assert_eq!((streamed.concat() + &rest).as_str(), "ab");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pieces_make_the_text_of_the_whole(
            pieces in prop::collection::vec(
                prop::collection::vec(prop::sample::select(&b"aab\xe2\x82\xac\xf0\x9f\x98\xff"[..]), 0..5), 0..12),
            stops in prop::collection::vec("[ab\u{20ac}\u{fffd}]{1,4}", 0..3),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (streamed, rest) = assemble(&stops, &pieces);
            prop_assert_eq!(streamed.concat() + &rest, naive(&stops, &pieces.concat()));
        }
    }
}
